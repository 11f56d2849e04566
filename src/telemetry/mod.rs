//! What the service tells about itself: logs, spans and numbers.
//!
//! Never message text, tokens or secrets; fields are dotted. Metric names are
//! constants of one file.

pub mod logging;
pub mod metrics;
pub mod spans;
