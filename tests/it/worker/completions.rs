//! Completions: whole and in pieces, stops, seeds, tokens, who goes away.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::home::{PROMPT, Worker, text};

fn joined(chunks: &[Value]) -> String {
    let texts = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str());
    texts.collect()
}

#[tokio::test]
async fn a_stream_tells_what_waiting_tells() {
    let worker = Worker::start(&[]).await;
    let ask = json!({"max_tokens": 40, "seed": 7, "return_token_ids": true});
    let whole = worker.complete(ask.clone()).await;
    assert_eq!(whole["object"], "text_completion");
    let ids = whole["choices"][0]["token_ids"].as_array().unwrap();
    assert_eq!(whole["usage"]["completion_tokens"], ids.len());
    assert!(!text(&whole).is_empty());

    let mut streamed = ask.clone();
    streamed["stream_options"] = json!({"include_usage": true});
    let chunks = worker.stream(streamed).await.rest().await;
    assert_eq!(joined(&chunks), text(&whole));
    assert!(chunks.len() > 5, "{chunks:#?}");
    let [.., end, usage] = chunks.as_slice() else { panic!("{chunks:#?}") };
    assert_eq!(end["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    assert_eq!(end["choices"][0]["token_ids"], whole["choices"][0]["token_ids"]);
    assert_eq!((&usage["choices"], &end["usage"]), (&json!([]), &Value::Null));
    assert_eq!(usage["usage"]["total_tokens"], whole["usage"]["total_tokens"]);

    // Without being asked for, there is no usage.
    let chunks = worker.stream(ask.clone()).await.rest().await;
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null() && !chunk["choices"].is_null()));

    let other = worker.complete(json!({"max_tokens": 40, "seed": 8})).await;
    assert_ne!(text(&other), text(&whole));
    let greedy = json!({"max_tokens": 40, "temperature": 0, "seed": 8});
    assert_eq!(text(&worker.complete(greedy.clone()).await), {
        let do_sample = json!({"max_tokens": 40, "do_sample": false});
        text(&worker.complete(do_sample).await).to_owned()
    });
}

#[tokio::test]
async fn prompts_are_texts_or_tokens_and_come_back_where_asked_for() {
    let worker = Worker::start(&[]).await;
    let (_, encoded) = worker.post("/tokenize", json!({"prompt": PROMPT})).await;
    let tokens = encoded["tokens"].clone();
    assert_eq!(encoded["count"], tokens.as_array().unwrap().len());
    assert_eq!(encoded["max_model_len"], 1024);
    let (_, decoded) = worker.post("/detokenize", json!({"tokens": tokens})).await;
    assert_eq!(decoded["prompt"], PROMPT);
    assert_eq!(decoded["content"], PROMPT);

    let ask = |prompt: Value| json!({"prompt": prompt, "max_tokens": 12, "seed": 3});
    let by_text = worker.complete(ask(json!([PROMPT]))).await;
    let by_tokens = worker.complete(ask(json!([tokens]))).await;
    assert_eq!(text(&by_text), text(&by_tokens));
    assert_eq!(by_tokens["usage"]["prompt_tokens"], encoded["count"]);

    let echo = json!({"max_tokens": 12, "seed": 3, "echo": true});
    let expected = format!("{PROMPT}{}", text(&by_text));
    assert_eq!(text(&worker.complete(echo.clone()).await), expected);
    assert_eq!(joined(&worker.stream(echo).await.rest().await), expected);
}

