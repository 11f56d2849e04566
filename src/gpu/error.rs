//! What a GPU can refuse.

/// Why a GPU did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// There is no such device, or what it needs is missing.
    #[error("{0}")]
    Unavailable(String),
    /// Its memory does not suffice.
    #[error("the GPU is out of memory{}", asked(*num_bytes))]
    OutOfMemory {
        /// What was asked for, where it was asked for by number.
        num_bytes: Option<usize>,
    },
    /// The kernels could not be compiled: a bug of ours, or a compiler that does not know
    /// the device.
    #[error("the GPU's kernels could not be compiled: {0}")]
    Compile(String),
    /// It failed; nothing that it holds is to be trusted.
    #[error("the GPU failed: {0}")]
    Failed(String),
}

fn asked(num_bytes: Option<usize>) -> String {
    let mib = |num_bytes: usize| format!(": it has no {} MiB free", num_bytes.div_ceil(1 << 20));
    num_bytes.map(mib).unwrap_or_default()
}
