//! Replies as they appear in a channel.
//!
//! While a reply is written a painter of its own shows it, at a pace that the
//! channel bears: typing first, then a placeholder that grows. The engine never
//! waits for it. Once the text is stored, the messages are made what they are to
//! be, exactly once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::api::{ApiError, Mentions, Payload};
use super::bot::Bot;
use super::controls::Standing;
use super::posting::{Buttons, Part, Post, PostError, Poster, Surplus};
use super::shown::{self, LineTurn};
use super::split;
use crate::chat::{
    ChatError, FinishedReply, ReplyReceipt, ReplySink, ReplyStart, SinkError, Stage,
};
use crate::domain::{Scene, SwipeOrigin, Turn, TurnId};
use crate::store::{Line, OutboxMessage, PostOwner, StoreError, Surroundings};

/// What a message may hold of a story, in Discord's characters: its own limit less
/// the line that names a character who speaks as the bot.
pub(super) const MAX_PART: usize = 1_900;
/// Discord shows somebody typing for ten seconds.
const TYPING_AGAIN: Duration = Duration::from_secs(8);
/// How many turns of a line are compared with what is shown.
const COMPARED_TURNS: u32 = 200;

/// Discord as the jobs see it.
#[derive(Clone)]
pub struct DiscordStage(pub(super) Arc<Bot>);

impl Stage for DiscordStage {
    type Sink = ChannelSink;

    fn sink(&self, scene: &Scene) -> ChannelSink {
        ChannelSink { bot: self.0.clone(), scene: scene.clone(), painter: None }
    }
}

/// Shows one reply in the channel of its scene.
pub struct ChannelSink {
    bot: Arc<Bot>,
    scene: Scene,
    painter: Option<Painter>,
}

/// What shows a reply while it is written.
struct Painter {
    text: watch::Sender<String>,
    task: JoinHandle<Vec<Post>>,
}

impl Painter {
    fn start(bot: Arc<Bot>, scene: Scene, start: ReplyStart) -> Self {
        let (text, seen) = watch::channel(start.standing_text.clone());
        Self { text, task: tokio::spawn(paint(bot, scene, start, seen)) }
    }

    /// Lets it end what it is at; gives the messages that it knows.
    async fn end(self) -> Vec<Post> {
        drop(self.text);
        self.task.await.unwrap_or_default()
    }
}

impl ReplySink for ChannelSink {
    async fn surroundings(&mut self) -> Result<Option<Surroundings>, SinkError> {
        let Scene { guild_id, id, channel, .. } = &self.scene;
        let later = |error: &dyn std::fmt::Display| SinkError {
            reason: format!("where the scene stands is not known: {error}"),
            retry: true,
        };
        let known = self.bot.chat.store().get_surroundings(*guild_id, *id).await;
        // What may be read by anybody may be read by adults.
        if !known.map_err(|error| later(&error))?.age_restricted {
            return Ok(None);
        }
        let channel = channel.parse().map_err(|error| later(&error))?;
        let found = self.bot.surroundings(channel, true).await;
        Ok(Some(found.map_err(|error| later(&error))?))
    }

    async fn begin(&mut self, start: &ReplyStart) {
        let painter = Painter::start(self.bot.clone(), self.scene.clone(), start.clone());
        self.painter = Some(painter);
    }

    async fn update(&mut self, text: &str) {
        if let Some(painter) = &self.painter {
            painter.text.send_replace(text.to_owned());
        }
    }

    async fn begin_anew(&mut self) {
        // The next update takes the place of what is shown.
    }

    async fn finish(&mut self, reply: &FinishedReply) -> Result<(), SinkError> {
        let painted = self.end_painter().await;
        let finished = self.make_final(reply, painted).await;
        Ok(self.rest_where_lost(finished).await?)
    }

    async fn fail(&mut self, notice: &str) {
        self.withdraw().await;
        if let Err(error) = self.tell(notice).await {
            tracing::warn!(error.kind = error.kind(), "discord.notice.lost");
        }
    }

