//! The parts of Discord's API that are used, and which queue a request stands in.

use std::hash::{DefaultHasher, Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};
use serenity::http::{LightMethod, Route};
use serenity::model::id::{
    ApplicationId, ChannelId, EmojiId, GuildId, InteractionId, MessageId, UserId, WebhookId,
};

/// Where a request goes. Its `Debug` and its template hold nothing secret.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Me,
    Application,
    GatewayBot,
    Commands(ApplicationId),
    Emojis(ApplicationId),
    Emoji(ApplicationId, EmojiId),
    Channel(ChannelId),
    Threads(ChannelId),
    ActiveThreads(GuildId),
    MyGuilds,
    Guild(GuildId),
    Member(GuildId, UserId),
    Messages(ChannelId),
    Message(ChannelId, MessageId),
    BulkDelete(ChannelId),
    /// With the emoji as URLs have it.
    OwnReaction(ChannelId, MessageId, String),
    Typing(ChannelId),
    ChannelWebhooks(ChannelId),
    WebhookExecution(WebhookId, SecretString),
    WebhookMessage(WebhookId, SecretString, MessageId),
    Callback(InteractionId, SecretString),
    OriginalResponse(ApplicationId, SecretString),
    FollowUps(ApplicationId, SecretString),
}

/// Requests with the same key share a limit, as far as is known before asking.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) major: Major,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) method: &'static str,
    pub(super) template: &'static str,
}

/// What Discord counts apart within a limit: a channel, a guild, a webhook with its
/// token (as a hash), or nothing.
pub(super) type Major = (u64, u64);

impl Endpoint {
    /// The path without anything particular: for logs, and as the kind of request.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Me => "/users/@me",
            Self::Application => "/oauth2/applications/@me",
            Self::GatewayBot => "/gateway/bot",
            Self::Commands(_) => "/applications/{application}/commands",
            Self::Emojis(_) => "/applications/{application}/emojis",
            Self::Emoji(..) => "/applications/{application}/emojis/{emoji}",
            Self::Channel(_) => "/channels/{channel}",
            Self::Threads(_) => "/channels/{channel}/threads",
            Self::ActiveThreads(_) => "/guilds/{guild}/threads/active",
            Self::MyGuilds => "/users/@me/guilds",
            Self::Guild(_) => "/guilds/{guild}",
            Self::Member(..) => "/guilds/{guild}/members/{user}",
            Self::Messages(_) => "/channels/{channel}/messages",
            Self::Message(..) => "/channels/{channel}/messages/{message}",
            Self::BulkDelete(_) => "/channels/{channel}/messages/bulk-delete",
            Self::OwnReaction(..) => "/channels/{channel}/messages/{message}/reactions/{emoji}/@me",
            Self::Typing(_) => "/channels/{channel}/typing",
            Self::ChannelWebhooks(_) => "/channels/{channel}/webhooks",
            Self::WebhookExecution(..) => "/webhooks/{webhook}/{token}",
            Self::WebhookMessage(..) => "/webhooks/{webhook}/{token}/messages/{message}",
            Self::Callback(..) => "/interactions/{interaction}/{token}/callback",
            Self::OriginalResponse(..) => "/webhooks/{application}/{token}/messages/@original",
            Self::FollowUps(..) => "/webhooks/{application}/{token} (follow-up)",
        }
    }

    /// As serenity has it.
    pub(super) fn route(&self) -> Route<'_> {
        match *self {
            Self::Me => Route::UserMe,
            Self::Application => Route::Oauth2ApplicationCurrent,
            Self::GatewayBot => Route::GatewayBot,
            Self::Commands(application_id) => Route::Commands { application_id },
            Self::Emojis(application_id) => Route::Emojis { application_id },
            Self::Emoji(application_id, emoji_id) => Route::Emoji { application_id, emoji_id },
            Self::Channel(channel_id) => Route::Channel { channel_id },
            Self::Threads(channel_id) => Route::ChannelThreads { channel_id },
            Self::ActiveThreads(guild_id) => Route::GuildThreadsActive { guild_id },
            Self::MyGuilds => Route::UserMeGuilds,
            Self::Guild(guild_id) => Route::Guild { guild_id },
            Self::Member(guild_id, user_id) => Route::GuildMember { guild_id, user_id },
            Self::Messages(channel_id) => Route::ChannelMessages { channel_id },
            Self::Message(channel_id, message_id) => {
                Route::ChannelMessage { channel_id, message_id }
            }
            Self::BulkDelete(channel_id) => Route::ChannelMessagesBulkDelete { channel_id },
            Self::OwnReaction(channel_id, message_id, ref reaction) => {
                Route::ChannelMessageReactionMe { channel_id, message_id, reaction }
            }
            Self::Typing(channel_id) => Route::ChannelTyping { channel_id },
            Self::ChannelWebhooks(channel_id) => Route::ChannelWebhooks { channel_id },
            Self::WebhookExecution(webhook_id, ref token) => {
                Route::WebhookWithToken { webhook_id, token: token.expose_secret() }
            }
            Self::WebhookMessage(webhook_id, ref token, message_id) => {
                Route::WebhookMessage { webhook_id, token: token.expose_secret(), message_id }
            }
            Self::Callback(interaction_id, ref token) => {
                Route::InteractionResponse { interaction_id, token: token.expose_secret() }
            }
            Self::OriginalResponse(application_id, ref token) => {
                let token = token.expose_secret();
                Route::WebhookOriginalInteractionResponse { application_id, token }
            }
            Self::FollowUps(application_id, ref token) => {
                Route::WebhookFollowupMessages { application_id, token: token.expose_secret() }
            }
        }
    }

    /// Which requests it shares a limit with, as far as is known before asking.
    pub(super) fn key(&self, method: LightMethod) -> Key {
        let kind = Kind { method: method_name(method), template: self.template() };
        Key { kind, major: self.major() }
    }

    fn major(&self) -> Major {
        match self {
            Self::Me | Self::Application | Self::GatewayBot | Self::MyGuilds => (0, 0),
            Self::Commands(application)
            | Self::Emojis(application)
            | Self::Emoji(application, _) => (application.get(), 0),
            Self::ActiveThreads(guild) | Self::Guild(guild) | Self::Member(guild, _) => {
                (guild.get(), 0)
            }
            Self::Channel(channel)
            | Self::Threads(channel)
            | Self::Messages(channel)
            | Self::Message(channel, _)
            | Self::BulkDelete(channel)
            | Self::OwnReaction(channel, ..)
            | Self::Typing(channel)
            | Self::ChannelWebhooks(channel) => (channel.get(), 0),
            Self::WebhookExecution(webhook, token) | Self::WebhookMessage(webhook, token, _) => {
                (webhook.get(), hash(token))
            }
            Self::Callback(interaction, _) => (interaction.get(), 0),
            Self::OriginalResponse(application, token) | Self::FollowUps(application, token) => {
                (application.get(), hash(token))
            }
        }
    }

    /// The channel whose permissions decide whether we may.
    pub(super) fn channel(&self) -> Option<ChannelId> {
        match *self {
            Self::Channel(channel)
            | Self::Threads(channel)
            | Self::Messages(channel)
            | Self::Message(channel, _)
            | Self::BulkDelete(channel)
            | Self::OwnReaction(channel, ..)
            | Self::Typing(channel)
            | Self::ChannelWebhooks(channel) => Some(channel),
            _ => None,
        }
    }

    /// Whether being refused once says that the next of the kind is refused too. It
    /// does not where it depends on the message or on what is changed.
    pub(super) fn is_refused_alike(&self) -> bool {
        !matches!(self, Self::Message(..) | Self::Channel(_))
    }

    /// Whether it acknowledges an interaction: it has three seconds, and Discord does
    /// not count it towards the global limit.
    pub(super) fn is_callback(&self) -> bool {
        matches!(self, Self::Callback(..))
    }
}

