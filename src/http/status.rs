//! What the worker says of itself: health, numbers, version, model.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::backend::public_name;
use super::body;
use super::refusal::Refusal;
use super::shared::{Phase, Shared};
use crate::completions::{Health, ModelCard, ModelList, Version};
use crate::telemetry::metrics;

/// Whether completions are written; if not, why.
pub(super) async fn health(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    if *shared.phase.borrow() != Phase::Serving {
        return Err(Refusal::shutting_down());
    }
    shared.backend.check()?;
    Ok(body::json(&Health { status: "ok".into() }))
}

/// All numbers, in Prometheus' text format.
pub(super) async fn numbers(State(shared): State<Arc<Shared>>) -> Response {
    let stats = shared.backend.stats();
    for (name, number) in [
        (metrics::ENGINE_RUNNING, stats.num_running),
        (metrics::ENGINE_WAITING, stats.num_waiting),
        (metrics::ENGINE_BLOCKS, stats.num_blocks),
        (metrics::ENGINE_AVAILABLE_BLOCKS, stats.num_available_blocks),
        (metrics::ENGINE_CACHED_BLOCKS, stats.num_cached_blocks),
    ] {
        shared.metrics.set(name, "", number as f64);
    }
    if let Some(host) = stats.host_cache {
        shared.metrics.set(metrics::ENGINE_HOST_BLOCKS, "", host.num_blocks as f64);
        shared.metrics.set(metrics::ENGINE_RESTORED_BLOCKS, "host", host.num_restored as f64);
    }
    if let Some(disk) = stats.disk_cache {
        shared.metrics.set(metrics::ENGINE_DISK_BLOCKS, "", disk.num_blocks as f64);
        shared.metrics.set(metrics::ENGINE_RESTORED_BLOCKS, "disk", disk.num_restored as f64);
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], shared.metrics.render()).into_response()
}

/// Which program this is.
pub(super) async fn version() -> Response {
    body::json(&Version { version: env!("CARGO_PKG_VERSION").into() })
}

/// Which models there are: one.
pub(super) async fn models(State(shared): State<Arc<Shared>>) -> Response {
    body::json(&ModelList::of(card(&shared)))
}

/// One model.
pub(super) async fn model(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let card = card(&shared);
    match name == card.id {
        true => Ok(body::json(&card)),
        false => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "model_not_found",
            format!("there is no such model here, only {}", card.id),
        )),
    }
}

fn card(shared: &Shared) -> ModelCard {
    let model = shared.backend.model();
    ModelCard {
        id: public_name(&model.name).to_owned(),
        object: "model".into(),
        created: shared.began_s,
        owned_by: "dramatis".into(),
        max_model_len: Some(model.context_tokens),
        fingerprint: Some(model.fingerprint.clone()),
    }
}
