//! The way to Discord, in two wirings that never mix: to Discord itself through
//! serenity's limiter, or to another address without it. serenity ignores another
//! address while its limiter is on, which would send the token to Discord.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serenity::http::{HttpError, Ratelimiter};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::error::ApiError;
use super::transport::{Answer, Limits, Request, SendError, Transport};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 32 << 20;

/// What is called when serenity's limiter was refused: for how long, and whether for
/// all requests.
pub(super) type OnRefusal = Box<dyn Fn(Duration, bool) + Send + Sync>;

/// The real way.
pub(super) struct Wiring {
    client: Client,
    token: SecretString,
    way: Way,
}

/// One of the two wirings.
enum Way {
    /// To Discord, with serenity's limiter.
    Discord(Box<Ratelimiter>),
    /// To another origin, without it.
    Elsewhere(String),
}

impl Wiring {
    /// To Discord itself. `client` replaces ours.
    pub(super) fn discord(
        token: &SecretString,
        client: Option<Client>,
        on_refusal: OnRefusal,
    ) -> Result<Self, ApiError> {
        let client = match client {
            Some(client) => client,
            None => build(Client::builder().https_only(true))?,
        };
        let token = authorization(token);
        let mut limiter = Ratelimiter::new(client.clone(), token.expose_secret());
        // What it tells must not get lost with what serenity itself writes.
        let log = tracing::dispatcher::get_default(Clone::clone);
        limiter.set_ratelimit_callback(Box::new(move |info| {
            let until = Instant::now() + info.timeout;
            // Always within a request.
            let _ = WAITS_UNTIL.try_with(|waits| waits.send_replace(Some(until)));
            tracing::dispatcher::with_default(&log, || on_refusal(info.timeout, info.global));
        }));
        Ok(Self { client, token, way: Way::Discord(Box::new(limiter)) })
    }

    /// To a server that stands in for Discord at `base`.
    pub(super) fn elsewhere(
        token: &SecretString,
        base: &str,
        client: Option<Client>,
    ) -> Result<Self, ApiError> {
        let way = Way::Elsewhere(origin(base)?);
        let client = match client {
            Some(client) => client,
            None => build(Client::builder().no_proxy())?,
        };
        Ok(Self { client, token: authorization(token), way })
    }

    async fn exchange(
        &self,
        request: &Request,
        latest: Instant,
    ) -> Result<reqwest::Response, SendError> {
        match &self.way {
            // serenity's own requests give all files of a message one name.
            Way::Discord(limiter) if request.files.is_empty() => {
                // Its memory knows no methods and never ends; our queues are finer.
                let bucket = request.endpoint.route().ratelimiting_bucket();
                limiter.routes().write().await.remove(&bucket);
                limited(limiter.perform(request.to_serenity()), latest).await
            }
            Way::Discord(_) => Ok(self.exchange_plain(request, None).await?),
            Way::Elsewhere(origin) => Ok(self.exchange_plain(request, Some(origin)).await?),
        }
    }

    async fn exchange_plain(
        &self,
        request: &Request,
        origin: Option<&str>,
    ) -> serenity::Result<reqwest::Response> {
        let token = self.token.expose_secret();
        let mut plain = request.to_serenity().build(&self.client, token, origin)?.build()?;
        if !request.files.is_empty() {
            plain.headers_mut().remove(CONTENT_LENGTH);
            let builder = RequestBuilder::from_parts(self.client.clone(), plain);
            plain = builder.multipart(request.form()).build()?;
        }
        Ok(self.client.execute(plain).await?)
    }

    async fn exchange_whole(
        &self,
        request: &Request,
        latest: Instant,
    ) -> Result<Answer, SendError> {
        let mut response = self.exchange(request, latest).await?;
        let status = response.status().as_u16();
        let limits = Limits::read(response.headers());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => body.extend(chunk),
                Ok(None) => return Ok(Answer { status, limits, body }),
                Ok(Some(_)) => {
                    return Err(SendError::Cut { reason: "it was too long".into(), limits });
                }
                Err(error) => return Err(SendError::Cut { reason: words(&error), limits }),
            }
        }
    }
}

