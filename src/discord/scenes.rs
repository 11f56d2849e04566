//! Opening a scene, branching one off, ending one.
//!
//! First the place, then the scene: a crash in between leaves a thread without a
//! scene, in which `/scene start` works as in any other. A scene is bound to its
//! channel by a unique key, so whoever comes second finds it there.

mod branch;
mod forum;

pub(super) use branch::branch;
pub(super) use forum::forum_post;

use serenity::model::id::ChannelId;

use super::api::{Channel, Mentions, Payload, ThreadEdit};
use super::bot::{Author, Bot, Place};
use super::call::{Call, Refusal};
use super::names;
use super::permissions::{self, Deed};
use super::split;
use crate::chat::{ChatError, ChatInHand, ChatPlace, ImportedChat, Opening, PersonaScope};
use crate::domain::{self, Character, Length, Scene};
use crate::store::{ChannelSettings, SceneOpening, StoreError};

/// A thread stays in sight for a week after the last word.
const AUTO_ARCHIVE_MINUTES: u32 = 10_080;
/// How many scenes back one that is over is looked for.
const MAX_ENDED: u32 = 500;

/// How much of a name is shown.
const MAX_NAME: usize = 80;
/// How much of what somebody said last in a chat is recalled where it goes on.
const MAX_RECALLED: usize = 700;

/// Discord's numbers for the kinds of channel that a scene can be in.
mod kind {
    pub(super) const TEXT: u8 = 0;
    pub(super) const NEWS: u8 = 5;
}

/// A scene as somebody wants it; what is left out comes from the channel's setup.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    pub(super) cast: Vec<Character>,
    pub(super) title: Option<String>,
    pub(super) scenario: Option<String>,
    pub(super) length: Option<Option<Length>>,
    pub(super) preset: Option<String>,
}

/// Where a scene that is asked for in a channel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Into the channel itself.
    Here,
    /// Into a thread of its own.
    Thread,
}

/// Decides it by the channel's type and how it is set up; whether scenes may begin
/// there is another question.
fn whither(channel: &Channel, settings: Option<&ChannelSettings>) -> Result<Where, Refusal> {
    match settings.map_or(SceneOpening::Command, |settings| settings.opens) {
        _ if channel.is_thread() => return Ok(Where::Here),
        SceneOpening::Channel => return Ok(Where::Here),
        SceneOpening::Command | SceneOpening::Post | SceneOpening::Never => {}
    }
    match channel.kind {
        kind::TEXT | kind::NEWS => Ok(Where::Thread),
        _ => Err(Refusal::plain("scenes are played in text channels, threads and forum posts")),
    }
}

/// A place in which a scene may begin.
struct Opened {
    settings: Option<ChannelSettings>,
    place: Where,
}

/// Whether a scene may begin here, and where it would go.
async fn may_begin(call: &Call) -> Result<Opened, Refusal> {
    let bot = &call.bot;
    // Asked anew: what this process remembers may be older than the store.
    bot.forget_channel(call.channel);
    if bot.place(call.guild_id, call.channel).await?.is_some() {
        return Err(Refusal::plain("a scene is being played here already; /scene end ends it"));
    }
    let channel = bot.api.channel(call.channel).await?;
    let settings = channel_settings(bot, call.guild, &channel).await?;
    let place = whither(&channel, settings.as_ref())?;
    let guild_is_set_up = is_set_up(bot, call.guild).await?;
    let place_of = permissions::Place { settings: settings.as_ref(), guild_is_set_up };
    call.may(Deed::StartScene(place_of)).await?;
    Ok(Opened { settings, place })
}

/// The channel in which a scene of that title is played: a new thread, where it goes into
/// one.
async fn venue_for(call: &Call, place: Where, title: &str) -> Result<ChannelId, Refusal> {
    match place {
        Where::Here => Ok(call.channel),
        Where::Thread => {
            let name = names::thread_name(title);
            let archive = Some(AUTO_ARCHIVE_MINUTES);
            Ok(call.bot.api.create_thread(call.channel, &name, archive).await?.id)
        }
    }
}

