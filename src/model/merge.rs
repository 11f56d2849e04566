//! A base and adapters made into one model on disk, tensor by tensor: what is in memory
//! at a time is one matrix of the base as it is stored, its adapters' two thin ones, and a
//! band of it as floats.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Value;
use serde::Serialize;

use super::adapter::{Adaptation, AdapterInfo, AdapterOptions, Summed};
use super::file::Format;
use super::kinds::Kinds;
use super::rope::divisors;
use super::weights::Weight;
use super::write::{
    GgufWriter, Made, MergeType, Place, Planned, SafetensorsWriter, TensorWriter, beside,
    from_config, from_gguf,
};
use super::{ModelError, ModelFile, WeightType};
use crate::kernels::ThreadPool;

/// What to make of a base and adapters.
#[derive(Debug, Clone)]
pub struct MergeOptions {
    /// The adapters; their sum is added.
    pub adapters: Vec<AdapterOptions>,
    /// A path that ends in `.gguf`, or else a directory of safetensors.
    pub output: PathBuf,
    /// The form of the weights; `None` is eight bits in a GGUF, and in safetensors the
    /// base's half precision.
    pub weight_type: Option<MergeType>,
    /// Whether a model that is at `output` already is replaced.
    pub overwrite: bool,
    /// The tokenizer as GGUF metadata, for a GGUF from safetensors.
    pub tokenizer: Vec<(String, Value)>,
    /// Threads that compute.
    pub num_threads: NonZeroUsize,
}

/// A merge that was found possible.
pub struct Merge<'a> {
    base: &'a ModelFile,
    options: &'a MergeOptions,
    adaptation: Adaptation,
    place: Place,
    weight_type: MergeType,
    tensors: Vec<Planned>,
    /// A GGUF's, less its padding.
    header: Option<Vec<u8>>,
    size_bytes: u64,
    untied: bool,
}

/// What a merge did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MergeReport {
    /// The file or directory.
    pub path: PathBuf,
    /// The base.
    pub base: PathBuf,
    /// `GGUF` or `safetensors`.
    pub format: &'static str,
    /// The form of the weights.
    pub weights: &'static str,
    /// Number of tensors.
    pub num_tensors: usize,
    /// Number of those that the adapters change.
    pub num_changed: usize,
    /// Whether the output matrix, which was the embedding, is one of its own now.
    pub untied: bool,
    /// Size on disk of the weights.
    pub size_bytes: u64,
    /// The adapters, each with the scale that was asked for.
    pub adapters: Vec<ScaledAdapter>,
    /// What changed, by kind of module.
    pub modules: Vec<ModuleReport>,
}

/// An adapter and what it was multiplied with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScaledAdapter {
    /// What it is.
    #[serde(flatten)]
    pub info: AdapterInfo,
    /// What it was multiplied with beside its own scale.
    pub scale: f32,
}

/// What changed in modules of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleReport {
    /// The last part of their names, such as `q_proj`.
    pub module: String,
    /// In how many layers.
    pub num_layers: usize,
    /// How many were brought whole.
    pub num_replaced: usize,
    /// The ranks of the updates.
    pub ranks: Vec<usize>,
    /// What `B · A` was multiplied with.
    pub scales: Vec<f64>,
    /// How large the updates are beside the weights: `‖ΔW‖ / ‖W‖` by Frobenius' norm;
    /// `None` before they were computed.
    pub relative_norms: Option<Spread>,
}

