//! What Discord does not let us do in which channel, so that we do not ask again and
//! again.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serenity::model::id::ChannelId;
use tokio::time::Instant;

use super::endpoint::{Endpoint, Kind};
use super::error::{ApiError, MISSING_ACCESS, MISSING_PERMISSIONS};

/// How long a refusal is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(300);
/// The most that are kept; beyond it begins anew.
const MAX: usize = 10_000;

/// Refused requests, by channel and kind.
#[derive(Default)]
pub(super) struct Refusals {
    refused: Mutex<HashMap<(ChannelId, Kind), (Instant, ApiError)>>,
}

impl Refusals {
    /// Why such a request would be refused.
    pub(super) fn find(&self, endpoint: &Endpoint, kind: Kind) -> Option<ApiError> {
        let channel = endpoint.channel()?;
        let mut refused = self.refused.lock().expect("nothing panics here");
        let (until, error) = refused.get(&(channel, kind))?;
        if Instant::now() < *until {
            return Some(error.clone());
        }
        refused.remove(&(channel, kind));
        None
    }

    /// Remembers a refusal, if the next request of the kind would be refused too.
    pub(super) fn remember(&self, endpoint: &Endpoint, kind: Kind, error: &ApiError) {
        let Some(channel) = endpoint.channel() else { return };
        let holds = match error.code() {
            Some(MISSING_ACCESS) => true,
            Some(MISSING_PERMISSIONS) => endpoint.is_refused_alike(),
            _ => false,
        };
        if !holds || !matches!(error, ApiError::Forbidden { .. }) {
            return;
        }
        let mut refused = self.refused.lock().expect("nothing panics here");
        if refused.len() >= MAX {
            refused.clear();
        }
        refused.insert((channel, kind), (Instant::now() + BELIEVED_FOR, error.clone()));
    }

    /// Permissions in a channel may have changed.
    pub(super) fn forgive(&self, channel: ChannelId) {
        let mut refused = self.refused.lock().expect("nothing panics here");
        refused.retain(|(of, _), _| *of != channel);
    }

    /// Permissions anywhere may have changed.
    pub(super) fn forgive_all(&self) {
        self.refused.lock().expect("nothing panics here").clear();
    }
}

#[cfg(test)]
mod tests {
    use serenity::http::LightMethod;
    use serenity::model::id::MessageId;
    use tokio::time::advance;

    use super::*;

    fn forbidden(code: u32) -> ApiError {
        ApiError::Forbidden { code, message: "no".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_believed_for_a_while_or_until_forgiven() {
        let refusals = Refusals::default();
        let (channel, other) = (ChannelId::new(1), ChannelId::new(2));
        let endpoint = Endpoint::Messages(channel);
        let (post, get) =
            (endpoint.key(LightMethod::Post).kind, endpoint.key(LightMethod::Get).kind);
        refusals.remember(&endpoint, post, &forbidden(MISSING_PERMISSIONS));
        assert_eq!(refusals.find(&endpoint, post), Some(forbidden(MISSING_PERMISSIONS)));
        assert_eq!(refusals.find(&endpoint, get), None);
        assert_eq!(refusals.find(&Endpoint::Messages(other), post), None);
        refusals.forgive(other);
        assert!(refusals.find(&endpoint, post).is_some());
        advance(BELIEVED_FOR).await;
        assert_eq!(refusals.find(&endpoint, post), None);
        refusals.remember(&endpoint, post, &forbidden(MISSING_ACCESS));
        refusals.forgive(channel);
        assert_eq!(refusals.find(&endpoint, post), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_depends_on_the_message_is_asked_again() {
        let refusals = Refusals::default();
        let endpoint = Endpoint::Message(ChannelId::new(1), MessageId::new(2));
        let kind = endpoint.key(LightMethod::Delete).kind;
        refusals.remember(&endpoint, kind, &forbidden(MISSING_PERMISSIONS));
        refusals.remember(&endpoint, kind, &forbidden(20_012));
        assert_eq!(refusals.find(&endpoint, kind), None);
        refusals.remember(&endpoint, kind, &forbidden(MISSING_ACCESS));
        assert!(refusals.find(&endpoint, kind).is_some());
    }
}
