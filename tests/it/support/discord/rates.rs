//! Rate limits: buckets per route and major parameter, and the global one. Beyond
//! Discord, it notes clients that send although they were told not to, and clients
//! that send into a bucket while a request of theirs is in flight there.
//! <https://docs.discord.com/developers/topics/rate-limits>

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many requests in which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) limit: u32,
    pub(crate) per: Duration,
}

/// Whose limit a 429 speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The bucket's.
    User,
    /// The bot's, over all buckets.
    Global,
    /// The resource's, used up by others.
    Shared,
    /// Not Discord's, but of the network before it: no JSON, no headers of Discord.
    Cloudflare,
}

#[derive(Clone, Debug)]
struct Window {
    resets: Instant,
    used: u32,
    /// The client knows that nothing is left until then.
    told_until: Option<Instant>,
    in_flight: u32,
}

pub(crate) struct Rates {
    /// Of routes whose rates differ from `default`: `POST /channels/…`.
    pub(crate) routes: HashMap<String, Rate>,
    pub(crate) default: Rate,
    pub(crate) global: Rate,
    pub(crate) enabled: bool,
    buckets: HashMap<String, Window>,
    global_window: Option<(Instant, u32)>,
    global_told_until: Option<Instant>,
}

/// What a request finds.
pub(crate) struct Admission {
    /// How long to wait, where there is no room.
    pub(crate) refused: Option<(Scope, Duration)>,
    pub(crate) violations: Vec<String>,
}

/// The state of a bucket, for the headers of every response.
pub(crate) struct Standing {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_after: Duration,
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |limit, ms| Rate { limit, per: Duration::from_millis(ms) };
        let routes = [
            ("POST /channels/{channel_id}/messages", rate(5, 2000)),
            ("PATCH /channels/{channel_id}/messages/{message_id}", rate(5, 2000)),
            ("POST /webhooks/{webhook_id}/{webhook_token}", rate(5, 2000)),
            ("PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", rate(5, 2000)),
            (
                "PUT /channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me",
                rate(1, 250),
            ),
        ];
        Self {
            routes: routes.into_iter().map(|(route, rate)| (route.to_owned(), rate)).collect(),
            default: rate(10, 1000),
            global: rate(50, 1000),
            enabled: true,
            buckets: HashMap::new(),
            global_window: None,
            global_told_until: None,
        }
    }
}

impl Rates {
    fn rate(&self, route: &str) -> Rate {
        self.routes.get(route).copied().unwrap_or(self.default)
    }

    fn window(&mut self, route: &str, bucket: &str, now: Instant) -> &mut Window {
        let per = self.rate(route).per;
        let fresh = Window { resets: now + per, used: 0, told_until: None, in_flight: 0 };
        let window = self.buckets.entry(bucket.to_owned()).or_insert(fresh);
        if window.resets <= now {
            window.resets = now + per;
            window.used = 0;
        }
        window
    }

    /// A request arrives. `is_global`: whether it counts for the global limit, which
    /// answers to interactions do not.
    pub(crate) fn admit(
        &mut self,
        route: &str,
        bucket: &str,
        is_global: bool,
        now: Instant,
    ) -> Admission {
        let mut admission = Admission { refused: None, violations: Vec::new() };
        let rate = self.rate(route);
        let enabled = self.enabled;
        let window = self.window(route, bucket, now);
        if window.in_flight > 0 {
            let text = format!("concurrent in bucket {bucket}");
            admission.violations.push(text);
        }
        window.in_flight += 1;
        if let Some(until) = window.told_until.filter(|until| *until > now) {
            let left = until - now;
            let text = format!("into bucket {bucket}, known to be empty for {left:?} more");
            admission.violations.push(text);
        }
        let has_room = window.used < rate.limit;
        let wait = window.resets - now;
        if enabled && has_room {
            window.used += 1;
        }
        if enabled && !has_room {
            window.told_until = Some(window.resets);
            admission.refused = Some((Scope::User, wait));
        }
        if is_global {
            self.admit_global(&mut admission, now);
        }
        admission
    }

    fn admit_global(&mut self, admission: &mut Admission, now: Instant) {
        if let Some(until) = self.global_told_until.filter(|until| *until > now) {
            let text = format!("although all is limited for {:?} more", until - now);
            admission.violations.push(text);
        }
        let (resets, used) = self
            .global_window
            .filter(|(resets, _)| *resets > now)
            .unwrap_or((now + self.global.per, 0));
        self.global_window = Some((resets, used + 1));
        if self.enabled && used >= self.global.limit {
            self.global_told_until = Some(resets);
            admission.refused = Some((Scope::Global, resets - now));
        }
    }

    /// A request has been answered, or its line is gone.
    pub(crate) fn release(&mut self, bucket: &str) {
        if let Some(window) = self.buckets.get_mut(bucket) {
            window.in_flight = window.in_flight.saturating_sub(1);
        }
    }

    /// What the headers say now; from then on the client knows it.
    pub(crate) fn standing(&mut self, route: &str, bucket: &str, now: Instant) -> Option<Standing> {
        if !self.enabled {
            return None;
        }
        let limit = self.rate(route).limit;
        let window = self.window(route, bucket, now);
        let remaining = limit.saturating_sub(window.used);
        if remaining == 0 {
            window.told_until = Some(window.resets);
        }
        Some(Standing { limit, remaining, reset_after: window.resets - now })
    }

    /// The client is told to wait by a fault.
    pub(crate) fn tell(&mut self, bucket: &str, scope: Scope, wait: Duration, now: Instant) {
        match scope {
            Scope::Global | Scope::Cloudflare => self.global_told_until = Some(now + wait),
            Scope::User | Scope::Shared => {
                if let Some(window) = self.buckets.get_mut(bucket) {
                    window.told_until = Some(now + wait);
                }
            }
        }
    }
}
