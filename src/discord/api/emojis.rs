//! The application's own emojis: pictures that everybody can fetch.

use serde_json::json;
use serenity::http::LightMethod;
use serenity::model::id::{ApplicationId, EmojiId};

use super::calls::Api;
use super::endpoint::Endpoint;
use super::error::ApiError;

/// An emoji that belongs to the application.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Emoji {
    /// Its id, which is its address on the content network.
    pub(crate) id: EmojiId,
    /// Its name.
    pub(crate) name: String,
}

impl Api {
    /// All emojis of the application.
    pub(crate) async fn emojis(&self, application: ApplicationId) -> Result<Vec<Emoji>, ApiError> {
        #[derive(serde::Deserialize)]
        struct Found {
            items: Vec<Emoji>,
        }
        let found: Found = self.read(self.get(Endpoint::Emojis(application))).await?;
        Ok(found.items)
    }

    /// Makes one of a picture, given as a data URI of at most 256 KiB.
    pub(crate) async fn create_emoji(
        &self,
        application: ApplicationId,
        name: &str,
        image: &str,
    ) -> Result<Emoji, ApiError> {
        let body = json!({ "name": name, "image": image });
        self.read(self.with(LightMethod::Post, Endpoint::Emojis(application), body)).await
    }

    /// Takes one away; fine if it is not there any more.
    pub(crate) async fn delete_emoji(
        &self,
        application: ApplicationId,
        emoji: EmojiId,
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::Emoji(application, emoji);
        match self.done(self.bare(LightMethod::Delete, endpoint)).await {
            Err(ApiError::NotFound { .. }) => Ok(()),
            done => done,
        }
    }
}
