//! How an error is told: OpenAI's error object.

use serde::{Deserialize, Serialize};

/// The body of an answer that is an error: `{"error": {…}}` (OpenAI).
///
/// Read as well without the envelope, as SGLang and older vLLM write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For people.
    pub message: String,
    /// The kind: `invalid_request_error`, `authentication_error`, `server_error` … (OpenAI).
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The field at fault, if it is one.
    #[serde(default)]
    pub param: Option<String>,
    /// The reason in a word; some servers put the HTTP status here.
    #[serde(default)]
    pub code: Option<ErrorCode>,
}

/// OpenAI writes a word, vLLM and llama-server a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ErrorCode {
    /// Such as `context_length_exceeded`.
    Word(String),
    /// The HTTP status.
    Status(u32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Nested { error: ErrorDetail },
    // Ollama, and proxies.
    Text { error: String },
    Flat(ErrorDetail),
}

impl From<Written> for ErrorBody {
    fn from(written: Written) -> Self {
        let error = match written {
            Written::Nested { error } | Written::Flat(error) => error,
            Written::Text { error: message } => ErrorDetail { message, ..ErrorDetail::default() },
        };
        Self { error }
    }
}

impl ErrorBody {
    /// An error as OpenAI writes it.
    pub fn new(kind: &str, message: impl Into<String>, param: Option<&str>, code: &str) -> Self {
        Self {
            error: ErrorDetail {
                message: message.into(),
                kind: kind.into(),
                param: param.map(Into::into),
                code: Some(ErrorCode::Word(code.into())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes_of_errors_are_read_and_openais_is_written() {
        let ours = ErrorBody::new("invalid_request_error", "no", Some("n"), "invalid_value");
        let json = serde_json::to_string(&ours).unwrap();
        assert_eq!(
            json,
            r#"{"error":{"message":"no","type":"invalid_request_error","param":"n","code":"invalid_value"}}"#
        );
        assert_eq!(serde_json::from_str::<ErrorBody>(&json).unwrap(), ours);
        for (text, code) in [
            (r#"{"error":{"code":400,"message":"no","type":"invalid_request_error"}}"#, Some(400)),
            (r#"{"object":"error","message":"no","type":"BadRequestError","code":400}"#, Some(400)),
            (r#"{"error":"no"}"#, None),
        ] {
            let read: ErrorBody = serde_json::from_str(text).unwrap();
            assert_eq!(read.error.message, "no");
            assert_eq!(read.error.code, code.map(ErrorCode::Status));
        }
    }
}
