//! What a device can do at most: read its memory, and multiply what is in registers.

use super::GpuError;
use super::device::{Buffer, Shape};
use super::parameters::{MultiplyRegisters, ReadMemory};
use super::shape::{Gpu, word};

/// Threads of a block.
const THREADS: usize = 256;

impl Gpu {
    /// Bytes that a block of [`Gpu::read_memory`] reads.
    pub(crate) const READ_BYTES: usize = 8 * 8 * THREADS * 16;
    /// Multiply-adds of a round of a block of [`Gpu::multiply_registers`]: 16 products of 16
    /// by 8 by 16 by each warp.
    pub(crate) const ROUND_MULTIPLY_ADDS: usize = THREADS / 32 * 16 * (16 * 8 * 16);
    /// Bytes of the operands that it starts with.
    pub(crate) const OPERAND_BYTES: usize = 6 * 32 * 16;
    /// Bytes that a block of either leaves.
    pub(crate) const RESULT_BYTES: usize = THREADS * 4;

    /// Reads the beginning of a buffer once.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If there is less to read, or less room for results.
    pub(crate) fn read_memory(
        &self,
        from: &Buffer,
        num_blocks: usize,
        results: &Buffer,
    ) -> Result<(), GpuError> {
        let parameter = ReadMemory {
            from: self.address(from, num_blocks * Self::READ_BYTES),
            folds: self.address(results, num_blocks * Self::RESULT_BYTES),
        };
        // SAFETY: all lies in its buffer.
        unsafe { self.launch(self.kernel("read_memory"), shape(num_blocks), &parameter) }
    }

    /// Multiplies operands in registers, in so many rounds.
    ///
    /// # Errors
    /// As [`Gpu::read_memory`].
    ///
    /// # Panics
    /// As [`Gpu::read_memory`].
    pub(crate) fn multiply_registers(
        &self,
        operands: &Buffer,
        num_blocks: usize,
        num_rounds: usize,
        results: &Buffer,
    ) -> Result<(), GpuError> {
        let parameter = MultiplyRegisters {
            operands: self.address(operands, Self::OPERAND_BYTES),
            sums: self.address(results, num_blocks * Self::RESULT_BYTES),
            num_rounds: word(num_rounds),
            padding: 0,
        };
        // SAFETY: all lies in its buffer.
        unsafe { self.launch(self.kernel("multiply_registers"), shape(num_blocks), &parameter) }
    }
}

fn shape(num_blocks: usize) -> Shape {
    Shape { grid: [word(num_blocks), 1, 1], threads: word(THREADS), shared_bytes: 0 }
}
