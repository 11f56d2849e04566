//! What is refused, and how: every error is OpenAI's error object.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::home::{KEY, PROMPT, Worker, said};

/// Asserts an error's shape; gives its code and its param.
fn error<'a>(body: &'a Value, kind: &str) -> (&'a str, Option<&'a str>) {
    let error = &body["error"];
    assert_eq!(error["type"], kind, "{body}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
    (error["code"].as_str().unwrap(), error["param"].as_str())
}

const INVALID: &str = "invalid_request_error";

#[tokio::test]
async fn nobody_gets_in_without_the_key() {
    let worker = Worker::start(&[]).await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", worker.url());
    assert_eq!(client.get(url("/health")).send().await.unwrap().status(), 200);
    for path in ["/v1/models", "/metrics", "/version", "/nowhere", "/v1/completions"] {
        for shown in [None, Some("Bearer wrong"), Some(KEY), Some("Basic abc")] {
            let mut request = client.get(url(path));
            if let Some(shown) = shown {
                request = request.header(AUTHORIZATION, shown);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{path} {shown:?}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let body: Value = response.json().await.unwrap();
            assert_eq!(error(&body, INVALID), ("invalid_api_key", None));
        }
    }
    assert_eq!(worker.get("/v1/models").await.0, 200);
    let forget = client.post(url("/v1/cache/forget")).json(&json!({"user": "ann"}));
    assert_eq!(forget.send().await.unwrap().status(), 401);
    worker.complete(json!({"max_tokens": 2, "user": "canary-user", "stop": "canary-stop"})).await;
    let log = worker.log();
    assert!(log.contains("http.request") && log.contains("http.completion"), "{log}");
    assert!(!log.contains("canary") && !log.contains("lighthouse"), "{log}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let worker = Worker::start(&["worker.max_body_kib=16"]).await;
    let post = async |body: Value| {
        let (status, body) = worker.post("/v1/completions", body).await;
        let (code, param) = error(&body, INVALID);
        (status, code.to_owned(), param.map(str::to_owned))
    };
    let with = |name: &str, value: Value| json!({"prompt": PROMPT, name: value});
    for (name, value, code) in [
        ("temperature", json!(-1), "invalid_value"),
        ("temperature", json!("hot"), "invalid_value"),
        ("top_p", json!(2), "invalid_value"),
        ("repeat_penalty", json!(99), "invalid_value"),
        ("max_tokens", json!(-5), "invalid_value"),
        ("prompt", json!([]), "invalid_value"),
        ("prompt", json!(["a", "b"]), "invalid_value"),
        ("prompt", json!([4_000_000]), "invalid_value"),
        ("prompt", Value::Null, "invalid_value"),
        ("prompt", json!("word ".repeat(1500)), "context_length_exceeded"),
        ("n", json!(2), "unsupported_parameter"),
        ("best_of", json!(2), "unsupported_parameter"),
        ("logprobs", json!(1), "unsupported_parameter"),
        ("stop", json!(["x".repeat(600)]), "invalid_value"),
        ("stop", json!((0..65).map(|i| format!("s{i}")).collect::<Vec<_>>()), "invalid_value"),
    ] {
        let refused = post(with(name, value)).await;
        assert_eq!(refused, (400, code.into(), Some(name.into())));
    }
    let (status, body) = worker.post("/tokenize", json!({})).await;
    assert_eq!((status, error(&body, INVALID)), (400, ("invalid_value", Some("prompt"))));
    let (status, body) = worker.post("/detokenize", json!({"tokens": [4_000_000]})).await;
    assert_eq!((status, error(&body, INVALID)), (400, ("invalid_value", Some("tokens"))));
    let (status, body) = worker.post("/v1/cache/forget", json!({})).await;
    assert_eq!((status, error(&body, INVALID)), (400, ("invalid_value", Some("cache_owner"))));

    let (status, body) = worker.get("/v1/models/another").await;
    assert_eq!((status, error(&body, INVALID)), (404, ("model_not_found", None)));
    let (status, body) = worker.post("/v1/chat/completions", json!({})).await;
    assert_eq!((status, error(&body, INVALID)), (404, ("not_found", None)));
    let (status, body) = worker.get("/v1/completions").await;
    assert_eq!((status, error(&body, INVALID)), (405, ("method_not_allowed", None)));

    for (kind, body, status, code) in [
        ("application/json", "{\"prompt\":", 400, "invalid_json"),
        ("application/json", "[1]", 400, "invalid_json"),
        ("application/json", "{} {}", 400, "invalid_json"),
        ("application/json", "\u{0}", 400, "invalid_json"),
        ("text/plain", "{\"prompt\": \"a\"}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "prompt=a", 415, "unsupported_media_type"),
        ("application/json", &format!("{:20000}", ""), 413, "request_too_large"),
    ] {
        let request = worker.request(Method::POST, "/v1/completions").header(CONTENT_TYPE, kind);
        let response = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), status, "{code}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(error(&body, INVALID), (code, None));
    }
    // After all that it still works.
    worker.complete(json!({"max_tokens": 2})).await;
    worker.until_running(0.0).await;
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_told_when_to_come_again() {
    let one = ["engine.max_batch_sequences=1", "engine.max_waiting=1"];
    let worker = Worker::start(&one).await;
    let long = json!({"max_tokens": 800, "ignore_eos": true});
    let mut running = worker.stream(long.clone()).await;
    running.next().await.unwrap();
    let waiting = worker.stream(long).await;
    let body = json!({"prompt": PROMPT, "stream": true});
    let request = worker.request(Method::POST, "/v1/completions").json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 429);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds));
    let body: Value = response.json().await.unwrap();
    assert_eq!(error(&body, "rate_limit_error"), ("rate_limit_exceeded", None));
    assert_eq!(worker.get("/health").await.0, 200);
    drop((running, waiting));
    worker.until_running(0.0).await;
    worker.complete(json!({"max_tokens": 2})).await;
}

#[test]
fn what_others_can_reach_needs_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = std::process::Command::new(env!("CARGO_BIN_EXE_dramatis"));
    open.args(["--data-dir", dir.path().to_str().unwrap(), "worker", "--listen", "0.0.0.0:0"]);
    open.env_clear().env("HOME", dir.path());
    let (code, stderr) = said(open);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("DRAMATIS_API_KEY") && stderr.contains("127.0.0.1"), "{stderr}");
    let mut wrong = std::process::Command::new(env!("CARGO_BIN_EXE_dramatis"));
    wrong.args(["--data-dir", dir.path().to_str().unwrap(), "worker", "--listen", "here"]);
    wrong.env_clear().env("HOME", dir.path());
    let (code, stderr) = said(wrong);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("error: --listen: `worker.listen`"), "{stderr}");
}