#[tokio::test]
async fn stops_end_a_text_and_none_of_them_is_seen() {
    let worker = Worker::start(&[]).await;
    let ask = |more: Value| {
        let mut ask = json!({"max_tokens": 40, "seed": 7});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask
    };
    let whole = worker.complete(ask(json!({}))).await;
    let whole = text(&whole);
    // From the middle, across what may be a token's border.
    let at = whole.floor_char_boundary(whole.len() / 2);
    let stop = &whole[at..whole.ceil_char_boundary(at + 6)];
    let expected = &whole[..whole.find(stop).unwrap()];
    for name in ["stop", "stopping_strings", "stop_sequence"] {
        let stopped = worker.complete(ask(json!({name: [stop, "never seen"]}))).await;
        assert_eq!(text(&stopped), expected, "{name}");
        assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
        assert_eq!(stopped["choices"][0]["stop_reason"], stop);
    }
    let chunks = worker.stream(ask(json!({"stop": stop}))).await.rest().await;
    assert_eq!(joined(&chunks), expected);
    assert_eq!(chunks.last().unwrap()["choices"][0]["stop_reason"], stop);
}

#[tokio::test]
async fn whoever_goes_away_frees_the_engine() {
    let worker = Worker::start(&[]).await;
    let long = json!({"max_tokens": 800, "ignore_eos": true});
    let mut events = worker.stream(long.clone()).await;
    events.next().await.unwrap();
    worker.until_running(1.0).await;
    drop(events);
    let took = worker.until_running(0.0).await;
    assert!(took < Duration::from_secs(3), "{took:?}");

    // And whoever waits for the whole.
    let mut body = long;
    body["prompt"] = json!(PROMPT);
    let request = worker.request(Method::POST, "/v1/completions").json(&body).send();
    let waiting = tokio::spawn(request);
    worker.until_running(1.0).await;
    waiting.abort();
    let took = worker.until_running(0.0).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let log = worker.log();
    assert_eq!(log.matches("abandoned").count(), 2, "{log}");
}

#[tokio::test]
async fn what_is_ignored_is_told_and_what_pools_want_is_exact() {
    let worker = Worker::start(&[]).await;
    let body = json!({"prompt": PROMPT, "max_tokens": 4, "smoothing_factor": 0.3, "what": "ever"});
    let request = worker.request(Method::POST, "/v1/completions").json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-dramatis-ignored"], "smoothing_factor");

    let ours = json!({"sampler": {"temperature": 0.0}, "trim_start_space": true});
    let ask = json!({"max_tokens": 12, "dramatis": ours, "return_token_ids": true});
    let exact = worker.complete(ask).await;
    let plain = worker.complete(json!({"max_tokens": 12, "temperature": 0})).await;
    assert_eq!(text(&exact), text(&plain).trim_start());
    assert_eq!(exact["dramatis"]["finish_reason"], "length");
    assert_eq!(plain.get("dramatis"), None);

    // Nothing asked for: the prompt is made ready.
    let fresh = json!({"max_tokens": 0, "user": "ann", "dramatis": {}});
    let ready = worker.complete(fresh).await;
    assert_eq!((text(&ready), &ready["dramatis"]["finish_reason"]), ("", &json!("prefilled")));
    let next = worker.complete(json!({"max_tokens": 1, "user": "ann"})).await;
    assert!(next["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap() >= 64);
}

#[tokio::test]
async fn the_worker_tells_what_it_is() {
    let worker = Worker::start(&[]).await;
    let (status, health) = worker.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    let (_, models) = worker.get("/v1/models").await;
    let model = &models["data"][0];
    assert_eq!((&model["object"], &model["max_model_len"]), (&json!("model"), &json!(1024)));
    assert!(model["fingerprint"].as_str().is_some_and(|print| !print.is_empty()), "{model}");
    assert!(!model["id"].as_str().unwrap().contains('/'), "{model}");
    let (_, same) = worker.get(&format!("/v1/models/{}", model["id"].as_str().unwrap())).await;
    assert_eq!(&same, model);
    let (_, version) = worker.get("/version").await;
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    worker.complete(json!({"max_tokens": 2})).await;
    assert!(worker.number("dramatis_reply_tokens_total").await > 0.0);
    assert!(worker.number("dramatis_engine_blocks").await > 0.0);
    assert!(worker.number("dramatis_engine_cached_blocks").await > 0.0);
    assert_eq!(worker.number("dramatis_engine_waiting").await, 0.0);
}
