//! Buttons under posts.

use super::answering::Way;
use super::call::{Answer, Call, Refusal};
use super::call::{Field, FormSheet};
use super::custom_id::{CaseDeed, Confirm, CustomId, Form, ReplyAction};
use super::permissions::Deed;
use super::{commands, consent, decisions};
use crate::chat::{ReplyReceipt, SwipeTo};
use crate::domain::{JobId, Length, Scene, Turn, TurnId};
use crate::store::Job;

/// Whether pressing it opens a form.
pub(super) fn opens_form(id: CustomId) -> bool {
    matches!(
        id,
        CustomId::Reply { action: ReplyAction::Report, .. }
            | CustomId::Case { deed: CaseDeed::Edit, .. }
    )
}

/// The form that a button opens.
pub(super) async fn form(call: &Call, custom_id: &str) -> Result<FormSheet, Refusal> {
    match CustomId::parse(custom_id) {
        Some(CustomId::Reply { action: ReplyAction::Report, turn, .. }) => {
            report_form(call, turn).await
        }
        Some(CustomId::Case { case, .. }) => decisions::form(call, case).await,
        _ => Err(Refusal::plain("that button opens no form")),
    }
}

/// The form that asks what is wrong with a turn.
pub(super) async fn report_form(call: &Call, turn: TurnId) -> Result<FormSheet, Refusal> {
    call.may(Deed::Report).await?;
    call.turn_here(turn).await?;
    let reason = Field { max: 1_000, ..Field::long("reason", "What is wrong with it", "") };
    Ok(FormSheet {
        id: CustomId::Form(Form::Report(turn)),
        title: "Report this to the moderators".to_owned(),
        fields: vec![reason.required()],
    })
}

/// Does what a button asks for. Most of it is seen in the channel.
pub(super) async fn run(call: &Call, custom_id: &str) -> Result<(Answer, Way), Refusal> {
    let unknown = || Refusal::plain("that button is from another version; nothing was done");
    let replaced = |answer| Ok((answer, Way::Replace));
    match CustomId::parse(custom_id).ok_or_else(unknown)? {
        CustomId::Reply { action, turn, .. } => {
            on_turn(call, action, turn).await?;
            Ok((Answer::silent(), Way::Beside))
        }
        CustomId::Stop { job, .. } => {
            stop(call, job).await?;
            Ok((Answer::silent(), Way::Beside))
        }
        CustomId::Confirm(Confirm::DeleteCharacter(id)) => {
            replaced(commands::delete_character(call, id).await?)
        }
        CustomId::Confirm(Confirm::DeleteLorebook(id)) => {
            replaced(commands::delete_lorebook(call, id).await?)
        }
        CustomId::Confirm(Confirm::EndScene(scene)) => replaced(commands::end(call, scene).await?),
        CustomId::Confirm(Confirm::ForgetMe { messages }) => {
            replaced(commands::forget(call, messages).await?)
        }
        CustomId::Consent { person, says } => replaced(consent::answer(call, person, says).await?),
        CustomId::Confirm(Confirm::Purge { scene, whom, last, hours }) => {
            replaced(commands::purge(call, scene, whom, last, hours).await?)
        }
        CustomId::Case { deed, case } => {
            Ok((decisions::decide(call, deed, case).await?, Way::Beside))
        }
        CustomId::Cancel => replaced(Answer::text("Nothing was changed.")),
        CustomId::Form(_) => Err(unknown()),
    }
}

/// Stops the reply under which the button stands, no other.
async fn stop(call: &Call, job: JobId) -> Result<(), Refusal> {
    let place = call.place().await?;
    call.may(Deed::Play).await?;
    let found = call.bot.chat.store().get_job(place.guild, job).await?;
    let is_open = |job: &Job| job.scene_id == place.scene && !job.state.is_over();
    if !found.as_ref().is_some_and(is_open) {
        return Err(Refusal::plain("that reply is finished already"));
    }
    call.bot.chat.stop(place.guild, place.scene).await?;
    Ok(())
}

async fn on_turn(call: &Call, action: ReplyAction, turn: TurnId) -> Result<(), Refusal> {
    let scene = call.scene().await?;
    let turn = call.turn(scene.id, turn).await?;
    match action {
        ReplyAction::Position | ReplyAction::Report => Ok(()),
        ReplyAction::SwipePrevious => choose(call, &turn, SwipeTo::Previous).await,
        ReplyAction::SwipeNext => choose(call, &turn, SwipeTo::Next).await,
        ReplyAction::Again => again(call, &turn, None).await,
        ReplyAction::Continue => go_on(call, &turn).await,
        ReplyAction::Shorter => {
            let shorter = length_of(&turn, &scene).shorter();
            let length =
                shorter.ok_or_else(|| Refusal::plain("no length is shorter than micro"))?;
            again(call, &turn, Some(length)).await
        }
        ReplyAction::Longer => {
            let longer = length_of(&turn, &scene).longer();
            let length =
                longer.ok_or_else(|| Refusal::plain("no length is longer than unlimited"))?;
            again(call, &turn, Some(length)).await
        }
    }
}

/// Another text of the turn stands; past the last one, a new one is asked for.
async fn choose(call: &Call, turn: &Turn, to: SwipeTo) -> Result<(), Refusal> {
    call.may(Deed::Play).await?;
    let chat = &call.bot.chat;
    match chat.choose_swipe(call.guild, turn.scene_id, turn.id, to).await? {
        Some(_) => call.show(turn.scene_id).await,
        None => again(call, turn, None).await,
    }
}

/// One more text of a turn.
pub(super) async fn again(call: &Call, turn: &Turn, length: Option<Length>) -> Result<(), Refusal> {
    call.may(Deed::Play).await?;
    let person = call.person().await?;
    let chat = &call.bot.chat;
    chat.ask_swipe(call.guild, turn.scene_id, person.id, turn.id, length).await?;
    Ok(())
}

/// A turn goes on where it stopped.
pub(super) async fn go_on(call: &Call, turn: &Turn) -> Result<(), Refusal> {
    call.may(Deed::Play).await?;
    let person = call.person().await?;
    let chat = &call.bot.chat;
    chat.ask_continue(call.guild, turn.scene_id, person.id, turn.id).await?;
    Ok(())
}

/// How long a text was to be: as it was asked for, else as the scene's are.
fn length_of(turn: &Turn, scene: &Scene) -> Length {
    let receipt = turn.swipe.receipt.clone();
    let receipt = receipt.and_then(|it| serde_json::from_value::<ReplyReceipt>(it).ok());
    receipt.and_then(|receipt| receipt.length).or(scene.length).unwrap_or(Length::Medium)
}
