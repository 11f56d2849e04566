//! Which kernels there are to compile, and for what.

/// Sources of kernels with the names that are wanted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// One translation unit of CUDA C++, which includes nothing.
    pub(super) source: String,
    /// Macros and their values, defined before its first line.
    pub(super) defines: Vec<(&'static str, String)>,
    /// Its kernels, `extern "C"`; each takes one struct by value.
    pub(super) kernels: Vec<String>,
}
