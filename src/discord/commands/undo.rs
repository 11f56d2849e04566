//! `/undo` and `/redo`.

use super::super::call::{Answer, Call, Refusal};
use super::super::permissions::Deed;
use crate::chat::Undone;

pub(super) async fn undo(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::Play).await?;
    let Some(undone) = call.bot.chat.undo(place.guild, place.scene).await? else {
        return Ok(Answer::text("There is nothing to take back."));
    };
    call.show(place.scene).await?;
    Ok(Answer::text(format!("{} taken back; /redo brings it again.", subject(undone))))
}

pub(super) async fn redo(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::Play).await?;
    let Some(redone) = call.bot.chat.redo(place.guild, place.scene).await? else {
        return Ok(Answer::text("There is nothing to bring again."));
    };
    call.show(place.scene).await?;
    Ok(Answer::text(format!("{} brought again.", subject(redone))))
}

fn subject(moved: Undone) -> String {
    match moved {
        Undone::Turns(1) => "One turn".to_owned(),
        Undone::Turns(num_turns) => format!("{num_turns} turns"),
        Undone::Choice(_) => "The choice of a text".to_owned(),
    }
}
