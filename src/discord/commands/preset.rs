//! `/preset`: how words are chosen.

use serde_json::json;

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::{Deed, Whose};
use super::super::{names, render, scenes};
use super::files::{attached, attached_stem, hand_out, remarks};
use super::required;
use crate::chat::clean_name;
use crate::store::name_key;

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
    call.may(Deed::CreatePreset).await?;
    let bytes = attached(call, options).await?;
    let name = options.text("name").map_or_else(|| attached_stem(options), str::to_owned);
    // As it will be kept: otherwise another spelling would stand for it.
    let name = clean_name(&name)?;
    let library = call.bot.chat.library();
    // Under the name of one of ours it takes the place of that in every scene.
    let known = call.bot.chat.preset_names(call.guild).await?;
    if known.iter().any(|known| name_key(known) == name_key(&name)) {
        may_change(call, &name).await?;
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

pub(super) async fn export(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let name = required(options, "name")?;
    let file = call.bot.chat.library().export_preset(call.guild, name).await?;
    hand_out(format!("{}, as a file.", names::choice(name)), file)
}

pub(super) async fn delete(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let name = required(options, "name")?;
    may_change(call, name).await?;
    let person = call.person().await?;
    let gone = call.bot.chat.library().delete_preset(call.guild, person.id, name).await?;
    Ok(Answer::text(match gone {
        true => format!("The preset {} is gone.", names::choice(name)),
        false => "That preset is not one of this server’s own.".to_owned(),
    }))
}

/// Asks whether they may change a preset: those who brought it may, and moderators.
async fn may_change(call: &Call, name: &str) -> Result<(), Refusal> {
    let whose = match call.bot.chat.store().get_preset(call.guild, name).await? {
        // Each import gives the preset the name that it notes.
        Some(kept) => call.whose(&["preset.import"], json!({ "preset": kept.name })).await?,
        None => Whose::Others,
    };
    call.may(Deed::EditPreset(whose)).await
}
