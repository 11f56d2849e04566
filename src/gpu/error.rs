//! What a GPU can refuse.

/// Why a GPU did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// There is no such device, or what it needs is missing.
    #[error("{0}")]
    Unavailable(String),
    /// Its memory does not suffice.
    #[error("the GPU has no {} MiB free: out of memory", num_bytes.div_ceil(1 << 20))]
    OutOfMemory {
        /// What was asked for.
        num_bytes: usize,
    },
    /// The kernels could not be compiled: a bug of ours, or a compiler that does not know
    /// the device.
    #[error("the GPU's kernels could not be compiled: {0}")]
    Compile(String),
    /// It failed; nothing that it holds is to be trusted.
    #[error("the GPU failed: {0}")]
    Failed(String),
}
