//! One of NVIDIA's GPUs, through its driver.
//!
//! All that it is told goes through one stream, in order. Bytes go to and fro through
//! memory that the GPU reads and writes by itself: a call that uploads returns as soon as
//! the bytes are copied there, and the GPU takes them when it comes to that.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt;
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock};

use super::GpuError;
use super::courier::Courier;
use super::cuda::{self, Driver, DriverError, Handle};
use super::device::{Address, Coming, Device, HostAddress, Kernel, Recording, Shape};
use super::nvrtc::{Architecture, Compiler};
use super::program::Program;
use super::ring::{NUM_SLOTS, Ring, SLOT_BYTES};

/// The oldest compute capability whose instructions the kernels use.
const OLDEST: Architecture = 80;

/// What a kernel's parameter can have at most.
const MAX_PARAMETER_BYTES: usize = 4096;

/// One of NVIDIA's GPUs.
///
/// One thread tells it what to do at a time: while one records, what others launch would
/// be recorded too.
pub(crate) struct CudaDevice {
    driver: &'static Driver,
    index: usize,
    name: String,
    /// Ours alone: what breaks in it goes with it.
    context: Handle,
    stream: Handle,
    architecture: Architecture,
    /// Shared memory that one block can have at most, in bytes.
    max_shared_bytes: c_int,
    compiler: Compiler,
    loaded: OnceLock<Loaded>,
    recordings: Mutex<Vec<Handle>>,
    ring: Mutex<Ring>,
    /// From when it is first needed.
    courier: Mutex<Option<Courier>>,
}

/// A program on the device.
struct Loaded {
    module: Handle,
    functions: Vec<Handle>,
}

// SAFETY: the driver's handles belong to the process, not to a thread, and its functions may
// be called by several threads at once; each method makes the context its thread's own. What
// must not be used by two at once lies behind locks: recordings, and the ring's memory.
unsafe impl Send for CudaDevice {}
// SAFETY: as above.
unsafe impl Sync for CudaDevice {}

/// A parameter of a kernel, where any type may stand. The driver reads as many bytes as the
/// kernel takes.
#[repr(align(16))]
struct Parameter([u8; MAX_PARAMETER_BYTES]);

impl CudaDevice {
    /// How many GPUs the driver has; none where there is no driver.
    pub(crate) fn count() -> usize {
        cuda::driver().and_then(|driver| Ok(count(driver)?)).unwrap_or(0)
    }

    /// Whether the GPU with that number is there and can be used.
    ///
    /// # Errors
    /// As [`CudaDevice::open`].
    pub(crate) fn check(index: usize) -> Result<(), GpuError> {
        find(cuda::driver()?, index).map(|_| ())
    }

    /// Opens the GPU with that number. Its kernels will be compiled by the NVRTC at the path
    /// `nvrtc`, or that the system finds by such a bare name, and kept below `cache_dir`.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`]: there is no driver, no such GPU, or it is too old.
    pub(crate) fn open(index: usize, nvrtc: &Path, cache_dir: &Path) -> Result<Self, GpuError> {
        let driver = cuda::driver()?;
        let Found { device, name, architecture } = find(driver, index)?;
        let attribute = |attribute| attribute_of(driver, device, attribute);
        let mut context = ptr::null_mut();
        let max_shared_bytes = attribute(cuda::DEVICE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        // SAFETY: it writes one handle; the device is one of the driver's.
        unsafe { driver.cuCtxCreate_v2(&mut context, 0, device) }?;
        // From here on it is given back, whatever happens.
        let mut opened = Self {
            driver,
            index,
            name,
            context,
            stream: ptr::null_mut(),
            architecture,
            max_shared_bytes,
            compiler: Compiler::new(nvrtc, cache_dir),
            loaded: OnceLock::new(),
            recordings: Mutex::default(),
            ring: Mutex::new(Ring::new()),
            courier: Mutex::default(),
        };
        opened.bind()?;
        // SAFETY: it writes one handle.
        unsafe { driver.cuStreamCreate(&mut opened.stream, cuda::STREAM_NON_BLOCKING) }?;
        opened.lock_ring().fill(driver)?;
        Ok(opened)
    }

    /// Makes the context that of the calling thread.
    fn bind(&self) -> Result<(), DriverError> {
        // SAFETY: the context is ours until we are dropped.
        unsafe { self.driver.cuCtxSetCurrent(self.context) }
    }

    fn synchronize(&self) -> Result<(), DriverError> {
        // SAFETY: the stream is ours.
        unsafe { self.driver.cuStreamSynchronize(self.stream) }
    }

    fn lock_ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("no holder panics")
    }

