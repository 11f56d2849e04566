//! One round: each channel gets a person's turn, and its reply is waited for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;

use super::super::super::progress::Counted;
use super::house::{Channel, Running};
use super::stage::Shown;
use crate::chat::{Chat, Message, ReplyReceipt, Timings};
use crate::domain::SceneId;

/// One reply as a front end saw it, and as the engine accounted for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    /// From the person's turn to the first words.
    pub(super) first: Duration,
    /// From the person's turn to the end.
    pub(super) whole: Duration,
    /// The service's own accounts.
    pub(super) timings: Timings,
}

/// All replies of a round.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) replies: Vec<Reply>,
    /// From the first turn to the last reply's end.
    pub(super) took: Duration,
}

/// A turn that waits for its reply.
struct Pending {
    posted_at: Instant,
    first_at: Option<Instant>,
}

/// What is posted in a round.
pub(super) struct Plan {
    pub(super) number: usize,
    pub(super) turn_tokens: usize,
    pub(super) reply_tokens: usize,
    /// To all channels at once, and not to one after another.
    pub(super) together: bool,
}

impl Running {
    /// Plays one round.
    ///
    /// # Errors
    /// A reply is given up or comes too short, or the database fails.
    pub(super) async fn play(
        &mut self,
        channels: &mut [Channel],
        plan: &Plan,
        progress: &Counted,
    ) -> anyhow::Result<Round> {
        let tokenizer = self.chat().pool().tokenizer();
        let texts: Vec<_> = channels
            .iter_mut()
            .map(|channel| channel.prose.of_tokens(plan.turn_tokens, &tokenizer))
            .collect();
        let turns: Vec<_> = channels.iter().zip(&texts).collect();
        let at_once = if plan.together { turns.len() } else { 1 };
        let mut replies = Vec::new();
        let started_at = Instant::now();
        for group in turns.chunks(at_once.max(1)) {
            let chat = self.chat().clone();
            let posts = group.iter().map(|(channel, text)| post(&chat, channel, plan.number, text));
            let pending = try_join_all(posts).await?.into_iter().collect();
            self.wait_for(pending, plan, &mut replies, progress).await?;
        }
        Ok(Round { replies, took: started_at.elapsed() })
    }

    async fn wait_for(
        &mut self,
        mut pending: HashMap<SceneId, Pending>,
        plan: &Plan,
        replies: &mut Vec<Reply>,
        progress: &Counted,
    ) -> anyhow::Result<()> {
        while !pending.is_empty() {
            let event = self.events.recv().await;
            let (scene, shown) = event.context(
                "the service ended before its replies did; the same with -v shows its log",
            )?;
            match shown {
                Shown::First(at) => {
                    pending.entry(scene).and_modify(|turn| {
                        turn.first_at.get_or_insert(at);
                    });
                }
                Shown::Finished(at, reply) => {
                    let Some(turn) = pending.remove(&scene) else { continue };
                    let receipt = ReplyReceipt::of(&reply.turn.swipe).context(
                        "a reply came without its receipt, which is a bug of ours; please report it",
                    )?;
                    let timings = receipt.timings;
                    check_length(&timings, &receipt.finish, plan)?;
                    let first_at = turn.first_at.unwrap_or(at);
                    replies.push(Reply {
                        first: first_at - turn.posted_at,
                        whole: at - turn.posted_at,
                        timings,
                    });
                    progress.advance();
                }
                Shown::Failed(notice) => {
                    bail!("a reply of round {} was given up: {notice}", plan.number)
                }
            }
        }
        Ok(())
    }
}

/// Figures of replies compare only where all are as long as asked.
fn check_length(timings: &Timings, finish: &str, plan: &Plan) -> anyhow::Result<()> {
    let (written, asked) = (timings.num_generated_tokens, plan.reply_tokens);
    // The service asks for no more than what the prompt leaves of the context.
    let why = if finish == "length" { "the context had no more room" } else { finish };
    ensure!(
        written >= asked,
        "a reply of round {} ended after {written} of {asked} tokens ({why}), behind a prompt of {}: \
         ask for fewer --reply-tokens or --history-tokens, or set a larger model.context_tokens",
        plan.number,
        timings.num_prompt_tokens
    );
    Ok(())
}

async fn post(
    chat: &Chat,
    channel: &Channel,
    number: usize,
    text: &str,
) -> anyhow::Result<(SceneId, Pending)> {
    let scene = &channel.scene;
    let posted_at = Instant::now();
    let message = Message {
        guild: scene.guild_id,
        scene: scene.id,
        author: &channel.author,
        external_id: format!("{}-{number}", scene.channel),
        text,
        answer: None,
    };
    chat.accept_turn(message).await.context("a turn of so many --turn-tokens was refused")?;
    Ok((scene.id, Pending { posted_at, first_at: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_too_short_says_why() {
        let plan = Plan { number: 2, turn_tokens: 48, reply_tokens: 32, together: false };
        let timings = |num_generated_tokens| Timings { num_generated_tokens, ..Timings::default() };
        check_length(&timings(32), "length", &plan).unwrap();
        let error = check_length(&timings(31), "eos", &plan).unwrap_err().to_string();
        assert!(error.contains("round 2 ended after 31 of 32 tokens (eos)"), "{error}");
    }
}
