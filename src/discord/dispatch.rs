//! From an interaction to what it asks for, and the answer back.
//!
//! Acknowledged first, whatever the database or the model are doing: Discord gives
//! three seconds. Then it is done, and the answer replaces the acknowledgement. Only
//! forms and completions are answered at once, since nothing may come before them;
//! they get a deadline instead. One delivered twice is acknowledged once, and only
//! what was acknowledged is done.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::api::{ApiError, Choice, Response};
use super::bot::Bot;
use super::call::{Answer, Call, FormSheet, Refusal};
use super::commands::{self, Verb, complete};
use super::custom_id::CustomId;
use super::interaction::{Data, Handle, Interaction};
use super::{answering, components, consent, menus, modals, scenes};
use crate::chat::ChatError;
use crate::telemetry::metrics;

/// The most interactions that are worked on at once.
const MAX_AT_ONCE: usize = 64;
/// The most ids that are remembered to know a second delivery by.
const MAX_REMEMBERED: usize = 2_048;
/// How long a completion may take. People type on meanwhile.
const COMPLETE_WITHIN: Duration = Duration::from_millis(1_500);
/// How long the words that a form begins with may take to be found.
const FORM_WITHIN: Duration = Duration::from_millis(1_800);
/// How long an interaction can be answered: 15 minutes, less what an answer takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(14 * 60 + 30);
/// Discord waits three seconds for an acknowledgement.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(2_900);
/// How often an acknowledgement is tried whose end nobody saw.
const MAX_ACKS: usize = 3;

/// Discord: it was acknowledged before.
const ALREADY_ACKNOWLEDGED: u32 = 40_060;
/// Discord: it does not know the interaction, or not any more.
const UNKNOWN_INTERACTION: u32 = 10_062;

/// Everything that is being answered.
pub(super) struct Desk {
    places: Semaphore,
    seen: Mutex<VecDeque<u64>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { places: Semaphore::new(MAX_AT_ONCE), seen: Mutex::default() }
    }
}

impl Desk {
    /// Whether this is the first delivery of an interaction to this process.
    fn is_first(&self, id: u64) -> bool {
        let mut seen = self.seen.lock().expect("nothing panics here");
        if seen.contains(&id) {
            return false;
        }
        if seen.len() == MAX_REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(id);
        true
    }
}

/// How an interaction is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// That somebody is there.
    Pong,
    /// With words that complete what is typed.
    Complete,
    /// With a form.
    Form,
    /// Later, with words that only the person sees.
    Words,
    /// By what changes in the channel.
    Quietly,
    /// That it is not known here.
    Unknown,
}

fn plan(data: &Data) -> Plan {
    match data {
        Data::Ping => Plan::Pong,
        Data::Typing { .. } => Plan::Complete,
        Data::Command(command) => match Verb::of(command) {
            None => Plan::Unknown,
            Some(verb) if verb.opens_form(&command.options) => Plan::Form,
            Some(_) => Plan::Words,
        },
        Data::Menu { name, .. } => match menus::Entry::of(name) {
            None => Plan::Unknown,
            Some(entry) if entry.opens_form() => Plan::Form,
            Some(_) => Plan::Words,
        },
        Data::Button { custom_id } => match CustomId::parse(custom_id) {
            None => Plan::Unknown,
            Some(id) if components::opens_form(id) => Plan::Form,
            Some(_) => Plan::Quietly,
        },
        Data::Form { custom_id, .. } => match CustomId::parse(custom_id) {
            Some(CustomId::Form(_)) => Plan::Words,
            _ => Plan::Unknown,
        },
        Data::Unknown => Plan::Unknown,
    }
}

