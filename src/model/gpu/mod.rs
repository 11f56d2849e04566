//! The decoder on a GPU, by the kernels of `gpu`: the arithmetic of `cpu`, with 16-bit
//! operands and keys and values, and sums in f32.
//!
//! A step is one upload, some launches a layer, and one download of logits. Steps that only
//! decode are recorded once for each size (a bucket of rows and of pieces of attention), and
//! then replayed as a whole: the launches of a small step would cost as much as its work.

mod cache;
mod step;
mod weights;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use super::rope::frequencies;
use super::weights::WeightSource;
use super::{BatchSequence, Logits, ModelConfig, ModelError, WeightType};
use crate::gpu::{
    Attention, Buffer, Device, Finish, Gpu, GpuError, HeadShape, HostPool, KvShape, Matrix, Norm,
    Operand, PART, Pieces, Product, Recorded, StoreHeads, View,
};
use crate::kernels::ThreadPool;

pub(super) use cache::GpuCache;
use cache::{Room, Workspace};
use step::{AttentionShape, Step, bucket};
use weights::{LayerWeights, Weights};

/// Threads that sample, at most.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// A decoder in a GPU's memory.
#[derive(Debug)]
pub(super) struct GpuDecoder {
    gpu: Gpu,
    config: ModelConfig,
    operand: Operand,
    weights: Weights,
    frequencies: Buffer,
    /// Logits come back to this machine's memory, where they are sampled.
    host: Arc<HostPool>,
    pool: ThreadPool,
}

impl GpuDecoder {
    pub(super) fn build(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        weight_type: Option<WeightType>,
        device: &Arc<dyn Device>,
    ) -> Result<Self, ModelError> {
        let heads = HeadShape {
            num_heads: config.num_heads,
            num_kv_heads: config.num_kv_heads,
            head_dim: config.head_dim,
        };
        if let Some(complaint) = heads.complaint() {
            return Err(ModelError::Config(format!("GPUs compute no {complaint}")));
        }
        let (weights, operand) = Weights::load(config, source, weight_type, device)?;
        let gpu = Gpu::new(device, heads, operand, weights.formats())?;
        let frequencies: Vec<u8> = frequencies(&config.rope, config.head_dim)
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        Ok(Self {
            frequencies: Buffer::with(device, &frequencies)?,
            host: HostPool::new(device),
            gpu,
            config: config.clone(),
            operand,
            weights,
            pool: ThreadPool::new(
                available_parallelism().unwrap_or(NonZeroUsize::MIN).min(MAX_THREADS),
            ),
        })
    }

    pub(super) fn device_name(&self) -> String {
        self.gpu.device().name()
    }

    /// Bytes that keys and values can have: what is free, but for a tenth of the device, in
    /// which steps are computed.
    pub(super) fn free_bytes(&self) -> Result<u64, GpuError> {
        let (free, total) = self.gpu.device().memory()?;
        Ok(free.saturating_sub(total / 10) as u64)
    }

    pub(super) fn num_bytes(&self) -> usize {
        self.weights.num_bytes()
    }

    pub(super) fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    pub(super) fn block_bytes(&self, block_size: usize) -> usize {
        self.kv_shape(block_size).block_bytes()
    }

    fn kv_shape(&self, block_size: usize) -> KvShape {
        KvShape { heads: self.gpu.heads(), num_layers: self.config.num_layers, block_size }
    }

    fn window(&self) -> usize {
        self.config.sliding_window.unwrap_or(usize::MAX)
    }

    /// Zeroed blocks, and nothing yet for steps.
    ///
    /// # Errors
    /// `Config` for blocks that kernels do not read, `Gpu` where memory does not suffice.
    pub(super) fn cache(
        &self,
        num_blocks: usize,
        block_size: usize,
    ) -> Result<GpuCache, ModelError> {
        if !KvShape::is_block_size(block_size) || u32::try_from(num_blocks * block_size).is_err() {
            let what = format!(
                "{num_blocks} KV blocks of {block_size} positions; on a GPU `engine.block_size` \
                 is a multiple of 32"
            );
            return Err(ModelError::Config(what));
        }
        let kv = self.kv_shape(block_size);
        let blocks = Buffer::zeroed(self.gpu.device(), num_blocks * kv.block_bytes())?;
        let layout = format!("{:?} of {}", self.operand, self.gpu.identity());
        Ok(GpuCache { kv, blocks, layout, workspace: None, recordings: HashMap::new() })
    }