    fn lock_recordings(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.recordings.lock().expect("no holder panics")
    }

    /// Takes the kernels of a program out of what was compiled of it.
    fn load_image(&self, image: &[u8], program: &Program) -> Result<Loaded, GpuError> {
        let driver = self.driver;
        let mut module = ptr::null_mut();
        // SAFETY: machine code that is whole, or text that ends with a zero.
        unsafe { driver.cuModuleLoadData(&mut module, image.as_ptr().cast()) }?;
        let function = |name: &String| {
            let c_name = CString::new(name.as_str())
                .map_err(|_| GpuError::Compile(format!("{name:?} cannot be a kernel's name")))?;
            let mut function = ptr::null_mut();
            // SAFETY: the module is loaded, and the name ends with a zero.
            unsafe { driver.cuModuleGetFunction(&mut function, module, c_name.as_ptr()) }
                .map_err(|error| GpuError::Failed(format!("the kernel {name}: {error}")))?;
            self.allow_shared(function)?;
            Ok(function)
        };
        match program.kernels.iter().map(function).collect() {
            Ok(functions) => Ok(Loaded { module, functions }),
            Err(error) => {
                // SAFETY: it is ours, nothing of it ran, and it is forgotten.
                let _ = unsafe { driver.cuModuleUnload(module) };
                Err(error)
            }
        }
    }

    /// Lets a kernel have all the shared memory that there is; without that it is 48 KiB.
    fn allow_shared(&self, function: Handle) -> Result<(), DriverError> {
        let (driver, mut fixed_bytes) = (self.driver, 0);
        // SAFETY: it writes one number; the function is loaded.
        unsafe {
            driver.cuFuncGetAttribute(&mut fixed_bytes, cuda::FUNC_SHARED_SIZE_BYTES, function)
        }?;
        // SAFETY: the function is loaded.
        unsafe {
            driver.cuFuncSetAttribute(
                function,
                cuda::FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                self.max_shared_bytes - fixed_bytes,
            )
        }
    }

    /// Forgets the program and what was recorded of it.
    fn unload(&mut self) {
        let driver = self.driver;
        // What failed is told by whoever waits next.
        let _ = self.synchronize();
        for recording in self.lock_recordings().drain(..).filter(|graph| !graph.is_null()) {
            // SAFETY: it is ours, runs no more, and is forgotten.
            let _ = unsafe { driver.cuGraphExecDestroy(recording) };
        }
        if let Some(Loaded { module, .. }) = self.loaded.take() {
            // SAFETY: as above.
            let _ = unsafe { driver.cuModuleUnload(module) };
        }
    }

    /// Ends the recording that the stream is in; what was recorded is the caller's.
    fn end_capture(&self) -> Result<Handle, DriverError> {
        let mut graph = ptr::null_mut();
        // SAFETY: the stream is ours; it writes one handle.
        unsafe { self.driver.cuStreamEndCapture(self.stream, &mut graph) }?;
        Ok(graph)
    }
}

impl Device for CudaDevice {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn memory(&self) -> Result<(usize, usize), GpuError> {
        self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: it writes two numbers.
        unsafe { self.driver.cuMemGetInfo_v2(&mut free, &mut total) }?;
        Ok((free, total))
    }

