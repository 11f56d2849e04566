//! Arithmetic of a decoder on the CPU, written for its caches and vector units:
//! products with quantised matrices, attention over a paged cache, norms, rotations.
//! Knows no model: callers pass shapes, rows and blocks.
//!
//! With `gpu`, one of the two rooms with `unsafe`: vector intrinsics, and threads that write disjoint
//! parts of one buffer. Every entrance checks its bounds.
//!
//! Invariants:
//! - A row's result does not depend on the rows beside it, on the number of threads,
//!   or on the instruction set: every sum is taken in one order, by position alone. So
//!   a sequence's logits are the same bits alone and in any batch, prefilled in any
//!   chunks, cached or cold.
//! - Weights are packed once, at about the size they are stored in.
#![allow(unsafe_code)]
#![allow(clippy::needless_range_loop, reason = "an index names the same place of several arrays")]
#![allow(clippy::excessive_precision, reason = "constants are given as their sources give them")]

mod activations;
mod attention;
mod kv_store;
mod matrix;
mod memory;
mod rows;
mod shared_mut;
mod simd;
mod softmax;
mod threads;
mod tiles;

#[cfg(test)]
mod tests;

pub(crate) use activations::Activations;
pub(crate) use attention::{Attention, Columns, Heads, MAX_HEAD, SequenceRows};
pub(crate) use kv_store::{KvLayout, KvStore};
pub(crate) use matrix::{Matrix, Product, StoredRows, multiply};
pub(crate) use rows::{Norm, Rotations, rms_norm, swiglu};
pub(crate) use simd::{Isa, LANES};
pub(crate) use softmax::{ExpSums, exp, exp_sums};
pub(crate) use threads::{Compute, ThreadPool};
