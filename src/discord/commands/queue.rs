//! `/queue`: when it is this scene's turn.

use super::super::call::{Answer, Call, Refusal};
use super::super::render;

pub(super) async fn queue(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let place = call.bot.chat.store().queue_place(place.guild, place.scene).await?;
    Ok(Answer::text(render::queue(&place)))
}
