//! `/roll`: dice fall where everybody sees them.

use super::super::api::{Mentions, Payload};
use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::names;
use super::required;
use crate::chat;

/// How much of a name is shown.
const MAX_NAME: usize = 80;

pub(super) async fn roll(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let rolled = chat::roll(required(options, "dice")?, options.text("reason"))?;
    let me = call.bot.participant(call.guild, place.scene, &call.author()).await?;
    // Ours, so that whoever rolled cannot change what fell.
    let name = names::line(me.name(), MAX_NAME, "Somebody");
    let payload = Payload::new(format!("🎲 {name} {}", rolled.text), Mentions::NONE)?;
    let message = call.bot.api.create_message(call.channel, &payload, None).await?;
    let id = message.id.to_string();
    call.bot.chat.accept_roll(call.guild, place.scene, &me, id, &rolled).await?;
    // What stood before is not the latest any more.
    call.show(place.scene).await?;
    Ok(Answer::silent())
}
