//! What can be wrong with a file: what, where, and what to do about it.

/// What can be wrong with a file that was given to be read or asked to be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Its content is none of the kinds that are read.
    #[error("this is no {wanted} that can be read: {what}")]
    Unknown {
        /// Which kind of file was looked for.
        wanted: &'static str,
        /// What was found, and what would be read.
        what: String,
    },
    /// More than is read of anybody's file.
    #[error("{at}: {size} {unit} are more than the {max} that are read; make it smaller")]
    TooBig {
        /// The file, chunk, zip entry or JSON path.
        at: String,
        /// How much it is, or says it is.
        size: u64,
        /// How much is read.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// Text that is not JSON.
    #[error("{at}: this is not JSON ({source}); save the file anew, or mend it in an editor")]
    Json {
        /// The file, chunk, zip entry or JSON path.
        at: String,
        /// Where it stops being JSON.
        source: serde_json::Error,
    },
    /// JSON of another kind than is needed there.
    #[error("{path} is {found}, but must be {wanted}; change it or take it out")]
    Type {
        /// The JSON path.
        path: String,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A PNG file that is damaged or holds no card.
    #[error("PNG, {at}: {what}")]
    Png {
        /// The chunk, or the byte offset.
        at: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// A zip archive that is damaged or is not read.
    #[error("zip, {entry}: {what}")]
    Zip {
        /// The entry, or the archive as a whole.
        entry: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// A picture that cannot be decoded or is not decoded.
    #[error("picture: {what}")]
    Picture {
        /// What is wrong and what to do.
        what: String,
    },
    /// A document without such an entry.
    #[error("there is no {what} {key:?}; those that are there: {known}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its key.
        key: String,
        /// The keys that are there, some of them.
        known: String,
    },
    /// Something that the format cannot do.
    #[error("{what}")]
    Unsupported {
        /// What, and what to do instead.
        what: String,
    },
}

impl FormatError {
    /// A stable name for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown_format",
            Self::TooBig { .. } => "too_big",
            Self::Json { .. } => "json",
            Self::Type { .. } => "type",
            Self::Png { .. } => "png",
            Self::Zip { .. } => "zip",
            Self::Picture { .. } => "picture",
            Self::NotFound { .. } => "not_found",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// `TooBig` for something that may be `max` and is `size`.
    pub(crate) fn too_big(at: impl Into<String>, size: usize, max: usize) -> Self {
        Self::TooBig { at: at.into(), size: size as u64, max: max as u64, unit: "bytes" }
    }
}
