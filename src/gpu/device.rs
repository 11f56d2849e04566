//! What a GPU does for us, whoever makes it: memory, kernels, recorded launches.

use std::fmt;
use std::sync::{Arc, mpsc};

use super::GpuError;
use super::host::HostFloats;
use super::program::Program;

/// A place in a device's memory.
pub(crate) type Address = u64;

/// A place in this machine's memory that a device may write.
pub(crate) type HostAddress = usize;

/// A kernel of a loaded program, by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kernel(pub(super) usize);

/// Recorded launches, by their number on their device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Recording(pub(super) usize);

/// How many threads run a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Blocks of threads, along three axes.
    pub(super) grid: [u32; 3],
    /// Threads of a block.
    pub(super) threads: u32,
    /// Bytes of shared memory of a block.
    pub(super) shared_bytes: u32,
}

/// One device. What it is told to do happens in the order it is told, after the call
/// returned; [`Device::download`] and [`Device::wait`] wait for it.
///
/// What fails in a kernel is told by any call after it, by one that waits at the latest.
pub(crate) trait Device: fmt::Debug + Send + Sync {
    /// Its name, for people.
    fn name(&self) -> String;

    /// Bytes of its memory that are free, and that there are.
    fn memory(&self) -> Result<(usize, usize), GpuError>;

    /// Memory with anything in it, aligned to 256 bytes.
    fn allocate(&self, num_bytes: usize) -> Result<Address, GpuError>;

    /// Gives back what [`Device::allocate`] gave, once everything told before is done.
    fn free(&self, address: Address);

    /// Clears `num_bytes` from `address` on.
    ///
    /// # Safety
    /// They are one allocation's.
    unsafe fn clear(&self, address: Address, num_bytes: usize) -> Result<(), GpuError>;

    /// Copies `bytes` there. They may be changed as soon as it returns.
    ///
    /// # Safety
    /// As [`Device::clear`].
    unsafe fn upload(&self, bytes: &[u8], to: Address) -> Result<(), GpuError>;

    /// Copies bytes from there, when everything told before is done.
    ///
    /// # Safety
    /// As [`Device::clear`].
    unsafe fn download(&self, from: Address, out: &mut [u8]) -> Result<(), GpuError>;

    /// Has bytes from there brought as they are when everything told before is done; what is
    /// told after it may change them.
    ///
    /// # Safety
    /// As [`Device::clear`].
    unsafe fn send_for(&self, from: Address, num_bytes: usize) -> Result<Coming, GpuError>;

    /// Memory of this machine that the device writes by itself, with anything in it, aligned
    /// to 256 bytes.
    fn allocate_host(&self, num_bytes: usize) -> Result<HostAddress, GpuError>;

    /// Gives back what [`Device::allocate_host`] gave.
    fn free_host(&self, memory: HostAddress);

    /// Copies bytes from there to such memory, when everything told before is done.
    ///
    /// # Safety
    /// As [`Device::clear`], on both sides; nobody else uses that memory meanwhile.
    unsafe fn download_to_host(
        &self,
        from: Address,
        to: HostAddress,
        num_bytes: usize,
    ) -> Result<(), GpuError>;

    /// Waits until everything told before is done.
    fn wait(&self) -> Result<(), GpuError>;

    /// Compiles a program; a kernel for each of its names, in their order. Once a device.
    fn load(&self, program: &Program) -> Result<Vec<Kernel>, GpuError>;

    /// Runs a kernel, whose one parameter is the struct that `parameter` holds.
    ///
    /// # Safety
    /// The parameter is what the kernel takes, and lets it touch no memory but what is
    /// allocated and not borrowed otherwise.
    unsafe fn launch(&self, kernel: Kernel, shape: Shape, parameter: &[u8])
    -> Result<(), GpuError>;

    /// Records what `launches` launches instead of doing it: launches alone, no copies, and
    /// nobody else's meanwhile.
    fn record(
        &self,
        launches: &mut dyn FnMut() -> Result<(), GpuError>,
    ) -> Result<Recording, GpuError>;

    /// Gives back what was recorded, once everything told before is done.
    fn forget(&self, recording: Recording);

    /// Does what was recorded.
    ///
    /// # Safety
    /// As for each of the recorded launches.
    unsafe fn replay(&self, recording: Recording) -> Result<(), GpuError>;
}

/// Bytes that came from a device, or why they did not.
pub(crate) type Arrival = Result<Vec<u8>, GpuError>;

/// Bytes that are on their way from a device.
#[derive(Debug)]
pub(crate) struct Coming(mpsc::Receiver<Arrival>);

