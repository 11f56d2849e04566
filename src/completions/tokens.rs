//! Bodies beside completions: tokens of a text, the text of tokens, what is to be forgotten.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RequestError;

/// `POST /tokenize`: `prompt` and `add_special_tokens` (vLLM), or `content` and
/// `add_special` (llama-server).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizeRequest {
    /// The text (vLLM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The text (llama-server).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Whether BOS is among the tokens; yes unless it says no (vLLM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_special_tokens: Option<bool>,
    /// Whether BOS is among the tokens; no unless it says yes (llama-server).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_special: Option<bool>,
}

impl fmt::Debug for TokenizeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenizeRequest").finish_non_exhaustive()
    }
}

impl TokenizeRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// As [`super::CompletionRequest::from_json`].
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        super::read(body)
    }

    /// The text, and whether BOS goes before it.
    ///
    /// # Errors
    /// There is no text.
    pub fn text(&self) -> Result<(&str, bool), RequestError> {
        match (&self.prompt, &self.content) {
            (Some(text), _) => Ok((text, self.add_special_tokens.unwrap_or(true))),
            (None, Some(text)) => Ok((text, self.add_special.unwrap_or(false))),
            (None, None) => Err(RequestError::param("prompt", "`prompt` is missing: the text")),
        }
    }
}

/// The tokens of a text (vLLM; llama-server has `tokens` alone).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizeResponse {
    /// How many.
    pub count: usize,
    /// The most tokens of prompt and completion together.
    pub max_model_len: usize,
    /// Their ids.
    pub tokens: Vec<u32>,
}

/// `POST /detokenize` (vLLM and llama-server alike).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetokenizeRequest {
    /// The model's ids.
    pub tokens: Vec<u32>,
}

impl DetokenizeRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// As [`super::CompletionRequest::from_json`].
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        super::read(body)
    }
}

/// The text of tokens, under both names.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetokenizeResponse {
    /// vLLM's name.
    pub prompt: String,
    /// llama-server's name.
    pub content: String,
}

impl fmt::Debug for DetokenizeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetokenizeResponse").finish_non_exhaustive()
    }
}

/// `POST /v1/cache/forget` (ours): whose cached prompts go, from memory and disk. Either
/// `cache_owner`, or what kept the prompts apart: `cache_salt`, `user`, or both as the
/// requests had them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForgetRequest {
    /// As in the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_owner: Option<String>,
    /// As in the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_salt: Option<String>,
    /// As in the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl ForgetRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// As [`super::CompletionRequest::from_json`]; it names nobody, or both an owner and
    /// a salt.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        let request: Self = super::read(body)?;
        let salted = request.cache_salt.is_some() || request.user.is_some();
        match (request.cache_owner.is_some(), salted) {
            (true, true) => Err(RequestError::param(
                "cache_owner",
                "`cache_owner` stands beside `cache_salt` or `user`; send one after the other",
            )),
            (false, false) => Err(RequestError::param(
                "cache_owner",
                "`cache_owner`, `cache_salt` or `user` is missing: whose prompts to forget",
            )),
            _ => Ok(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_own_default_for_bos() {
        let text = |json: &str| {
            let request = TokenizeRequest::from_json(json.as_bytes()).unwrap();
            request.text().map(|(text, bos)| (text.to_owned(), bos))
        };
        assert_eq!(text(r#"{"model": "m", "prompt": "a"}"#), Ok(("a".into(), true)));
        assert_eq!(text(r#"{"content": "a"}"#), Ok(("a".into(), false)));
        assert_eq!(text(r#"{"content": "a", "add_special": true}"#), Ok(("a".into(), true)));
        assert_eq!(text("{}").unwrap_err().name(), Some("prompt"));
    }

    #[test]
    fn one_is_forgotten_at_a_time() {
        let forget = |json: &str| ForgetRequest::from_json(json.as_bytes());
        assert!(forget(r#"{"cache_owner": "a"}"#).is_ok());
        assert!(forget(r#"{"cache_salt": "a", "user": "b"}"#).is_ok());
        assert!(forget("{}").is_err());
        assert!(forget(r#"{"cache_owner": "a", "user": "b"}"#).is_err());
    }
}
