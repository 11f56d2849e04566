//! A server with OpenAI's moderation endpoint that tells texts by words it was given, and
//! fails as it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answering::{Answering, read, whole};

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With status 500.
    Broken,
    /// It never answers.
    Hangs,
    /// It answers something else.
    Garbage,
}

/// The server, until it is dropped.
pub(crate) struct Classes {
    server: Answering,
    state: Arc<State>,
}

struct State {
    /// Words, each with the category of texts that have it.
    words: Vec<(&'static str, &'static str)>,
    fault: Mutex<Option<Fault>>,
    /// While it is up no answer comes.
    held: watch::Sender<bool>,
    asked: watch::Sender<Vec<String>>,
    headers: Mutex<String>,
}

impl Classes {
    pub(crate) async fn start(words: &[(&'static str, &'static str)]) -> Self {
        let state = Arc::new(State {
            words: words.to_vec(),
            fault: Mutex::default(),
            held: watch::Sender::new(false),
            asked: watch::Sender::default(),
            headers: Mutex::default(),
        });
        let shared = state.clone();
        let server = Answering::start(move |stream| answer(stream, shared.clone())).await;
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        *self.state.fault.lock().unwrap() = fault;
    }

    pub(crate) fn hold(&self, is_held: bool) {
        self.state.held.send_replace(is_held);
    }

    /// The texts that it was shown so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.borrow().clone()
    }

    /// Waits until it was shown that text.
    pub(crate) async fn until_asked(&self, text: &str) {
        let mut asked = self.state.asked.subscribe();
        let shown = asked.wait_for(|asked| asked.iter().any(|it| it == text));
        let shown = tokio::time::timeout(Duration::from_secs(60), shown).await;
        shown.expect("it is asked in time").unwrap();
    }

    /// What the last request began with, in lower case.
    pub(crate) fn headers(&self) -> String {
        self.state.headers.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let (head, body) = read(&mut stream).await?;
    if !head.starts_with("post /v1/moderations ") {
        return whole(&mut stream, "404 Not Found", &json!({})).await;
    }
    *state.headers.lock().unwrap() = head;
    let question: Value = serde_json::from_slice(&body)?;
    let texts: Vec<String> = serde_json::from_value(question["input"].clone())?;
    state.asked.send_modify(|asked| asked.extend(texts.iter().cloned()));
    let mut held = state.held.subscribe();
    // The server is gone where this fails.
    let _ = held.wait_for(|is_held| !is_held).await;
    let fault = *state.fault.lock().unwrap();
    match fault {
        Some(Fault::Broken) => {
            whole(&mut stream, "500 Internal Server Error", &json!({ "error": texts })).await
        }
        Some(Fault::Hangs) => std::future::pending().await,
        Some(Fault::Garbage) => {
            whole(&mut stream, "200 OK", &json!({ "results": [{ "flagged": false }] })).await
        }
        None => {
            let results: Vec<Value> = texts.iter().map(|text| state.result(text)).collect();
            let answer = json!({ "id": "modr-1", "model": "test", "results": results });
            whole(&mut stream, "200 OK", &answer).await
        }
    }
}

impl State {
    fn result(&self, text: &str) -> Value {
        let mut scores = json!({ "sexual": 0.01, "sexual/minors": 0.01, "violence": 0.2 });
        for (_, category) in self.words.iter().filter(|(word, _)| text.contains(word)) {
            scores[*category] = json!(if *category == "sexual/minors" { 0.3 } else { 0.9 });
        }
        json!({ "flagged": false, "categories": {}, "category_scores": scores })
    }
}
