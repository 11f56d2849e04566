//! The world as Discord's JSON. REST and gateway share it; both are checked, by
//! Discord's OpenAPI description and by `twilight-model`.

use serde_json::{Map, Value, json};

use super::clock::iso;
use super::model::{
    Author, Channel, Guild, Member, Message, Overwrite, Role, Tag, Thread, User, Webhook, flag,
};
use super::world::World;

pub(crate) fn user(user: &User) -> Value {
    let mut json = json!({
        "id": user.id.to_string(), "username": user.name, "discriminator": "0",
        "global_name": user.display_name, "avatar": null, "public_flags": 0, "flags": 0,
        "primary_guild": null,
    });
    if user.bot {
        json["bot"] = true.into();
    }
    json
}

pub(crate) fn role(role: &Role, position: usize) -> Value {
    json!({
        "id": role.id.to_string(), "name": role.name, "permissions": role.permissions.to_string(),
        "position": position, "color": 0, "hoist": false, "managed": role.managed,
        "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null},
        "mentionable": false, "icon": null, "unicode_emoji": null, "flags": 0,
    })
}

fn overwrite(overwrite: &Overwrite) -> Value {
    json!({
        "id": overwrite.id.to_string(), "type": u8::from(overwrite.is_member),
        "allow": overwrite.allow.to_string(), "deny": overwrite.deny.to_string(),
    })
}

fn tag(tag: &Tag) -> Value {
    json!({
        "id": tag.id.to_string(), "name": tag.name, "moderated": tag.moderated,
        "emoji_id": null, "emoji_name": null,
    })
}

/// A list of ids, as Discord writes them.
pub(crate) fn ids<'a>(ids: impl IntoIterator<Item = &'a u64>) -> Value {
    ids.into_iter().map(|id| Value::String(id.to_string())).collect()
}

fn optional(id: Option<u64>) -> Value {
    id.map_or(Value::Null, |id| id.to_string().into())
}

pub(crate) fn thread_member(channel: u64, user: u64) -> Value {
    json!({
        "id": channel.to_string(), "user_id": user.to_string(),
        "join_timestamp": iso(super::clock::created_ms(channel)), "flags": 0,
    })
}

/// A webhook; its token only where `with_token`.
pub(crate) fn webhook(world: &World, webhook: &Webhook, with_token: bool) -> Value {
    let mut json = json!({
        "id": webhook.id.to_string(), "type": 1, "name": webhook.name, "avatar": webhook.avatar,
        "channel_id": webhook.channel.to_string(), "guild_id": webhook.guild.to_string(),
        "application_id": optional(webhook.application),
        "user": user(&world.users[&webhook.creator]),
    });
    if with_token {
        json["token"] = webhook.token.clone().into();
        let path = format!("/api/webhooks/{}/{}", webhook.id, webhook.token);
        json["url"] = format!("{}{path}", world.url).into();
    }
    json
}

impl World {
    pub(crate) fn user_json(&self, id: u64) -> Value {
        user(&self.users[&id])
    }

    /// A member without its user, as messages carry it.
    pub(crate) fn bare_member_json(&self, member: &Member) -> Value {
        json!({
            "avatar": null, "banner": null, "communication_disabled_until": null, "flags": 0,
            "joined_at": iso(member.joined_ms), "nick": member.nick, "pending": false,
            "premium_since": null, "roles": ids(&member.roles), "mute": false, "deaf": false,
        })
    }

    pub(crate) fn member_json(&self, guild: u64, user: u64) -> Value {
        let mut json = self.bare_member_json(&self.guilds[&guild].members[&user]);
        json["user"] = self.user_json(user);
        json
    }

    pub(crate) fn roles_json(&self, guild: &Guild) -> Value {
        guild.roles.iter().enumerate().map(|(position, one)| role(one, position)).collect()
    }

