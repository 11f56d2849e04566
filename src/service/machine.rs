//! What memory this machine has, as Linux tells it; other systems do not.

/// What there is altogether.
pub(super) fn total_memory_bytes() -> Option<u64> {
    memory_bytes("MemTotal:")
}

/// What could be given to a new program without swapping.
pub fn available_memory_bytes() -> Option<u64> {
    memory_bytes("MemAvailable:")
}

fn memory_bytes(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
