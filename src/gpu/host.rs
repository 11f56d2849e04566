//! Memory of this machine that a device writes by itself, lent and taken back: to get it from
//! the system anew for each step would cost as much as a step.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use super::GpuError;
use super::device::{Device, HostAddress};

/// Floats in such memory.
pub(crate) struct HostFloats {
    device: Arc<dyn Device>,
    address: HostAddress,
    /// How many there are, and how many there is room for.
    len: usize,
    capacity: usize,
}

impl HostFloats {
    fn new(device: &Arc<dyn Device>, capacity: usize) -> Result<Self, GpuError> {
        let num_bytes = capacity.max(1) * size_of::<f32>();
        let address = device.allocate_host(num_bytes)?;
        // SAFETY: it is as long. Nobody may see bytes that were never written.
        unsafe { (address as *mut u8).write_bytes(0, num_bytes) };
        Ok(Self { device: Arc::clone(device), address, len: 0, capacity })
    }

    pub(super) fn address(&self) -> HostAddress {
        self.address
    }
}

impl Deref for HostFloats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the memory is ours, aligned, written, and at least as long.
        unsafe { std::slice::from_raw_parts(self.address as *const f32, self.len) }
    }
}

impl DerefMut for HostFloats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed by one alone.
        unsafe { std::slice::from_raw_parts_mut(self.address as *mut f32, self.len) }
    }
}

impl Drop for HostFloats {
    fn drop(&mut self) {
        self.device.free_host(self.address);
    }
}

impl fmt::Debug for HostFloats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Lends such memory.
#[derive(Debug)]
pub(crate) struct HostPool {
    device: Arc<dyn Device>,
    spare: Mutex<Vec<HostFloats>>,
}

/// Floats that go back where they are from.
#[derive(Debug)]
pub(crate) struct LentFloats {
    floats: Option<HostFloats>,
    pool: Arc<HostPool>,
}

impl HostPool {
    pub(crate) fn new(device: &Arc<dyn Device>) -> Arc<Self> {
        Arc::new(Self { device: Arc::clone(device), spare: Mutex::default() })
    }

    /// So many floats, with anything in them.
    ///
    /// # Errors
    /// The device gives no more such memory.
    pub(crate) fn lend(self: &Arc<Self>, len: usize) -> Result<LentFloats, GpuError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut floats = match spare.filter(|spare| spare.capacity >= len) {
            Some(spare) => spare,
            None => HostFloats::new(&self.device, len.next_power_of_two())?,
        };
        floats.len = len;
        Ok(LentFloats { floats: Some(floats), pool: Arc::clone(self) })
    }
}

impl Deref for LentFloats {
    type Target = HostFloats;

    fn deref(&self) -> &HostFloats {
        self.floats.as_ref().expect("it is lent until it is dropped")
    }
}

impl DerefMut for LentFloats {
    fn deref_mut(&mut self) -> &mut HostFloats {
        self.floats.as_mut().expect("it is lent until it is dropped")
    }
}

impl Drop for LentFloats {
    fn drop(&mut self) {
        let mut spare = self.pool.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.extend(self.floats.take());
        // One step's logits are in use at a time; the larger serves both.
        spare.sort_by_key(|floats| floats.capacity);
        let len = spare.len();
        spare.drain(..len.saturating_sub(1));
    }
}