pub(super) fn method_name(method: LightMethod) -> &'static str {
    match method {
        LightMethod::Delete => "DELETE",
        LightMethod::Get => "GET",
        LightMethod::Patch => "PATCH",
        LightMethod::Post => "POST",
        LightMethod::Put => "PUT",
    }
}

fn hash(token: &SecretString) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.expose_secret().hash(&mut hasher);
    hasher.finish()
}

/// An emoji as URLs have it: a Unicode one, or `name:id`.
pub(super) fn encode_emoji(emoji: &str) -> String {
    let mut encoded = String::new();
    for byte in emoji.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_tokens_have_queues_of_their_own() {
        let messages = Endpoint::Messages(ChannelId::new(1));
        assert_ne!(messages.key(LightMethod::Get), messages.key(LightMethod::Post));
        let by = |token: &str| {
            let endpoint = Endpoint::OriginalResponse(ApplicationId::new(1), token.into());
            endpoint.key(LightMethod::Patch)
        };
        assert_eq!(by("a"), by("a"));
        assert_ne!(by("a"), by("b"));
    }

    #[test]
    fn templates_and_debug_hold_no_token() {
        let endpoint = Endpoint::WebhookExecution(WebhookId::new(1), "canary".into());
        assert!(endpoint.route().path().ends_with("/webhooks/1/canary"));
        let shown = format!("{endpoint:?} {:?}", endpoint.key(LightMethod::Post));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn emoji_cannot_leave_their_place_in_the_path() {
        assert_eq!(encode_emoji("#️⃣"), "%23%EF%B8%8F%E2%83%A3");
        assert_eq!(encode_emoji("a_b:12"), "a_b%3A12");
        assert_eq!(encode_emoji("../@me?"), "%2E%2E%2F%40me%3F");
    }
}
