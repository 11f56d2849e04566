//! A forum's posts as scenes.

use std::sync::Arc;
use std::time::Duration;

use serenity::model::id::{ChannelId, ForumTagId, GuildId, MessageId, RoleId, UserId};
use tokio::time::sleep;

use super::super::api::{ApiError, Channel, Guild, Role};
use super::super::bot::{Author, Bot};
use super::super::call::Refusal;
use super::super::consent;
use super::super::locale::AUTO;
use super::super::permissions::{self, Deed, Part, Who};
use super::{Wish, begin, completed, open, say, title};
use crate::chat::{ChatError, story_text};
use crate::domain::{self, Character, Length};
use crate::store::{ChannelSettings, Noun, SceneOpening, StoreError};

/// How often, and how far apart, a post's text is looked for: the thread is told of
/// before its message can be read.
const STARTER_TRIES: u32 = 5;
const STARTER_AGAIN: Duration = Duration::from_millis(500);

/// The application may read what people write: granted, or granted to the unverified.
const MESSAGE_CONTENT: u64 = (1 << 18) | (1 << 19);

/// Somebody opened a post in a forum: where posts are scenes, this is one.
///
/// The post's text is the scenario, no turn. Its tags say who plays and how long
/// replies are. However often this is called, one scene begins.
pub(in super::super) async fn forum_post(bot: Arc<Bot>, guild_id: GuildId, thread: Channel) {
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
    // One that is over was begun by this post as well.
    if super::latest(bot, guild, thread.id).await?.is_some() {
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
    let person = bot.person(guild, &author).await?.id;
    match bot.chat.heed_standing(guild, person).await {
        Err(ChatError::MustAgree) => {
            let post = MessageId::new(thread.id.get());
            consent::ask(bot, guild, thread.id, owner, person, post).await?;
            return Ok(());
        }
        heard => heard?,
    }
    let around = bot.surroundings(thread.id, false).await.unwrap_or_default();
    let policy = bot.chat.library().policy_at(guild, &around, &thread.id.to_string()).await?;
    bot.chat.heed_scenes_begun(guild, &policy, person).await?;
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

async fn may_post(
    bot: &Bot,
    guild_id: GuildId,
    guild: domain::GuildId,
    owner: UserId,
    settings: &ChannelSettings,
) -> Result<bool, Refusal> {
    if settings.starter_roles.is_empty() {
        return Ok(true);
    }
    let (_, roles) = member(bot, guild_id, owner).await?;
    let known = bot.api.guild(guild_id).await?;
    let guild_settings = bot.chat.store().get_guild_settings(guild).await?;
    let permissions = permissions_of(&known, owner, &roles);
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let who = Who {
        permissions,
        roles: &roles,
        moderator_roles: &guild_settings.moderator_roles,
        part: Part::Reader,
    };
    let place = permissions::Place { settings: Some(settings), guild_is_set_up: true };
    Ok(permissions::may(&who, Deed::StartScene(place)).is_ok())
}

/// What somebody may do in a guild, as Discord's bits.
fn permissions_of(guild: &Guild, user: UserId, roles: &[RoleId]) -> u64 {
    if user == guild.owner_id {
        return u64::MAX;
    }
    // The role of everybody has the guild's id.
    let has = |role: &&Role| role.id.get() == guild.id.get() || roles.contains(&role.id);
    guild.roles.iter().filter(has).fold(0, |all, role| all | role.permissions)
}

/// Somebody's name and roles in a guild.
async fn member(
    bot: &Bot,
    guild: GuildId,
    user: UserId,
) -> Result<(Author, Vec<RoleId>), ApiError> {
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
            if tag == AUTO {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::character;
    use super::*;

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
    fn permissions_come_from_everybodys_role_and_ones_own() {
        let guild: Guild = serde_json::from_value(json!({
            "id": "1", "owner_id": "9",
            "roles": [
                { "id": "1", "permissions": "1" },
                { "id": "2", "permissions": "32" },
                { "id": "3", "permissions": "8" },
            ],
        }))
        .expect("a guild");
        let of = |user, role| permissions_of(&guild, UserId::new(user), &[RoleId::new(role)]);
        assert_eq!(of(5, 2), 33);
        assert_eq!(of(5, 77), 1);
        assert_eq!(of(9, 77), u64::MAX);
    }
}
