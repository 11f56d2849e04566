//! `/privacy`: what is kept of whoever asks, and what they want done with it.

use serenity::model::id::{ChannelId, MessageId};

use super::super::api::File;
use super::super::call::{Answer, Call, Refusal};
use super::super::controls;
use super::super::custom_id::Confirm;
use super::super::interaction::Options;

/// The most messages that are deleted on Discord at once, within the time for an answer.
const MAX_MESSAGES: usize = 500;

pub(super) async fn show(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let kept = call.bot.chat.kept_of(call.guild, person.id).await?;
    let agreed = match kept.agreed_at {
        Some(at) => format!("You agreed to that <t:{}:D>. ", at.timestamp()),
        None => String::new(),
    };
    let trains = if kept.trains { "You agreed that" } else { "You did not agree that" };
    Ok(Answer::text(format!(
        "Kept of you on this server: {} texts in {} scenes (versions that you replaced counted \
         in), {} personas, {} lines and veils, {} cases about you, your name and your id. What you \
         say in scenes is part of the prompts from which characters reply. {agreed}{trains} it may \
         train a model.\n\
         /privacy export hands you all of it, /privacy delete takes it away, /privacy optout has \
         you not heard any more.",
        kept.num_texts, kept.num_scenes, kept.num_personas, kept.num_boundaries, kept.num_cases
    )))
}

pub(super) async fn export(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let file = call.bot.chat.export_person(call.guild, person.id).await?;
    let file = File { name: file.name, bytes: file.bytes };
    Ok(Answer { files: vec![file], ..Answer::text("All that is kept of you here.") })
}

pub(super) async fn ask_delete(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let messages = options.boolean("messages") == Some(true);
    let beside =
        if messages { " Your messages in scenes are deleted on Discord, too." } else { "" };
    Ok(Answer {
        rows: controls::confirm_rows(Confirm::ForgetMe { messages }, call.locale),
        ..Answer::text(format!(
            "Everything that you said in scenes on this server goes for good: every version, your \
             personas, lines and veils, your name, what you agreed to.{beside} Replies and what others said stay, \
             also where they speak of you, and so do characters and lorebooks that you brought. \
             /privacy export first hands you a copy."
        ))
    })
}

/// The second press.
pub(in super::super) async fn forget(call: &Call, messages: bool) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let forgotten = call.bot.chat.forget_person(call.guild, person.id).await?;
    let mut told = format!("{} turns of yours are gone.", forgotten.num_turns);
    if forgotten.num_not_reached > 0 {
        told.push_str(
            " Some workers could not be reached: what they cached goes as soon as they can be.",
        );
    }
    if messages {
        let (gone, left) = delete_messages(call, &forgotten.messages).await;
        told.push_str(&format!(" {gone} messages are deleted on Discord."));
        if left > 0 {
            told.push_str(&format!(
                " {left} could not be: they are gone already, or I may not delete messages there."
            ));
        }
    }
    Ok(Answer::text(told))
}

async fn delete_messages(call: &Call, messages: &[(String, String)]) -> (usize, usize) {
    let mut gone = 0;
    for (channel, message) in messages.iter().take(MAX_MESSAGES) {
        let (Ok(channel), Ok(message)) = (channel.parse(), message.parse::<u64>()) else {
            continue;
        };
        if message == 0 {
            continue;
        }
        let (channel, message): (ChannelId, _) = (channel, MessageId::new(message));
        gone += usize::from(call.bot.api.delete_message(channel, message).await.is_ok());
    }
    (gone, messages.len() - gone)
}

pub(super) async fn opt_out(call: &Call, out: bool) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let chat = &call.bot.chat;
    let is_new = chat.opt_out(call.guild, person.id, out).await?;
    if !out {
        // Where people are asked, wanting to be heard is not yet agreeing.
        chat.heed_agreement(call.guild, person.id).await?;
    }
    Ok(Answer::text(match (out, is_new) {
        (true, true) => {
            "You are not heard any more: what you say is taken into no scene here, and what you \
             said is in no prompt. /privacy optin changes that; /privacy delete takes away what \
             is kept."
        }
        (true, false) => "You are not heard already.",
        (false, true) => "You are heard again.",
        (false, false) => "You were heard already.",
    }))
}