    pub(crate) fn channel_json(&self, channel: &Channel) -> Value {
        if let Some(recipient) = channel.recipient {
            return json!({
                "id": channel.id.to_string(), "type": channel.kind, "flags": 0,
                "last_message_id": optional(channel.last_message),
                "recipients": [self.user_json(recipient)],
            });
        }
        let mut json = json!({
            "id": channel.id.to_string(), "type": channel.kind,
            "guild_id": optional(channel.guild), "name": channel.name,
            "parent_id": optional(channel.parent), "flags": channel.flags,
            "last_message_id": optional(channel.last_message),
            "rate_limit_per_user": channel.slowmode_s,
        });
        let more = match &channel.thread {
            Some(thread) => self.thread_fields(channel, thread),
            None => json!({
                "position": self.channels.range(..channel.id).count(),
                "permission_overwrites":
                    channel.overwrites.iter().map(overwrite).collect::<Vec<_>>(),
                "nsfw": channel.nsfw, "topic": channel.topic,
            }),
        };
        extend(&mut json, more);
        if matches!(channel.kind, super::model::kind::FORUM | super::model::kind::MEDIA) {
            extend(
                &mut json,
                json!({
                    "available_tags": channel.tags.iter().map(tag).collect::<Vec<_>>(),
                    "default_reaction_emoji": null, "default_sort_order": null,
                    "default_forum_layout": 0,
                }),
            );
        }
        json
    }

    fn thread_fields(&self, channel: &Channel, thread: &Thread) -> Value {
        let mut json = json!({
            "owner_id": thread.owner.to_string(),
            "thread_metadata": {
                "archived": thread.archived, "locked": thread.locked,
                "archive_timestamp": iso(thread.archive_changed_ms),
                "auto_archive_duration": thread.auto_archive_min,
                "create_timestamp": iso(super::clock::created_ms(channel.id)),
            },
            "message_count": thread.num_messages.min(50),
            "member_count": thread.members.len().min(50),
            "total_message_sent": thread.num_messages,
        });
        if channel.kind == super::model::kind::PRIVATE_THREAD {
            json["thread_metadata"]["invitable"] = true.into();
        }
        if !thread.applied_tags.is_empty() {
            json["applied_tags"] = ids(&thread.applied_tags);
        }
        if thread.members.contains(&self.bot) {
            json["member"] = thread_member(channel.id, self.bot);
        }
        json
    }

    fn author_json(&self, author: &Author) -> Value {
        match author {
            Author::User(id) => self.user_json(*id),
            Author::Webhook { id, name, avatar } => json!({
                "id": id.to_string(), "username": name,
                "avatar": avatar.as_deref().map(avatar_hash), "discriminator": "0000",
                "public_flags": 0, "flags": 0, "bot": true, "global_name": null,
                "primary_guild": null,
            }),
        }
    }

    /// A message as REST gives it.
    pub(crate) fn message_json(&self, message: &Message) -> Value {
        let mut json = self.basic_message_json(message);
        if let Some((channel, id)) = message.reference {
            json["message_reference"] = json!({
                "type": 0, "channel_id": channel.to_string(), "message_id": id.to_string(),
                "guild_id": optional(self.guild_of(channel)),
            });
            let referenced = self.messages.get(&(channel, id));
            json["referenced_message"] =
                referenced.map_or(Value::Null, |message| self.basic_message_json(message));
        }
        if message.flags & flag::HAS_THREAD != 0
            && let Some(thread) = self.channels.get(&message.id)
        {
            json["thread"] = self.channel_json(thread);
        }
        if !message.reactions.is_empty() {
            json["reactions"] = message.reactions.iter().map(|one| self.reaction(one)).collect();
        }
        json
    }

    fn reaction(&self, (emoji, users): &(String, Vec<u64>)) -> Value {
        json!({
            "emoji": {"id": null, "name": emoji}, "count": users.len(),
            "count_details": {"burst": 0, "normal": users.len()}, "burst_colors": [],
            "me_burst": false, "me": users.contains(&self.bot),
        })
    }

    fn basic_message_json(&self, message: &Message) -> Value {
        let mentions: Vec<Value> = message.pinged.iter().map(|id| self.user_json(*id)).collect();
        let mut json = json!({
            "id": message.id.to_string(), "channel_id": message.channel.to_string(),
            "type": message.kind, "content": message.content, "flags": message.flags,
            "author": self.author_json(&message.author),
            "timestamp": iso(super::clock::created_ms(message.id)),
            "edited_timestamp": message.edited_ms.map(iso),
            "mentions": mentions, "mention_roles": [], "mention_everyone": message.pinged_everyone,
            "attachments": message.attachments, "embeds": message.embeds,
            "components": message.components, "pinned": message.pinned, "tts": false,
        });
        if let Author::Webhook { id, .. } = message.author {
            json["webhook_id"] = id.to_string().into();
        }
        if let Some(application) = message.application {
            json["application_id"] = application.to_string().into();
        }
        if let Some(interaction) = &message.interaction {
            json["interaction_metadata"] = interaction.clone();
        }
        json
    }

