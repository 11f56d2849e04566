//! Forms that people fill in.

use super::call::{Answer, Call, Refusal};
use super::custom_id::{CustomId, Form};
use super::interaction::Fields;
use super::permissions::Deed;
use super::{commands, decisions, menus, reports};
use crate::domain::TurnId;

/// A form comes back.
pub(super) async fn run(call: &Call, custom_id: &str, fields: &Fields) -> Result<Answer, Refusal> {
    let Some(CustomId::Form(form)) = CustomId::parse(custom_id) else {
        return Err(Refusal::plain("that form is from another version; nothing was changed"));
    };
    match form {
        Form::EditTurn(turn) => edit_turn(call, turn, fields).await,
        Form::NewCharacter => commands::apply_character(call, None, fields).await,
        Form::EditCharacter(id) => commands::apply_character(call, Some(id), fields).await,
        Form::Scenario => commands::submit_scenario(call, fields).await,
        Form::Persona(scope) => commands::submit_persona(call, scope, fields).await,
        Form::Note => commands::submit_note(call, fields).await,
        Form::Report(turn) => report(call, turn, fields).await,
        Form::EditCase(case) => {
            decisions::approve(call, case, Some(fields.get("text").unwrap_or_default())).await
        }
    }
}

async fn edit_turn(call: &Call, turn: TurnId, fields: &Fields) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let turn = call.turn(place.scene, turn).await?;
    menus::may_edit(call, &turn).await?;
    let text = fields.get("text").unwrap_or_default();
    let changed = call.bot.chat.edit_turn(place.guild, place.scene, turn.id, text).await?;
    call.show(place.scene).await?;
    Ok(Answer::text(if changed.speaker.is_character() {
        "That is what was said; /undo takes it back."
    } else {
        // Nobody but its author can change a person's message.
        "The story has it so now; the message itself only its author can change."
    }))
}

async fn report(call: &Call, turn: TurnId, fields: &Fields) -> Result<Answer, Refusal> {
    call.may(Deed::Report).await?;
    let turn = call.turn_here(turn).await?;
    reports::report(call, &turn, fields.get("reason").unwrap_or_default()).await
}