/// Answers an interaction and does what it asks for; returns when that is over.
pub(super) async fn interaction(bot: Arc<Bot>, raw: Value) {
    let Some(asked) = Interaction::read(&raw) else {
        bot.chat.metrics().count(metrics::INTERACTIONS, "unreadable", 1);
        tracing::warn!(kind = raw["type"].as_u64(), "discord.interaction.unreadable");
        if let Some(handle) = Handle::read(&raw) {
            refuse(&bot, &handle, "I could not read that. Nothing was done").await;
        }
        return;
    };
    if !bot.desk.is_first(asked.handle.id.get()) {
        bot.chat.metrics().count(metrics::INTERACTIONS, "duplicate", 1);
        return;
    }
    let Ok(_place) = bot.desk.places.try_acquire() else {
        bot.chat.metrics().count(metrics::INTERACTIONS, "busy", 1);
        refuse(&bot, &asked.handle, "Too much is asked at once. Try again in a moment").await;
        return;
    };
    let handle = asked.handle.clone();
    // A task of its own: our bug in one answer is told and ends nothing else.
    let outcome = match tokio::spawn(answer(bot.clone(), asked)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(panicked = error.is_panic(), "discord.interaction.broken");
            broken(&bot, &handle).await;
            "broken"
        }
    };
    bot.chat.metrics().count(metrics::INTERACTIONS, outcome, 1);
}

/// How it ended, as a label.
type Outcome = &'static str;

async fn answer(bot: Arc<Bot>, asked: Interaction) -> Outcome {
    match plan(&asked.data) {
        Plan::Pong => match acknowledge(&bot, &asked.handle, &Response::Pong).await {
            Ok(()) => "done",
            Err(_) => "unanswered",
        },
        Plan::Unknown => {
            let words = "That is from another version of me. Nothing was done; use the command \
                         again, or write /help";
            refuse(&bot, &asked.handle, words).await;
            "unknown"
        }
        Plan::Complete => {
            let found = timeout(COMPLETE_WITHIN, completions(&bot, &asked)).await;
            let choices = found.unwrap_or_default();
            match bot
                .api
                .respond(asked.handle.id, &asked.handle.token, &Response::Autocomplete(choices))
                .await
            {
                Ok(()) => "completed",
                Err(_) => "unanswered",
            }
        }
        Plan::Form => open_form(&bot, &asked).await,
        Plan::Words => do_with_words(bot, asked).await,
        Plan::Quietly => do_quietly(bot, asked).await,
    }
}

async fn completions(bot: &Arc<Bot>, asked: &Interaction) -> Vec<Choice> {
    let Data::Typing { command, option, typed } = &asked.data else { return Vec::new() };
    let found = async {
        let call = Call::new(bot.clone(), asked).await?;
        complete::complete(&call, command, option, typed).await
    };
    found.await.unwrap_or_else(|refusal| {
        log(&refusal);
        Vec::new()
    })
}

async fn open_form(bot: &Arc<Bot>, asked: &Interaction) -> Outcome {
    let sheet = async {
        let call = Call::new(bot.clone(), asked).await?;
        form(&call, &asked.data).await
    };
    match timeout(FORM_WITHIN, sheet).await {
        Ok(Ok(sheet)) => {
            let shown = acknowledge(bot, &asked.handle, &answering::modal(&sheet)).await;
            if shown.is_ok() { "form" } else { "unanswered" }
        }
        Ok(Err(refusal)) => {
            log(&refusal);
            refuse(bot, &asked.handle, &refusal.notice()).await;
            refusal.kind()
        }
        Err(_) => {
            let words = "The form could not be filled in time. Try again in a moment";
            refuse(bot, &asked.handle, words).await;
            "late"
        }
    }
}

async fn form(call: &Call, data: &Data) -> Result<FormSheet, Refusal> {
    match data {
        Data::Command(command) => commands::form(call, command).await,
        Data::Menu { name, target } => menus::form(call, name, *target).await,
        Data::Button { custom_id } => components::form(call, custom_id).await,
        _ => Err(Refusal::plain("there is no form for that")),
    }
}

/// Does what is asked for; the answer is for the person alone.
async fn do_with_words(bot: Arc<Bot>, asked: Interaction) -> Outcome {
    let since = Instant::now();
    if acknowledge(&bot, &asked.handle, &Response::Defer { ephemeral: true }).await.is_err() {
        return "unanswered";
    }
    let done = match Call::new(bot.clone(), &asked).await {
        Ok(call) => match perform(&call, &asked.data).await {
            Err(Refusal::Chat(ChatError::MustAgree)) => consent::question(&call).await,
            done => done,
        },
        Err(refusal) => Err(refusal),
    };
    let outcome = done.as_ref().map_or_else(Refusal::kind, |_| "done");
    let answer = done.unwrap_or_else(|refusal| {
        log(&refusal);
        Answer::text(refusal.notice())
    });
    let answer = if answer.is_silent() { Answer::text("Done.") } else { answer };
    deliver(&bot, &asked.handle, since, answer, answering::Way::Replace).await;
    outcome
}

