//! Files that people attach to their commands.
//!
//! Fetched from Discord's own hosts alone, or from the server that stands in for it;
//! without the token, without following redirects, and no further than to a limit.

use std::time::Duration;

use reqwest::{Client, Url};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::calls::Api;
use super::error::ApiError;

/// Where Discord keeps attachments
/// (<https://discord.com/developers/docs/reference#image-formatting>).
const HOSTS: [&str; 2] = ["cdn.discordapp.com", "media.discordapp.net"];
/// How long a file may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A file that somebody attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its name, as the person's machine had it.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) url: String,
    /// Its size in bytes, as Discord says.
    pub(crate) size: u64,
}

/// Why an attached file is not here, in words for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DownloadError(String);

impl DownloadError {
    fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// The way to attached files.
#[derive(Clone)]
pub(super) struct Attachments {
    client: Client,
    /// The server that stands in for Discord, if one does.
    origin: Option<String>,
}

impl Attachments {
    pub(super) fn new(origin: Option<&str>) -> Result<Self, ApiError> {
        let builder = Client::builder().redirect(reqwest::redirect::Policy::none());
        let builder = builder.timeout(TIMEOUT).https_only(origin.is_none());
        let builder = if origin.is_some() { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|_| ApiError::invalid("no HTTP client"))?;
        let origin = origin.map(|origin| origin.trim_end_matches('/').to_owned());
        Ok(Self { client, origin })
    }

    /// Whether a file is where Discord keeps them.
    fn is_discords(&self, url: &Url) -> bool {
        match &self.origin {
            Some(origin) => url.origin().ascii_serialization() == *origin,
            None => {
                url.scheme() == "https"
                    && url.port().is_none()
                    && url.host_str().is_some_and(|host| HOSTS.contains(&host))
            }
        }
    }

    async fn get(&self, url: Url, max_bytes: usize) -> Result<Vec<u8>, DownloadError> {
        let lost = |_| DownloadError::new("the attached file did not arrive; try again");
        let mut response = self.client.get(url).send().await.map_err(lost)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(DownloadError(format!(
                "the attached file could not be fetched (HTTP {status}); attach it again"
            )));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > max_bytes {
                return Err(DownloadError(format!(
                    "the attached file is larger than the {} MiB that are taken",
                    max_bytes >> 20
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl Api {
    /// What is in an attached file.
    ///
    /// # Errors
    /// It is not on Discord's hosts, larger than `max_bytes`, or does not arrive.
    pub(crate) async fn download(
        &self,
        file: &Attachment,
        max_bytes: usize,
    ) -> Result<Vec<u8>, DownloadError> {
        let url = Url::parse(&file.url).ok().filter(|url| self.attachments.is_discords(url));
        let Some(url) = url else {
            return Err(DownloadError::new("the attached file is not where Discord keeps files"));
        };
        // Its address is signed: whoever reads it in a log could fetch the file.
        self.attachments.get(url, max_bytes).with_subscriber(Dispatch::none()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_fetched_from_discord_alone() {
        let real = Attachments::new(None).expect("a client");
        let double = Attachments::new(Some("http://127.0.0.1:9")).expect("a client");
        let may = |way: &Attachments, url: &str| way.is_discords(&Url::parse(url).expect("a URL"));
        assert!(may(&real, "https://cdn.discordapp.com/ephemeral-attachments/1/2/a.png?ex=3"));
        assert!(may(&double, "http://127.0.0.1:9/attachments/1/a.png"));
        for elsewhere in [
            "http://cdn.discordapp.com/a.png",
            "https://cdn.discordapp.com:444/a.png",
            "https://cdn.discordapp.com.example.org/a.png",
            "https://example.org/cdn.discordapp.com/a.png",
            "https://127.0.0.1/a.png",
            "file:///etc/passwd",
        ] {
            assert!(!may(&real, elsewhere), "{elsewhere}");
            assert!(!may(&double, elsewhere), "{elsewhere}");
        }
    }
}