/// Opens a scene as a command asks for it; gives its channel.
pub(super) async fn start(call: &Call, wish: Wish) -> Result<ChannelId, Refusal> {
    let bot = &call.bot;
    let Opened { settings, place } = may_begin(call).await?;
    let wish = completed(bot, call.guild, wish, settings).await?;
    let title = title(&wish);
    let venue = venue_for(call, place, &title).await?;
    let opened = open(bot, call.guild, venue, &call.author(), wish, title).await;
    settle(call, venue, opened).await
}

/// Whether a chat that was played elsewhere may go on here.
pub(super) async fn may_import(call: &Call) -> Result<(), Refusal> {
    may_begin(call).await.map(|_| ())
}

/// Lets a chat that was played elsewhere go on; gives its channel, and what came of it.
pub(super) async fn import(
    call: &Call,
    chat: ChatInHand,
    lead: Option<Character>,
    title: Option<&str>,
) -> Result<(ChannelId, ImportedChat), Refusal> {
    let bot = &call.bot;
    if chat.characters.is_empty() && lead.is_none() {
        return Err(Refusal::plain(
            "no character speaks in that chat; character: says who plays in it from now on",
        ));
    }
    let Opened { place, .. } = may_begin(call).await?;
    let named = lead.as_ref().map(|character| character.sheet.stage_name().to_owned());
    let title = title.map(str::to_owned).or(named).unwrap_or_else(|| chat.characters.join(", "));
    let title = names::thread_name(&title);
    let venue = venue_for(call, place, &title).await?;
    let person = bot.person(call.guild, &call.author()).await?;
    let surroundings = bot.surroundings(venue, false).await.unwrap_or_default();
    let place = bot.chat.chat_place(venue.to_string(), Some(title));
    let place = ChatPlace { surroundings, ..place };
    let library = bot.chat.library();
    match library.import_chat(call.guild, &person, chat, lead, place).await {
        Ok(imported) => {
            say(bot, venue, &heading(&imported)).await;
            settle(call, venue, Ok(imported.scene.clone())).await?;
            Ok((venue, imported))
        }
        Err(error) => Err(settle(call, venue, Err(error)).await.expect_err("it did not begin")),
    }
}

/// What stands above a chat that goes on. Of the chat itself only what characters said at
/// its end is shown after it, so this says what they answered.
fn heading(imported: &ImportedChat) -> String {
    let mut words = match imported.num_turns {
        1 => "*A chat goes on here, after one turn.*".to_owned(),
        number => format!("*A chat goes on here, after {number} turns.*"),
    };
    if let Some((name, text)) = &imported.last_words {
        let name = names::line(name, MAX_NAME, "Somebody");
        let text = match names::length(text) <= MAX_RECALLED {
            true => text.clone(),
            false => split::preview(text, MAX_RECALLED),
        };
        let lines: String = text.lines().map(|line| format!("\n> {line}")).collect();
        words.push_str(&format!("\n> **{name}**{lines}"));
    }
    if imported.is_unanswered {
        words.push_str("\n-# Write on, or /reply lets somebody answer.");
    }
    words
}

