//! A completion as server-sent events, while it is being written.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>; OpenAI ends a stream
//! with `data: [DONE]`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;

use super::backend::{End, Event};
use super::completions::Told;
use super::work::Work;
use crate::completions::{Choice, Completion};

/// How often a stream that has nothing to tell tells that it is alive, so that nobody on
/// the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The answer that tells a completion as it is written.
pub(super) fn respond(work: Work, told: Told) -> Response {
    let mut telling = Telling { work, told, queue: VecDeque::new(), is_over: false };
    if let Some(echo) = telling.told.echo.take() {
        telling.text(echo);
    }
    let events = stream::unfold(telling, async |mut telling| {
        let bytes = telling.next().await?;
        Some((Ok::<_, Infallible>(bytes), telling))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would keep the events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Telling {
    work: Work,
    told: Told,
    /// Events that are ready.
    queue: VecDeque<Bytes>,
    is_over: bool,
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.queue.pop_front() {
                return Some(bytes);
            }
            if self.is_over {
                return None;
            }
            match tokio::time::timeout(KEEP_ALIVE, self.work.next()).await {
                Err(_) => self.queue.push_back(Bytes::from_static(b": still here\n\n")),
                Ok(Some(Ok(Event::Text(text)))) => self.text(text),
                Ok(Some(Ok(Event::End(end)))) => self.end(*end),
                // The status is on its way already: the error is an event.
                Ok(Some(Err(refusal))) => {
                    self.event(&refusal.body());
                    self.done();
                }
                Ok(None) => self.is_over = true,
            }
        }
    }

    fn text(&mut self, text: String) {
        let choice = Choice { text, ..Choice::default() };
        let chunk = self.told.completion(vec![choice], None);
        self.event(&chunk);
    }

    fn end(&mut self, end: End) {
        let usage = end.usage;
        let (choice, receipt) = self.told.choice(String::new(), end);
        let chunk = Completion { dramatis: receipt, ..self.told.completion(vec![choice], None) };
        self.event(&chunk);
        if self.told.includes_usage {
            let chunk = self.told.completion(Vec::new(), Some(usage));
            self.event(&chunk);
        }
        self.done();
    }

    fn done(&mut self) {
        self.queue.push_back(Bytes::from(format!("data: {}\n\n", Completion::DONE)));
        self.is_over = true;
    }

    fn event(&mut self, body: &impl Serialize) {
        // JSON has no line break of its own, so one line holds it.
        let json = serde_json::to_string(body).expect("the protocol's nouns are JSON");
        self.queue.push_back(Bytes::from(format!("data: {json}\n\n")));
    }
}
