//! Messages, by the bot and by webhooks.

use std::time::Duration;

use serde_json::{Map, Value, json};
use serenity::http::LightMethod;
use serenity::model::id::{ChannelId, MessageId};

use super::calls::{Api, read};
use super::endpoint::{Endpoint, encode_emoji};
use super::error::{ApiError, UNKNOWN_WEBHOOK};
use super::lenient::read_each;
use super::model::{ChannelWebhook, Message, Webhook};
use super::payload::Payload;
use super::transport::Request;

/// A sign of typing that comes later says nothing.
const TYPING_PATIENCE: Duration = Duration::from_secs(5);
/// The most messages of a page.
const MAX_PAGE: u8 = 100;

/// As whom a webhook speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// The name above the message.
    pub(crate) name: String,
    /// The picture beside it.
    pub(crate) avatar_url: Option<String>,
}

impl Api {
    /// The oldest messages of a channel after one, oldest first. Those that cannot be
    /// read even by their ids are left out.
    pub(crate) async fn messages_after(
        &self,
        channel: ChannelId,
        after: MessageId,
        limit: u8,
    ) -> Result<Vec<Message>, ApiError> {
        let mut request = self.get(Endpoint::Messages(channel));
        let limit = limit.clamp(1, MAX_PAGE);
        request.params = vec![("after", after.to_string()), ("limit", limit.to_string())];
        let page: Vec<Value> = self.read(request).await?;
        let given = page.len();
        let mut messages: Vec<Message> = read_each(Value::Array(page));
        if messages.len() < given {
            tracing::warn!(discord.messages = given - messages.len(), "discord.unreadable");
        }
        messages.sort_by_key(|message| message.id);
        Ok(messages)
    }

    /// One message.
    pub(crate) async fn message(
        &self,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<Message, ApiError> {
        self.read(self.get(Endpoint::Message(channel, message))).await
    }

    /// Says something as the bot. With a nonce Discord makes it once within some
    /// minutes, however often it is asked.
    pub(crate) async fn create_message(
        &self,
        channel: ChannelId,
        payload: &Payload,
        nonce: Option<&str>,
    ) -> Result<Message, ApiError> {
        let (endpoint, json) = (Endpoint::Messages(channel), payload.nonce_json(nonce)?);
        self.read(self.saying(LightMethod::Post, endpoint, json, payload)).await
    }

    /// Changes what the bot said.
    pub(crate) async fn edit_message(
        &self,
        channel: ChannelId,
        message: MessageId,
        payload: &Payload,
    ) -> Result<(), ApiError> {
        let (endpoint, json) = (Endpoint::Message(channel, message), payload.edit_json()?);
        self.done(self.saying(LightMethod::Patch, endpoint, json, payload)).await
    }

    /// Takes a message away; fine if it is not there any more.
    pub(crate) async fn delete_message(
        &self,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<(), ApiError> {
        self.delete(self.bare(LightMethod::Delete, Endpoint::Message(channel, message))).await
    }

    /// Takes many messages of a channel away at once. Discord wants 2 to 100 of them, none
    /// older than two weeks, and the permission to manage messages.
    pub(crate) async fn delete_messages(
        &self,
        channel: ChannelId,
        messages: &[MessageId],
    ) -> Result<(), ApiError> {
        let ids: Vec<String> = messages.iter().map(ToString::to_string).collect();
        let body = json!({ "messages": ids });
        self.done(self.with(LightMethod::Post, Endpoint::BulkDelete(channel), body)).await
    }

    /// Shows for some seconds that the bot is writing.
    pub(crate) async fn typing(&self, channel: ChannelId) -> Result<(), ApiError> {
        let request = self.bare(LightMethod::Post, Endpoint::Typing(channel));
        self.done(Request { patience: TYPING_PATIENCE, ..request }).await
    }

    /// Adds a reaction: a Unicode emoji, or `name:id`.
    pub(crate) async fn add_reaction(
        &self,
        channel: ChannelId,
        message: MessageId,
        emoji: &str,
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::OwnReaction(channel, message, encode_emoji(emoji));
        self.done(self.bare(LightMethod::Put, endpoint)).await
    }

    /// Takes a reaction of ours away; fine if it is not there any more.
    pub(crate) async fn remove_reaction(
        &self,
        channel: ChannelId,
        message: MessageId,
        emoji: &str,
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::OwnReaction(channel, message, encode_emoji(emoji));
        self.delete(self.bare(LightMethod::Delete, endpoint)).await
    }

    /// Says something through a webhook, in a thread of its channel if one is given.
    pub(crate) async fn execute_webhook(
        &self,
        webhook: &Webhook,
        thread: Option<ChannelId>,
        speaker: &Speaker,
        payload: &Payload,
    ) -> Result<Message, ApiError> {
        let mut json = payload.create_json()?;
        json.insert("username".to_owned(), speaker.name.as_str().into());
        if let Some(avatar) = &speaker.avatar_url {
            json.insert("avatar_url".to_owned(), avatar.as_str().into());
        }
        let endpoint = Endpoint::WebhookExecution(webhook.id, webhook.token.clone());
        let mut request = self.saying(LightMethod::Post, endpoint, json, payload);
        // Without it Discord would hide what went wrong.
        request.params.push(("wait", "true".to_owned()));
        self.read(in_thread(request, thread)).await
    }

    /// Changes what was said through a webhook. Name and picture stay.
    pub(crate) async fn edit_webhook_message(
        &self,
        webhook: &Webhook,
        thread: Option<ChannelId>,
        message: MessageId,
        payload: &Payload,
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::WebhookMessage(webhook.id, webhook.token.clone(), message);
        let json: Map<String, Value> = payload.edit_json()?;
        let request = self.saying(LightMethod::Patch, endpoint, json, payload);
        self.done(in_thread(request, thread)).await
    }

    /// Takes away what was said through a webhook; fine if it is not there any more.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] only if the webhook is gone: the message may be there.
    pub(crate) async fn delete_webhook_message(
        &self,
        webhook: &Webhook,
        thread: Option<ChannelId>,
        message: MessageId,
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::WebhookMessage(webhook.id, webhook.token.clone(), message);
        let request = self.bare(LightMethod::Delete, endpoint);
        match self.done(in_thread(request, thread)).await {
            Err(ApiError::NotFound { code, .. }) if !is_webhook_gone(code) => Ok(()),
            done => done,
        }
    }

    /// All webhooks of a channel, also those of others.
    pub(crate) async fn channel_webhooks(
        &self,
        channel: ChannelId,
    ) -> Result<Vec<ChannelWebhook>, ApiError> {
        let answer = self.send(self.get(Endpoint::ChannelWebhooks(channel))).await?;
        Ok(read_each(read(&answer)?))
    }

    /// Makes a webhook.
    pub(crate) async fn create_webhook(
        &self,
        channel: ChannelId,
        name: &str,
    ) -> Result<ChannelWebhook, ApiError> {
        let endpoint = Endpoint::ChannelWebhooks(channel);
        self.read(self.with(LightMethod::Post, endpoint, json!({ "name": name }))).await
    }
}

/// Whether it is the webhook that is not there, and not the message.
fn is_webhook_gone(code: u32) -> bool {
    [UNKNOWN_WEBHOOK, super::error::INVALID_WEBHOOK_TOKEN].contains(&code)
}

fn in_thread(mut request: Request, thread: Option<ChannelId>) -> Request {
    request.params.extend(thread.map(|thread| ("thread_id", thread.to_string())));
    request
}
