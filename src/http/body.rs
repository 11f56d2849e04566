//! Bodies: read with a limit and a time, written as JSON.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;

use super::refusal::Refusal;

/// How long a body may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a request that says it is JSON.
///
/// # Errors
/// 415 if it does not say so, 413 if it is too long, 408 if it does not come.
pub(super) async fn read(request: Request, max_bytes: usize) -> Result<Bytes, Refusal> {
    // Also keeps pages of other origins out: a browser asks before it sends this type.
    if !is_json(request.headers()) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must be JSON and say so: send `Content-Type: application/json`",
        ));
    }
    let too_long = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            format!("the body is longer than {max_bytes} bytes, which worker.max_body_kib allows"),
        )
    };
    let stated = request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok());
    if stated.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > max_bytes as u64) {
        return Err(too_long());
    }
    let body = Limited::new(request.into_body(), max_bytes).collect();
    match tokio::time::timeout(READ_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "incomplete_body",
            "the body did not arrive whole",
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            format!("the body did not arrive within {} s", READ_TIMEOUT.as_secs()),
        )),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = stated.and_then(|stated| stated.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// A success with a body.
pub(super) fn json(body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("the protocol's nouns are JSON");
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_or_is_too_long_is_not_waited_for() {
        let request = |body: Body| {
            Request::post("/").header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
        };
        let pieces = |number: usize| {
            futures_util::stream::repeat(Ok::<_, std::convert::Infallible>("{\"a\": 1}"))
                .take(number)
        };
        let silence = pieces(1).chain(futures_util::stream::pending());
        let refused = read(request(Body::from_stream(silence)), 100).await.unwrap_err();
        assert_eq!(refused.code(), "request_timeout");
        let refused = read(request(Body::from_stream(pieces(100))), 100).await.unwrap_err();
        assert_eq!(refused.code(), "request_too_large");
        assert_eq!(read(request(Body::from_stream(pieces(2))), 100).await.unwrap().len(), 16);
    }

    #[test]
    fn json_says_that_it_is() {
        let check = |stated: &str| {
            let value = stated.parse().unwrap();
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        assert!(check("application/json") && check("Application/JSON; charset=utf-8"));
        assert!(!check("text/plain") && !check("") && !check("application/jsonl"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
