//! `/tokenize`, `/detokenize`, and `/v1/cache/forget`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::body;
use super::refusal::Refusal;
use super::shared::Shared;
use crate::completions::{
    DetokenizeRequest, DetokenizeResponse, ForgetRequest, Health, TokenizeRequest, TokenizeResponse,
};

/// The tokens of a text.
pub(super) async fn tokenize(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body::read(request, shared.max_body_bytes).await?;
    let request = TokenizeRequest::from_json(&body)?;
    let (text, bos) = request.text()?;
    let tokens = shared.backend.tokenize(text.to_owned(), bos).await?;
    let max_model_len = shared.backend.model().context_tokens;
    Ok(body::json(&TokenizeResponse { count: tokens.len(), max_model_len, tokens }))
}

/// The text of tokens.
pub(super) async fn detokenize(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body::read(request, shared.max_body_bytes).await?;
    let request = DetokenizeRequest::from_json(&body)?;
    let text = shared.backend.detokenize(&request.tokens)?;
    Ok(body::json(&DetokenizeResponse { prompt: text.clone(), content: text }))
}

/// Drops cached prompts, from memory and disk; answers when they are gone.
pub(super) async fn forget(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body::read(request, shared.max_body_bytes).await?;
    let ForgetRequest { cache_owner, cache_salt, user } = ForgetRequest::from_json(&body)?;
    match cache_owner {
        Some(owner) => {
            shared.backend.forget_owner(shared.salts.owner(Some(&owner))).await?;
        }
        None => {
            let salt = shared.salts.salt(user.as_deref(), cache_salt.as_deref());
            shared.backend.forget_salt(salt).await?;
        }
    }
    Ok(body::json(&Health { status: "ok".into() }))
}
