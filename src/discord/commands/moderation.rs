//! `/mod` and `/appeal`: what moderators do, and what people say to it.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::{cases, decisions};
use crate::domain::Person;
use crate::store::Case;

/// How many cases a list tells of.
const MAX_LISTED: usize = 15;

pub(super) async fn freeze(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let place = call.place().await?;
    let moderator = call.person().await?.id;
    let chat = &call.bot.chat;
    let case = chat.freeze_scene(place.guild, place.scene, moderator, reason(options)).await?;
    Ok(Answer::text(format!(
        "Case {case}: this scene is frozen. Nothing is taken, answered or changed here until \
         /mod unfreeze."
    )))
}

pub(super) async fn unfreeze(call: &Call) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let place = call.place().await?;
    let moderator = call.person().await?.id;
    let case = call.bot.chat.unfreeze_scene(place.guild, place.scene, moderator).await?;
    Ok(Answer::text(format!("Case {case}: this scene is played on.")))
}

pub(super) async fn pause_all(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let moderator = call.person().await?.id;
    let (case, scenes) = call.bot.chat.freeze_guild(call.guild, moderator, reason(options)).await?;
    let called_off = match scenes {
        0 => "no reply was in the making".to_owned(),
        1 => "what was being written in one scene is called off".to_owned(),
        scenes => format!("what was being written in {scenes} scenes is called off"),
    };
    Ok(Answer::text(format!(
        "Case {case}: everything on this server is stopped, {called_off}. /mod resume-all lets \
         scenes be played on."
    )))
}

pub(super) async fn resume_all(call: &Call) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let moderator = call.person().await?.id;
    Ok(Answer::text(match call.bot.chat.unfreeze_guild(call.guild, moderator).await? {
        Some(case) => format!("Case {case}: scenes on this server are played on."),
        None => "Nothing was stopped.".to_owned(),
    }))
}

pub(super) async fn block(call: &Call, options: &Options, on: bool) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let person = person(call, options).await?;
    let moderator = call.person().await?.id;
    let chat = &call.bot.chat;
    let case = chat.block_person(call.guild, person.id, on, moderator, reason(options)).await?;
    let who = &person.external_id;
    Ok(Answer::text(match (case, on) {
        (Some(case), true) => format!(
            "Case {case}: <@{who}> is not heard in any scene here, and what they said is in no \
             prompt any more."
        ),
        (Some(case), false) => format!("Case {case}: <@{who}> is heard again."),
        (None, true) => format!("<@{who}> is blocked already."),
        (None, false) => format!("<@{who}> was not blocked."),
    }))
}

pub(super) async fn warn(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let person = person(call, options).await?;
    let moderator = call.person().await?.id;
    let case = call.bot.chat.warn_person(call.guild, person.id, moderator, reason(options)).await?;
    Ok(Answer::text(format!(
        "Case {case}: kept as a warning of <@{}>. /mod history lists them.",
        person.external_id
    )))
}

pub(super) async fn history(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let person = match options.id("person") {
        Some(_) => Some(person(call, options).await?.id),
        None => None,
    };
    let cases = call.bot.chat.store().list_cases(call.guild, person).await?;
    if cases.is_empty() {
        return Ok(Answer::text("There are no cases."));
    }
    let mut lines = Vec::new();
    for case in cases.iter().take(MAX_LISTED) {
        lines.push(cases::line(&call.bot, call.guild, case).await?);
    }
    if cases.len() > MAX_LISTED {
        lines.push(format!("… and {} older ones", cases.len() - MAX_LISTED));
    }
    Ok(Answer::text(lines.join("\n")))
}

pub(super) async fn case(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let case = numbered(call, options).await?;
    Ok(Answer::text(cases::told(&call.bot, call.guild, &case).await?))
}

pub(super) async fn decide(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let case = numbered(call, options).await?;
    let decision = options.text("decision").unwrap_or_default().trim();
    if decision.is_empty() {
        return Err(Refusal::plain("say what was decided"));
    }
    if case.kind == "hold" {
        return decisions::reject(call, case.number, decision).await;
    }
    let moderator = call.person().await?.id;
    call.bot.chat.decide_case(call.guild, case.number, moderator, decision).await?;
    call.bot.case_bell.notify_one();
    Ok(Answer::text(format!("Case {} is closed.", case.number)))
}

/// What waits for a decision; one of it with its buttons.
pub(super) async fn queue(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    if options.integer("case").is_some() {
        let case = numbered(call, options).await?;
        let (text, rows) = cases::shown(&call.bot, call.guild, &case, call.locale).await?;
        let files = cases::files(&call.bot, call.guild, &case).await?;
        return Ok(Answer { rows, files, ..Answer::text(text) });
    }
    let waiting = call.bot.chat.store().list_waiting_cases(call.guild).await?;
    if waiting.is_empty() {
        return Ok(Answer::text("Nothing waits for a decision."));
    }
    let mut lines = Vec::new();
    for case in waiting.iter().take(MAX_LISTED) {
        lines.push(cases::line(&call.bot, call.guild, case).await?);
    }
    if waiting.len() > MAX_LISTED {
        lines.push(format!("… and {} newer ones", waiting.len() - MAX_LISTED));
    }
    lines.push("/mod queue case: opens one of them.".to_owned());
    Ok(Answer::text(lines.join("\n")))
}

/// Anybody's, of a case about themselves; blocked or not.
pub(super) async fn appeal(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let number = options.integer("case").unwrap_or_default();
    let text = options.text("text").unwrap_or_default().trim();
    if text.is_empty() {
        return Err(Refusal::plain("say why it should be decided otherwise"));
    }
    let person = call.person().await?;
    call.bot.chat.appeal_case(call.guild, number, person.id, text).await?;
    Ok(Answer::text(format!("The moderators see it with case {number}, which is open again.")))
}

fn reason(options: &Options) -> &str {
    options.text("reason").unwrap_or_default()
}

/// Somebody of this server, whether they were heard here before or not.
pub(super) async fn person(call: &Call, options: &Options) -> Result<Person, Refusal> {
    let id = options.id("person").ok_or_else(|| Refusal::plain("say who is meant"))?.to_string();
    let store = call.bot.chat.store();
    Ok(match store.get_person_by_external(call.guild, &id).await? {
        Some(person) => person,
        None => store.upsert_person(call.guild, &id, "somebody").await?,
    })
}

async fn numbered(call: &Call, options: &Options) -> Result<Case, Refusal> {
    let number = options.integer("case").unwrap_or_default();
    Ok(call.bot.chat.known_case(call.guild, number).await?)
}
