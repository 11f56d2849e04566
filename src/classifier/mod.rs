//! A classifier elsewhere: a server with OpenAI's moderation endpoint, asked what texts are.
//!
//! It tells categories and decides nothing. Texts go into requests and nowhere else: neither
//! logs nor errors hold any of them, nor of the server's words. Invariant: an error says that
//! nothing is known, never that a text is fine.

mod answer;
mod circuit;
mod error;
mod known;
mod parts;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::config::ModerationConfig;
use crate::moderation::{Categories, Thresholds};
use crate::telemetry::metrics::{self, Metrics};

pub use error::ClassifierError;

use circuit::Circuit;
use known::{Digest, Known};
use parts::parts_of;

/// The most parts of texts in one request.
const MAX_PARTS: usize = 32;
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The way to the server, and what it said lately.
pub struct Classifier {
    http: reqwest::Client,
    url: reqwest::Url,
    model: Option<String>,
    timeout: Duration,
    thresholds: Thresholds,
    circuit: Mutex<Circuit>,
    known: Mutex<Known>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    input: &'a [&'a str],
}

impl Classifier {
    /// The configured classifier; `None` where there is to be none.
    ///
    /// # Errors
    /// The settings say something impossible, or the key's file cannot be read.
    pub fn new(
        config: &ModerationConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Option<Arc<Self>>, ClassifierError> {
        let Some(address) = config.classifier_url() else { return Ok(None) };
        let unfit = |message: String| ClassifierError::Settings(message);
        let mut headers = HeaderMap::new();
        if let Some(key) = config.api_key().map_err(|error| unfit(error.to_string()))? {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()));
            let mut bearer = bearer
                .map_err(|_| unfit("moderation.api_key has characters that no key has".into()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            // A key, and people's words, go to the server that they are for.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unfit(error.to_string()))?;
        let thresholds = Thresholds::new(&config.thresholds)
            .map_err(|wrong| unfit(format!("moderation.thresholds: {wrong}")))?;
        Ok(Some(Arc::new(Self {
            http,
            url: endpoint(address).map_err(|wrong| {
                unfit(format!("moderation.classifier_url {wrong}, such as https://host:8080"))
            })?,
            model: config.classifier_model.set().cloned(),
            timeout: config.timeout(),
            thresholds,
            circuit: Mutex::default(),
            known: Mutex::default(),
            metrics,
        })))
    }

    /// Where it is asked.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What each of these texts is. One that was asked for lately is not sent again.
    ///
    /// # Errors
    /// The server cannot be asked, or its answer cannot be read; nothing is known then.
    pub async fn classify(&self, texts: &[&str]) -> Result<Vec<Categories>, ClassifierError> {
        let digests: Vec<Digest> = texts.iter().map(|text| Digest::of(text)).collect();
        let mut found: Vec<Option<Categories>> = {
            let known = self.known.lock().expect("no holder panics");
            digests.iter().map(|digest| known.get(digest)).collect()
        };
        let fresh = found.iter().zip(texts).enumerate().filter(|(_, (known, _))| known.is_none());
        let parts: Vec<(usize, &str)> = fresh
            .flat_map(|(index, (_, text))| parts_of(text).map(move |part| (index, part)))
            .collect();
        for batch in parts.chunks(MAX_PARTS) {
            let input: Vec<&str> = batch.iter().map(|&(_, part)| part).collect();
            for (&(index, _), categories) in batch.iter().zip(self.ask(&input).await?) {
                found[index].get_or_insert_default().extend(categories);
            }
        }
        // What is blank is nothing.
        let found: Vec<_> = found.into_iter().map(Option::unwrap_or_default).collect();
        let mut known = self.known.lock().expect("no holder panics");
        for (digest, categories) in digests.into_iter().zip(&found) {
            known.insert(digest, categories.clone());
        }
        Ok(found)
    }

    /// What each part is, if the server may be asked at all.
    async fn ask(&self, input: &[&str]) -> Result<Vec<Categories>, ClassifierError> {
        let is_admitted = self.circuit().admit(Instant::now(), self.timeout);
        let answer = match is_admitted {
            true => match timeout(self.timeout, self.exchange(input)).await {
                Ok(answer) => answer,
                Err(_) => Err(ClassifierError::Timeout(self.timeout)),
            },
            false => Err(ClassifierError::Resting),
        };
        let outcome = answer.as_ref().map_or_else(ClassifierError::kind, |_| "answered");
        self.metrics.count(metrics::CLASSIFICATIONS, outcome, 1);
        match &answer {
            Ok(_) => self.circuit().note_answer(),
            Err(ClassifierError::Resting) => {}
            Err(error) => {
                tracing::warn!(server = self.url(), error.kind = outcome, %error, "classifier");
                if error.is_of_server() {
                    self.circuit().note_failure(Instant::now());
                }
            }
        }
        answer
    }

    async fn exchange(&self, input: &[&str]) -> Result<Vec<Categories>, ClassifierError> {
        let question = Question { model: self.model.as_deref(), input };
        let body = serde_json::to_vec(&question).expect("it has text for keys");
        let failed = |error: reqwest::Error| ClassifierError::of_exchange(&error);
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let mut response = request.body(body).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(ClassifierError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                return Err(ClassifierError::Unreadable("is too long"));
            }
        }
        answer::read(&bytes, input.len(), &self.thresholds)
    }

    fn circuit(&self) -> std::sync::MutexGuard<'_, Circuit> {
        self.circuit.lock().expect("no holder panics")
    }
}

/// The endpoint of a server.
fn endpoint(address: &str) -> Result<reqwest::Url, &'static str> {
    let mut url: reqwest::Url = address.parse().map_err(|_| "is no address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("is logged, so a key does not belong into it (moderation.api_key)");
    }
    if !url.has_host() || url.query().is_some() || url.fragment().is_some() {
        return Err("is to be a host and a path at most");
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/v1/moderations", path.strip_suffix("/v1").unwrap_or(path));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_found_below_any_address() {
        for (address, wanted) in [
            ("http://h:1", "http://h:1/v1/moderations"),
            ("https://h/v1/", "https://h/v1/moderations"),
            ("https://h/proxy", "https://h/proxy/v1/moderations"),
        ] {
            assert_eq!(endpoint(address).unwrap().as_str(), wanted);
        }
        for wrong in ["http://", "http://me:key@h", "http://h?key=1"] {
            endpoint(wrong).unwrap_err();
        }
    }
}