/// A scene begins in its channel, or did not.
async fn settle(
    call: &Call,
    venue: ChannelId,
    opened: Result<Scene, ChatError>,
) -> Result<ChannelId, Refusal> {
    let bot = &call.bot;
    match opened {
        Ok(scene) => {
            // Everything up to the command came before the scene.
            let seen = if venue == call.channel { call.handle.id.get() } else { venue.get() };
            begin(bot, &scene, venue, seen).await?;
            Ok(venue)
        }
        Err(error) if venue != call.channel => Err(Refusal::plain(format!(
            "the thread <#{venue}> is there, but the scene could not begin: {}; /scene start works \
             in it",
            error.notice()
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody said of any channel how scenes begin there.
async fn is_set_up(bot: &Bot, guild: domain::GuildId) -> Result<bool, ChatError> {
    Ok(!bot.chat.store().list_channel_settings(guild).await?.is_empty())
}

/// How the channel is set up; a thread as its parent.
async fn channel_settings(
    bot: &Bot,
    guild: domain::GuildId,
    channel: &Channel,
) -> Result<Option<ChannelSettings>, ChatError> {
    let stage = match channel.parent_id {
        Some(parent) if channel.is_thread() => parent,
        _ => channel.id,
    };
    Ok(bot.chat.store().get_channel_settings(guild, &stage.to_string()).await?)
}

/// What was left out, from the setup; the first of the library where nothing says
/// who plays.
async fn completed(
    bot: &Bot,
    guild: domain::GuildId,
    wish: Wish,
    settings: Option<ChannelSettings>,
) -> Result<Wish, ChatError> {
    let (mut wish, store) = (wish, bot.chat.store());
    let (character, length, preset) = match settings {
        Some(settings) => (settings.character, settings.length, settings.preset),
        None => (None, None, None),
    };
    if wish.cast.is_empty()
        && let Some(id) = character
    {
        wish.cast.extend(store.get_character(guild, id).await?);
    }
    if wish.cast.is_empty() {
        wish.cast.extend(store.list_characters(guild).await?.into_iter().next());
    }
    if wish.cast.is_empty() {
        return Err(ChatError::Refused(
            "there are no characters on this server yet; /character create makes one".into(),
        ));
    }
    wish.length = wish.length.or(length.map(Some));
    wish.preset = wish.preset.or(preset);
    if let Some(preset) = wish.preset.take() {
        wish.preset = Some(known_preset(bot, guild, &preset).await?);
    }
    Ok(wish)
}

/// A preset's name as the guild has it, by what somebody wrote.
pub(super) async fn known_preset(
    bot: &Bot,
    guild: domain::GuildId,
    written: &str,
) -> Result<String, ChatError> {
    let names = bot.chat.preset_names(guild).await?;
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(written.trim()));
    found.cloned().ok_or_else(|| {
        let written = names::line(written, 40, "?");
        let names = names.join(", ");
        ChatError::Refused(format!("there is no preset “{written}”; there are {names}"))
    })
}

/// What the scene is called: as asked, else by who plays.
fn title(wish: &Wish) -> String {
    let given = wish.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    given.map_or_else(
        || {
            let cast = wish.cast.iter().map(|character| character.sheet.stage_name());
            cast.collect::<Vec<_>>().join(", ")
        },
        str::to_owned,
    )
}

async fn open(
    bot: &Bot,
    guild: domain::GuildId,
    venue: ChannelId,
    who: &Author,
    wish: Wish,
    title: String,
) -> Result<Scene, ChatError> {
    let person = bot.person(guild, who).await?;
    let persona = bot.chat.persona_of(guild, PersonaScope::Guild, person.id).await?;
    let user = persona.as_ref().map_or(&person.display_name, |persona| &persona.name);
    // Where Discord does not say it, nothing is for adults.
    let surroundings = bot.surroundings(venue, false).await.unwrap_or_default();
    let scene = bot
        .chat
        .open_scene(Opening {
            guild,
            channel: venue.to_string(),
            cast: &wish.cast,
            user,
            title: Some(title),
            scenario: wish.scenario,
            preset: wish.preset,
            length: wish.length,
            surroundings,
        })
        .await?;
    // First of all people, which is how the one who began a scene is known.
    bot.chat.store().insert_participant(guild, scene.id, person.id).await?;
    Ok(scene)
}

/// A scene was opened: from now on its channel is listened to, and shows it.
async fn begin(bot: &Bot, scene: &Scene, venue: ChannelId, seen: u64) -> Result<(), ChatError> {
    let seen = i64::try_from(seen).unwrap_or(i64::MAX);
    bot.chat.store().raise_cursor(scene.guild_id, scene.id, seen).await?;
    bot.forget_channel(venue);
    bot.chat.ask_show(scene.guild_id, scene.id).await?;
    Ok(())
}

/// The latest scene that was opened in a place, whether or not it is over.
pub(super) async fn latest(
    bot: &Bot,
    guild: domain::GuildId,
    channel: ChannelId,
) -> Result<Option<Scene>, StoreError> {
    let channel = channel.to_string();
    let store = bot.chat.store();
    if let Some(scene) = store.get_scene_by_channel(guild, &channel).await? {
        return Ok(Some(scene));
    }
    let scenes = store.list_scenes(guild, true, MAX_ENDED).await?;
    Ok(scenes.into_iter().find(|scene| scene.channel == channel))
}

/// Ends a scene, with a closing line.
pub(super) async fn end(call: &Call, place: Place) -> Result<(), Refusal> {
    call.bot.chat.end_scene(place.guild, place.scene).await?;
    call.bot.forget_channel(call.channel);
    let words = "*The scene is over.* It can be read here; /scene export gives it as a file.";
    say(&call.bot, call.channel, words).await;
    Ok(())
}

/// Puts a scene's thread into the archive, not locked; a channel stays as it is.
pub(super) async fn archive(bot: &Bot, channel: ChannelId) {
    let edit = ThreadEdit { archived: Some(true), ..ThreadEdit::default() };
    let archived = match bot.api.channel(channel).await {
        Ok(found) if found.is_thread() => bot.api.edit_thread(channel, &edit).await,
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    // Without the permission it stays where it is until it falls silent.
    if let Err(error) = archived {
        tracing::info!(error.kind = error.kind(), "discord.scene.not_archived");
    }
}

/// Says something to everybody in a channel, if it can be said.
async fn say(bot: &Bot, channel: ChannelId, words: &str) {
    let said = match Payload::new(words, Mentions::NONE) {
        Ok(payload) => {
            let payload = payload.without_embeds();
            bot.api.create_message(channel, &payload, None).await.map(drop)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = said {
        tracing::warn!(error.kind = error.kind(), "discord.notice.lost");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{CharacterId, CharacterSheet, GuildId};

    fn channel(kind: u8) -> Channel {
        serde_json::from_value(json!({ "id": "1", "type": kind, "parent_id": "2" }))
            .expect("a channel")
    }

    fn settings(opens: SceneOpening) -> ChannelSettings {
        ChannelSettings {
            channel: "1".into(),
            opens,
            starter_roles: Vec::new(),
            character: None,
            length: None,
            preset: None,
        }
    }

    pub(super) fn character(id: i64, name: &str, nickname: Option<&str>) -> Character {
        let sheet = CharacterSheet {
            name: name.into(),
            nickname: nickname.map(str::to_owned),
            ..CharacterSheet::default()
        };
        Character { id: CharacterId(id), guild_id: GuildId(1), sheet }
    }

    #[test]
    fn a_scene_goes_where_the_channel_says() {
        let goes = |kind, opens: Option<SceneOpening>| {
            whither(&channel(kind), opens.map(settings).as_ref()).ok()
        };
        assert_eq!(goes(0, None), Some(Where::Thread));
        assert_eq!(goes(5, Some(SceneOpening::Command)), Some(Where::Thread));
        assert_eq!(goes(0, Some(SceneOpening::Channel)), Some(Where::Here));
        for thread in [10, 11, 12] {
            assert_eq!(goes(thread, None), Some(Where::Here));
            assert_eq!(goes(thread, Some(SceneOpening::Post)), Some(Where::Here));
        }
        assert_eq!(goes(2, None), None, "a voice channel has no threads");
    }

    #[test]
    fn scenes_are_called_by_who_plays_or_as_asked() {
        let cast = vec![character(1, "Maren Holt", Some("Maren")), character(2, "Tamsin", None)];
        let wish = Wish { cast, ..Wish::default() };
        assert_eq!(title(&wish), "Maren, Tamsin");
        let asked = Wish { title: Some(" The storm ".into()), ..wish };
        assert_eq!(title(&asked), "The storm");
    }
}
