//! `/setup`: where scenes may live, and who looks after them.

use serde_json::json;
use serenity::model::id::ChannelId;

use super::super::api::Channel;
use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::{render, scenes};
use super::{length_option, required};
use crate::store::{ChannelSettings, Consent, SceneOpening};

/// Discord's number for a channel of text.
const TEXT: u8 = 0;
/// Discord's number for a channel of announcements, which has threads as well.
const NEWS: u8 = 5;

/// What `/setup channel scenes:` can say.
fn opening(word: &str) -> Option<SceneOpening> {
    Some(match word {
        "command" => SceneOpening::Command,
        "post" => SceneOpening::Post,
        "channel" => SceneOpening::Channel,
        "never" => SceneOpening::Never,
        _ => return None,
    })
}

/// Whether scenes can begin so in such a channel.
fn fits(channel: &Channel, opens: SceneOpening) -> Result<(), Refusal> {
    let is_text = [TEXT, NEWS].contains(&channel.kind);
    match opens {
        SceneOpening::Post if !channel.is_forum() => {
            Err(Refusal::plain("only a forum has posts; choose /scene start for this channel"))
        }
        SceneOpening::Channel if !is_text => {
            Err(Refusal::plain("only a text channel can be a scene itself"))
        }
        SceneOpening::Command if !is_text && !channel.is_forum() => {
            Err(Refusal::plain("scenes are played in text channels, threads and forum posts"))
        }
        _ => Ok(()),
    }
}

pub(super) async fn channel(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let id = options.id("channel").ok_or_else(|| Refusal::plain("say which channel you mean"))?;
    let channel = own_channel(call, id).await?;
    let store = call.bot.chat.store();
    let known = store.get_channel_settings(call.guild, &id.to_string()).await?;
    let is_first = store.list_channel_settings(call.guild).await?.is_empty();
    let mut settings = known.unwrap_or_else(|| ChannelSettings {
        channel: id.to_string(),
        opens: if channel.is_forum() { SceneOpening::Post } else { SceneOpening::Command },
        starter_roles: Vec::new(),
        character: None,
        length: None,
        preset: None,
    });
    if let Some(word) = options.text("scenes") {
        settings.opens = opening(word).ok_or_else(|| {
            Refusal::plain("scenes begin there by command, by post, as the channel, or never")
        })?;
    }
    fits(&channel, settings.opens)?;
    if let Some(role) = options.id("role") {
        // The role of everybody has the guild's id.
        settings.starter_roles =
            if role == call.guild_id.get() { Vec::new() } else { vec![role.to_string()] };
    }
    if let Some(name) = options.text("character") {
        settings.character = Some(call.character(name).await?.id);
    }
    if let Some(length) = length_option(options)? {
        settings.length = length;
    }
    if let Some(name) = options.text("preset") {
        settings.preset = Some(scenes::known_preset(&call.bot, call.guild, name).await?);
    }
    store.upsert_channel_settings(call.guild, &settings).await?;
    call.bot.forget_channel(ChannelId::new(id));
    let detail = json!({ "channel": settings.channel, "opens": options.text("scenes") });
    note(call, "channel.set_up", &detail).await?;
    let words = opens_words(settings.opens);
    Ok(Answer::text(if is_first {
        format!(
            "<#{id}> is set up: {words}. From now on scenes begin only in channels that are set up."
        )
    } else {
        format!("<#{id}> is set up: {words}.")
    }))
}

/// A channel of this guild that the bot can see.
pub(super) async fn own_channel(call: &Call, id: u64) -> Result<Channel, Refusal> {
    let channel = call.bot.api.channel(ChannelId::new(id)).await?;
    if channel.guild_id != Some(call.guild_id) {
        return Err(Refusal::plain("that channel is not on this server"));
    }
    Ok(channel)
}

fn opens_words(opens: SceneOpening) -> &'static str {
    match opens {
        SceneOpening::Never => "no scenes begin there",
        SceneOpening::Command => "scenes begin there by /scene start",
        SceneOpening::Post => "every new post there is a scene",
        SceneOpening::Channel => "the channel itself is one scene, by /scene start",
    }
}