    async fn withdraw(&mut self) {
        if self.painter.is_some() {
            self.end_painter().await;
            self.ask_show().await;
        }
    }

    async fn redraw(&mut self) -> Result<(), SinkError> {
        let redrawn = self.bring_in_line().await;
        Ok(self.rest_where_lost(redrawn).await?)
    }
}

/// Why nobody could be told that a scene rests.
#[derive(Debug, thiserror::Error)]
enum RestError {
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The messages that a turn is shown as.
fn parts(turn: &Turn, is_latest: bool) -> Vec<Part> {
    let mut parts = plain_parts(&turn.swipe.text);
    if let Some(last) = parts.last_mut().filter(|_| is_latest) {
        last.buttons = Buttons::Latest(Standing {
            outbox: 0,
            turn: turn.id,
            ordinal: turn.swipe.ordinal,
            num_swipes: turn.num_swipes,
            is_greeting: turn.parent.is_none() && turn.swipe.origin == SwipeOrigin::Greeting,
            length: ReplyReceipt::of(&turn.swipe).and_then(|receipt| receipt.length),
        });
    }
    parts
}

fn plain_parts(text: &str) -> Vec<Part> {
    let parts = split::split(text, MAX_PART).into_iter();
    parts.map(|content| Part { content, buttons: Buttons::None }).collect()
}

impl ChannelSink {
    async fn end_painter(&mut self) -> Vec<Post> {
        match self.painter.take() {
            Some(painter) => painter.end().await,
            None => Vec::new(),
        }
    }

    async fn poster(&self) -> Result<Poster, PostError> {
        let Scene { guild_id, id, channel, .. } = &self.scene;
        Poster::new(self.bot.clone(), *guild_id, *id, channel).await
    }

    /// Makes the messages of a reply what they are to be.
    async fn make_final(&self, reply: &FinishedReply, painted: Vec<Post>) -> Result<(), PostError> {
        let guild = self.scene.guild_id;
        let turn = &reply.turn;
        self.bot.chat.store().bind_outbox(guild, reply.job, turn.id, turn.swipe.id).await?;
        let poster = self.poster().await?;
        let scene = self.bot.chat.scene(guild, self.scene.id).await;
        let is_latest = scene.is_ok_and(|scene| scene.head == Some(turn.id));
        self.show(&poster, turn, is_latest, painted).await?;
        if is_latest {
            self.strip_others(&poster, turn.id).await?;
        }
        Ok(())
    }

    /// Where nothing can be said any more nobody asks again and again: the scene
    /// rests until somebody resumes it, and the guild's moderators are told why.
    async fn rest_where_lost(&self, done: Result<(), PostError>) -> Result<(), PostError> {
        let Err(PostError::Api(error)) = &done else { return done };
        let reason = match error {
            error if error.is_locked() => "its thread is locked".to_owned(),
            ApiError::Forbidden { .. } => format!("I may not speak there any more ({error})"),
            ApiError::NotFound { .. } => "its channel is gone".to_owned(),
            _ => return done,
        };
        let Scene { guild_id, id, channel, .. } = &self.scene;
        tracing::warn!(scene.id = id.0, error.kind = error.kind(), "discord.scene.rests");
        let told = async {
            self.bot.chat.pause_scene(*guild_id, *id).await?;
            let detail = json!({ "scene": id, "error": error.kind() });
            let store = self.bot.chat.store();
            store.insert_audit(*guild_id, None, "scene.pause", &detail).await?;
            let settings = store.get_guild_settings(*guild_id).await?;
            let notice = format!("<#{channel}> is paused: {reason}. /scene resume plays on.");
            if let Some(reports) = settings.reports_channel.and_then(|id| id.parse().ok()) {
                let payload = Payload::new(notice, Mentions::NONE)?.without_embeds();
                self.bot.api.create_message(reports, &payload, None).await?;
            }
            Ok::<(), RestError>(())
        };
        if let Err(error) = told.await {
            tracing::warn!(%error, "discord.scene.rests_untold");
        }
        done
    }

