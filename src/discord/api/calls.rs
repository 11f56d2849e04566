//! The door to Discord, and what concerns the bot as a whole.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serenity::http::LightMethod;
use serenity::model::id::{ApplicationId, ChannelId};

use super::attachments::Attachments;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::model::{Application, GatewayBot, User};
use super::payload::Payload;
use super::pressure::Pressure;
use super::sender::Sender;
use super::transport::{Answer, Request, Transport};
use super::wiring::Wiring;
use crate::telemetry::metrics::Metrics;

/// For how long most requests wait for their turn.
const PATIENCE: Duration = Duration::from_secs(120);

/// How Discord is reached.
pub(crate) struct ApiOptions {
    /// A server that stands in for Discord, as `http://127.0.0.1:8080`; `None` is
    /// Discord itself.
    pub(crate) base: Option<String>,
    /// An HTTP client in place of ours.
    pub(crate) client: Option<Client>,
    /// The most requests in a second. Discord's limit is 50 as they arrive, which is
    /// not quite as they leave.
    pub(crate) requests_per_s: u32,
    /// Where requests are counted.
    pub(crate) metrics: Arc<Metrics>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { base: None, client: None, requests_per_s: 45, metrics: Arc::default() }
    }
}

/// Discord's REST API. Clones share everything.
#[derive(Clone)]
pub(crate) struct Api {
    sender: Sender,
    pub(super) attachments: Attachments,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if the address is none.
    pub(crate) fn new(token: &SecretString, options: &ApiOptions) -> Result<Self, ApiError> {
        let pressure = Arc::new(Pressure::new(options.requests_per_s, options.metrics.clone()));
        let client = options.client.clone();
        let wiring = match &options.base {
            Some(base) => Wiring::elsewhere(token, base, client)?,
            None => {
                let pressure = pressure.clone();
                let on_refusal = move |wait, is_global| pressure.refused(wait, is_global);
                Wiring::discord(token, client, Box::new(on_refusal))?
            }
        };
        let attachments = Attachments::new(options.base.as_deref())?;
        Ok(Self { attachments, ..Self::over(Box::new(wiring), pressure) })
    }

    pub(super) fn over(transport: Box<dyn Transport>, pressure: Arc<Pressure>) -> Self {
        let attachments = Attachments::new(None).expect("an HTTP client can be made");
        Self { sender: Sender::new(transport, pressure), attachments }
    }

    /// Comes back when Discord does not accept the token any more, from when on
    /// nothing is sent.
    pub(crate) async fn closed(&self) -> ApiError {
        self.sender.closed().await
    }

    /// Makes nothing new from now on; waits for what is under way, at most this long.
    /// Says whether all of it came to its end.
    pub(crate) async fn close(&self, within: Duration) -> bool {
        self.sender.close(within).await
    }

    /// Permissions in a channel may have changed: what was refused there is asked for
    /// again.
    pub(crate) fn forgive(&self, channel: ChannelId) {
        self.sender.refusals().forgive(channel);
    }

    /// The same for all channels: a role changed.
    pub(crate) fn forgive_all(&self) {
        self.sender.refusals().forgive_all();
    }

    /// Who we are.
    pub(crate) async fn current_application(&self) -> Result<Application, ApiError> {
        #[derive(serde::Deserialize)]
        struct Found {
            id: ApplicationId,
            #[serde(default)]
            flags: u64,
        }
        let user: User = self.read(self.get(Endpoint::Me)).await?;
        let found: Found = self.read(self.get(Endpoint::Application)).await?;
        let name = user.global_name.unwrap_or(user.username);
        Ok(Application { id: found.id, flags: found.flags, user: user.id, name })
    }

    /// How to connect to the gateway.
    pub(crate) async fn gateway_bot(&self) -> Result<GatewayBot, ApiError> {
        self.read(self.get(Endpoint::GatewayBot)).await
    }

    /// These are all the commands that we have everywhere.
    pub(crate) async fn set_global_commands(
        &self,
        application: ApplicationId,
        commands: &[Value],
    ) -> Result<(), ApiError> {
        let endpoint = Endpoint::Commands(application);
        self.done(self.with(LightMethod::Put, endpoint, commands.into())).await
    }

    pub(super) fn bare(&self, method: LightMethod, endpoint: Endpoint) -> Request {
        let (params, files) = (Vec::new(), Vec::new());
        Request { endpoint, method, params, body: None, files, patience: PATIENCE }
    }

    pub(super) fn get(&self, endpoint: Endpoint) -> Request {
        self.bare(LightMethod::Get, endpoint)
    }

    pub(super) fn with(&self, method: LightMethod, endpoint: Endpoint, body: Value) -> Request {
        Request { body: Some(body), ..self.bare(method, endpoint) }
    }

    /// With a message in it, and its files beside it.
    pub(super) fn saying(
        &self,
        method: LightMethod,
        endpoint: Endpoint,
        json: Map<String, Value>,
        payload: &Payload,
    ) -> Request {
        let files = payload.files().to_vec();
        Request { files, ..self.with(method, endpoint, Value::Object(json)) }
    }

    pub(super) async fn send(&self, request: Request) -> Result<Answer, ApiError> {
        self.sender.send(request).await
    }

    /// For requests whose answer says nothing.
    pub(super) async fn done(&self, request: Request) -> Result<(), ApiError> {
        self.send(request).await.map(drop)
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, request: Request) -> Result<T, ApiError> {
        read(&self.send(request).await?)
    }

    /// Deletes; what is not there any more is as good as deleted.
    pub(super) async fn delete(&self, request: Request) -> Result<(), ApiError> {
        match self.done(request).await {
            Err(ApiError::NotFound { .. }) => Ok(()),
            done => done,
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ApiError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // Where it is wrong, but not what is there: that may be people's words.
        let (line, column) = (error.line(), error.column());
        let reason = format!("{:?} at {line}:{column}", error.classify());
        ApiError::Unreadable { reason }
    })
}
