//! How far a growing reply is cleared: nothing is shown that was not classified, and the
//! words go on coming meanwhile.

use std::future::Future;
use std::pin::Pin;

use super::library::Rules;

/// How much more there is to be before the classifier is asked again, in bytes.
const STEP_BYTES: usize = 240;

/// The question that is being asked.
struct Question<'a> {
    /// How many bytes of the reply it is about.
    len: usize,
    answer: Pin<Box<dyn Future<Output = bool> + Send + 'a>>,
}

/// How far one growing reply is cleared.
pub(super) struct Clearance<'a> {
    rules: &'a Rules,
    cleared: usize,
    asked: Option<Question<'a>>,
    /// Whether nothing more is shown before all of it is judged.
    is_closed: bool,
}

impl<'a> Clearance<'a> {
    pub(super) fn new(rules: &'a Rules) -> Self {
        Self { rules, cleared: 0, asked: None, is_closed: false }
    }

    /// Up to where a reply may be shown, of which all of `ready` could be but for the
    /// classifier; asks for more where there is enough of it.
    pub(super) fn cleared(&mut self, ready: &str) -> usize {
        if !self.rules.has_classifier() {
            return ready.len();
        }
        let may_ask = self.asked.is_none() && !self.is_closed;
        if may_ask && ready.len() >= self.cleared + STEP_BYTES {
            let (rules, text) = (self.rules, ready.to_owned());
            let answer = Box::pin(async move { rules.clears(&text).await });
            self.asked = Some(Question { len: ready.len(), answer });
        }
        self.cleared.min(ready.len())
    }

    /// Up to where it may be shown, once there is an answer; never where nothing is asked.
    /// Cancel-safe.
    pub(super) async fn answer(&mut self) -> usize {
        let Some(Question { len, answer }) = &mut self.asked else {
            return std::future::pending().await;
        };
        match answer.await {
            true => self.cleared = *len,
            false => self.is_closed = true,
        }
        self.asked = None;
        self.cleared
    }
}
