//! A completions server that says what it is told to, word by word, so that a test knows
//! what a model would have written. KoboldCpp's words, as these name every penalty.
//! What it says is a list, or made of what it is asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::answering::{Answering, read, whole};

/// The server, until it is dropped.
pub(crate) struct Script {
    server: Answering,
    state: Arc<State>,
}

struct State {
    /// What is said to a request.
    say: Box<dyn Fn(&Value) -> String + Send + Sync>,
    /// What was asked, but for prompts that were only to be read.
    asked: Mutex<Vec<Value>>,
}

impl Script {
    pub(crate) async fn start(replies: &[&str]) -> Self {
        let replies: VecDeque<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
        let replies = Mutex::new(replies);
        let next = move || replies.lock().unwrap().pop_front();
        Self::saying(move |_| next().expect("no more was to be asked")).await
    }

    /// One that makes what it says of what it is asked.
    pub(crate) async fn saying(say: impl Fn(&Value) -> String + Send + Sync + 'static) -> Self {
        let state = Arc::new(State { say: Box::new(say), asked: Mutex::default() });
        let shared = state.clone();
        let server = Answering::start(move |stream| answer(stream, shared.clone())).await;
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The bodies of the requests for replies so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.state.asked.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let (head, body) = read(&mut stream).await?;
    let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    match path.as_str() {
        "/v1/models" => {
            let card = json!({ "id": "script", "object": "model", "owned_by": "koboldcpp" });
            whole(&mut stream, "200 OK", &json!({ "object": "list", "data": [card] })).await
        }
        "/api/extra/true_max_context_length" => {
            whole(&mut stream, "200 OK", &json!({ "value": 1024 })).await
        }
        "/v1/completions" => complete(&mut stream, &state, serde_json::from_slice(&body)?).await,
        _ => whole(&mut stream, "404 Not Found", &json!({})).await,
    }
}

async fn complete(stream: &mut TcpStream, state: &State, body: Value) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    // One token is what a prompt is read for that is expected.
    let text = match body["max_tokens"] == 1 {
        true => "…".to_owned(),
        false => {
            let text = (state.say)(&body);
            state.asked.lock().unwrap().push(body);
            text
        }
    };
    for piece in text.split_inclusive([' ', '\n']) {
        event(stream, &json!({ "choices": [{ "index": 0, "text": piece }] })).await?;
        // As separate pieces, as a model's words are.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    event(stream, &json!({ "choices": [{ "index": 0, "text": "", "finish_reason": "stop" }] }))
        .await?;
    stream.write_all(b"data: [DONE]\n\n").await
}

async fn event(stream: &mut TcpStream, data: &Value) -> std::io::Result<()> {
    stream.write_all(format!("data: {data}\n\n").as_bytes()).await?;
    stream.flush().await
}
