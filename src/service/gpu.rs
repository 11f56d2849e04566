//! NVIDIA's GPUs, and where the compiler of their kernels comes from.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::config::{Config, WorkerPlace};
use crate::fetch::{Fetcher, Progress, Tree, TreeWheel};
use crate::gpu::{self, Compiler, GpuPlace};
use crate::model::Backend;

/// A release of NVRTC on PyPI.
struct Release {
    /// Of CUDA: what it makes is for drivers of this major version and newer ones.
    major: u32,
    package: &'static str,
    version: &'static str,
    /// Where the wheel has its files.
    dir: &'static str,
    /// Those that are wanted: the library, and what it opens beside it.
    files: [&'static str; 2],
    /// Sum and length of each wheel: Linux on x86-64 and ARM.
    wheels: [(&'static str, u64); 2],
}

/// The newest of each major version, as each knows the GPUs of its time; the newest first.
/// Machine code of any CUDA 12 runs with every driver of CUDA 12.
const RELEASES: [Release; 2] = [
    Release {
        major: 13,
        package: "nvidia-cuda-nvrtc",
        version: "13.0.88",
        dir: "nvidia/cu13/lib",
        files: ["libnvrtc.so.13", "libnvrtc-builtins.so.13.0"],
        wheels: [
            ("ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575", 90_215_200),
            ("d27f20a0ca67a4bb34268a5e951033496c5b74870b868bacd046b1b8e0c3267b", 43_015_449),
        ],
    },
    Release {
        major: 12,
        package: "nvidia-cuda-nvrtc-cu12",
        version: "12.9.86",
        dir: "nvidia/cuda_nvrtc/lib",
        files: ["libnvrtc.so.12", "libnvrtc-builtins.so.12.9"],
        wheels: [
            ("210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4", 89_568_129),
            ("096d4de6bda726415dfaf3198d4f5c522b8e70139c97feef5cd2ca6d4cd9cead", 44_528_905),
        ],
    },
];

/// Most bytes that the files of a release may take.
const MAX_BYTES: u64 = 128 << 20;

/// Brings the compiler of kernels for NVIDIA's GPUs, where a worker needs it and neither
/// `workers.nvrtc` names one nor the system has one.
///
/// # Errors
/// None can be fetched, or the driver is too old for any.
pub fn fetch_nvrtc(
    config: &Config,
    fetcher: &Fetcher,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    if !has_cuda(config) {
        return Ok(());
    }
    let Nvrtc::Ours(release, dir) = nvrtc(config)? else { return Ok(()) };
    let fetched = fetcher
        .fetch_tree(&release.tree(), &dir, progress)
        .map_err(|error| anyhow::anyhow!("{error}\n{}", release.advice()));
    match config.workers.places() {
        // Whoever asks for no GPU by name has the CPU.
        None => {
            let _ = fetched.inspect_err(|error| tracing::warn!("{error}"));
            Ok(())
        }
        Some(_) => fetched,
    }
}

/// Whether a worker runs on one of NVIDIA's GPUs that is there.
fn has_cuda(config: &Config) -> bool {
    let is_there = |place: &WorkerPlace| match place {
        WorkerPlace::Cuda(index) => GpuPlace::check_cuda(*index).is_ok(),
        _ => false,
    };
    match config.workers.places() {
        None => usable().next().is_some(),
        Some(places) => places.iter().any(is_there),
    }
}

/// The GPUs of NVIDIA's that can be used: those that cannot are told in the log.
pub(super) fn all_cuda(config: &Config) -> Vec<Backend> {
    let tried = usable().map(|index| cuda(config, index));
    let told = tried.map(|tried| {
        tried.inspect_err(|reason| tracing::warn!("a GPU is passed over: {reason:#}"))
    });
    told.flatten().collect()
}

fn usable() -> impl Iterator<Item = usize> {
    (0..GpuPlace::count_cuda()).filter(|&index| {
        let checked = GpuPlace::check_cuda(index);
        checked.inspect_err(|reason| tracing::warn!(%reason, "a GPU is passed over")).is_ok()
    })
}

/// The GPU of that number.
///
/// # Errors
/// There is no such, or it cannot be used.
pub(super) fn cuda(config: &Config, index: usize) -> anyhow::Result<Backend> {
    GpuPlace::check_cuda(index)?;
    let place = GpuPlace::cuda(index, compiler(config)?);
    if !place.try_out()?.has_same_bits {
        tracing::warn!(
            device = %place,
            "this GPU gives a token other bits in a batch than alone: the same seed may write \
             another reply when others are written beside it"
        );
    }
    Ok(Backend::Gpu(place))
}

fn compiler(config: &Config) -> anyhow::Result<Compiler> {
    let nvrtc = match nvrtc(config)? {
        Nvrtc::There(library) => library,
        Nvrtc::Ours(release, dir) => dir.join(release.library()),
    };
    Ok(Compiler { nvrtc, cache_dir: config.data_dir.clone() })
}

/// Where NVRTC is.
enum Nvrtc {
    /// A path, or a bare name by which the system finds it.
    There(PathBuf),
    /// In this directory of ours, once it is fetched.
    Ours(&'static Release, PathBuf),
}

fn nvrtc(config: &Config) -> anyhow::Result<Nvrtc> {
    if let Some(path) = config.workers.nvrtc.set() {
        anyhow::ensure!(path.is_file(), "there is no file {}: check workers.nvrtc", path.display());
        return Ok(Nvrtc::There(path.clone()));
    }
    let (driver, _) = gpu::driver_version()?;
    if let Some(library) = gpu::system_nvrtc(driver) {
        return Ok(Nvrtc::There(library));
    }
    let release = RELEASES.iter().find(|release| release.major <= driver);
    let release = release.context("NVIDIA's driver here is too old: install 525 or newer")?;
    let dir = config.data_dir.join("cuda").join(format!("nvrtc-{}", release.version));
    Ok(Nvrtc::Ours(release, dir))
}

impl Release {
    /// The library's path in the wheel.
    fn library(&self) -> String {
        format!("{}/{}", self.dir, self.files[0])
    }

    fn tree(&self) -> Tree {
        let Self { package, version, dir, files, .. } = self;
        let wheel = |&(sha256, size_bytes): &(&str, u64)| TreeWheel {
            sha256: sha256.parse().expect("the sums above are well formed"),
            size_bytes,
        };
        let licenses = format!("{}-{version}.dist-info/licenses", package.replace('-', "_"));
        let files = files.map(|file| format!("{dir}/{file}"));
        Tree {
            name: "NVRTC".into(),
            package: (*package).into(),
            version: (*version).into(),
            python: None,
            wheels: self.wheels.iter().map(wheel).collect(),
            prefixes: files.iter().cloned().chain([licenses]).collect(),
            required: files.into(),
            max_bytes: MAX_BYTES,
        }
    }

    /// What to do where nothing can be fetched.
    fn advice(&self) -> String {
        let Self { package, version, .. } = self;
        format!(
            "NVRTC compiles the GPU's kernels, and this machine has none. Where there is a network, \
             `pip download --no-deps {package}=={version}` brings it: unpack that wheel as a ZIP \
             file here, and set workers.nvrtc to the path of its {}; or set workers.on to \"cpu\"",
            self.library()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;
    use crate::config::Environment;
    use crate::engine::load_tokenizer;
    use crate::fetch::{FetchOptions, known_model};
    use crate::gpu::Emulator;
    use crate::model::{BatchSequence, LoadOptions, LogitRows, Model, WeightType};

    #[test]
    fn releases_are_whole_and_the_newest_comes_first() {
        assert!(RELEASES.is_sorted_by_key(|release| std::cmp::Reverse(release.major)));
        for release in &RELEASES {
            let tree = release.tree();
            assert_eq!(tree.wheels.len(), 2);
            assert!(tree.required.contains(&release.library()));
            assert!(tree.required.iter().all(|file| tree.prefixes.contains(file)));
            assert!(release.version.starts_with(&release.major.to_string()));
        }
    }

    /// The small real model, where the other tests have it.
    fn small_model() -> PathBuf {
        let known = known_model("smollm2-135m-instruct").unwrap();
        let shared = Environment::from_process().test_models();
        let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/models");
        let dir = shared.unwrap_or_else(own).join(&known.artifact.name);
        let fetcher = Fetcher::new(FetchOptions::default());
        fetcher.fetch(&known.artifact, &dir.join(&known.file), &()).unwrap().path
    }

    /// Logits of a prompt's last token, and of as many as follow, the likeliest each.
    fn write(options: &LoadOptions, path: &Path, prompt: &[u32], count: usize) -> Vec<Vec<f32>> {
        let model = Model::load(path, options).unwrap();
        let mut kv = model.kv_cache(4, 32).unwrap();
        let (mut tokens, mut position, mut rows) = (prompt.to_vec(), 0, Vec::new());
        for _ in 0..count {
            let step = BatchSequence {
                tokens: &tokens[position..],
                position,
                block_table: &[2, 0, 3, 1],
                logits: LogitRows::Last,
            };
            let logits = model.forward(&[step], &mut kv).unwrap();
            position = tokens.len();
            let row = logits.rows().next().unwrap().to_vec();
            tokens.push(likeliest(&row));
            rows.push(row);
        }
        rows
    }

    fn likeliest(row: &[f32]) -> u32 {
        (0..).zip(row).max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
    }

    /// How far apart two distributions are, in nats.
    fn divergence(left: &[f32], right: &[f32]) -> f64 {
        let log_softmax = |row: &[f32]| {
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            row.iter().map(move |&x| f64::from(x) - sum.ln()).collect::<Vec<_>>()
        };
        let pairs = log_softmax(left).into_iter().zip(log_softmax(right));
        pairs.map(|(a, b)| a.exp() * (a - b)).sum()
    }

    /// Beside the same weights computed with in f32: as halves, and as the bytes that a GPU
    /// keeps where a file has another type.
    #[test]
    fn the_small_model_writes_the_same_on_a_gpu() {
        let Some(device) = Emulator::new(1 << 30) else { return };
        let path = small_model();
        let tokenizer = load_tokenizer(&path).unwrap();
        let prompt = tokenizer.encode("Once upon a time, there was a dragon who");
        let options =
            |backend, weight_type| LoadOptions { backend, weight_type, ..LoadOptions::default() };
        let reference = options(Backend::reference(), Some(WeightType::F32));
        let expected = write(&reference, &path, &prompt, 3);
        let place = GpuPlace::emulated(Arc::new(device));
        for (weight_type, count, bound) in [(Some(WeightType::F16), 2, 1e-4), (None, 3, 1e-2)] {
            let options = options(Backend::Gpu(place.clone()), weight_type);
            let found = write(&options, &path, &prompt, count);
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(likeliest(found), likeliest(expected));
                let divergence = divergence(expected, found);
                assert!(divergence < bound, "{weight_type:?}: {divergence}");
            }
        }
    }
}
