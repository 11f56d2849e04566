//! Answers to interactions.

use std::time::Duration;

use serenity::http::LightMethod;
use serenity::model::id::{ApplicationId, InteractionId};

use super::calls::Api;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::model::Message;
use super::payload::Payload;
use super::response::Response;
use super::transport::Request;

/// How long the first answer may take on its way; later Discord does not take it.
const CALLBACK_PATIENCE: Duration = Duration::from_secs(3);
/// Later answers are not waited for beyond this; the token would be worth little.
const PATIENCE: Duration = Duration::from_secs(60);

impl Api {
    /// Gives the first answer to an interaction. It never waits behind other requests.
    pub(crate) async fn respond(
        &self,
        interaction: InteractionId,
        token: &str,
        response: &Response,
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::Callback(interaction, token.into());
        let files = response.payload().map(|payload| payload.files().to_vec());
        let request = self.with(LightMethod::Post, endpoint, response.json()?);
        let files = files.unwrap_or_default();
        self.done(Request { files, patience: CALLBACK_PATIENCE, ..request }).await
    }

    /// Writes the first answer anew, or what was deferred.
    pub(crate) async fn edit_original(
        &self,
        application: ApplicationId,
        token: &str,
        payload: &Payload,
    ) -> Result<Message, ApiError> {
        let endpoint = Endpoint::OriginalResponse(application, token.into());
        let request = self.saying(LightMethod::Patch, endpoint, payload.edit_json()?, payload);
        self.read(Request { patience: PATIENCE, ..request }).await
    }

    /// Says more after the first answer.
    pub(crate) async fn follow_up(
        &self,
        application: ApplicationId,
        token: &str,
        payload: &Payload,
        ephemeral: bool,
    ) -> Result<Message, ApiError> {
        let endpoint = Endpoint::FollowUps(application, token.into());
        let payload = match ephemeral {
            true => payload.clone().ephemeral(),
            false => payload.clone(),
        };
        let json = payload.create_json()?;
        let request = self.saying(LightMethod::Post, endpoint, json, &payload);
        self.read(Request { patience: PATIENCE, ..request }).await
    }
}
