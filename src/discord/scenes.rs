//! Opening a scene, branching one off, ending one.
//!
//! First the place, then the scene: a crash in between leaves a thread without a
//! scene, in which `/scene start` works as in any other. A scene is bound to its
//! channel by a unique key, so whoever comes second finds it there.

use std::sync::Arc;
use std::time::Duration;

use serenity::model::id::{ChannelId, ForumTagId, GuildId, MessageId};
use tokio::time::sleep;

use super::api::{ApiError, Channel, Mentions, Payload, ThreadEdit};
use super::bot::{Author, Bot, Place};
use super::call::{Answer, Call, Refusal};
use super::names;
use super::permissions::{self, Deed, Part, Who};
use crate::chat::{ChatError, Opening, PersonaScope, story_text};
use crate::domain::{self, Character, Length, Scene, TurnId};
use crate::store::{ChannelSettings, Noun, SceneOpening, StoreError};

/// A thread stays in sight for a week after the last word.
const AUTO_ARCHIVE_MINUTES: u32 = 10_080;
/// How often, and how far apart, a post's text is looked for: the thread is told of
/// before its message can be read.
const STARTER_TRIES: u32 = 5;
const STARTER_AGAIN: Duration = Duration::from_millis(500);
/// How many scenes back one that is over is looked for.
const MAX_ENDED: u32 = 500;
/// A forum's post has at most so many tags.
const MAX_TAGS: usize = 5;

/// The application may read what people write: granted, or granted to the unverified.
const MESSAGE_CONTENT: u64 = (1 << 18) | (1 << 19);

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

