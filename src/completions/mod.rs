//! The OpenAI-compatible *completions* protocol: its nouns, as both ends write them.
//!
//! Plain data, for our server and for a client of anybody's. Names are those of OpenAI and, for what OpenAI lacks, of vLLM,
//! llama-server, KoboldCpp, TabbyAPI, SGLang, text-generation-webui and SillyTavern; each
//! field says whose it is. Knows no engine and opens no connection.
//!
//! Invariant: fields that nobody here knows are taken and kept, never refused; a field
//! that is known and cannot be meant is refused by its name.

mod error;
mod error_body;
mod ignored;
mod lenient;
mod models;
mod prompt;
mod request;
mod response;
mod sampler;
mod tokens;

use serde::de::DeserializeOwned;

pub use error::RequestError;
pub use error_body::{ErrorBody, ErrorCode, ErrorDetail};
pub use lenient::{Bias, LogitBias, OneOrMany, TokenIds};
pub use models::{Health, ModelCard, ModelList, Version};
pub use prompt::Prompt;
pub use request::{CompletionRequest, Extension, StreamOptions};
pub use response::{
    Choice, Completion, CompletionChunk, FinishReason, PromptTokensDetails, Receipt, StopReason,
    Usage,
};
pub use sampler::Sampling;
pub use tokens::{
    DetokenizeRequest, DetokenizeResponse, ForgetRequest, TokenizeRequest, TokenizeResponse,
};

/// Reads a body of the protocol.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    let parser = &mut serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut *parser);
    let read = read.map_err(|error| RequestError::from_parser(&error))?;
    parser.end().map_err(|error| RequestError::Json(error.to_string()))?;
    Ok(read)
}
