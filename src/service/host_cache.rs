//! How much of this machine's memory keeps KV blocks beside those on the devices.

use super::machine;
use crate::config::{Auto, Config};
use crate::model::Backend;

/// Bytes for one of `num_workers` workers of this machine, on such a device.
pub(super) fn host_cache_bytes(config: &Config, backend: &Backend, num_workers: usize) -> u64 {
    let num_workers = num_workers.max(1) as u64;
    match (config.engine.host_cache_mib, backend) {
        (Auto::Set(mib), _) => (mib << 20) / num_workers,
        // Its KV cache lies in this machine's memory already.
        (Auto::Auto, Backend::Cpu { .. }) => 0,
        (Auto::Auto, _) => {
            let machine = machine::total_memory_bytes();
            sensible_bytes(config.engine.kv_cache_bytes() as u64, machine, num_workers)
        }
    }
}

/// Four KV caches, but of the machine's memory a quarter for all workers together; nothing
/// where nobody knows how much that is.
fn sensible_bytes(kv_cache_bytes: u64, machine_bytes: Option<u64>, num_workers: u64) -> u64 {
    let share = machine_bytes.unwrap_or(0) / 4 / num_workers;
    share.min(kv_cache_bytes.saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::config::{Environment, LoadOptions, Override};

    #[test]
    fn what_is_set_is_shared_and_the_cpu_has_none_by_itself() {
        let cpu = Backend::Cpu { num_threads: NonZeroUsize::MIN };
        for (set, num_workers, expected) in
            [("auto", 1, 0), ("0", 1, 0), ("256", 1, 256 << 20), ("256", 2, 128 << 20)]
        {
            let set = format!("engine.host_cache_mib={set}");
            let config = Config::load(&LoadOptions {
                config_file: None,
                overrides: vec![Override::parse(&set).unwrap()],
                environment: Environment::from_pairs([("HOME", "/nowhere")]),
                working_dir: "/nowhere".into(),
            });
            assert_eq!(host_cache_bytes(&config.unwrap(), &cpu, num_workers), expected, "{set}");
        }
    }

    #[test]
    fn four_kv_caches_or_a_quarter_of_the_machine() {
        assert_eq!(sensible_bytes(2, Some(1000), 1), 8);
        assert_eq!(sensible_bytes(100, Some(1000), 1), 250);
        assert_eq!(sensible_bytes(100, Some(1000), 5), 50);
        assert_eq!(sensible_bytes(100, None, 1), 0);
    }
}
