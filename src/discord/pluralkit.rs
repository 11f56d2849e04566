//! Asking PluralKit who is behind a post, where an operator wants that.

use std::time::Duration;

use serde::Deserialize;
use serenity::model::id::MessageId;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::config;

/// PluralKit takes ten requests a second from all of us together.
const EVERY: Duration = Duration::from_millis(150);
/// How long an answer may take: a turn waits for it.
const WITHIN: Duration = Duration::from_secs(2);

/// PluralKit's REST interface.
pub(super) struct PluralKit {
    origin: String,
    client: reqwest::Client,
    next: Mutex<Instant>,
}

/// Whoever is behind a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The account that wrote it.
    pub(super) sender: String,
    /// The member of the system, by what never changes.
    pub(super) uuid: String,
}

#[derive(Deserialize)]
struct Answer {
    sender: String,
    #[serde(default)]
    member: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    uuid: String,
}

impl PluralKit {
    /// `None` where nobody is to be asked.
    pub(super) fn new(setting: &config::PluralKit) -> Option<Self> {
        let config::PluralKit::Url(origin) = setting else { return None };
        let client = reqwest::Client::builder()
            .timeout(WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dramatis/", env!("CARGO_PKG_VERSION")))
            .build();
        match client {
            Ok(client) => {
                Some(Self { origin: origin.clone(), client, next: Mutex::new(Instant::now()) })
            }
            Err(error) => {
                tracing::warn!(%error, "discord.pluralkit.unusable");
                None
            }
        }
    }

    /// Who is behind a post; `None` where it is not PluralKit's, or where there is no
    /// answer: then the post's own name has to do.
    pub(super) async fn member(&self, message: MessageId) -> Option<Member> {
        self.wait().await;
        let url = format!("{}/v2/messages/{message}", self.origin.trim_end_matches('/'));
        let answer = match self.client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => answer.text().await,
            Ok(answer) => {
                tracing::debug!(status = answer.status().as_u16(), "discord.pluralkit.unknown");
                return None;
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => read(&answer),
            Err(error) => {
                tracing::debug!(%error, "discord.pluralkit.silent");
                None
            }
        }
    }

    async fn wait(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + EVERY;
    }
}

fn read(answer: &str) -> Option<Member> {
    let Answer { sender, member } = serde_json::from_str(answer).ok()?;
    Some(Member { sender, uuid: member?.uuid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_or_not() {
        let answer = r#"{"id":"3","original":"2","sender":"42","system":{"id":"exmpl"},
            "member":{"id":"abcde","uuid":"f1c5-99","name":"Ash","color":null}}"#;
        assert_eq!(read(answer), Some(Member { sender: "42".into(), uuid: "f1c5-99".into() }));
        // A member that was deleted since.
        assert_eq!(read(r#"{"sender":"42","member":null}"#), None);
        assert_eq!(read("<html>"), None);
    }
}
