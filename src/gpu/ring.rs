//! Memory through which bytes go to a GPU and come from it, in slots that are used in turn.

use std::ptr;

use super::cuda::{self, Driver, DriverError, Handle};

/// Bytes that go to or fro at once: enough that the bus is busy, few enough that copying
/// them here and moving them there overlap.
pub(super) const SLOT_BYTES: usize = 1 << 20;
/// Uploads that can wait for the GPU before the next one has to.
pub(super) const NUM_SLOTS: usize = 16;

/// Host memory that the GPU reads and writes by itself, in slots that are used in turn.
pub(super) struct Ring {
    memory: *mut u8,
    /// When the copy from or to each slot was done.
    events: Vec<Handle>,
    next: usize,
}

/// A slot that the GPU does not use.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// [`SLOT_BYTES`] bytes.
    pub(super) memory: *mut u8,
    pub(super) event: Handle,
}

impl Ring {
    /// Without memory yet.
    pub(super) fn new() -> Self {
        Self { memory: ptr::null_mut(), events: Vec::new(), next: 0 }
    }

    /// Gives everything back.
    ///
    /// # Safety
    /// The GPU uses none of it any more, nor does anybody who took a slot.
    pub(super) unsafe fn free(&mut self, driver: &Driver) {
        for event in self.events.drain(..) {
            // SAFETY: it is ours, promised to be unused, and forgotten.
            let _ = unsafe { driver.cuEventDestroy_v2(event) };
        }
        let memory = std::mem::replace(&mut self.memory, ptr::null_mut());
        if !memory.is_null() {
            // SAFETY: as above.
            let _ = unsafe { driver.cuMemFreeHost(memory.cast()) };
        }
    }

    pub(super) fn fill(&mut self, driver: &Driver) -> Result<(), DriverError> {
        let mut memory = ptr::null_mut();
        // SAFETY: it writes one address.
        unsafe { driver.cuMemHostAlloc(&mut memory, NUM_SLOTS * SLOT_BYTES, 0) }?;
        self.memory = memory.cast();
        for _ in 0..NUM_SLOTS {
            let mut event = ptr::null_mut();
            // SAFETY: it writes one handle.
            unsafe { driver.cuEventCreate(&mut event, cuda::EVENT_DISABLE_TIMING) }?;
            self.events.push(event);
        }
        Ok(())
    }

    /// The next slot, once the GPU is done with it.
    pub(super) fn take(&mut self, driver: &Driver) -> Result<Slot, DriverError> {
        // SAFETY: there are so many slots of so many bytes.
        let memory = unsafe { self.memory.add(self.next * SLOT_BYTES) };
        let slot = Slot { memory, event: self.events[self.next] };
        slot.wait(driver)?;
        self.next = (self.next + 1) % NUM_SLOTS;
        Ok(slot)
    }
}

impl Slot {
    /// Waits until the GPU is done with it.
    pub(super) fn wait(self, driver: &Driver) -> Result<(), DriverError> {
        // SAFETY: the event lives as long as the ring.
        unsafe { driver.cuEventSynchronize(self.event) }
    }
}