/// The least, the middle and the largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl<'a> Merge<'a> {
    /// Checks that the adapters fit the base and that the place is free.
    ///
    /// # Errors
    /// `Adapter` or `Write` with the reason; `Corrupt` or `Io` for damaged files.
    pub fn plan(base: &'a ModelFile, options: &'a MergeOptions) -> Result<Self, ModelError> {
        let output = &options.output;
        let to_gguf = is_gguf(output);
        let refuse = |reason: String| Err(ModelError::write(output, reason));
        let from_gguf = matches!(base.format, Format::Gguf(_));
        if from_gguf && !to_gguf {
            return refuse(
                "the base is a GGUF, which has neither a config.json nor a tokenizer.json to go \
                 beside safetensors: name a .gguf, or take the base's safetensors"
                    .into(),
            );
        }
        let weight_type = options.weight_type.unwrap_or_else(|| default_type(base, to_gguf));
        if !to_gguf && !weight_type.is_half_precision() {
            let reason = format!("safetensors hold f16 or bf16, not {weight_type}; name a .gguf");
            return refuse(reason);
        }
        if to_gguf && !from_gguf && options.tokenizer.is_empty() {
            let reason = "the base brings no tokenizer, and a GGUF is of no use without";
            return refuse(format!("{reason}: put its tokenizer.json beside it"));
        }
        let tied = base.has_tied_embeddings();
        let adaptation = Adaptation::open(&options.adapters, base.config(), tied)?;
        let untied = tied && adaptation.unties();
        let sources = options.adapters.iter().map(|adapter| adapter.path.as_path());
        let sources: Vec<_> = sources.chain([base.path()]).collect();
        let place = Place::new(output, !to_gguf, options.overwrite, &sources)?;
        let tensors = plan_tensors(base, to_gguf, weight_type, tied && !untied);
        let mut merge = Self {
            base,
            options,
            adaptation,
            place,
            weight_type,
            size_bytes: 0,
            header: None,
            tensors,
            untied,
        };
        if to_gguf {
            let header = GgufWriter::header(&merge.metadata(), &merge.tensors);
            merge.size_bytes = GgufWriter::size_bytes(&header, &merge.tensors);
            merge.header = Some(header);
        } else {
            merge.size_bytes = SafetensorsWriter::size_bytes(&merge.tensors);
        }
        Ok(merge)
    }

    /// How many tensors there are to write.
    pub fn num_tensors(&self) -> usize {
        self.tensors.len()
    }

    /// What would be done, without what has to be computed for it.
    pub fn report(&self) -> MergeReport {
        self.report_of(Kinds::default())
    }

    /// Does it; `advance` is called after each tensor.
    ///
    /// # Errors
    /// `Write` if the disk does not take it (nothing is left then), `Io` or `Corrupt` if
    /// the sources cannot be read.
    pub fn run(mut self, advance: &mut dyn FnMut()) -> Result<MergeReport, ModelError> {
        let partial = self.place.begin()?.to_owned();
        let mut writer: Box<dyn TensorWriter> = match &self.header {
            Some(header) => Box::new(GgufWriter::create(&partial, header)?),
            None => Box::new(SafetensorsWriter::create(&partial, &self.tensors)?),
        };
        let pool = ThreadPool::new(self.options.num_threads);
        let mut base = self.base.source();
        let mut kinds = Kinds::default();
        let neighbours = self.header.is_some();
        for tensor in &self.tensors {
            let Some(weight) = tensor.weight else {
                let divisors = divisors(&self.base.config().rope, self.base.config().head_dim);
                let divisors = divisors.into_iter().flatten();
                writer.write(&divisors.flat_map(f32::to_le_bytes).collect::<Vec<_>>())?;
                writer.end_tensor()?;
                advance();
                continue;
            };
            let config = self.base.config();
            let mut summed =
                Summed { base: &mut *base, adaptation: &self.adaptation, config, pool: &pool };
            let matrix = summed.matrix(weight, tensor.matrix_shape(), neighbours)?;
            let squares = matrix.rewrite(&pool, tensor.dtype, &mut |bytes| writer.write(bytes))?;
            kinds.add(weight, squares);
            writer.end_tensor()?;
            advance();
        }
        drop(base);
        writer.finish()?;
        if let Format::Safetensors(files) = &self.base.format
            && !neighbours
        {
            let dtype = if self.weight_type == MergeType::F16 { "float16" } else { "bfloat16" };
            beside::write(&files.config_path, &partial, dtype, self.untied)?;
        }
        // What was written is read once, as whoever loads it will.
        ModelFile::open(&partial)?;
        let report = self.report_of(kinds);
        self.place.finish()?;
        Ok(report)
    }

    fn metadata(&self) -> Vec<(String, Value)> {
        let adapters = self.options.adapters.iter().map(|adapter| name_of(&adapter.path));
        let (base, config) = (self.base, self.base.config());
        let name = match &base.format {
            Format::Gguf(file) => file.name(),
            Format::Safetensors(files) => files.name(),
        };
        let name = name.unwrap_or_else(|| name_of(base.path()));
        let names: Vec<_> = [name].into_iter().chain(adapters).collect();
        let made = Made { name: names.join(" + "), weight_type: self.weight_type };
        match &base.format {
            Format::Gguf(file) => from_gguf(file.metadata(), &made),
            Format::Safetensors(_) => from_config(config, &self.options.tokenizer, &made),
        }
    }

    fn report_of(&self, kinds: Kinds) -> MergeReport {
        let adapters = self.adaptation.adapters();
        let changed = |weight: Weight| {
            self.adaptation.replaces(weight) || !self.adaptation.updates(weight).is_empty()
        };
        MergeReport {
            path: self.options.output.clone(),
            base: self.base.path().to_owned(),
            format: if self.header.is_some() { "GGUF" } else { "safetensors" },
            weights: self.weight_type.name(),
            num_tensors: self.tensors.len(),
            num_changed: self
                .tensors
                .iter()
                .filter_map(|t| t.weight)
                .filter(|w| changed(*w))
                .count(),
            untied: self.untied,
            size_bytes: self.size_bytes,
            adapters: adapters
                .map(|(adapter, scale)| ScaledAdapter { info: adapter.info(), scale })
                .collect(),
            modules: kinds.report(self.tensors.iter().filter_map(|t| t.weight), &self.adaptation),
        }
    }
}

/// Whether a merged model at this path is a GGUF.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

fn default_type(base: &ModelFile, to_gguf: bool) -> MergeType {
    match &base.format {
        _ if to_gguf => MergeType::Q8_0,
        Format::Safetensors(files) if files.main_type() == "F16" => MergeType::F16,
        _ => MergeType::Bf16,
    }
}

/// Every tensor to write, in the order of the decoder.
fn plan_tensors(
    base: &ModelFile,
    to_gguf: bool,
    weight_type: MergeType,
    tied: bool,
) -> Vec<Planned> {
    let config = base.config();
    let planned = |(weight, shape): (Weight, Vec<usize>)| {
        let columns = shape.last().copied().unwrap_or_default();
        let (name, dtype) = match to_gguf {
            true => {
                let dtype = weight_type.in_gguf(weight, columns, config.num_layers, tied);
                (weight.gguf_name(), dtype)
            }
            false => (weight.safetensors_name(), weight_type.main()),
        };
        Planned { weight: Some(weight), name, shape, dtype }
    };
    let mut tensors: Vec<_> = config.weight_shapes(tied).map(planned).collect();
    if to_gguf && let Some(divisors) = divisors(&config.rope, config.head_dim) {
        tensors.push(Planned {
            weight: None,
            name: "rope_freqs.weight".into(),
            shape: vec![divisors.len()],
            dtype: WeightType::F32,
        });
    }
    tensors
}

/// The last part of a path, without a file's ending.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    name.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}
