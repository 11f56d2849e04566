//! `/reply` and `/stop`: somebody speaks, somebody stops.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::{cast, length_option};

pub(super) async fn reply(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::Play).await?;
    let length = length_option(options)?.flatten();
    let character = match options.text("character") {
        Some(name) => Some(cast::member(call, name).await?),
        None => None,
    };
    let person = call.person().await?;
    let id = character.as_ref().map(|character| character.id);
    call.bot.chat.ask_reply(place.guild, place.scene, person.id, id, length).await?;
    Ok(Answer::text(match character {
        Some(character) => format!("{} will speak.", character.sheet.stage_name()),
        None => "Somebody will speak.".to_owned(),
    }))
}

pub(super) async fn stop(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::Play).await?;
    let stopped = call.bot.chat.stop(place.guild, place.scene).await?;
    Ok(Answer::text(if stopped {
        "Stopped; what is written so far stays."
    } else {
        "Nobody is writing at the moment."
    }))
}
