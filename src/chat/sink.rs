//! Where a reply appears while it is made: the one call that goes upward.
//!
//! The chat room knows no platform; each front end implements these traits.

use std::future::Future;

use crate::domain::{JobId, Scene, Speaker, SwipeId, Turn, TurnId};
use crate::store::Surroundings;

/// A front end as the jobs see it: somewhere to show the replies of its scenes.
pub trait Stage: Clone + Send + Sync + 'static {
    /// What shows one reply.
    type Sink: ReplySink;

    /// A place for a reply in `scene`.
    fn sink(&self, scene: &Scene) -> Self::Sink;
}

/// Shows one reply. Calls come in order: `begin`, any number of `update`s and `begin_anew`s, then
/// `finish`, `fail` or `withdraw`, or none of them where the reply is made again
/// later. After a crash `finish` may come first, or a second time for a reply whose
/// first showing nobody can vouch for; `job` tells that it is one.
///
/// `begin` and `update` return at once: a slow platform must not hold up the engine.
pub trait ReplySink: Send {
    /// Where the scene stands, asked anew, for a text that is about to be shown; `None`
    /// where nothing can have changed.
    ///
    /// # Errors
    /// It could not be found out; the job decides whether to try again.
    fn surroundings(
        &mut self,
    ) -> impl Future<Output = Result<Option<Surroundings>, SinkError>> + Send;

    /// Somebody starts to speak.
    fn begin(&mut self, start: &ReplyStart) -> impl Future<Output = ()> + Send;

    /// The text so far is `text`; the last update had a prefix of it.
    fn update(&mut self, text: &str) -> impl Future<Output = ()> + Send;

    /// What was shown of the text does not count: it is written anew, from what already
    /// stood. Returns at once.
    fn begin_anew(&mut self) -> impl Future<Output = ()> + Send;

    /// The text is final and stored.
    ///
    /// # Errors
    /// What kept it from being shown; the job decides whether to try again.
    fn finish(
        &mut self,
        reply: &FinishedReply,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// There will be no text; `notice` says why, in words for the person.
    fn fail(&mut self, notice: &str) -> impl Future<Output = ()> + Send;

    /// The reply was called off: whatever was shown of it goes.
    fn withdraw(&mut self) -> impl Future<Output = ()> + Send;

    /// What stands in the scene was changed: brings what is shown in line with it.
    /// For front ends whose words stay where they were put.
    ///
    /// # Errors
    /// What kept it from being shown; the job decides whether to try again.
    fn redraw(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// The beginning of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyStart {
    /// The job that makes it.
    pub job: JobId,
    /// Who speaks.
    pub speaker: Speaker,
    /// The turn that gets another text, with the one that stands; `None` for a new
    /// turn.
    pub replaces: Option<(TurnId, SwipeId)>,
    /// What already stands, when a reply is continued; empty otherwise.
    pub standing_text: String,
}

/// A reply whose text is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedReply {
    /// The job that made it.
    pub job: JobId,
    /// The turn that holds it; its swipe is the reply.
    pub turn: Turn,
}

/// A reply could not be shown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct SinkError {
    /// Why.
    pub reason: String,
    /// Whether a later try may succeed.
    pub retry: bool,
}