async fn perform(call: &Call, data: &Data) -> Result<Answer, Refusal> {
    match data {
        Data::Command(command) => commands::run(call, command).await,
        Data::Menu { name, target } => menus::run(call, name, *target).await,
        Data::Form { custom_id, fields } => modals::run(call, custom_id, fields).await,
        _ => Err(Refusal::plain("that does nothing")),
    }
}

/// Does what a button asks for; what changes in the channel is the answer.
async fn do_quietly(bot: Arc<Bot>, asked: Interaction) -> Outcome {
    let since = Instant::now();
    if acknowledge(&bot, &asked.handle, &Response::DeferUpdate).await.is_err() {
        return "unanswered";
    }
    let Data::Button { custom_id } = &asked.data else { return "unknown" };
    let done = match Call::new(bot.clone(), &asked).await {
        Ok(call) => match components::run(&call, custom_id).await {
            Err(Refusal::Chat(ChatError::MustAgree)) => {
                consent::question(&call).await.map(|question| (question, answering::Way::Beside))
            }
            done => done,
        },
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok((answer, way)) => {
            if !answer.is_silent() {
                deliver(&bot, &asked.handle, since, answer, way).await;
            }
            "done"
        }
        Err(refusal) => {
            log(&refusal);
            let answer = Answer::text(refusal.notice());
            deliver(&bot, &asked.handle, since, answer, answering::Way::Beside).await;
            refusal.kind()
        }
    }
}

/// Acknowledges: only what this returns `Ok` for may be done.
///
/// An attempt that was cut may have arrived. Then the next one is told that the
/// interaction is acknowledged already, which is our own doing.
async fn acknowledge(bot: &Bot, handle: &Handle, response: &Response) -> Result<(), ApiError> {
    let acknowledged = timeout(ACKNOWLEDGE_WITHIN, try_to_acknowledge(bot, handle, response)).await;
    acknowledged.unwrap_or_else(|_| {
        tracing::warn!("discord.interaction.unanswered");
        Err(ApiError::not_sent("it took longer than Discord waits"))
    })
}

async fn try_to_acknowledge(
    bot: &Bot,
    handle: &Handle,
    response: &Response,
) -> Result<(), ApiError> {
    let mut may_have_arrived = false;
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match bot.api.respond(handle.id, &handle.token, response).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error.code() {
            Some(ALREADY_ACKNOWLEDGED) if may_have_arrived => return Ok(()),
            Some(ALREADY_ACKNOWLEDGED | UNKNOWN_INTERACTION) => {
                tracing::info!(error.kind = error.kind(), "discord.interaction.not_ours_any_more");
                return Err(error);
            }
            _ => {}
        }
        may_have_arrived |= error.may_have_been_applied();
        if tries == MAX_ACKS || !(error.may_have_been_applied() || error.is_retryable()) {
            tracing::warn!(error.kind = error.kind(), "discord.interaction.unanswered");
            return Err(error);
        }
    }
}

/// Says something at once, to the person alone, as the whole answer.
async fn refuse(bot: &Bot, handle: &Handle, words: &str) {
    let words = Refusal::plain(words).notice();
    // The log of `acknowledge` is all that can be done about a failure.
    let _ = acknowledge(bot, handle, &answering::message(&words)).await;
}

/// Tells that we failed, whether or not it was acknowledged before that.
async fn broken(bot: &Arc<Bot>, handle: &Handle) {
    let words = "Something broke on my side. What you said before is safe; the log says more.";
    let said = bot.api.respond(handle.id, &handle.token, &answering::message(words)).await;
    if said.is_err() {
        let answer = Answer::text(words);
        answering::deliver(bot, handle, answer, answering::Way::Beside).await;
    }
}

