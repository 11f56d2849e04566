//! Log lines, for people or for machines, to standard error or to a file.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// What is logged, and where to.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// A level, optionally by room, such as `info,dramatis::engine=debug`.
    pub filter: String,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Appended to, with its directories made; `None` is standard error.
    pub file: Option<PathBuf>,
    /// Whether text on standard error may be coloured.
    pub color: bool,
}

/// A log that cannot be kept.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("telemetry.filter {filter:?} cannot be read: {source}")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The file cannot be written.
    #[error("cannot write the log to {path}: {source}; choose another with telemetry.file")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is a log already.
    #[error("logging was started twice")]
    Twice,
}

/// Starts logging for the whole process.
///
/// # Errors
/// [`LogError`] if the filter or the file cannot be used.
pub fn start(options: &LogOptions) -> Result<(), LogError> {
    let writer = match &options.file {
        Some(path) => BoxMakeWriter::new(Mutex::new(open(path)?)),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let subscriber = subscriber(options, writer)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

fn open(path: &Path) -> Result<File, LogError> {
    let opened = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let opened = opened.and_then(|()| OpenOptions::new().create(true).append(true).open(path));
    opened.map_err(|source| LogError::File { path: path.into(), source })
}

fn subscriber(
    options: &LogOptions,
    writer: BoxMakeWriter,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError> {
    let filter: EnvFilter = options
        .filter
        .parse()
        .map_err(|source| LogError::Filter { filter: options.filter.clone(), source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(options.color && options.file.is_none() && !options.json);
    Ok(match options.json {
        true => Box::new(builder.json().flatten_event(true).finish()),
        false => Box::new(builder.finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(json: bool, filter: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/log");
        let options =
            LogOptions { filter: filter.into(), json, file: Some(path.clone()), color: true };
        let writer = BoxMakeWriter::new(Mutex::new(open(&path).unwrap()));
        tracing::subscriber::with_default(subscriber(&options, writer).unwrap(), || {
            tracing::info!(reply.tokens = 3, "made");
            tracing::debug!("hidden");
        });
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn text_is_plain_in_a_file_and_json_is_an_object_a_line() {
        let text = logged(false, "info");
        assert!(text.contains("made reply.tokens=3"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("hidden"), "{text}");
        let line = logged(true, "info");
        let object: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
        assert_eq!(object["reply.tokens"], 3);
    }

    #[test]
    fn the_filter_goes_by_room() {
        assert!(logged(false, "warn,dramatis::telemetry=debug").contains("hidden"));
        assert_eq!(logged(false, "warn"), "");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let error = open(Path::new("/dev/null/log")).unwrap_err();
        assert!(error.to_string().contains("telemetry.file"), "{error}");
    }
}