impl Coming {
    /// With where to send them, once.
    pub(crate) fn new() -> (mpsc::Sender<Arrival>, Self) {
        let (to, coming) = mpsc::channel();
        (to, Self(coming))
    }

    /// The bytes, once, when they are here.
    pub(crate) fn take(&self) -> Option<Result<Vec<u8>, GpuError>> {
        match self.0.try_recv() {
            Ok(arrival) => Some(arrival),
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => Some(Err(lost())),
        }
    }

    /// Waits for the bytes.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) fn wait(&self) -> Result<Vec<u8>, GpuError> {
        self.0.recv().unwrap_or_else(|_| Err(lost()))
    }
}

fn lost() -> GpuError {
    GpuError::Failed("its bytes were lost on their way".into())
}

/// Memory of a device, given back when nobody names it any more.
#[derive(Debug)]
pub(super) struct Allocation {
    device: Arc<dyn Device>,
    address: Address,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.device.free(self.address);
    }
}

/// Memory of a device.
#[derive(Debug)]
pub(crate) struct Buffer {
    allocation: Arc<Allocation>,
    num_bytes: usize,
}

impl Buffer {
    fn new(device: &Arc<dyn Device>, num_bytes: usize) -> Result<Self, GpuError> {
        let address = device.allocate(num_bytes.max(1))?;
        let allocation = Arc::new(Allocation { device: Arc::clone(device), address });
        Ok(Self { allocation, num_bytes })
    }

    /// Memory with zeros in it.
    ///
    /// # Errors
    /// There is not so much.
    pub(crate) fn zeroed(device: &Arc<dyn Device>, num_bytes: usize) -> Result<Self, GpuError> {
        let buffer = Self::new(device, num_bytes)?;
        // SAFETY: the allocation is as long.
        unsafe { device.clear(buffer.address(), num_bytes) }?;
        Ok(buffer)
    }

    /// Memory with these bytes in it.
    ///
    /// # Errors
    /// As [`Buffer::zeroed`].
    pub(crate) fn with(device: &Arc<dyn Device>, bytes: &[u8]) -> Result<Self, GpuError> {
        let mut buffer = Self::new(device, bytes.len())?;
        buffer.upload(0, bytes)?;
        Ok(buffer)
    }

    pub(crate) fn num_bytes(&self) -> usize {
        self.num_bytes
    }

    pub(super) fn address(&self) -> Address {
        self.allocation.address
    }

    pub(super) fn allocation(&self) -> &Arc<Allocation> {
        &self.allocation
    }

    /// Copies `bytes` to the place `offset` bytes from its beginning.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If they do not fit.
    pub(crate) fn upload(&mut self, offset: usize, bytes: &[u8]) -> Result<(), GpuError> {
        self.check(offset, bytes.len());
        // SAFETY: they lie within the allocation.
        unsafe { self.allocation.device.upload(bytes, self.address() + offset as u64) }
    }

    /// Copies bytes from the place `offset` bytes from its beginning.
    ///
    /// # Errors
    /// The device fails, or a kernel did that ran before.
    ///
    /// # Panics
    /// If there are not so many.
    pub(crate) fn download(&self, offset: usize, out: &mut [u8]) -> Result<(), GpuError> {
        self.check(offset, out.len());
        // SAFETY: they lie within the allocation.
        unsafe { self.allocation.device.download(self.address() + offset as u64, out) }
    }

    /// Has bytes brought from the place `offset` bytes from its beginning.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If there are not so many.
    pub(crate) fn send_for(&self, offset: usize, num_bytes: usize) -> Result<Coming, GpuError> {
        self.check(offset, num_bytes);
        // SAFETY: they lie within the allocation.
        unsafe { self.allocation.device.send_for(self.address() + offset as u64, num_bytes) }
    }

    /// Copies floats from its beginning to memory that the device writes by itself.
    ///
    /// # Errors
    /// As [`Buffer::download`].
    ///
    /// # Panics
    /// If there are not so many.
    pub(crate) fn download_floats(&self, out: &mut HostFloats) -> Result<(), GpuError> {
        let num_bytes = size_of_val::<[f32]>(out);
        self.check(0, num_bytes);
        // SAFETY: so many lie within both, and `out` is borrowed by us alone.
        unsafe { self.allocation.device.download_to_host(self.address(), out.address(), num_bytes) }
    }

    fn check(&self, offset: usize, num_bytes: usize) {
        let is_within = offset.checked_add(num_bytes).is_some_and(|end| end <= self.num_bytes);
        assert!(is_within, "{num_bytes} bytes at {offset} of {}", self.num_bytes);
    }
}