    /// A message as its sender gets it back: reading it later shows no nonce.
    pub(crate) fn sent_json(&self, message: &Message) -> Value {
        let mut json = self.message_json(message);
        if let Some(nonce) = &message.nonce {
            json["nonce"] = nonce.clone();
        }
        json
    }

    /// A message as events carry it: with its guild, and with its author's member
    /// unless a webhook wrote it.
    pub(crate) fn message_event(&self, message: &Message) -> Value {
        let mut json = self.sent_json(message);
        let Some(guild) = self.guild_of(message.channel) else { return json };
        json["guild_id"] = guild.to_string().into();
        if let Author::User(user) = message.author
            && let Some(member) = self.guilds[&guild].members.get(&user)
        {
            json["member"] = self.bare_member_json(member);
        }
        json
    }

    pub(crate) fn guild_json(&self, guild: &Guild) -> Value {
        json!({
            "id": guild.id.to_string(), "name": guild.name, "icon": null, "description": null,
            "home_header": null, "splash": null, "discovery_splash": null, "features": ["COMMUNITY"],
            "banner": null, "owner_id": guild.owner.to_string(), "application_id": null,
            "region": "deprecated", "afk_channel_id": null, "afk_timeout": 300,
            "system_channel_id": null, "system_channel_flags": 0, "widget_enabled": false,
            "widget_channel_id": null, "verification_level": 1, "roles": self.roles_json(guild),
            "default_message_notifications": 1, "mfa_level": 0, "explicit_content_filter": 0,
            "max_presences": null, "max_members": 500_000, "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25, "vanity_url_code": null, "premium_tier": 0,
            "premium_subscription_count": 0, "preferred_locale": "en-US",
            "rules_channel_id": null, "safety_alerts_channel_id": null,
            "public_updates_channel_id": null, "premium_progress_bar_enabled": false,
            "nsfw": false, "nsfw_level": 0, "emojis": [], "stickers": [], "incidents_data": null,
        })
    }

    /// GUILD_CREATE. Without the presences intent only the bot's own member is in it,
    /// and archived threads never are.
    /// <https://docs.discord.com/developers/events/gateway-events#guild-create>
    pub(crate) fn guild_create(&self, guild: &Guild, with_members: bool) -> Value {
        let mine = || self.channels.values().filter(|channel| channel.guild == Some(guild.id));
        let channels: Vec<Value> =
            mine().filter(|one| one.thread.is_none()).map(|one| self.channel_json(one)).collect();
        let threads: Vec<Value> = mine()
            .filter(|one| one.thread.as_ref().is_some_and(|thread| !thread.archived))
            .filter(|one| self.may(self.bot, one.id, super::permissions::VIEW_CHANNEL))
            .map(|one| self.channel_json(one))
            .collect();
        let members: Vec<Value> = guild
            .members
            .keys()
            .filter(|user| with_members || **user == self.bot)
            .map(|user| self.member_json(guild.id, *user))
            .collect();
        let mut json = self.guild_json(guild);
        extend(
            &mut json,
            json!({
                "joined_at": iso(guild.members[&self.bot].joined_ms), "large": false,
                "unavailable": false, "member_count": guild.members.len(), "voice_states": [],
                "members": members, "channels": channels, "threads": threads, "presences": [],
                "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [],
            }),
        );
        json
    }
}

/// Discord fetches what `avatar_url` names and tells of it by the hash of what it kept.
fn avatar_hash(avatar: &str) -> String {
    if !avatar.starts_with("http") {
        return avatar.to_owned();
    }
    let mix = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_01B3);
    format!("{:032x}", avatar.bytes().fold(0x6C62_272E_07BB_0142, mix))
}

/// Adds the fields of one object to another.
pub(crate) fn extend(json: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("only objects extend objects") };
    json.as_object_mut().unwrap_or(&mut Map::new()).extend(more);
}