    /// Makes the messages of a turn show its text. `known` are those whose present
    /// look this process remembers.
    async fn show(
        &self,
        poster: &Poster,
        turn: &Turn,
        is_latest: bool,
        known: Vec<Post>,
    ) -> Result<(), PostError> {
        let store = self.bot.chat.store();
        let guild = self.scene.guild_id;
        let rows = store.list_turn_outbox(guild, turn.id).await?;
        let shown = |row: &OutboxMessage| {
            known.iter().find(|post| post.row.id == row.id).and_then(|post| post.shown.clone())
        };
        let posts = rows.into_iter().map(|row| Post { shown: shown(&row), row }).collect();
        let speaker = self.bot.speaker(guild, &turn.speaker).await?;
        let owner = PostOwner::Turn(turn.id, turn.swipe.id);
        let parts = parts(turn, is_latest);
        let settled = poster.settle(owner, &speaker, posts, &parts, Surplus::Remove).await?;
        for (post, part) in settled.iter().zip(&parts) {
            let has_controls = part.buttons != Buttons::None;
            store.set_outbox_shown(guild, post.row.id, Some(turn.swipe.id), has_controls).await?;
        }
        Ok(())
    }

    /// Only the latest reply has buttons.
    async fn strip_others(&self, poster: &Poster, latest: TurnId) -> Result<(), PostError> {
        let posts = self.bot.chat.store().list_scene_outbox(self.scene.guild_id, self.scene.id);
        for post in posts.await? {
            if post.has_controls && post.turn.is_some() && post.turn != Some(latest) {
                poster.strip(&post).await?;
            }
        }
        Ok(())
    }

    /// Makes the channel show what stands in the scene.
    async fn bring_in_line(&self) -> Result<(), PostError> {
        let store = self.bot.chat.store();
        let Scene { guild_id: guild, id: scene, .. } = self.scene;
        // Before anything is looked at: a change in between makes it stale again.
        store.set_fresh(guild, scene).await?;
        let newest = Line { limit: Some(COMPARED_TURNS), ..Line::default() };
        let line = store.list_line(guild, scene, newest).await?;
        let posts = store.list_scene_outbox(guild, scene).await?;
        let abandoned = self.abandoned(&posts).await?;
        let turns: Vec<LineTurn> = line.iter().map(LineTurn::from).collect();
        let is_whole = line.first().is_none_or(|turn| turn.parent.is_none());
        let todo = shown::compare(&turns, is_whole, &posts, &abandoned);
        let poster = self.poster().await?;
        let row = |id: i64| posts.iter().find(|post| post.id == id);
        for post in todo.remove.iter().filter_map(|&id| row(id)) {
            poster.remove(post).await?;
        }
        let latest = line.last().map(|turn| turn.id);
        for id in todo.rewrite.iter().chain(&todo.post) {
            if let Some(turn) = line.iter().find(|turn| turn.id == *id) {
                self.show(&poster, turn, latest == Some(turn.id), Vec::new()).await?;
            }
        }
        for post in todo.strip.iter().filter_map(|&id| row(id)) {
            poster.strip(post).await?;
        }
        Ok(())
    }

    /// Posts of no turn whose job will never give them one.
    async fn abandoned(&self, posts: &[OutboxMessage]) -> Result<HashSet<i64>, PostError> {
        let mut abandoned = HashSet::new();
        for post in posts.iter().filter(|post| post.turn.is_none()) {
            let job = match post.job {
                Some(job) => self.bot.chat.store().get_job(self.scene.guild_id, job).await?,
                None => None,
            };
            if job.is_none_or(|job| job.state.is_over()) {
                abandoned.insert(post.id);
            }
        }
        Ok(abandoned)
    }

