//! Kernels of our own on NVIDIA's GPUs: compiled and launched at run time by what the
//! machine has, so that one binary runs with and without one.
#![allow(unsafe_code)]
#![allow(dead_code, reason = "nothing stands on it yet")]

mod cuda;
mod device;
mod driver;
mod error;
mod library;
mod nvrtc;
mod program;

pub(crate) use cuda::driver_version;
pub(crate) use nvrtc::system_nvrtc;

pub use error::GpuError;
