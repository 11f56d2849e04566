//! `/preset`: how words are chosen.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::{render, scenes};

pub(super) async fn choose(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let Some(name) = options.text("name") else {
        let scene = call.scene().await?;
        let known = call.bot.chat.preset_names(call.guild).await?;
        return Ok(Answer::text(render::presets(&known, &scene.preset)));
    };
    call.may(Deed::ChangeScene).await?;
    let name = scenes::known_preset(&call.bot, call.guild, name).await?;
    let scene = call.bot.chat.set_preset(place.guild, place.scene, &name).await?;
    Ok(Answer::text(format!("The preset is {} from now on.", scene.preset)))
}
