//! NVIDIA's driver, as far as we call it.
//!
//! Found when the program runs: the same binary runs where there is none, and no call of
//! ours ever needs a function that the driver lacks. Codes of errors stay numbers, as newer
//! drivers have some that nobody knows yet.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::fmt;
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

use super::GpuError;
use super::library::{functions, reason};

/// A context, stream, event, module, function, or graph of the driver's.
pub(super) type Handle = *mut c_void;

/// The oldest version of CUDA whose drivers will do; that of the driver 525.
const OLDEST: (u32, u32) = (12, 0);

/// Where the driver is: on the usual paths, or where Windows shows it to Linux.
const LIBRARIES: [&str; 2] = ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];

/// What `cuMemAlloc` says when there is no memory left.
pub(super) const OUT_OF_MEMORY: u32 = 2;

/// Attributes of devices and functions, and flags, by their numbers in `cuda.h`.
pub(super) const DEVICE_COMPUTE_CAPABILITY_MAJOR: c_int = 75;
pub(super) const DEVICE_COMPUTE_CAPABILITY_MINOR: c_int = 76;
pub(super) const DEVICE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: c_int = 97;
pub(super) const FUNC_SHARED_SIZE_BYTES: c_int = 1;
pub(super) const FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES: c_int = 8;
pub(super) const STREAM_NON_BLOCKING: c_uint = 1;
pub(super) const EVENT_DISABLE_TIMING: c_uint = 2;
pub(super) const CAPTURE_MODE_THREAD_LOCAL: c_int = 1;

functions! {
    /// The driver's functions, as `cuda.h` declares them: those of CUDA 12.0.
    Driver, DriverError:
    cuInit(flags: c_uint);
    cuDriverGetVersion(version: *mut c_int);
    cuGetErrorName(code: u32, name: *mut *const c_char);
    cuGetErrorString(code: u32, text: *mut *const c_char);
    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGet(device: *mut c_int, index: c_int);
    cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int);
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int);
    cuCtxCreate_v2(context: *mut Handle, flags: c_uint, device: c_int);
    cuCtxDestroy_v2(context: Handle);
    cuCtxSetCurrent(context: Handle);
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(address: *mut c_ulonglong, num_bytes: usize);
    cuMemFree_v2(address: c_ulonglong);
    cuMemHostAlloc(memory: *mut *mut c_void, num_bytes: usize, flags: c_uint);
    cuMemFreeHost(memory: *mut c_void);
    cuMemcpyHtoDAsync_v2(to: c_ulonglong, from: *const c_void, num_bytes: usize, stream: Handle);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: c_ulonglong, num_bytes: usize, stream: Handle);
    cuMemsetD8Async(address: c_ulonglong, value: u8, num_bytes: usize, stream: Handle);
    cuStreamCreate(stream: *mut Handle, flags: c_uint);
    cuStreamDestroy_v2(stream: Handle);
    cuStreamSynchronize(stream: Handle);
    cuStreamBeginCapture_v2(stream: Handle, mode: c_int);
    cuStreamEndCapture(stream: Handle, graph: *mut Handle);
    cuEventCreate(event: *mut Handle, flags: c_uint);
    cuEventDestroy_v2(event: Handle);
    cuEventRecord(event: Handle, stream: Handle);
    cuEventSynchronize(event: Handle);
    cuModuleLoadData(module: *mut Handle, image: *const c_void);
    cuModuleUnload(module: Handle);
    cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: Handle);
    cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int);
    cuLaunchKernel(
        function: Handle,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared_bytes: c_uint,
        stream: Handle,
        parameters: *mut *mut c_void,
        extra: *mut *mut c_void,
    );
    cuGraphInstantiateWithFlags(executable: *mut Handle, graph: Handle, flags: c_ulonglong);
    cuGraphLaunch(executable: Handle, stream: Handle);
    cuGraphDestroy(graph: Handle);
    cuGraphExecDestroy(executable: Handle);
}

/// The driver of this machine, which runs.
///
/// # Errors
/// [`GpuError::Unavailable`]: there is none, it is too old, or finds no GPU.
pub(super) fn driver() -> Result<&'static Driver, GpuError> {
    DRIVER.get_or_init(load).as_ref().map_err(|reason| GpuError::Unavailable(reason.clone()))
}

/// The newest CUDA that the driver knows, as major and minor version.
///
/// # Errors
/// As [`driver`].
pub(crate) fn driver_version() -> Result<(u32, u32), GpuError> {
    Ok(driver()?.version()?)
}

static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();

fn load() -> Result<Driver, String> {
    // SAFETY: what it does when it is loaded is its business.
    let library = LIBRARIES.map(|name| unsafe { Library::new(name) });
    let [first, second] = library;
    let library = first.or_else(|error| second.map_err(|_| error)).map_err(|error| {
        format!(
            "there is no NVIDIA driver here ({}): install it, version 525 or newer, or set \
             workers.on to \"cpu\"",
            reason(&error)
        )
    })?;
    // SAFETY: the types are those of `cuda.h`; the library is never closed.
    let driver = unsafe { Driver::find(&library) }.map_err(|error| {
        let reason = reason(&error);
        format!("NVIDIA's driver lacks what we call ({reason}): install version 525 or newer")
    })?;
    // What the driver has begun, such as threads, may outlive any use of ours.
    std::mem::forget(library);
    let failed = |error: DriverError| {
        let words = driver.words(error);
        format!("NVIDIA's driver cannot be used: {words}; `nvidia-smi` may tell more")
    };
    // SAFETY: it has no conditions.
    unsafe { driver.cuInit(0) }.map_err(failed)?;
    let (major, minor) = driver.version().map_err(failed)?;
    if (major, minor) < OLDEST {
        return Err(format!(
            "NVIDIA's driver here is one of CUDA {major}.{minor}: install version 525 or newer"
        ));
    }
    Ok(driver)
}

impl Driver {
    fn version(&self) -> Result<(u32, u32), DriverError> {
        let mut version = 0;
        // SAFETY: it writes one number.
        unsafe { self.cuDriverGetVersion(&mut version) }?;
        let version = version.unsigned_abs();
        Ok((version / 1000, version % 1000 / 10))
    }

    /// The call and the driver's own words for what was wrong with it.
    fn words(&self, error: DriverError) -> String {
        let DriverError { call, code } = error;
        let (mut name, mut text) = (ptr::null(), ptr::null());
        // SAFETY: both write a pointer to a text that lives as long as the driver, or null
        // where they do not know the code.
        let known = unsafe {
            self.cuGetErrorName(code, &mut name).and(self.cuGetErrorString(code, &mut text))
        };
        if known.is_err() || name.is_null() || text.is_null() {
            return format!("{call}: error {code}");
        }
        // SAFETY: as above.
        let [name, text] =
            [name, text].map(|text| unsafe { CStr::from_ptr(text) }.to_string_lossy());
        format!("{call}: {name} ({text})")
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DRIVER.get() {
            Some(Ok(driver)) => f.write_str(&driver.words(*self)),
            _ => write!(f, "{}: error {}", self.call, self.code),
        }
    }
}

impl From<DriverError> for GpuError {
    fn from(error: DriverError) -> Self {
        match error.code {
            OUT_OF_MEMORY => Self::OutOfMemory { num_bytes: None },
            _ => Self::Failed(error.to_string()),
        }
    }
}
