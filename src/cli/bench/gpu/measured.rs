//! The kernels of a decoder of some shape, one by one on a device. What they compute with
//! is noise: finite numbers, as cores that add zeros draw less power and run faster.

use std::sync::Arc;

use anyhow::ensure;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::super::super::progress::Counted;
use super::clock::Clock;
use super::figure::{Figure, Kernel, Limits, Work};
use super::{Form, Sizes};
use crate::gpu::{
    Buffer, Device, Finish, Format, Gpu, GpuError, HeadShape, Matrix, Product, input_bytes,
};
use crate::model::ModelConfig;

const NOISE_SEED: u64 = 11;
const NOISE_BYTES: usize = 1 << 20;
/// Copies of a matrix or a cache at most, where all of them are small.
const MAX_COPIES: usize = 128;

/// How much is done for a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    pub(super) clock: Clock,
    /// What copies of a matrix or a cache exceed together, so that no cache has the next.
    pub(super) rotated_bytes: usize,
    /// Blocks of the kernels that measure limits, at most, and rounds of the one.
    pub(super) read_blocks: usize,
    pub(super) multiply_blocks: usize,
    pub(super) multiply_rounds: usize,
}

impl Effort {
    /// Enough for large GPUs: 2 GiB are read, and so many blocks wait that few idle at the end.
    pub(super) const FULL: Self = Self {
        clock: Clock::STEADY,
        rotated_bytes: 256 << 20,
        read_blocks: (2 << 30) / Gpu::READ_BYTES,
        multiply_blocks: 16384,
        multiply_rounds: 256,
    };
}

/// A device on which kernels are measured.
pub(super) struct Measured<'a> {
    pub(super) gpu: Gpu,
    pub(super) config: &'a ModelConfig,
    format: Format,
    sizes: &'a Sizes,
    effort: Effort,
    noise: Vec<u8>,
    progress: Counted,
}

impl<'a> Measured<'a> {
    /// Compiles the kernels.
    ///
    /// # Errors
    /// There are none for such a shape in such a form.
    pub(super) fn new(
        device: &Arc<dyn Device>,
        config: &'a ModelConfig,
        form: Form,
        sizes: &'a Sizes,
        effort: Effort,
    ) -> anyhow::Result<Self> {
        let (format, operand) = form.kept();
        let columns = [config.hidden_size, config.intermediate_size];
        ensure!(
            columns.iter().all(|columns| columns.is_multiple_of(format.block_columns())),
            "rows of {columns:?} weights are no whole blocks of {}: choose another --weights",
            format.block_columns()
        );
        let heads = HeadShape {
            num_heads: config.num_heads,
            num_kv_heads: config.num_kv_heads,
            head_dim: config.head_dim,
        };
        let gpu = Gpu::new(device, heads, operand, [format])?;
        let mut rng = ChaCha8Rng::seed_from_u64(NOISE_SEED);
        // Bits of which every pair of bytes is a half and a bfloat below one, and four a float.
        let words = (0..NOISE_BYTES / 2).map(|_| rng.random::<u16>() & 0x83ff | 0x3800);
        let noise = words.flat_map(u16::to_le_bytes).collect();
        let progress = Counted::new(sizes.num_figures(), "kernels");
        Ok(Self { gpu, config, format, sizes, effort, noise, progress })
    }

    pub(super) fn noise(&self, num_bytes: usize) -> Result<Buffer, GpuError> {
        let mut buffer = Buffer::zeroed(self.gpu.device(), num_bytes)?;
        for offset in (0..num_bytes).step_by(NOISE_BYTES) {
            buffer.upload(offset, &self.noise[..NOISE_BYTES.min(num_bytes - offset)])?;
        }
        Ok(buffer)
    }

    pub(super) fn words(&self, words: impl IntoIterator<Item = u32>) -> Result<Buffer, GpuError> {
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        Buffer::with(self.gpu.device(), &bytes)
    }

    /// How many copies of something exceed every cache.
    pub(super) fn num_copies(&self, num_bytes: usize) -> usize {
        self.effort.rotated_bytes.div_ceil(num_bytes).clamp(1, MAX_COPIES)
    }

