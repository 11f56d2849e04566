//! Arithmetic of a decoder on NVIDIA's GPUs, by kernels of our own: products with plain and
//! quantised matrices on tensor cores, attention over a paged cache, norms, rotations.
//! Knows no model: callers pass shapes, rows and blocks.
//!
//! The kernels are CUDA C++ (`kernels/`), compiled for the device that is there when it is
//! opened; the driver and the compiler are looked for at run time. So one binary serves
//! machines with and without GPUs. Tests run the same kernels on the CPU (`emulator`).
//!
//! With `kernels`, one of the two rooms with `unsafe`: launches name memory by its address.
//! Every entrance checks its bounds.
//!
//! Invariant: as in `kernels`, every sum is taken in one order, by position and shape alone,
//! so a sequence's results are the same bits alone and in any batch, prefilled in any
//! chunks, cached or cold; but not those of the CPU, nor of another kind of GPU.
#![allow(unsafe_code)]

mod attention;
mod courier;
mod cuda;
mod device;
mod driver;
mod error;
mod host;
mod library;
mod limits;
mod linear;
mod matrix;
mod nvrtc;
mod packing;
mod parameters;
mod place;
mod program;
mod ring;
mod rows;
mod shape;
mod trial;

#[cfg(test)]
mod emulator;
#[cfg(test)]
mod tests;

pub(crate) use cuda::driver_version;
pub use error::GpuError;
pub(crate) use nvrtc::system_nvrtc;
pub use place::{Compiler, GpuPlace};
pub use trial::Trial;

pub(crate) use attention::{Attention, PART, Pieces, Tile};
#[cfg(test)]
pub(crate) use device::Arrival;
pub(crate) use device::{Buffer, Coming, Device};
#[cfg(test)]
pub(crate) use emulator::Emulator;
pub(crate) use host::{HostPool, LentFloats};
pub(crate) use linear::{Finish, Product};
pub(crate) use matrix::{Matrix, MatrixBuilder, input_bytes};
pub(crate) use packing::{Format, Numbers, Operand, StoredMatrix};
pub(crate) use rows::{Norm, StoreHeads};
pub(crate) use shape::{Gpu, HeadShape, KvShape, NOWHERE, Recorded, View};
