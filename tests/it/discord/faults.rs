//! The bot is killed, cut off and refused at every step of posting. What people see
//! afterwards is the whole story, once and in order.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::support::discord::faults::{Fault, Pause, Trouble};
use crate::support::discord::people::Person;
use crate::support::discord::rates::Scope;
use crate::support::discord::refusal::Refusal;
use crate::support::discord::{ChannelId, Discord};

use super::scene::{replies, reply_after, reply_at_end};
use super::serve::{Home, PATIENCE, Serve};

/// A scene in a thread, its greeting shown.
struct Play {
    discord: Discord,
    home: Home,
    ann: Person,
    thread: ChannelId,
}

impl Play {
    async fn begin() -> (Self, Serve) {
        let discord = Discord::start().await;
        // Restarts come faster than a real bot's.
        discord.limits(|limits| limits.identify_window = Duration::ZERO);
        let guild = discord.guild("Skerry");
        let harbour = guild.text_channel("harbour");
        let ann = guild.member("ann");
        let home = Home::new().await;
        let serve = home.serve(&discord).await;
        let options = json!({ "character": "Tamsin", "length": "micro" });
        ann.command(harbour, "scene start", options).await.settled(PATIENCE).await;
        let thread = home.channel_of_newest_scene(harbour).await;
        reply_at_end(&discord, thread).await;
        (Self { discord, home, ann, thread }, serve)
    }

    /// Nothing lost, nothing doubled, nothing out of order: the channel shows the
    /// line, and every message of Ann's is answered once.
    async fn assert_whole(&self, messages: &[String], what: &str) {
        let line = self.home.line(self.thread).await;
        let seen: Vec<(String, String)> = self
            .discord
            .messages(self.thread)
            .into_iter()
            .filter(|message| message.kind == 0)
            .map(|message| (message.author, message.content))
            .collect();
        let said: Vec<&str> =
            line.iter().filter(|(who, _)| who == "Ann").map(|(_, text)| text.as_str()).collect();
        assert_eq!(said, messages, "{what}: every message is a turn, once");
        assert_eq!(line.len(), 1 + 2 * messages.len(), "{what}: each is answered once: {line:#?}");
        assert_eq!(
            seen.len(),
            line.len(),
            "{what}: every turn is shown once: {seen:#?}\n{line:#?}"
        );
        for (shown, (who, text)) in seen.iter().zip(&line) {
            assert_eq!((&shown.0, shown.1.trim()), (who, text.trim()), "{what}");
        }
    }
}