    /// What the device can do.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn limits(&self) -> anyhow::Result<Limits> {
        let (gpu, effort) = (&self.gpu, self.effort);
        let clock = effort.clock;
        let (free, _) = gpu.device().memory()?;
        let num_blocks = effort.read_blocks.min(free / 2 / Gpu::READ_BYTES);
        ensure!(num_blocks > 0, "the GPU's memory is full: end what else runs on it");
        let memory = self.noise(num_blocks * Gpu::READ_BYTES)?;
        let most_blocks = num_blocks.max(effort.multiply_blocks);
        let results = Buffer::zeroed(gpu.device(), most_blocks * Gpu::RESULT_BYTES)?;
        let read = clock.time(gpu, 1, |_| gpu.read_memory(&memory, num_blocks, &results))?;
        self.progress.advance();
        let (blocks, rounds) = (effort.multiply_blocks, effort.multiply_rounds);
        let multiply = |blocks, rounds| {
            clock.time(gpu, 1, |_| gpu.multiply_registers(&memory, blocks, rounds, &results))
        };
        let multiplied = multiply(blocks, rounds)?;
        self.progress.advance();
        let launched = multiply(1, 0)?;
        self.progress.advance();
        let bytes = num_blocks * (Gpu::READ_BYTES + Gpu::RESULT_BYTES);
        let multiply_adds = blocks * rounds * Gpu::ROUND_MULTIPLY_ADDS;
        Ok(Limits {
            bytes_per_s: bytes as f64 / read.median(),
            multiply_adds_per_s: multiply_adds as f64 / multiplied.median(),
            launch_s: launched.median(),
        })
    }

    /// Every kernel at every size.
    ///
    /// # Errors
    /// The device fails, or its memory does not suffice.
    pub(super) fn figures(&self) -> Result<Vec<Figure>, GpuError> {
        let (heads, hidden) = (self.gpu.heads(), self.config.hidden_size);
        let (inner, vocab) = (self.config.intermediate_size, self.config.vocab_size);
        let store = |stride| Finish::Store { stride, column: 0 };
        let add = Finish::Add { stride: hidden };
        let mut figures = Vec::new();
        for (kernel, rows, columns, finish) in [
            (Kernel::Heads, heads.width(), hidden, store(heads.width())),
            (Kernel::AttentionOutput, hidden, heads.num_heads * heads.head_dim, add),
            (Kernel::Gate, 2 * inner, hidden, Finish::Gate),
            (Kernel::Down, hidden, inner, add),
            (Kernel::Output, vocab, hidden, store(vocab)),
        ] {
            self.products(kernel, rows, columns, finish, &mut figures)?;
        }
        for &depth in &self.sizes.depths {
            for &streams in &self.sizes.streams {
                figures.push(self.attend_pieces(streams, depth)?);
            }
        }
        for &tokens in &self.sizes.prompts {
            figures.push(self.attend_tiles(tokens)?);
        }
        for &tokens in &self.sizes.tokens {
            figures.push(self.rms_norm(tokens)?);
            figures.push(self.store_heads(tokens)?);
        }
        Ok(figures)
    }

    /// Times a kernel at one size.
    pub(super) fn figure(
        &self,
        (kernel, tokens, positions): (Kernel, usize, Option<usize>),
        work: Work,
        num_copies: usize,
        launch: impl Fn(usize) -> Result<(), GpuError>,
    ) -> Result<Figure, GpuError> {
        let samples = self.effort.clock.time(&self.gpu, num_copies, launch)?;
        self.progress.advance();
        Ok(Figure { kernel, tokens, positions, work, samples })
    }

    fn products(
        &self,
        kernel: Kernel,
        num_rows: usize,
        num_columns: usize,
        finish: Finish,
        figures: &mut Vec<Figure>,
    ) -> Result<(), GpuError> {
        let make = || Matrix::filled(self.format, num_rows, num_columns, |bytes| self.noise(bytes));
        let mut copies = vec![make()?];
        let matrix_bytes = copies[0].num_bytes();
        for _ in 1..self.num_copies(matrix_bytes) {
            copies.push(make()?);
        }
        let most = self.sizes.tokens.iter().copied().max().unwrap_or(1);
        let inputs = self.noise(input_bytes(most, num_columns))?;
        // Operands of gated rows need less than floats of all, but for whole tiles of them.
        let outputs = self.noise(most.next_multiple_of(8) * num_rows.next_multiple_of(128) * 4)?;
        for &num_tokens in &self.sizes.tokens {
            let output_bytes = match finish {
                Finish::Store { .. } => num_rows * 4,
                Finish::Add { .. } => 2 * num_rows * 4,
                Finish::Gate => num_rows / 2 * 2,
            };
            let work = Work {
                bytes: matrix_bytes + num_tokens * (num_columns * 2 + output_bytes),
                multiply_adds: num_tokens * num_rows * num_columns,
                launches: 1,
            };
            let launch = |copy: usize| {
                let (inputs, outputs) = ((&inputs).into(), (&outputs).into());
                self.gpu.multiply(&Product {
                    matrix: &copies[copy],
                    inputs,
                    outputs,
                    num_tokens,
                    finish,
                })
            };
            figures.push(self.figure((kernel, num_tokens, None), work, copies.len(), launch)?);
        }
        Ok(())
    }
}
