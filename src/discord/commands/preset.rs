//! `/preset`: how words are chosen.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;

pub(super) async fn choose(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let Some(name) = options.text("name") else {
        let scene = call.scene().await?;
        let known = call.bot.chat.preset_names(call.guild).await?.join(", ");
        return Ok(Answer::text(format!("The preset is {}. There are {known}.", scene.preset)));
    };
    call.may(Deed::ChangeScene).await?;
    let scene = call.bot.chat.set_preset(place.guild, place.scene, name.trim()).await?;
    Ok(Answer::text(format!("The preset is {} from now on.", scene.preset)))
}
