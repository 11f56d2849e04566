//! A server with OpenAI's moderation endpoint.

mod answer;
mod circuit;
mod parts;

use std::sync::{Mutex, MutexGuard};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::Instant;

use super::watch::Watch;
use super::{ClassifierError, Scores, keep_highest};
use crate::config::ModerationConfig;

use circuit::Circuit;
use parts::parts_of;

/// The most parts of texts in one request.
const MAX_PARTS: usize = 32;
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The way to the server.
pub(super) struct Server {
    http: reqwest::Client,
    url: reqwest::Url,
    model: Option<String>,
    circuit: Mutex<Circuit>,
}

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    input: &'a [&'a str],
}

impl Server {
    /// The server of that address, with the key that is set for it.
    pub(super) fn new(address: &str, config: &ModerationConfig) -> Result<Self, ClassifierError> {
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
        Ok(Self {
            http,
            url: endpoint(address).map_err(|wrong| {
                unfit(format!("moderation.classifier {wrong}, such as https://host:8080"))
            })?,
            model: config.classifier_model.set().cloned(),
            circuit: Mutex::default(),
        })
    }

    /// Where it is asked.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The scores of each text; none of one that is blank.
    pub(super) async fn scores(
        &self,
        texts: &[&str],
        watch: &Watch,
    ) -> Result<Vec<Scores>, ClassifierError> {
        let mut found = vec![Scores::new(); texts.len()];
        let parts = texts.iter().enumerate();
        let parts = parts.flat_map(|(index, text)| parts_of(text).map(move |part| (index, part)));
        for batch in parts.collect::<Vec<_>>().chunks(MAX_PARTS) {
            let input: Vec<&str> = batch.iter().map(|&(_, part)| part).collect();
            for (&(index, _), scores) in batch.iter().zip(self.ask(&input, watch).await?) {
                keep_highest(&mut found[index], scores);
            }
        }
        Ok(found)
    }

    /// What each part is, if the server may be asked at all.
    async fn ask(&self, input: &[&str], watch: &Watch) -> Result<Vec<Scores>, ClassifierError> {
        let is_admitted = self.circuit().admit(Instant::now(), watch.timeout());
        let answer = match is_admitted {
            true => watch.over(self.exchange(input)).await,
            false => watch.over(async { Err(ClassifierError::Resting) }).await,
        };
        match &answer {
            Ok(_) => self.circuit().note_answer(),
            Err(error) if error.is_of_server() => self.circuit().note_failure(Instant::now()),
            Err(_) => {}
        }
        answer
    }

    async fn exchange(&self, input: &[&str]) -> Result<Vec<Scores>, ClassifierError> {
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
        answer::read(&bytes, input.len())
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
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
