//! What moderators press under a case, and how people learn what became of theirs.

use serenity::model::id::{ChannelId, MessageId};

use super::api::{Mentions, Payload};
use super::bot::Bot;
use super::call::{Answer, Call, Field, FormSheet, Refusal};
use super::cases;
use super::custom_id::{CaseDeed, CustomId, Form};
use super::names;
use super::permissions::Deed;
use super::render;
use crate::chat::{Decided, Upon};
use crate::domain::GuildId;
use crate::store::{Case, Held};

/// On a message that moderators look at first.
pub(super) const HELD: &str = "🔎";
/// On a message that did not become part of the story.
pub(super) const NOT_TAKEN: &str = "⚠️";

/// The form that holds the words of a case.
pub(super) async fn form(call: &Call, number: i64) -> Result<FormSheet, Refusal> {
    let case = undecided(call, number).await?;
    let words = cases::words(&call.bot, call.guild, &case).await?;
    let words = words.ok_or_else(|| Refusal::plain("there are no words to edit"))?;
    let text = Field::long("text", "What is said", &words).required();
    if !text.fits() {
        return Err(Refusal::plain("that is longer than a form can hold"));
    }
    Ok(FormSheet {
        id: CustomId::Form(Form::EditCase(number)),
        title: format!("Case {number}"),
        fields: vec![text],
    })
}

/// Does what a button says.
pub(super) async fn decide(call: &Call, deed: CaseDeed, number: i64) -> Result<Answer, Refusal> {
    match deed {
        CaseDeed::Approve => approve(call, number, None).await,
        CaseDeed::Reject => reject(call, number, "rejected").await,
        CaseDeed::Warn => act(call, number, Upon::Warn, "they are warned").await,
        CaseDeed::Mute => act(call, number, Upon::Block, "they are not heard any more").await,
        CaseDeed::Freeze => act(call, number, Upon::Freeze, "the scene is frozen").await,
        CaseDeed::Edit => Err(Refusal::plain("that opens a form")),
    }
}

/// It stands, with other words where there are any.
pub(super) async fn approve(
    call: &Call,
    number: i64,
    text: Option<&str>,
) -> Result<Answer, Refusal> {
    undecided(call, number).await?;
    let moderator = call.person().await?.id;
    let decided = call.bot.chat.approve_case(call.guild, number, moderator, text).await?;
    told(call, &decided, true).await;
    Ok(Answer::text(format!("Case {number}: approved.")))
}

/// It does not stand.
pub(super) async fn reject(call: &Call, number: i64, decision: &str) -> Result<Answer, Refusal> {
    undecided(call, number).await?;
    let moderator = call.person().await?.id;
    let decided = call.bot.chat.reject_case(call.guild, number, moderator, decision).await?;
    told(call, &decided, false).await;
    Ok(Answer::text(format!("Case {number} is closed: rejected.")))
}

async fn act(call: &Call, number: i64, upon: Upon, done: &str) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let moderator = call.person().await?.id;
    let case = call.bot.chat.act_upon_case(call.guild, number, upon, moderator).await?;
    call.bot.case_bell.notify_one();
    Ok(Answer::text(format!("Case {case}: {done}.")))
}

/// A case that may still be decided by whoever asks; says who decided it otherwise.
async fn undecided(call: &Call, number: i64) -> Result<Case, Refusal> {
    call.may(Deed::Moderate).await?;
    let case = call.bot.chat.known_case(call.guild, number).await?;
    let Some(decision) = &case.decision else { return Ok(case) };
    let by = cases::mention(&call.bot, call.guild, case.decided_by).await?;
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let decision = names::line(decision, 120, "closed");
    Err(Refusal::plain(format!("case {number} is decided already{by}: {decision}")))
}

/// Lets the log and the person know. What fails of that is logged; the decision stands.
async fn told(call: &Call, decided: &Decided, is_approved: bool) {
    call.bot.case_bell.notify_one();
    if let Err(refusal) = tell_person(&call.bot, call.guild, decided, is_approved).await {
        tracing::warn!(error.kind = refusal.kind(), "discord.decision.untold");
    }
}

async fn tell_person(
    bot: &Bot,
    guild: GuildId,
    decided: &Decided,
    is_approved: bool,
) -> Result<(), Refusal> {
    let Some(held) = &decided.held else { return Ok(()) };
    let Some(channel) = held.place.as_deref().and_then(id).map(ChannelId::new) else {
        return Ok(());
    };
    if let Held::Message { external_id, .. } = &held.held
        && let Some(message) = id(external_id).map(MessageId::new)
    {
        bot.api.remove_reaction(channel, message, HELD).await?;
        if !is_approved {
            bot.api.add_reaction(channel, message, NOT_TAKEN).await?;
        }
    }
    let who = cases::mention(bot, guild, decided.case.person).await?;
    let Some(words) = words(&held.held, who, decided.case.number, is_approved) else {
        return Ok(());
    };
    let payload = Payload::new(words, Mentions::NONE)?.without_embeds();
    bot.api.create_message(channel, &payload, None).await?;
    Ok(())
}

/// What is said of a decision; `None` where it is seen.
fn words(held: &Held, who: Option<String>, case: i64, is_approved: bool) -> Option<String> {
    let who = who.map(|who| format!("{who}: ")).unwrap_or_default();
    let what = match (held, is_approved) {
        (Held::Message { .. } | Held::Edit { .. } | Held::Reply { .. }, true) => return None,
        (Held::Message { .. }, false) => {
            format!("moderators do not let what you said become part of the story (case {case})")
        }
        (Held::Edit { .. }, false) => {
            format!("moderators do not let the turn be changed so (case {case})")
        }
        (Held::Reply { name, .. }, false) => {
            let name = names::line(name, 80, "a character");
            format!("what {name} said is not shown (case {case}); /reply asks for another")
        }
        (Held::Character { sheet, replaces, .. }, true) => {
            let name = names::line(sheet.stage_name(), 80, "the character");
            let now = if replaces.is_some() { "is changed" } else { "is known on this server" };
            format!("{name} {now} now (case {case})")
        }
        (Held::Character { sheet, .. }, false) => {
            let name = names::line(sheet.stage_name(), 80, "the character");
            format!("moderators do not let {name} come so (case {case})")
        }
        (Held::Lorebook { name, replaces, .. }, true) => {
            let now = if replaces.is_some() { "is changed" } else { "is on this server" };
            format!("{} {now} now (case {case})", render::lore_name(name))
        }
        (Held::Lorebook { name, .. }, false) => {
            let name = render::lore_name(name);
            format!("moderators do not let {name} come so (case {case})")
        }
    };
    let appeal = match held {
        Held::Reply { .. } => "",
        _ if is_approved => "",
        _ => "; /appeal says something to it",
    };
    Some(format!("-# {HELD} {who}{what}{appeal}."))
}

fn id(text: &str) -> Option<u64> {
    text.parse().ok().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_what_they_cannot_see() {
        let held = Held::Message {
            external_id: "1".into(),
            name: "Ann".into(),
            text: "secret".into(),
            work: None,
        };
        assert_eq!(words(&held, Some("<@5>".into()), 3, true), None);
        let told = words(&held, Some("<@5>".into()), 3, false).expect("it is not seen");
        assert!(told.starts_with("-# 🔎 <@5>: moderators do not let"), "{told}");
        assert!(told.contains("case 3") && told.contains("/appeal"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
