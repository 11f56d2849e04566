//! Which GPU, for whoever will open it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::GpuError;
use super::device::Device;
use super::driver::CudaDevice;
use super::trial::{self, Trial};

/// A GPU, by its place in this machine. It is opened when a model is loaded onto it, and
/// anew, with nothing that was there before, when that is done again.
#[derive(Debug, Clone)]
pub struct GpuPlace(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Cuda {
        index: usize,
        compiler: Compiler,
    },
    #[cfg(test)]
    Emulated(Arc<dyn Device>),
}

/// Where NVRTC, the compiler of kernels, is, and where its work is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// The library: a path, or a bare name that the system knows.
    pub nvrtc: PathBuf,
    /// Compiled kernels go to a directory `cuda` below this one.
    pub cache_dir: PathBuf,
}

impl GpuPlace {
    /// How many CUDA devices there are; none where there is no driver.
    pub fn count_cuda() -> usize {
        CudaDevice::count()
    }

    /// Whether the CUDA device of that number is there and can be used.
    ///
    /// # Errors
    /// `Unavailable` says why not.
    pub fn check_cuda(index: usize) -> Result<(), GpuError> {
        CudaDevice::check(index)
    }

    /// The CUDA device of that number.
    pub fn cuda(index: usize, compiler: Compiler) -> Self {
        Self(Kind::Cuda { index, compiler })
    }

    #[cfg(test)]
    pub(crate) fn emulated(device: Arc<dyn Device>) -> Self {
        Self(Kind::Emulated(device))
    }

    /// Opens it and has it compute what is known: a device that is there and does not work,
    /// or computes something else, is found so. Where kernels must be compiled first, that
    /// takes some seconds.
    ///
    /// # Errors
    /// As when a model is loaded onto it, and `Unavailable` if it computes something else.
    pub fn try_out(&self) -> Result<Trial, GpuError> {
        trial::run(&self.open()?)
    }

    /// Opens it.
    ///
    /// # Errors
    /// `Unavailable` if it is not there, or cannot be used.
    pub(crate) fn open(&self) -> Result<Arc<dyn Device>, GpuError> {
        match &self.0 {
            Kind::Cuda { index, compiler } => {
                let Compiler { nvrtc, cache_dir } = compiler;
                Ok(Arc::new(CudaDevice::open(*index, nvrtc, cache_dir)?))
            }
            #[cfg(test)]
            Kind::Emulated(device) => Ok(Arc::clone(device)),
        }
    }
}

impl fmt::Display for GpuPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Cuda { index, .. } => write!(f, "cuda:{index}"),
            #[cfg(test)]
            Kind::Emulated(_) => f.write_str("emulated"),
        }
    }
}
