//! `[telemetry]`: what is logged, and where to.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::require;
use super::{Auto, Invalid};

/// What is logged, and where to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// A level, optionally by room.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
    /// The file that the log is appended to.
    pub file: Auto<PathBuf>,
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("it is \"{text}\", but must be \"text\" or \"json\"")),
        }
    }
}

impl TelemetryConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            self.filter.parse::<tracing_subscriber::EnvFilter>().is_ok(),
            "telemetry.filter",
            format_args!("\"{}\"", self.filter),
            "a level (error, warn, info, debug, trace), optionally by room, \
             for example \"info,dramatis::engine=debug\"",
        )
    }
}
