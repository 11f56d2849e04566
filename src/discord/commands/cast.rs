//! `/cast`: who plays in the scene.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::render;
use super::required;

pub(super) async fn add(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ChangeScene).await?;
    let character = call.character(required(options, "character")?).await?;
    call.bot.chat.add_to_cast(place.guild, place.scene, &character).await?;
    let name = character.sheet.stage_name();
    Ok(Answer::text(format!("{name} is in the scene now. Name them, and they answer.")))
}

pub(super) async fn remove(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ChangeScene).await?;
    let character = member(call, required(options, "character")?).await?;
    call.bot.chat.remove_from_cast(place.guild, place.scene, character.id).await?;
    let name = character.sheet.stage_name();
    Ok(Answer::text(format!("{name} has left the scene; what they said stays.")))
}

pub(super) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let store = call.bot.chat.store();
    let cast = store.list_cast(place.guild, place.scene).await?;
    let people = store.list_participants(place.guild, place.scene).await?;
    Ok(Answer::text(render::cast(&cast, &people)))
}

/// A character of the scene, by what somebody wrote. Those who left the library
/// still play where they were.
pub(super) async fn member(call: &Call, name: &str) -> Result<crate::domain::Character, Refusal> {
    let place = call.place().await?;
    let cast = call.bot.chat.store().list_cast(place.guild, place.scene).await?;
    let wanted = name.trim().to_lowercase();
    let is_meant = |text: &str| text.trim().to_lowercase() == wanted;
    let found = cast.into_iter().map(|member| member.character).find(|character| {
        is_meant(&character.sheet.name) || is_meant(character.sheet.stage_name())
    });
    match found {
        Some(character) => Ok(character),
        None => call.character(name).await,
    }
}
