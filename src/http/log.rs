//! The access log: what was asked for, how it was answered, how long that took.
//!
//! Never what people wrote: paths and methods that are not ours are not repeated.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::routes;
use super::shared::Shared;
use crate::telemetry::metrics;

pub(super) async fn access(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let method = method(request.method());
    let path = routes::known(request.uri().path());
    let began = Instant::now();
    let response = next.run(request).await;
    let (status, ms) = (response.status(), began.elapsed().as_millis() as u64);
    shared.metrics.count(metrics::HTTP_REQUESTS, outcome(status), 1);
    if matches!(path, routes::HEALTH | routes::METRICS) && status.is_success() {
        // Asked for every few seconds.
        tracing::debug!(http.method = method, http.path = path, "http.request");
    } else {
        let status = status.as_u16();
        tracing::info!(
            http.method = method,
            http.path = path,
            http.status = status,
            http.ms = ms,
            "http.request"
        );
    }
    response
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// How it was answered, as a label.
fn outcome(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::TOO_MANY_REQUESTS => "busy",
        status if status.is_client_error() => "refused",
        status if status.is_server_error() => "failed",
        _ => "answered",
    }
}