pub(super) async fn roles(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let mut settings = call.settings().await?;
    let (added, removed) = (options.id("moderators"), options.id("remove"));
    if added == Some(call.guild_id.get()) {
        return Err(Refusal::plain("everybody cannot be a moderator; choose another role"));
    }
    let roles = &mut settings.moderator_roles;
    if let Some(role) = removed {
        roles.retain(|known| *known != role.to_string());
    }
    if let Some(role) = added.map(|role| role.to_string())
        && !roles.contains(&role)
    {
        roles.push(role);
    }
    if added.is_some() || removed.is_some() {
        call.bot.chat.store().upsert_guild_settings(call.guild, &settings).await?;
        let detail = json!({ "added": added, "removed": removed });
        note(call, "guild.roles", &detail).await?;
    }
    let roles: Vec<String> =
        settings.moderator_roles.iter().map(|role| format!("<@&{role}>")).collect();
    Ok(Answer::text(if roles.is_empty() {
        "Only those who manage the server look after scenes.".to_owned()
    } else {
        format!(
            "Scenes are looked after by {}, and by those who manage the server.",
            roles.join(", ")
        )
    }))
}

pub(super) async fn reports(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let mut settings = call.settings().await?;
    if let Some(id) = options.id("channel") {
        own_channel(call, id).await?;
    }
    settings.reports_channel = options.id("channel").map(|id| id.to_string());
    call.bot.chat.store().upsert_guild_settings(call.guild, &settings).await?;
    note(call, "guild.reports", &json!({ "channel": settings.reports_channel })).await?;
    Ok(Answer::text(match settings.reports_channel {
        Some(id) => format!("Reports, and what waits for moderators, are told in <#{id}>."),
        None => "Reports, and what waits for moderators, are told nowhere; /mod queue lists them."
            .to_owned(),
    }))
}

pub(super) async fn consent(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let consent = Consent::of(required(options, "people")?)
        .ok_or_else(|| Refusal::plain("people are asked, or their consent is assumed"))?;
    let person = call.person().await?.id;
    call.bot.chat.set_consent(call.guild, consent, person).await?;
    Ok(Answer::text(match consent {
        Consent::Asked => {
            "From now on each person is asked once before anything that they say is taken, and \
             what those said who did not agree is in no prompt."
        }
        Consent::Assumed => {
            "Nobody is asked from now on: tell your members by other means what becomes of their \
             words. /privacy is there for each of them."
        }
    }))
}

pub(super) async fn show(call: &Call) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let settings = call.settings().await?;
    let store = call.bot.chat.store();
    let channels = store.list_channel_settings(call.guild).await?;
    let characters = store.list_characters(call.guild).await?;
    let name = |id| {
        let found = characters.iter().find(|character| character.id == id);
        found.map(|character| character.sheet.name.clone())
    };
    let consent = store.get_guild_consent(call.guild).await?;
    Ok(Answer::text(render::setup(&settings, consent, &channels, name)))
}

/// Keeps who changed what.
async fn note(call: &Call, action: &str, detail: &serde_json::Value) -> Result<(), Refusal> {
    let person = call.person().await?;
    Ok(call.bot.chat.store().insert_audit(call.guild, Some(person.id), action, detail).await?)
}

#[cfg(test)]
mod tests {
    use super::super::super::locale;
    use super::*;

    fn channel(kind: u8) -> Channel {
        serde_json::from_value(json!({ "id": "1", "type": kind })).expect("a channel")
    }

    #[test]
    fn every_choice_that_people_see_is_known() {
        let setup = locale::definitions().iter().find(|command| command["name"] == "setup");
        let options = &setup.expect("there")["options"][0];
        assert_eq!(options["name"], "channel");
        let scenes = options["options"].as_array().expect("a list").iter();
        let scenes = scenes.clone().find(|option| option["name"] == "scenes").expect("there");
        for choice in scenes["choices"].as_array().expect("a list") {
            assert!(opening(choice["value"].as_str().expect("a text")).is_some(), "{choice}");
        }
    }

    #[test]
    fn scenes_begin_only_as_the_channel_can() {
        let can = |kind, opens| fits(&channel(kind), opens).is_ok();
        assert!(can(15, SceneOpening::Post) && can(16, SceneOpening::Post));
        assert!(!can(0, SceneOpening::Post));
        assert!(can(0, SceneOpening::Channel) && !can(15, SceneOpening::Channel));
        assert!(can(5, SceneOpening::Command) && can(15, SceneOpening::Command));
        assert!(!can(2, SceneOpening::Command) && can(2, SceneOpening::Never));
    }
}