    /// Makes room for steps of so many tokens and sequences, so that what they need does not
    /// turn out to be missing later.
    pub(super) fn prepare(
        &self,
        cache: &mut GpuCache,
        max_tokens: usize,
        max_sequences: usize,
    ) -> Result<(), ModelError> {
        let rows = max_tokens.max(bucket(max_sequences));
        let positions = cache.blocks.num_bytes() / cache.kv.block_bytes() * cache.kv.block_size;
        // Sequences that decode see each part of the cache once, if they share nothing.
        let pieces = (positions / PART + max_sequences).next_power_of_two();
        let cut_prompts = step::MAX_PIECES * self.gpu.heads().tile_positions();
        let room = Room {
            rows,
            logits: bucket(max_sequences),
            words: 16 * rows + 2 * pieces + 2 * positions / cache.kv.block_size,
            piece_positions: pieces.max(cut_prompts.min(pieces * rows)),
        };
        cache.recordings.clear();
        cache.workspace = None;
        cache.workspace = Some(Workspace::new(&self.gpu, &self.config, room)?);
        Ok(())
    }

    /// Runs a checked batch.
    pub(super) fn forward(
        &self,
        batch: &[BatchSequence<'_>],
        cache: &mut GpuCache,
    ) -> Result<Logits, ModelError> {
        let (heads, block_size) = (self.gpu.heads(), cache.kv.block_size);
        let step = Step::new(batch, &AttentionShape { heads, block_size, window: self.window() });
        let GpuCache { kv, blocks, workspace, recordings, .. } = cache;
        let workspace = self.room_for(&step, workspace, recordings)?;
        workspace.words.upload(0, &step.bytes())?;
        let launch = || self.launch(&step, *kv, blocks, workspace);
        match step.recording_key() {
            None => launch()?,
            Some(key) => match recordings.get(&key) {
                Some(recorded) => self.gpu.replay(recorded)?,
                None => match self.gpu.record(launch) {
                    Ok(recorded) => {
                        self.gpu.replay(recordings.entry(key).or_insert(recorded))?;
                    }
                    // It does without.
                    Err(GpuError::OutOfMemory { .. }) => launch()?,
                    Err(error) => return Err(error.into()),
                },
            },
        }
        if step.num_logits() == 0 {
            // Whoever measures steps measures their work.
            self.gpu.device().wait()?;
            return Ok(Logits::new(Vec::new(), self.config.vocab_size));
        }
        let mut logits = self.host.lend(step.num_logits() * self.config.vocab_size)?;
        workspace.logits.download_floats(&mut logits)?;
        Ok(Logits::lent(logits, self.config.vocab_size))
    }

    /// The workspace, larger if this step needs more than any before.
    fn room_for<'a>(
        &self,
        step: &Step,
        workspace: &'a mut Option<Workspace>,
        recordings: &mut HashMap<(usize, usize), Recorded>,
    ) -> Result<&'a mut Workspace, GpuError> {
        let needed = Room {
            rows: step.num_rows(),
            logits: step.num_wanted(),
            words: step.num_words(),
            piece_positions: step.num_pieces() * step.cut_positions(),
        };
        if let Some(there) = workspace.take_if(|there| !there.room.holds(&needed)) {
            // First the old one goes, as there may be no memory for both, and with it what was
            // recorded for it.
            recordings.clear();
            let room = there.room.grown_to(&needed);
            drop(there);
            *workspace = Some(Workspace::new(&self.gpu, &self.config, room)?);
        }
        match workspace {
            Some(workspace) => Ok(workspace),
            None => {
                Ok(workspace.insert(Workspace::new(&self.gpu, &self.config, needed.rounded())?))
            }
        }
    }

    /// All launches of a step, from token ids to logits.
    fn launch(
        &self,
        step: &Step,
        kv: KvShape,
        blocks: &Buffer,
        workspace: &Workspace,
    ) -> Result<(), GpuError> {
        let Self { gpu, config, weights, .. } = self;
        let Workspace { stream, normed, gated, rotations, logits, .. } = workspace;
        let rows = step.num_rows();
        let part = |at: usize| View::at(&workspace.words, at * 4);
        gpu.embed(&weights.embedding, part(step.tokens_at()), rows, stream.into())?;
        gpu.rotations(part(step.positions_at()), &self.frequencies, rows, rotations.into())?;
        for (index, layer) in weights.layers.iter().enumerate() {
            gpu.rms_norm(&layer.attention_norm, stream.into(), None, rows, normed.into())?;
            self.attend(index, layer, step, kv, blocks, workspace)?;
            gpu.rms_norm(&layer.feed_forward_norm, stream.into(), None, rows, normed.into())?;
            self.multiply(&layer.gate, normed, gated, rows, Finish::Gate)?;
            let finish = Finish::Add { stride: config.hidden_size };
            self.multiply(&layer.down, gated, stream, rows, finish)?;
        }
        let wanted = step.num_wanted();
        if wanted == 0 {
            return Ok(());
        }
        let which = Some(part(step.wanted_at()));
        gpu.rms_norm(&weights.output_norm, stream.into(), which, wanted, normed.into())?;
        let finish = Finish::Store { stride: config.vocab_size, column: 0 };
        self.multiply(&weights.output, normed, logits, wanted, finish)
    }

    /// From normed rows to what attention adds to the stream.
    fn attend(
        &self,
        index: usize,
        layer: &LayerWeights,
        step: &Step,
        kv: KvShape,
        blocks: &Buffer,
        workspace: &Workspace,
    ) -> Result<(), GpuError> {
        let gpu = &self.gpu;
        let Workspace { stream, normed, heads, rotations, queries, attended, partial, .. } =
            workspace;
        let num_rows = step.num_rows();
        let part = |at: usize| View::at(&workspace.words, at * 4);
        let stride = gpu.heads().width();
        for (matrix, column) in &layer.heads {
            let finish = Finish::Store { stride, column: *column };
            self.multiply(matrix, normed, heads, num_rows, finish)?;
        }
        gpu.store_heads(&StoreHeads {
            heads: heads.into(),
            rotations: rotations.into(),
            queries: queries.into(),
            slots: part(step.slots_at()),
            cache: blocks,
            kv,
            layer: index,
            num_rows,
        })?;
        let attention = Attention {
            queries: queries.into(),
            cache: blocks,
            kv,
            layer: index,
            tables: part(step.tables_at()),
            outputs: attended.into(),
            num_rows,
            window: self.window(),
        };
        gpu.attend_tiles(&attention, part(step.tiles_at()), step.num_tiles())?;
        let pieces = Pieces {
            tiles: part(step.pieces_at()),
            count: step.num_pieces(),
            positions: step.cut_positions(),
            partial,
        };
        gpu.attend_pieces(&attention, part(step.cut_at()), step.num_cut(), &pieces)?;
        let finish = Finish::Add { stride: self.config.hidden_size };
        self.multiply(&layer.attention_output, attended, stream, num_rows, finish)
    }

    fn multiply(
        &self,
        matrix: &Matrix,
        inputs: &Buffer,
        outputs: &Buffer,
        num_tokens: usize,
        finish: Finish,
    ) -> Result<(), GpuError> {
        let (inputs, outputs) = (inputs.into(), outputs.into());
        self.gpu.multiply(&Product { matrix, inputs, outputs, num_tokens, finish })
    }
}

/// Norms of the hidden size.
fn norm(device: &Arc<dyn Device>, weights: &[f32], eps: f64) -> Result<Norm, GpuError> {
    let bytes: Vec<u8> = weights.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(Norm { weights: Buffer::with(device, &bytes)?, eps: eps as f32 })
}
