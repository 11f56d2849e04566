//! `/preset`: how words are chosen.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::{Deed, Whose};
use super::super::{names, render, scenes};
use super::files::{attached, hand_out, remarks};
use super::required;

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

pub(super) async fn import(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::CreateLore).await?;
    let bytes = attached(call, options).await?;
    let stem = options.attachment("file").map(|file| stem(&file.name).to_owned());
    let name = options.text("name").map(str::to_owned).or(stem).unwrap_or_default();
    let library = call.bot.chat.library();
    if library.store().get_preset(call.guild, &name).await?.is_some() {
        call.may(Deed::EditLore(Whose::Others)).await?;
    }
    let person = call.person().await?;
    let imported = library.import_preset(call.guild, person.id, &bytes, &name).await?;
    let lacking = match imported.lacking.as_slice() {
        [] => String::new(),
        lacking => format!(" What of it does nothing here:{}", remarks(lacking)),
    };
    let name = names::choice(&imported.name);
    Ok(Answer::text(format!("/preset choose name: {name} uses it.{lacking}")))
}

/// A file's name without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

pub(super) async fn export(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let name = required(options, "name")?;
    let file = call.bot.chat.library().export_preset(call.guild, name).await?;
    hand_out(format!("{}, as a file.", names::choice(name)), file)
}

pub(super) async fn delete(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::EditLore(Whose::Others)).await?;
    let name = required(options, "name")?;
    let gone = call.bot.chat.store().delete_preset(call.guild, name).await?;
    Ok(Answer::text(match gone {
        true => format!("The preset {} is gone.", names::choice(name)),
        false => "That preset is not one of this server’s own.".to_owned(),
    }))
}