impl Transport for Wiring {
    fn send(
        &self,
        request: Arc<Request>,
        latest: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, SendError>> + Send + '_>> {
        // serenity and the layers below write whole requests into their spans, with
        // the tokens in their addresses: nothing of theirs is logged.
        Box::pin(
            async move { self.exchange_whole(&request, latest).await }
                .with_subscriber(Dispatch::none()),
        )
    }
}

tokio::task_local! {
    /// Until when serenity's limiter lets the request of this task wait.
    static WAITS_UNTIL: watch::Sender<Option<Instant>>;
}

/// What serenity's limiter sends, given up as soon as it waits for too long: while it
/// waits, nothing is under way.
async fn limited(
    perform: impl Future<Output = serenity::Result<reqwest::Response>>,
    latest: Instant,
) -> Result<reqwest::Response, SendError> {
    let waits_until = watch::Sender::new(None);
    let mut seen = waits_until.subscribe();
    let perform = WAITS_UNTIL.scope(waits_until, perform);
    let too_long = async {
        let until = seen.wait_for(|until| until.is_some_and(|until| until > latest)).await;
        let until = until.ok().and_then(|until| *until);
        match until {
            Some(until) => until.saturating_duration_since(Instant::now()),
            // Its sender went with what it waits for, which is done first.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        response = perform => Ok(response?),
        wait = too_long => Err(SendError::Refused(wait)),
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<Client, ApiError> {
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    let builder = builder.connect_timeout(CONNECT_TIMEOUT).timeout(EXCHANGE_TIMEOUT);
    builder.build().map_err(|error| ApiError::invalid(format!("no HTTP client: {}", words(&error))))
}

fn authorization(token: &SecretString) -> SecretString {
    format!("Bot {}", token.expose_secret().trim().trim_start_matches("Bot ")).into()
}

/// The origin of an address, which is all that serenity can replace.
fn origin(base: &str) -> Result<String, ApiError> {
    let url = reqwest::Url::parse(base).ok().filter(|url| url.has_host());
    let url = url.filter(|url| ["http", "https"].contains(&url.scheme()));
    let Some(url) = url else {
        let reason = format!("{base:?} is no address such as http://127.0.0.1:8080");
        return Err(ApiError::invalid(reason));
    };
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(ApiError::invalid(format!("{base:?} has something after the port")));
    }
    let host = url.host_str().unwrap_or_default();
    if host == "discord.com" || host.ends_with(".discord.com") {
        let reason = "to reach Discord itself give no address: it is asked with its limits heeded";
        return Err(ApiError::invalid(reason));
    }
    Ok(url.origin().ascii_serialization())
}

impl From<serenity::Error> for SendError {
    fn from(error: serenity::Error) -> Self {
        match error {
            serenity::Error::Http(HttpError::Request(error)) => Self::from(error),
            serenity::Error::Http(HttpError::Url(_)) => {
                Self::Impossible("its address is no URL".into())
            }
            serenity::Error::Http(HttpError::InvalidHeader(_)) => {
                Self::Impossible("the token has characters that no token has".into())
            }
            // A rate-limit header that serenity could not read: after the answer.
            _ => Self::Cut { reason: "its headers are odd".into(), limits: Limits::default() },
        }
    }
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() {
            Self::Impossible(words(&error))
        } else if error.is_connect() {
            Self::NotSent(words(&error))
        } else {
            Self::Cut { reason: words(&error), limits: Limits::default() }
        }
    }
}

/// What happened, from the outside to the cause, without the address: it may hold a
/// token.
fn words(error: &reqwest::Error) -> String {
    let mut words = match (error.is_timeout(), error.is_connect()) {
        (true, true) => "connecting took too long".to_owned(),
        (true, false) => "no answer in time".to_owned(),
        (false, true) => "no connection".to_owned(),
        (false, false) => "the connection broke".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_origin_and_not_discords() {
        assert_eq!(origin("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(origin("https://twin.example").unwrap(), "https://twin.example");
        for wrong in [
            "127.0.0.1:8080",
            "ftp://host",
            "http://host/api",
            "http://host?x",
            "https://discord.com",
            "https://canary.discord.com",
        ] {
            assert_eq!(origin(wrong).unwrap_err().kind(), "invalid", "{wrong}");
        }
    }
}