/// Opens a scene as a command asks for it; gives its channel.
pub(super) async fn start(call: &Call, wish: Wish) -> Result<ChannelId, Refusal> {
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
    let wish = completed(bot, call.guild, wish, settings).await?;
    let title = title(&wish);
    let venue = match place {
        Where::Here => call.channel,
        Where::Thread => {
            let thread = bot
                .api
                .create_thread(
                    call.channel,
                    &names::thread_name(&title),
                    Some(AUTO_ARCHIVE_MINUTES),
                )
                .await?;
            thread.id
        }
    };
    let opened = open(bot, call.guild, venue, &call.author(), wish, title).await;
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
    if let Some(preset) = &wish.preset {
        let known = bot.chat.preset_names(guild).await?;
        if !known.iter().any(|name| name.eq_ignore_ascii_case(preset)) {
            let known = known.join(", ");
            let reason = format!("there is no preset “{preset}”; there are {known}");
            return Err(ChatError::Refused(reason));
        }
    }
    Ok(wish)
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

/// Somebody opened a post in a forum: where posts are scenes, this is one.
///
/// The post's text is the scenario, no turn. Its tags say who plays and how long
/// replies are. However often this is called, one scene begins.
pub(super) async fn forum_post(bot: Arc<Bot>, guild_id: GuildId, thread: Channel) {
    match open_post(&bot, guild_id, &thread).await {
        Ok(()) => {}
        Err(Refusal::Chat(ChatError::Store(StoreError::Taken(Noun::Scene)))) => {}
        Err(refusal) => {
            tracing::warn!(error.kind = refusal.kind(), "discord.forum_post.failed");
            say(&bot, thread.id, &refusal.notice()).await;
        }
    }
}

async fn open_post(bot: &Bot, guild_id: GuildId, thread: &Channel) -> Result<(), Refusal> {
    let Some(parent) = thread.parent_id else { return Ok(()) };
    let Some(owner) = thread.owner_id.filter(|owner| *owner != bot.application.user) else {
        return Ok(());
    };
    let guild = bot.guild(guild_id).await?.id;
    let store = bot.chat.store();
    let settings = store.get_channel_settings(guild, &parent.to_string()).await?;
    let Some(settings) = settings.filter(|settings| settings.opens == SceneOpening::Post) else {
        return Ok(());
    };
    if scene_was_here(bot, guild, thread.id).await? {
        return Ok(());
    }
    if !may_post(bot, guild_id, guild, owner, &settings).await? {
        // Others may post there, too; that is no scene and nobody's mistake.
        tracing::debug!("discord.forum_post.not_a_starter");
        return Ok(());
    }
    let starter = starter(bot, thread.id).await?;
    let tags = tag_names(bot, parent, &thread.applied_tags).await?;
    let tagged = Tagged::read(&tags, &store.list_characters(guild).await?);
    let wish = Wish {
        cast: tagged.cast,
        title: Some(thread.name.clone()),
        scenario: starter.as_ref().and_then(|starter| story_text(&starter.text)),
        length: tagged.length,
        preset: None,
    };
    let is_unread = wish.scenario.is_none() && bot.application.flags & MESSAGE_CONTENT == 0;
    let wish = completed(bot, guild, wish, Some(settings)).await?;
    let author = match starter {
        Some(Starter { author, .. }) => author,
        None => member(bot, guild_id, owner).await?.0,
    };
    let title = title(&wish);
    let scene = open(bot, guild, thread.id, &author, wish, title).await?;
    // The post's own message has the thread's id.
    begin(bot, &scene, thread.id, thread.id.get()).await?;
    if is_unread {
        let words = "I was not given the Message Content intent, so I cannot read this post or \
                     what you write here. Until the operator gives it, mention me in each message.";
        say(bot, thread.id, words).await;
    }
    Ok(())
}

/// Whether a scene was ever opened in that place.
async fn scene_was_here(
    bot: &Bot,
    guild: domain::GuildId,
    channel: ChannelId,
) -> Result<bool, StoreError> {
    let scenes = bot.chat.store().list_scenes(guild, true, MAX_ENDED).await?;
    let channel = channel.to_string();
    Ok(scenes.iter().any(|scene| scene.channel == channel))
}

async fn may_post(
    bot: &Bot,
    guild_id: GuildId,
    guild: domain::GuildId,
    owner: serenity::model::id::UserId,
    settings: &ChannelSettings,
) -> Result<bool, Refusal> {
    if settings.starter_roles.is_empty() {
        return Ok(true);
    }
    let (_, roles) = member(bot, guild_id, owner).await?;
    let guild_settings = bot.chat.store().get_guild_settings(guild).await?;
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let who = Who {
        permissions: 0,
        roles: &roles,
        moderator_roles: &guild_settings.moderator_roles,
        part: Part::Reader,
    };
    let place = permissions::Place { settings: Some(settings), guild_is_set_up: true };
    Ok(permissions::may(&who, Deed::StartScene(place)).is_ok())
}

/// Somebody's name and roles in a guild.
async fn member(
    bot: &Bot,
    guild: GuildId,
    user: serenity::model::id::UserId,
) -> Result<(Author, Vec<serenity::model::id::RoleId>), ApiError> {
    let member = bot.api.member(guild, user).await?;
    let account = member.user.as_ref();
    let name = member
        .nick
        .clone()
        .or_else(|| account.and_then(|user| user.global_name.clone()))
        .or_else(|| account.map(|user| user.username.clone()))
        .unwrap_or_else(|| "Somebody".to_owned());
    Ok((Author { external_id: user.to_string(), display_name: name }, member.roles))
}

/// The message that a post begins with.
struct Starter {
    author: Author,
    text: String,
}

/// Reads it. It can come later than its thread; one that was deleted at once never
/// comes.
async fn starter(bot: &Bot, thread: ChannelId) -> Result<Option<Starter>, ApiError> {
    let mut pause = STARTER_AGAIN;
    for _ in 1..STARTER_TRIES {
        match read_starter(bot, thread).await {
            Err(ApiError::NotFound { .. } | ApiError::Forbidden { .. }) => sleep(pause).await,
            read => return read.map(Some),
        }
        pause *= 2;
    }
    match read_starter(bot, thread).await {
        Err(ApiError::NotFound { .. }) => Ok(None),
        read => read.map(Some),
    }
}

async fn read_starter(bot: &Bot, thread: ChannelId) -> Result<Starter, ApiError> {
    let message = bot.api.message(thread, MessageId::new(thread.get())).await?;
    let author = &message.author;
    let name = author.global_name.as_ref().unwrap_or(&author.username);
    Ok(Starter {
        author: Author {
            external_id: author.id.to_string(),
            display_name: message.nick.as_ref().unwrap_or(name).clone(),
        },
        text: message.content,
    })
}

/// What the tags of a post are called; the forum knows.
async fn tag_names(
    bot: &Bot,
    forum: ChannelId,
    applied: &[ForumTagId],
) -> Result<Vec<String>, ApiError> {
    if applied.is_empty() {
        return Ok(Vec::new());
    }
    let known = bot.api.channel(forum).await?.available_tags;
    let name = |id: &ForumTagId| known.iter().find(|tag| tag.id == *id).map(|tag| tag.name.clone());
    Ok(applied.iter().filter_map(name).collect())
}

/// What the tags of a post choose.
#[derive(Debug, Default, PartialEq)]
struct Tagged {
    cast: Vec<Character>,
    length: Option<Option<Length>>,
}

impl Tagged {
    /// Tags that name no character and no length are people's own business.
    fn read(tags: &[String], library: &[Character]) -> Self {
        let mut tagged = Self::default();
        for tag in tags {
            let tag = tag.trim().to_lowercase();
            if tag == super::locale::AUTO {
                tagged.length = Some(None);
            } else if let Ok(length) = tag.parse() {
                tagged.length = Some(Some(length));
            }
            let is_meant = |character: &&Character| {
                let sheet = &character.sheet;
                [sheet.name.as_str(), sheet.stage_name()]
                    .iter()
                    .any(|name| name.trim().to_lowercase() == tag)
            };
            if let Some(character) = library.iter().find(is_meant)
                && !tagged.cast.contains(character)
            {
                tagged.cast.push(character.clone());
            }
        }
        tagged
    }
}

/// Goes on from a turn, or from the latest one, in another thread or post.
pub(super) async fn branch(
    call: &Call,
    at: Option<TurnId>,
    title: Option<&str>,
) -> Result<Answer, Refusal> {
    let scene = call.scene().await?;
    call.may(Deed::Branch).await?;
    let at = at.or(scene.head).ok_or_else(|| Refusal::plain("nothing has been said yet"))?;
    let bot = &call.bot;
    let here = bot.api.channel(call.channel).await?;
    let title = match title.map(str::trim) {
        Some(title) if !title.is_empty() => title.to_owned(),
        _ => branch_title(&scene.title),
    };
    let link =
        format!("A branch of <#{}>: as if from there on it had gone another way.", call.channel);
    let link = Payload::new(link, Mentions::NONE)?;
    let thread = branch_thread(bot, &here, &title, &link).await?;
    let branched =
        bot.chat.branch_scene(call.guild, scene.id, at, &thread.to_string(), &title).await;
    match branched {
        Ok(scene) => {
            begin(bot, &scene, thread, thread.get()).await?;
            Ok(Answer::text(format!("The other way begins in <#{thread}>.")))
        }
        Err(error) => Err(Refusal::plain(format!(
            "the thread <#{thread}> is there, but the branch could not begin: {}",
            error.notice()
        ))),
    }
}

/// The place of a branch, with the link back as its first message.
async fn branch_thread(
    bot: &Bot,
    here: &Channel,
    title: &str,
    link: &Payload,
) -> Result<ChannelId, ApiError> {
    let name = names::thread_name(title);
    let parent = match here.parent_id {
        Some(parent) if here.is_thread() => Some(bot.api.channel(parent).await?),
        _ => None,
    };
    match parent {
        Some(forum) if forum.is_forum() => {
            let tags: Vec<_> = here.applied_tags.iter().copied().take(MAX_TAGS).collect();
            let (thread, _) = bot.api.create_forum_post(forum.id, &name, link, &tags).await?;
            Ok(thread.id)
        }
        other => {
            let stage = other.map_or(here.id, |parent| parent.id);
            let thread = bot.api.create_thread(stage, &name, Some(AUTO_ARCHIVE_MINUTES)).await?;
            // Only a courtesy: the branch can be played without it.
            if let Err(error) = bot.api.create_message(thread.id, link, None).await {
                tracing::warn!(error.kind = error.kind(), "discord.branch.no_link");
            }
            Ok(thread.id)
        }
    }
}

/// What a branch is called; the ending stays whole however long the title is.
fn branch_title(title: &str) -> String {
    const ENDING: &str = " – branch";
    let title = names::line(title, 100 - names::length(ENDING), "Scene");
    format!("{title}{ENDING}")
}

/// Ends a scene: a closing line, and its thread goes to the archive, not locked.
pub(super) async fn end(call: &Call, place: Place) -> Result<(), Refusal> {
    let bot = &call.bot;
    bot.chat.end_scene(place.guild, place.scene).await?;
    bot.forget_channel(call.channel);
    say(
        bot,
        call.channel,
        "*The scene is over.* It can be read here; /scene export gives it as a file.",
    )
    .await;
    let is_thread = match call.seen.kind {
        Some(kind) => (10..=12).contains(&kind),
        None => bot.api.channel(call.channel).await?.is_thread(),
    };
    if is_thread {
        let edit = ThreadEdit { archived: Some(true), ..ThreadEdit::default() };
        // Without the permission it stays where it is until it falls silent.
        if let Err(error) = bot.api.edit_thread(call.channel, &edit).await {
            tracing::info!(error.kind = error.kind(), "discord.scene.not_archived");
        }
    }
    Ok(())
}

/// Says something to everybody in a channel, if it can be said.
async fn say(bot: &Bot, channel: ChannelId, words: &str) {
    let said = match Payload::new(words, Mentions::NONE) {
        Ok(payload) => bot.api.create_message(channel, &payload, None).await.map(drop),
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

    fn character(id: i64, name: &str, nickname: Option<&str>) -> Character {
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
    fn tags_choose_characters_and_length() {
        let library = [character(1, "Maren Holt", Some("Maren")), character(2, "Tamsin", None)];
        let read = |tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let tagged = Tagged::read(&tags, &library);
            (tagged.cast.iter().map(|c| c.id.0).collect::<Vec<_>>(), tagged.length)
        };
        assert_eq!(read(&["Horror", "tamsin", "MAREN", "Long"]), {
            (vec![2, 1], Some(Some(Length::Long)))
        });
        assert_eq!(read(&["maren holt", "maren", "auto"]), (vec![1], Some(None)));
        assert_eq!(read(&["nobody"]), (vec![], None));
    }

    #[test]
    fn scenes_are_called_by_who_plays_or_as_asked() {
        let cast = vec![character(1, "Maren Holt", Some("Maren")), character(2, "Tamsin", None)];
        let wish = Wish { cast, ..Wish::default() };
        assert_eq!(title(&wish), "Maren, Tamsin");
        let asked = Wish { title: Some(" The storm ".into()), ..wish };
        assert_eq!(title(&asked), "The storm");
        assert_eq!(branch_title("The storm"), "The storm – branch");
        assert_eq!(names::length(&branch_title(&"x".repeat(200))), 100);
    }
}
