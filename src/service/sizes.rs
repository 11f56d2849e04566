//! How large an engine is on a device, where the settings leave that to us.

use super::machine;
use crate::config::{Auto, Config};
use crate::engine::KvCacheSize;
use crate::model::Backend;

/// Bytes of a KV cache in this machine's memory, and on devices that do not tell what they
/// have.
const KV_CACHE_BYTES: u64 = 512 << 20;

/// How large an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) kv_cache: KvCacheSize,
    pub(super) host_cache_bytes: u64,
    pub(super) max_batch_sequences: usize,
    pub(super) max_batch_tokens: usize,
}

impl Sizes {
    /// Of one of `num_workers` workers of this machine, on such a device.
    pub(super) fn new(config: &Config, backend: &Backend, num_workers: usize) -> Self {
        let engine = &config.engine;
        // A step of a GPU costs nearly the same for one sequence and for dozens.
        let (sequences, tokens) = match backend {
            Backend::Gpu(_) => (64, 2048),
            Backend::Cpu { .. } | Backend::Candle(_) => (8, 512),
        };
        let max_batch_sequences = match (engine.max_batch_sequences, engine.max_batch_tokens) {
            (Auto::Set(set), _) => set,
            (Auto::Auto, Auto::Set(tokens)) => sequences.min(tokens),
            (Auto::Auto, Auto::Auto) => sequences,
        };
        let max_batch_tokens =
            engine.max_batch_tokens.unwrap_or_else(|| tokens.max(max_batch_sequences));
        let kv_cache = match kv_cache_bytes(config, backend) {
            Some(bytes) => KvCacheSize::Bytes(bytes),
            None => KvCacheSize::Free,
        };
        let host_cache_bytes = host_cache_bytes(config, backend, num_workers);
        Self { kv_cache, host_cache_bytes, max_batch_sequences, max_batch_tokens }
    }
}

/// Bytes for keys and values on such a device; `None` is what it has free.
pub fn kv_cache_bytes(config: &Config, backend: &Backend) -> Option<u64> {
    match (config.engine.kv_cache_mib, backend) {
        (Auto::Set(mib), _) => Some(mib << 20),
        (Auto::Auto, Backend::Gpu(_)) => None,
        (Auto::Auto, Backend::Cpu { .. } | Backend::Candle(_)) => Some(KV_CACHE_BYTES),
    }
}

/// Bytes of this machine's memory that keep KV blocks beside those on the device.
fn host_cache_bytes(config: &Config, backend: &Backend, num_workers: usize) -> u64 {
    let num_workers = num_workers.max(1) as u64;
    match (config.engine.host_cache_mib, backend) {
        (Auto::Set(mib), _) => (mib << 20) / num_workers,
        // Its KV cache lies in this machine's memory already.
        (Auto::Auto, Backend::Cpu { .. }) => 0,
        (Auto::Auto, _) => {
            let machine = machine::total_memory_bytes();
            sensible_bytes(kv_cache_bytes(config, backend), machine, num_workers)
        }
    }
}

/// Four KV caches where their size is known, but of the machine's memory a quarter for all
/// workers together; nothing where nobody knows how much that is.
fn sensible_bytes(
    kv_cache_bytes: Option<u64>,
    machine_bytes: Option<u64>,
    num_workers: u64,
) -> u64 {
    let share = machine_bytes.unwrap_or(0) / 4 / num_workers;
    share.min(kv_cache_bytes.unwrap_or(u64::MAX).saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::config::{Environment, LoadOptions, Override};
    use crate::gpu::{Compiler, GpuPlace};

    const CPU: Backend = Backend::Cpu { num_threads: NonZeroUsize::MIN };

    fn config(set: &[&str]) -> Config {
        Config::load(&LoadOptions {
            config_file: None,
            overrides: set.iter().map(|set| Override::parse(set).unwrap()).collect(),
            environment: Environment::from_pairs([("HOME", "/nowhere")]),
            working_dir: "/nowhere".into(),
        })
        .unwrap()
    }

    fn gpu() -> Backend {
        let compiler = Compiler { nvrtc: "libnvrtc.so".into(), cache_dir: "/nowhere".into() };
        Backend::Gpu(GpuPlace::cuda(0, compiler))
    }

    #[test]
    fn what_is_not_set_follows_from_the_device() {
        let (unset, cpu) = (config(&[]), Sizes::new(&config(&[]), &CPU, 1));
        assert_eq!(cpu.kv_cache, KvCacheSize::Bytes(512 << 20));
        assert_eq!((cpu.max_batch_sequences, cpu.max_batch_tokens), (8, 512));
        let gpu = Sizes::new(&unset, &gpu(), 1);
        assert_eq!(gpu.kv_cache, KvCacheSize::Free);
        assert_eq!((gpu.max_batch_sequences, gpu.max_batch_tokens), (64, 2048));
    }

    #[test]
    fn what_is_set_counts_and_the_rest_fits_it() {
        let set = config(&["engine.kv_cache_mib=64", "engine.max_batch_sequences=700"]);
        let sizes = Sizes::new(&set, &CPU, 1);
        assert_eq!(sizes.kv_cache, KvCacheSize::Bytes(64 << 20));
        assert_eq!((sizes.max_batch_sequences, sizes.max_batch_tokens), (700, 700));
        let few = Sizes::new(&config(&["engine.max_batch_tokens=32"]), &gpu(), 1);
        assert_eq!((few.max_batch_sequences, few.max_batch_tokens), (32, 32));
    }

    #[test]
    fn a_host_cache_that_is_set_is_shared_and_the_cpu_has_none_by_itself() {
        for (set, num_workers, expected) in
            [("auto", 1, 0), ("0", 1, 0), ("256", 1, 256 << 20), ("256", 2, 128 << 20)]
        {
            let config = config(&[&format!("engine.host_cache_mib={set}")]);
            let sizes = Sizes::new(&config, &CPU, num_workers);
            assert_eq!(sizes.host_cache_bytes, expected, "{set}");
        }
    }

    #[test]
    fn four_kv_caches_or_a_quarter_of_the_machine() {
        assert_eq!(sensible_bytes(Some(2), Some(1000), 1), 8);
        assert_eq!(sensible_bytes(Some(100), Some(1000), 1), 250);
        assert_eq!(sensible_bytes(Some(100), Some(1000), 5), 50);
        assert_eq!(sensible_bytes(None, Some(1000), 1), 250);
        assert_eq!(sensible_bytes(Some(100), None, 1), 0);
    }
}