    fn allocate(&self, num_bytes: usize) -> Result<Address, GpuError> {
        self.bind()?;
        let mut address = 0;
        // SAFETY: it writes one address.
        match unsafe { self.driver.cuMemAlloc_v2(&mut address, num_bytes) } {
            Ok(()) => Ok(address),
            Err(DriverError { code: cuda::OUT_OF_MEMORY, .. }) => {
                Err(GpuError::OutOfMemory { num_bytes: Some(num_bytes) })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn free(&self, address: Address) {
        // What failed is told by whoever waits next.
        let _ = self.bind().and_then(|()| self.synchronize());
        // SAFETY: nothing that was told uses it any more.
        let _ = unsafe { self.driver.cuMemFree_v2(address) };
    }

    unsafe fn clear(&self, address: Address, num_bytes: usize) -> Result<(), GpuError> {
        if num_bytes == 0 {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: promised by the caller; the stream is ours.
        Ok(unsafe { self.driver.cuMemsetD8Async(address, 0, num_bytes, self.stream) }?)
    }

    unsafe fn upload(&self, bytes: &[u8], to: Address) -> Result<(), GpuError> {
        self.bind()?;
        let mut ring = self.lock_ring();
        for (number, chunk) in bytes.chunks(SLOT_BYTES).enumerate() {
            let to = to + (number * SLOT_BYTES) as u64;
            let slot = ring.take(self.driver)?;
            // SAFETY: the slot is as long as the chunk or longer, and the GPU does not use it.
            unsafe { ptr::copy_nonoverlapping(chunk.as_ptr(), slot.memory, chunk.len()) };
            let from: *const c_void = slot.memory.cast();
            // SAFETY: the place was promised by the caller; the slot is not used before the
            // event says that the GPU has read it.
            unsafe {
                self.driver.cuMemcpyHtoDAsync_v2(to, from, chunk.len(), self.stream)?;
                self.driver.cuEventRecord(slot.event, self.stream)?;
            }
        }
        Ok(())
    }

    unsafe fn download(&self, from: Address, out: &mut [u8]) -> Result<(), GpuError> {
        if out.is_empty() {
            return self.wait();
        }
        self.bind()?;
        let mut ring = self.lock_ring();
        // As much as all slots hold is on its way at once.
        for (number, part) in out.chunks_mut(NUM_SLOTS * SLOT_BYTES).enumerate() {
            let from = from + (number * NUM_SLOTS * SLOT_BYTES) as u64;
            let mut slots = Vec::with_capacity(NUM_SLOTS);
            for (number, chunk) in part.chunks(SLOT_BYTES).enumerate() {
                let from = from + (number * SLOT_BYTES) as u64;
                let slot = ring.take(self.driver)?;
                let to: *mut c_void = slot.memory.cast();
                // SAFETY: as in `upload`, the other way.
                unsafe {
                    self.driver.cuMemcpyDtoHAsync_v2(to, from, chunk.len(), self.stream)?;
                    self.driver.cuEventRecord(slot.event, self.stream)?;
                }
                slots.push(slot);
            }
            for (chunk, slot) in part.chunks_mut(SLOT_BYTES).zip(slots) {
                slot.wait(self.driver)?;
                let to = chunk.as_mut_ptr();
                // SAFETY: the GPU has written so many bytes to the slot, and is done with it.
                unsafe { ptr::copy_nonoverlapping(slot.memory, to, chunk.len()) };
            }
        }
        Ok(())
    }

    unsafe fn send_for(&self, from: Address, num_bytes: usize) -> Result<Coming, GpuError> {
        self.bind()?;
        let mut courier = self.courier.lock().expect("no holder panics");
        let courier = match &mut *courier {
            Some(courier) => courier,
            none => none.insert(Courier::start(self.driver, self.context)?),
        };
        // SAFETY: the bytes were promised; context and stream are ours.
        unsafe { courier.send_for(from, num_bytes, self.stream) }
    }

    fn allocate_host(&self, num_bytes: usize) -> Result<HostAddress, GpuError> {
        self.bind()?;
        let mut memory = ptr::null_mut();
        // SAFETY: it writes one address.
        match unsafe { self.driver.cuMemHostAlloc(&mut memory, num_bytes, 0) } {
            Ok(()) => Ok(memory as HostAddress),
            Err(DriverError { code: cuda::OUT_OF_MEMORY, .. }) => {
                Err(GpuError::OutOfMemory { num_bytes: Some(num_bytes) })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn free_host(&self, memory: HostAddress) {
        // What failed is told by whoever waits next.
        let _ = self.bind().and_then(|()| self.synchronize());
        // SAFETY: nothing that was told uses it any more.
        let _ = unsafe { self.driver.cuMemFreeHost(memory as *mut c_void) };
    }

    unsafe fn download_to_host(
        &self,
        from: Address,
        to: HostAddress,
        num_bytes: usize,
    ) -> Result<(), GpuError> {
        self.bind()?;
        let to = to as *mut c_void;
        // SAFETY: both places were promised by the caller.
        unsafe { self.driver.cuMemcpyDtoHAsync_v2(to, from, num_bytes, self.stream) }?;
        Ok(self.synchronize()?)
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.bind()?;
        Ok(self.synchronize()?)
    }

    fn load(&self, program: &Program) -> Result<Vec<Kernel>, GpuError> {
        self.bind()?;
        let kept = self.compiler.kept(program, self.architecture).and_then(|image| {
            let loaded = self.load_image(&image, program);
            let warn = |error: &GpuError| tracing::warn!(%error, "kept kernels cannot be used");
            loaded.inspect_err(warn).ok()
        });
        let loaded = match kept {
            Some(loaded) => loaded,
            None => {
                tracing::info!(gpu = self.name, "compiling the kernels, once for such a GPU");
                let image = self.compiler.compile(program, self.architecture)?;
                self.load_image(&image, program)?
            }
        };
        let kernels = (0..loaded.functions.len()).map(Kernel).collect();
        let twice = |_| GpuError::Failed("a device has one program".into());
        self.loaded.set(loaded).map_err(twice)?;
        Ok(kernels)
    }

    unsafe fn launch(
        &self,
        kernel: Kernel,
        shape: Shape,
        parameter: &[u8],
    ) -> Result<(), GpuError> {
        let function = self.loaded.get().and_then(|loaded| loaded.functions.get(kernel.0));
        let function = *function.ok_or_else(|| GpuError::Failed(format!("no {kernel:?}")))?;
        let mut place = Parameter([0; MAX_PARAMETER_BYTES]);
        let Some(to) = place.0.get_mut(..parameter.len()) else {
            let words = format!("a parameter of {} bytes is too long", parameter.len());
            return Err(GpuError::Failed(words));
        };
        to.copy_from_slice(parameter);
        let mut parameters: [*mut c_void; 1] = [place.0.as_mut_ptr().cast()];
        let Shape { grid: [grid_x, grid_y, grid_z], threads, shared_bytes } = shape;
        self.bind()?;
        // SAFETY: what the kernel does was promised by the caller; its parameter is copied
        // before the call returns.
        Ok(unsafe {
            self.driver.cuLaunchKernel(
                function,
                grid_x,
                grid_y,
                grid_z,
                threads,
                1,
                1,
                shared_bytes,
                self.stream,
                parameters.as_mut_ptr(),
                ptr::null_mut(),
            )
        }?)
    }

    fn record(
        &self,
        launches: &mut dyn FnMut() -> Result<(), GpuError>,
    ) -> Result<Recording, GpuError> {
        let driver = self.driver;
        self.bind()?;
        // Of this thread alone: what others do meanwhile, such as allocating, is allowed.
        // SAFETY: the stream is ours.
        unsafe { driver.cuStreamBeginCapture_v2(self.stream, cuda::CAPTURE_MODE_THREAD_LOCAL) }?;
        let capture = Capture(self);
        launches()?;
        let graph = capture.end()?;
        let mut recording = ptr::null_mut();
        // SAFETY: the graph is ours; it writes one handle.
        let made = unsafe { driver.cuGraphInstantiateWithFlags(&mut recording, graph, 0) };
        // SAFETY: the graph is ours and is forgotten; what was made of it stands alone.
        let _ = unsafe { driver.cuGraphDestroy(graph) };
        made?;
        let mut recordings = self.lock_recordings();
        recordings.push(recording);
        Ok(Recording(recordings.len() - 1))
    }

    fn forget(&self, recording: Recording) {
        let _ = self.bind().and_then(|()| self.synchronize());
        let mut recordings = self.lock_recordings();
        if let Some(graph) = recordings.get_mut(recording.0).filter(|graph| !graph.is_null()) {
            // SAFETY: it is ours, runs no more, and is forgotten.
            let _ = unsafe { self.driver.cuGraphExecDestroy(*graph) };
            *graph = ptr::null_mut();
        }
    }

    unsafe fn replay(&self, recording: Recording) -> Result<(), GpuError> {
        self.bind()?;
        let recordings = self.lock_recordings();
        let graph = recordings.get(recording.0).filter(|graph| !graph.is_null());
        let graph = *graph.ok_or_else(|| GpuError::Failed(format!("no {recording:?}")))?;
        // SAFETY: what it does was promised by the caller; nobody else uses the recording now.
        Ok(unsafe { self.driver.cuGraphLaunch(graph, self.stream) }?)
    }
}

/// The stream records; ends that when it goes.
struct Capture<'a>(&'a CudaDevice);

impl Capture<'_> {
    /// What was recorded, as the caller's.
    fn end(self) -> Result<Handle, DriverError> {
        let device = self.0;
        std::mem::forget(self);
        device.end_capture()
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        if let Ok(graph) = self.0.end_capture() {
            // SAFETY: the graph is ours and is forgotten.
            let _ = unsafe { self.0.driver.cuGraphDestroy(graph) };
        }
    }
}

impl Drop for CudaDevice {
    fn drop(&mut self) {
        let driver = self.driver;
        let _ = self.bind();
        self.unload();
        *self.courier.get_mut().expect("no holder panics") = None;
        let ring = self.ring.get_mut().expect("no holder panics");
        // SAFETY: all this is ours, is used no more, and is forgotten.
        unsafe {
            ring.free(driver);
            if !self.stream.is_null() {
                let _ = driver.cuStreamDestroy_v2(self.stream);
            }
            let _ = driver.cuCtxDestroy_v2(self.context);
        }
    }
}

impl fmt::Debug for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CudaDevice({}, {})", self.index, self.name)
    }
}

fn count(driver: &Driver) -> Result<usize, DriverError> {
    let mut count = 0;
    // SAFETY: it writes one number.
    unsafe { driver.cuDeviceGetCount(&mut count) }?;
    Ok(count.unsigned_abs() as usize)
}

/// A GPU that can be used.
struct Found {
    device: c_int,
    name: String,
    architecture: Architecture,
}

fn find(driver: &Driver, index: usize) -> Result<Found, GpuError> {
    let count = count(driver)?;
    if index >= count {
        return Err(GpuError::Unavailable(format!(
            "there is no cuda:{index}: NVIDIA's driver has {count} GPU(s) here, numbered from 0"
        )));
    }
    let mut device = 0;
    // SAFETY: it writes one number.
    unsafe { driver.cuDeviceGet(&mut device, index as c_int) }?;
    let attribute = |attribute| attribute_of(driver, device, attribute);
    let major = attribute(cuda::DEVICE_COMPUTE_CAPABILITY_MAJOR)?.unsigned_abs();
    let minor = attribute(cuda::DEVICE_COMPUTE_CAPABILITY_MINOR)?.unsigned_abs();
    let name = name_of(driver, device)?;
    let architecture = 10 * major + minor;
    if architecture < OLDEST {
        return Err(GpuError::Unavailable(format!(
            "cuda:{index}, {name}, has the compute capability {major}.{minor}, and the kernels \
             need 8.0 (Ampere) or newer: name another in workers.on, or \"cpu\""
        )));
    }
    Ok(Found { device, name, architecture })
}

fn attribute_of(driver: &Driver, device: c_int, attribute: c_int) -> Result<c_int, DriverError> {
    let mut value = 0;
    // SAFETY: it writes one number; the device is one of the driver's.
    unsafe { driver.cuDeviceGetAttribute(&mut value, attribute, device) }?;
    Ok(value)
}

fn name_of(driver: &Driver, device: c_int) -> Result<String, DriverError> {
    let mut name = [0_u8; 256];
    // SAFETY: it writes so many bytes at most, with a zero at the end.
    unsafe { driver.cuDeviceGetName(name.as_mut_ptr().cast(), name.len() as c_int, device) }?;
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
