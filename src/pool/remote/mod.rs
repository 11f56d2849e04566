//! A worker behind an OpenAI-compatible completions server: vLLM, SGLang, llama-server,
//! KoboldCpp, TabbyAPI, or our own `dramatis worker`.
//!
//! [`probe`] learns what the server is, [`dialect`] says our parameters in its words,
//! [`request`] follows one reply. Invariant: a request that nobody waits for any more has
//! no open connection, which is how every such server learns that it is to stop.

mod dialect;
mod error;
mod probe;
mod request;
mod sse;
mod url;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::PoolError;
use super::stream::PoolEvent;
use crate::completions::ForgetRequest;
use crate::engine::{GenerationRequest, Scope};
use crate::tokenizer::Tokenizer;

pub use dialect::Dialect;
pub use error::{RemoteError, RemoteErrorKind};
pub use url::ServerUrl;

use probe::Server;
use request::Exchange;

/// Checks that may come too late, one after another.
const MAX_LATE: u32 = 2;
/// What the fingerprint of a model begins with whose files nobody told us.
pub(super) const UNKNOWN: &str = "remote:";

/// How long a server may take for an answer that needs no model.
const ANSWER: Duration = Duration::from_secs(5);

/// A server that is to be a worker.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Where it is.
    pub url: ServerUrl,
    /// What it wants as a bearer token.
    pub api_key: Option<SecretString>,
    /// Which of its models; `None` takes the first that it names.
    pub model: Option<String>,
    /// What prompts for it are counted with; checked against its own, where it has one to
    /// ask.
    pub tokenizer: Arc<Tokenizer>,
    /// The most tokens of prompt and reply together; `None` is what it says itself.
    pub context_tokens: Option<usize>,
    /// Requests that it is given at once; `None` is what it says itself, or 64.
    pub max_requests: Option<usize>,
    /// How long it may be silent in a reply; five times that before the first word, while it
    /// reads the prompt or has others before it.
    pub stall: Duration,
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a server that can be a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// Whose server it is.
    pub dialect: Dialect,
    /// Its model, by its name there.
    pub model: String,
    /// The most tokens of prompt and reply together.
    pub context_tokens: usize,
    /// Requests that it is given at once.
    pub max_requests: usize,
}

impl ServerReport {
    /// Asks a server, as a pool does before it uses it.
    ///
    /// # Errors
    /// It does not answer, or cannot be used.
    pub async fn ask(options: &RemoteOptions) -> Result<Self, PoolError> {
        let client = Client::new(options).map_err(Arc::new)?;
        let server = Server::probe(&client, options).await.map_err(Arc::new)?;
        let Server { dialect, model, context_tokens, max_requests, .. } = server;
        Ok(Self { dialect, model, context_tokens, max_requests })
    }
}

/// A server that answered.
pub(super) struct RemoteWorker {
    client: Client,
    server: Arc<Server>,
    options: RemoteOptions,
    /// Checks in a row that came to nothing for want of time.
    num_late: AtomicU32,
}

/// The way to one server. Cheap to clone.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: ServerUrl,
    /// What it is called in errors.
    name: Arc<str>,
}

impl Client {
    fn new(options: &RemoteOptions) -> Result<Self, RemoteError> {
        let name: Arc<str> = options.url.to_string().into();
        let unfit = |message: String| RemoteError {
            server: name.to_string(),
            kind: RemoteErrorKind::Unfit,
            message,
        };
        let mut headers = HeaderMap::new();
        if let Some(key) = &options.api_key {
            let bearer = format!("Bearer {}", key.expose_secret());
            let mut bearer = HeaderValue::from_str(&bearer)
                .map_err(|_| unfit("workers.api_key has characters that no key has".into()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(ANSWER)
            // A key goes to the server that it is for.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unfit(error.to_string()))?;
        Ok(Self { http, url: options.url.clone(), name })
    }

    fn error(&self, kind: RemoteErrorKind, message: impl Into<String>) -> RemoteError {
        RemoteError { server: self.name.to_string(), kind, message: message.into() }
    }
}

impl RemoteWorker {
    /// Asks the server what it is, and whether it can be used.
    ///
    /// # Errors
    /// It does not answer, serves another model, or counts other tokens than we do.
    pub(super) async fn reach(options: RemoteOptions) -> Result<Self, PoolError> {
        let client = Client::new(&options).map_err(Arc::new)?;
        let server = Server::probe(&client, &options).await.map_err(Arc::new)?;
        tracing::info!(
            worker = %client.name,
            server = server.dialect.as_str(),
            model = server.model,
            context_tokens = server.context_tokens,
            max_requests = server.max_requests,
            "pool.server_reached"
        );
        let lacks = server.dialect.lacks();
        if !lacks.is_empty() {
            tracing::warn!(
                worker = %client.name,
                server = server.dialect.as_str(),
                lacks = lacks.join(", "),
                "pool.server_lacks"
            );
        }
        Ok(Self { client, server: Arc::new(server), options, num_late: AtomicU32::new(0) })
    }

    pub(super) fn submit(&self, request: GenerationRequest) -> Result<RemoteStream, PoolError> {
        let (events, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let exchange = Exchange {
            client: self.client.clone(),
            server: self.server.clone(),
            tokenizer: self.options.tokenizer.clone(),
            request,
            stall: self.options.stall,
            events,
            stopped,
        };
        tokio::spawn(exchange.run());
        Ok(RemoteStream { events: receiver, stop })
    }

    pub(super) fn capacity(&self) -> usize {
        self.server.max_requests
    }

    pub(super) fn context_tokens(&self) -> usize {
        self.server.context_tokens
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.server.fingerprint
    }

    pub(super) fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.options.tokenizer
    }

    /// Whether it still is the server that it was. One that is late once may be busy.
    pub(super) async fn check(&self) -> Result<(), Arc<RemoteError>> {
        match self.server.check(&self.client, &self.options).await {
            Ok(()) => self.num_late.store(0, Ordering::Relaxed),
            Err(error)
                if matches!(error.kind, RemoteErrorKind::Stalled | RemoteErrorKind::Busy)
                    && self.num_late.fetch_add(1, Ordering::Relaxed) + 1 < MAX_LATE => {}
            Err(error) => return Err(Arc::new(error)),
        }
        Ok(())
    }

    /// Only our own workers can; what others cache is gone when they need the memory.
    pub(super) async fn forget(&self, scope: Scope) -> Result<(), Arc<RemoteError>> {
        let request = match scope {
            Scope::Owner(owner) => ForgetRequest {
                cache_owner: Some(format!("{owner:016x}")),
                ..ForgetRequest::default()
            },
            Scope::Salt(salt) => ForgetRequest {
                cache_salt: Some(format!("{salt:016x}")),
                ..ForgetRequest::default()
            },
        };
        if self.server.dialect == Dialect::Dramatis {
            self.client.post("/v1/cache/forget", &request).await.map_err(Arc::new)?;
        }
        Ok(())
    }
}

/// The events of one request at a server. Dropping it ends the request there.
pub(super) struct RemoteStream {
    events: mpsc::UnboundedReceiver<PoolEvent>,
    stop: watch::Sender<bool>,
}

impl RemoteStream {
    pub(super) async fn recv(&mut self) -> Option<PoolEvent> {
        self.events.recv().await
    }

    /// Ends it with the text so far.
    pub(super) fn abort(&self) {
        self.stop.send_replace(true);
    }
}