/// Where the bot is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after a message was written.
    AfterMs(u64),
    /// When the nth such request has arrived and nothing was done yet.
    Before(&'static str, usize),
    /// When the nth such request was done and not answered.
    After(&'static str, usize),
    /// When the edit that makes the reply final has arrived.
    BeforeFinal,
    /// When it was done and not answered.
    AfterFinal,
}

const EXECUTE: &str = "POST /webhooks/*/*";
const EDIT: &str = "PATCH /webhooks/*/*/messages/*";
const TYPING: &str = "POST /channels/*/typing";

impl Moment {
    const TWENTY: [Self; 20] = [
        Self::AfterMs(0),
        Self::AfterMs(50),
        Self::AfterMs(150),
        Self::AfterMs(300),
        Self::AfterMs(600),
        Self::AfterMs(900),
        Self::Before(TYPING, 1),
        Self::After(TYPING, 1),
        Self::Before(EXECUTE, 1),
        Self::After(EXECUTE, 1),
        Self::Before(EXECUTE, 1),
        Self::After(EXECUTE, 1),
        Self::Before(EDIT, 1),
        Self::After(EDIT, 1),
        Self::Before(EDIT, 2),
        Self::After(EDIT, 2),
        Self::BeforeFinal,
        Self::Before("GET /channels/*/webhooks", 1),
        Self::AfterFinal,
        Self::AfterMs(1_500),
    ];

    fn set(self, discord: &Discord) -> Option<Pause> {
        let pause = Pause::new();
        let before = || Trouble::PauseBefore(pause.clone());
        let after = || Trouble::PauseAfter(pause.clone());
        discord.fault(match self {
            Self::AfterMs(_) => return None,
            Self::Before(pattern, nth) => Fault::on(pattern, before()).nth(nth),
            Self::After(pattern, nth) => Fault::on(pattern, after()).nth(nth),
            Self::BeforeFinal => Fault::on(EDIT, before()).containing("Continue").nth(1),
            Self::AfterFinal => Fault::on(EDIT, after()).containing("Continue").nth(1),
        });
        Some(pause)
    }
}

/// The promise, at twenty moments.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_moments_every_reply_is_there_once() {
    let (play, mut serve) = Play::begin().await;
    let mut messages = Vec::new();
    let mut table = String::new();
    for (number, moment) in Moment::TWENTY.into_iter().enumerate() {
        let pause = moment.set(&play.discord);
        let before = replies(&play.discord, play.thread).pop().unwrap().id;
        let words = format!("This is message {number}.");
        play.ann.say(play.thread, &words);
        messages.push(words);
        match (moment, &pause) {
            (Moment::AfterMs(ms), _) => tokio::time::sleep(Duration::from_millis(ms)).await,
            (_, Some(pause)) => {
                // A short reply may have no second edit: then it is killed at its end.
                let reached = tokio::time::timeout(
                    Duration::from_secs(20),
                    pause.reached(Duration::from_secs(60)),
                );
                if reached.await.is_err() {
                    table += "  (not reached) ";
                }
            }
            _ => unreachable!("every other moment has a pause"),
        }
        serve.kill();
        play.discord.clear_faults();
        if let Some(pause) = pause {
            pause.release();
        }
        let shown = play.discord.messages(play.thread).len();
        serve = play.home.serve(&play.discord).await;
        reply_after(&play.discord, play.thread, before).await;
        let line = play.home.line_until(play.thread, |line| line.len() == 1 + 2 * messages.len());
        line.await;
        play.home.quiet().await;
        table += &format!(
            "{moment:?}: {shown} messages when killed, {} at the end\n",
            play.discord.messages(play.thread).len()
        );
        play.assert_whole(&messages, &format!("{moment:?}")).await;
    }
    print(&table);
    assert!(serve.stop().await.0.success());
}

/// Every fifth post is applied and its answer lost.
#[tokio::test(flavor = "multi_thread")]
async fn posts_whose_answer_is_lost_are_not_posted_again() {
    let (play, serve) = Play::begin().await;
    for (pattern, seed) in [(EXECUTE, 1), ("POST /channels/*/messages", 2)] {
        play.discord.fault(Fault::on(pattern, Trouble::CutAfter).chance(0.2, seed));
    }
    play.discord.fault(Fault::on(EXECUTE, Trouble::AppliedServerError(500)).chance(0.1, 3));
    play.discord.fault(Fault::on(EDIT, Trouble::CutAfter).chance(0.2, 4));
    let mut messages = Vec::new();
    for number in 0..15 {
        let before = replies(&play.discord, play.thread).pop().unwrap().id;
        let words = format!("This is message {number}.");
        play.ann.say(play.thread, &words);
        messages.push(words);
        reply_after(&play.discord, play.thread, before).await;
        play.home.quiet().await;
    }
    play.discord.clear_faults();
    play.assert_whole(&messages, "cut after").await;
    let cut = play.discord.requests().iter().filter(|entry| entry.status.is_none()).count();
    let posts = play.discord.requests().iter().filter(|entry| entry.method == "POST").count();
    print(&format!(
        "{cut} answers lost of {} requests, {posts} of them posts",
        play.discord.requests().len()
    ));
    assert!(cut > 0, "the fault has struck");
    assert!(serve.stop().await.0.success());
}

