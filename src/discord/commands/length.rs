//! `/length` and `/cast length`: how long replies are.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::{cast, length_option, length_words, required};

/// The scene's; without one given, what is set is shown.
pub(super) async fn of_scene(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let Some(length) = length_option(options)? else {
        let scene = call.scene().await?;
        return Ok(Answer::text(format!("Replies are {}.", length_words(scene.length))));
    };
    call.may(Deed::ChangeScene).await?;
    let scene = call.bot.chat.set_length(place.guild, place.scene, length).await?;
    Ok(Answer::text(format!("Replies are {} from now on.", length_words(scene.length))))
}

/// One character's, by the option that names it; *auto* follows the scene.
pub(super) async fn of_character(
    call: &Call,
    options: &Options,
    named_by: &str,
) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let character = cast::member(call, required(options, named_by)?).await?;
    let name = character.sheet.stage_name();
    let Some(length) = length_option(options)? else {
        let cast = call.bot.chat.store().list_cast(place.guild, place.scene).await?;
        let own = cast.iter().find(|member| member.character.id == character.id);
        let own = own.and_then(|member| member.length);
        return Ok(Answer::text(match own {
            Some(length) => format!("{name}’s replies are {length}."),
            None => format!("{name}’s replies are as long as the scene’s."),
        }));
    };
    call.may(Deed::ChangeScene).await?;
    call.bot.chat.set_cast_length(place.guild, place.scene, character.id, length).await?;
    Ok(Answer::text(match length {
        Some(length) => format!("{name}’s replies are {length} from now on."),
        None => format!("{name}’s replies are as long as the scene’s from now on."),
    }))
}
