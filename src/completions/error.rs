//! Why a request cannot be meant.

use std::fmt::Display;

use serde_json::error::Category;

use crate::sampling::SamplerParamsError;

/// What is wrong with a request, in words for whoever wrote the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not JSON, or no object.
    #[error("the body cannot be read as JSON: {0}")]
    Json(String),
    /// A field of the wrong type or out of its range.
    #[error("{message}")]
    Param {
        /// The field, as the request names it.
        param: String,
        /// What is wrong with it.
        message: String,
    },
    /// A field that asks for what this server does not do.
    #[error("`{param}` is not supported: {reason}")]
    Unsupported {
        /// The field, as the request names it.
        param: &'static str,
        /// What to do instead.
        reason: &'static str,
    },
}

impl RequestError {
    /// A field that cannot be meant.
    pub fn param(param: impl Into<String>, message: impl Display) -> Self {
        Self::Param { param: param.into(), message: message.to_string() }
    }

    /// The field at fault, where it is one: OpenAI's `error.param`.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Json(_) => None,
            Self::Param { param, .. } => Some(param),
            Self::Unsupported { param, .. } => Some(param),
        }
    }

    /// A stable label, OpenAI's `error.code`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "invalid_json",
            Self::Param { .. } => "invalid_value",
            Self::Unsupported { .. } => "unsupported_parameter",
        }
    }

    /// What a parser says of a body.
    pub(super) fn from_parser(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let (path, inner) = (error.path().to_string(), error.inner());
        // To the parser a number too large for its type is a matter of syntax.
        let is_value = inner.classify() == Category::Data
            || inner.to_string().starts_with("number out of range");
        match is_value && path != "." {
            true => Self::param(&path, format!("`{path}`: {inner}")),
            false => Self::Json(inner.to_string()),
        }
    }

    /// What the sampling room says, with the request's own name for the field.
    pub(super) fn from_sampler(error: &SamplerParamsError, given: &[(&str, &'static str)]) -> Self {
        let field = match error {
            SamplerParamsError::OutOfRange { field, .. } => field,
            SamplerParamsError::RepeatedStage { .. }
            | SamplerParamsError::MissingStage { .. }
            | SamplerParamsError::UnknownKoboldId { .. } => "order",
        };
        let named = given.iter().find(|(ours, _)| field.contains(ours));
        let param = named.map_or(field, |&(_, theirs)| theirs);
        match error {
            SamplerParamsError::OutOfRange { value, min, max, .. } if field.contains(' ') => {
                let message = format!("`{param}`: {field} is {value}, not from {min} to {max}");
                Self::param(param, message)
            }
            SamplerParamsError::OutOfRange { value, min, max, .. } => Self::param(
                param,
                format!("`{param}` is {value}; it must be between {min} and {max}"),
            ),
            other => Self::param(param, other),
        }
    }
}