/// Where the bot speaks itself, Discord knows its posts by their nonces: one that was
/// killed over its placeholder, or lost its answer, posts once and says all of it.
#[tokio::test(flavor = "multi_thread")]
async fn without_webhooks_posts_are_known_again_by_their_nonces() {
    let (play, mut serve) = Play::begin().await;
    let refused = Trouble::Refuse(Refusal::of(50_013));
    play.discord.fault(Fault::on("POST /webhooks/**", refused.clone()));
    play.discord.fault(Fault::on("GET /channels/*/webhooks", refused.clone()));
    play.discord.fault(Fault::on("POST /channels/*/webhooks", refused));
    // The greeting is done with, by a webhook.
    play.home.quiet().await;
    play.home.kill_and_restart(&play.discord, &mut serve).await;
    let post = "POST /channels/*/messages";
    for number in 0..6 {
        let before = play.discord.messages(play.thread).pop().unwrap().id;
        let pause = Pause::new();
        let trouble = match number % 2 {
            0 => Trouble::PauseAfter(pause.clone()),
            _ => Trouble::CutAfter,
        };
        play.discord.fault(Fault::on(post, trouble).times(1));
        play.ann.say(play.thread, &format!("This is message {number}."));
        if number % 2 == 0 {
            pause.reached(PATIENCE).await;
            play.home.kill_and_restart(&play.discord, &mut serve).await;
            pause.release();
        }
        reply_after(&play.discord, play.thread, before).await;
        play.home.quiet().await;
    }
    let line = play.home.line(play.thread).await;
    assert_eq!(line.len(), 13, "{line:#?}");
    let seen = play.discord.messages(play.thread).into_iter().filter(|seen| seen.kind == 0);
    let seen: Vec<String> = seen.map(|seen| seen.content.trim().to_owned()).collect();
    let told: Vec<String> = line
        .iter()
        .enumerate()
        .map(|(number, (who, text))| match number {
            0 => text.trim().to_owned(),
            _ if who == "Ann" => text.clone(),
            _ => format!("**{who}**\n{}", text.trim()),
        })
        .collect();
    assert_eq!(seen, told, "every turn is shown once, and whole");
    assert!(serve.stop().await.0.success());
}

/// Refusals for too many requests, of every kind, at every turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_refusals_delays_and_loses_nothing() {
    let (play, serve) = Play::begin().await;
    for (scope, seed) in [(Scope::User, 1), (Scope::Shared, 2), (Scope::Global, 3)] {
        let trouble = Trouble::RateLimit(scope, Duration::from_millis(300));
        play.discord.fault(Fault::on("POST /webhooks/**", trouble.clone()).chance(0.15, seed));
        play.discord.fault(Fault::on("PATCH /webhooks/**", trouble).chance(0.15, seed + 10));
    }
    let mut messages = Vec::new();
    for number in 0..8 {
        let before = replies(&play.discord, play.thread).pop().unwrap().id;
        let words = format!("This is message {number}.");
        play.ann.say(play.thread, &words);
        messages.push(words);
        reply_after(&play.discord, play.thread, before).await;
        play.home.quiet().await;
    }
    play.discord.clear_faults();
    let mut statuses: BTreeMap<Option<u16>, usize> = BTreeMap::new();
    for entry in play.discord.requests() {
        *statuses.entry(entry.status).or_default() += 1;
    }
    print(&format!("answers by status: {statuses:?}"));
    assert!(statuses.contains_key(&Some(429)), "the storm has struck");
    play.assert_whole(&messages, "storm").await;
    assert!(serve.stop().await.0.success());
}

/// A webhook that is deleted is made again; where none may be, the bot itself speaks.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_webhook_is_made_again_and_without_leave_the_bot_speaks() {
    let (play, serve) = Play::begin().await;
    let guild = play.ann.guild.clone();
    let first = replies(&play.discord, play.thread).pop().unwrap();
    guild.delete_webhook(first.webhook.unwrap());
    play.ann.say(play.thread, "Still there?");
    let second = reply_after(&play.discord, play.thread, first.id).await;
    assert!(second.webhook.is_some() && second.webhook != first.webhook, "{second:?}");
    play.home.quiet().await;
    let missing = Fault::on("POST /webhooks/**", Trouble::Refuse(Refusal::of(10_015)));
    play.discord.fault(missing.times(1));
    play.discord
        .fault(Fault::on("POST /channels/*/webhooks", Trouble::Refuse(Refusal::of(50_013))));
    play.discord.fault(Fault::on("GET /channels/*/webhooks", Trouble::Refuse(Refusal::of(50_013))));
    play.ann.say(play.thread, "And now?");
    let third = reply_after(&play.discord, play.thread, second.id).await;
    assert_eq!(third.webhook, None, "{third:?}");
    assert!(third.content.starts_with("**Tamsin**\n"), "{third:?}");
    assert!(serve.stop().await.0.success());
}

#[expect(clippy::print_stdout, reason = "the report of what was found")]
fn print(report: &str) {
    println!("{report}");
}
