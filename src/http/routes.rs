//! Every path, and who may go there.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use super::refusal::Refusal;
use super::shared::{Phase, Shared};
use super::{completions, log, status, tokens};

const COMPLETIONS: &str = "/v1/completions";
const MODELS: &str = "/v1/models";
const TOKENIZE: &str = "/tokenize";
const DETOKENIZE: &str = "/detokenize";
const FORGET: &str = "/v1/cache/forget";
const VERSION: &str = "/version";
pub(super) const HEALTH: &str = "/health";
pub(super) const METRICS: &str = "/metrics";

/// The path as a log may repeat it.
pub(super) fn known(path: &str) -> &'static str {
    let paths = [COMPLETIONS, TOKENIZE, DETOKENIZE, FORGET, VERSION, HEALTH, METRICS];
    if path.starts_with(MODELS) {
        return MODELS;
    }
    paths.into_iter().find(|known| *known == path).unwrap_or("other")
}

/// Everything that is served.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let with = |shared: &Arc<Shared>| shared.clone();
    Router::new()
        .route(COMPLETIONS, post(completions::complete))
        .route(MODELS, get(status::models))
        // A name may be a path.
        .route("/v1/models/{*name}", get(status::model))
        .route(TOKENIZE, post(tokens::tokenize))
        .route(DETOKENIZE, post(tokens::detokenize))
        .route(FORGET, post(tokens::forget))
        .route(HEALTH, get(status::health))
        .route(METRICS, get(status::numbers))
        .route(VERSION, get(status::version))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(with(&shared), gate))
        .layer(middleware::from_fn_with_state(with(&shared), log::access))
        .with_state(shared)
}

/// Lets in who shows the key, while the worker goes on. Health is everybody's: whoever
/// watches over workers need not be trusted with them.
async fn gate(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let path = request.uri().path();
    if path == HEALTH {
        return Ok(next.run(request).await);
    }
    if let Some(key) = &shared.key {
        key.check(request.headers())?;
    }
    if *shared.phase.borrow() != Phase::Serving && path != METRICS {
        return Err(Refusal::shutting_down());
    }
    Ok(next.run(request).await)
}

async fn not_found() -> Refusal {
    let message = "there is nothing here. This server continues text: POST /v1/completions";
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn not_allowed() -> Refusal {
    let message = "this path does not know the method; the header Allow says which it knows";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