    async fn ask_show(&self) {
        let Scene { guild_id, id, .. } = self.scene;
        if let Err(error) = self.bot.chat.ask_show(guild_id, id).await {
            // The scene is stale, which the next start looks for.
            tracing::warn!(error.kind = error.kind(), "discord.redraw.not_queued");
        }
    }

    /// Says something to the people of the scene that is no part of the story.
    async fn tell(&self, notice: &str) -> Result<(), ApiError> {
        let Ok(channel) = self.scene.channel.parse() else { return Ok(()) };
        let text = split::preview(&format!("-# ⚠ {notice}"), MAX_PART);
        let payload = Payload::new(text, Mentions::NONE)?.without_embeds();
        self.bot.api.create_message(channel, &payload, None).await.map(drop)
    }
}

/// Shows a reply while it grows, until nobody writes any more.
async fn paint(
    bot: Arc<Bot>,
    scene: Scene,
    start: ReplyStart,
    mut text: watch::Receiver<String>,
) -> Vec<Post> {
    let pace = bot.settings.stream_edit();
    let mut posts = Vec::new();
    let mut typing = interval(TYPING_AGAIN);
    typing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Instant::now() + pace;
    loop {
        tokio::select! {
            changed = text.changed() => {
                if changed.is_err() {
                    return posts;
                }
            }
            _ = typing.tick(), if posts.is_empty() => {
                if let Ok(channel) = scene.channel.parse() {
                    // A hint; nothing depends on it.
                    let _ = bot.api.typing(channel).await;
                }
                continue;
            }
        }
        if ends_before(&mut text, next).await {
            return posts;
        }
        let words = text.borrow_and_update().clone();
        if words.trim().is_empty() {
            continue;
        }
        match repaint(&bot, &scene, &start, &words, posts).await {
            Ok(painted) => {
                posts = painted;
                next = Instant::now() + pace;
            }
            Err(error) if error.is_transient() => {
                posts = Vec::new();
                next = Instant::now() + 4 * pace;
            }
            // Finishing the reply meets it again, and says so.
            Err(_) => return Vec::new(),
        }
    }
}

/// Waits for a moment; says whether the text came to its end before.
async fn ends_before(text: &mut watch::Receiver<String>, moment: Instant) -> bool {
    let ended = async { while text.changed().await.is_ok() {} };
    tokio::select! {
        () = ended => true,
        () = sleep_until(moment) => {
            text.mark_changed();
            false
        }
    }
}

/// Makes the placeholder show the words so far.
async fn repaint(
    bot: &Arc<Bot>,
    scene: &Scene,
    start: &ReplyStart,
    words: &str,
    known: Vec<Post>,
) -> Result<Vec<Post>, PostError> {
    let store = bot.chat.store();
    let poster = Poster::new(bot.clone(), scene.guild_id, scene.id, &scene.channel).await?;
    let speaker = bot.speaker(scene.guild_id, &start.speaker).await?;
    let (owner, rows) = match start.replaces {
        Some((turn, swipe)) => {
            (PostOwner::Turn(turn, swipe), store.list_turn_outbox(scene.guild_id, turn).await?)
        }
        None => {
            (PostOwner::Job(start.job), store.list_job_outbox(scene.guild_id, start.job).await?)
        }
    };
    let mut posts = known;
    if posts.is_empty() {
        // What stood there is about to be written over.
        for row in rows.iter().filter(|row| row.turn.is_some()) {
            store.set_outbox_shown(scene.guild_id, row.id, None, row.has_controls).await?;
        }
        posts = rows.into_iter().map(Post::from).collect();
    }
    let mut parts = plain_parts(words);
    if let Some(last) = parts.last_mut() {
        last.content = split::preview(&last.content, MAX_PART);
        last.buttons = Buttons::Writing(start.job);
    }
    poster.settle(owner, &speaker, posts, &parts, Surplus::Keep).await
}