async fn deliver(
    bot: &Arc<Bot>,
    handle: &Handle,
    since: Instant,
    answer: Answer,
    way: answering::Way,
) {
    let then_archive = answer.then_archive;
    if since.elapsed() > ANSWER_WITHIN {
        tracing::info!("discord.answer.too_late");
    } else {
        answering::deliver(bot, handle, answer, way).await;
    }
    if let Some(thread) = then_archive {
        scenes::archive(bot, thread).await;
    }
}

/// Once for each, by its kind; what people said is nowhere in it.
fn log(refusal: &Refusal) {
    if refusal.is_ours() {
        tracing::warn!(error.kind = refusal.kind(), "discord.interaction.failed");
    } else {
        tracing::debug!(error.kind = refusal.kind(), "discord.interaction.refused");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serenity::model::id::MessageId;

    use super::super::interaction::{Command, Fields};
    use super::super::locale;
    use super::*;

    fn command(name: &str, subcommand: &str) -> Data {
        let (name, subcommand) = (name.to_owned(), subcommand.to_owned());
        Data::Command(Command { name, subcommand, ..Command::default() })
    }

    fn button(custom_id: &str) -> Data {
        Data::Button { custom_id: custom_id.to_owned() }
    }

    #[test]
    fn only_forms_and_completions_are_answered_at_once() {
        assert_eq!(plan(&Data::Ping), Plan::Pong);
        assert_eq!(plan(&command("scene", "start")), Plan::Words);
        assert_eq!(plan(&command("character", "create")), Plan::Form);
        assert_eq!(plan(&command("note", "")), Plan::Form);
        assert_eq!(plan(&command("dance", "")), Plan::Unknown);
        assert_eq!(plan(&button("d1:again:1:2")), Plan::Quietly);
        assert_eq!(plan(&button("d1:report:1:2")), Plan::Form);
        assert_eq!(plan(&button("d1:cancel")), Plan::Quietly);
        assert_eq!(plan(&button("d0:again")), Plan::Unknown);
        let menu = |name: &str| Data::Menu { name: name.to_owned(), target: MessageId::new(1) };
        assert_eq!(plan(&menu("Edit")), Plan::Form);
        assert_eq!(plan(&menu("Again")), Plan::Words);
        assert_eq!(plan(&menu("Dance")), Plan::Unknown);
        let form = |custom_id: &str| Data::Form {
            custom_id: custom_id.to_owned(),
            fields: Fields::default(),
        };
        assert_eq!(plan(&form("d1:form:note")), Plan::Words);
        assert_eq!(plan(&form("d1:cancel")), Plan::Unknown);
        assert_eq!(plan(&Data::Unknown), Plan::Unknown);
    }

    #[test]
    fn nothing_that_people_see_is_unknown() {
        for definition in locale::definitions() {
            let data = json!({ "name": definition["name"], "type": definition["type"],
                               "target_id": "1", "options": [] });
            let subs = definition["options"].as_array().into_iter().flatten();
            let subs: Vec<_> = subs.filter(|option| option["type"] == 1).collect();
            let mut uses = vec![data.clone()];
            if !subs.is_empty() {
                let used = |sub: &Value| {
                    let mut data = data.clone();
                    data["options"] = json!([{ "name": sub["name"], "type": 1, "options": [] }]);
                    data
                };
                uses = subs.into_iter().map(used).collect();
            }
            for data in uses {
                let raw = json!({
                    "id": "1", "token": "t", "type": 2, "guild_id": "2", "channel_id": "3",
                    "member": { "user": { "id": "4", "username": "ash" } }, "data": data,
                });
                let read = Interaction::read(&raw).expect("it can be read");
                assert_ne!(plan(&read.data), Plan::Unknown, "{raw}");
            }
        }
    }

    #[test]
    fn a_second_delivery_is_known_as_one() {
        let desk = Desk::default();
        assert!(desk.is_first(1) && !desk.is_first(1) && desk.is_first(2));
        for id in 10..10 + MAX_REMEMBERED as u64 {
            assert!(desk.is_first(id));
        }
        assert!(desk.is_first(1), "what is too long ago is forgotten");
        assert!(desk.seen.lock().expect("fine").len() <= MAX_REMEMBERED);
    }
}
