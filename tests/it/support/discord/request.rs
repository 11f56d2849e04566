//! A request's way: ledger, rate limits, faults, authorisation, checks, the handler,
//! the answer with its headers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use serde_json::{Value, json};

use super::call::{self, Call, Outcome, Reply};
use super::checks;
use super::faults::Trouble;
use super::ledger::Entry;
use super::rates::Scope;
use super::refusal::Refusal;
use super::routes::{self, Route};
use super::{Shared, State};

/// The line is cut: hyper closes the connection on an error.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the line is cut on purpose")
    }
}

impl std::error::Error for Cut {}

pub(crate) type Answer = Result<Response<Full<Bytes>>, Cut>;

pub(crate) fn json_response(status: u16, body: Option<&Value>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status);
    match body {
        Some(body) => response
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string())),
        None => response.body(Full::default()),
    }
    .unwrap()
}

/// A request before it is understood.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) authorization: Option<String>,
    pub(crate) has_user_agent: bool,
    pub(crate) body: Bytes,
}

/// A request on its way. Dropped when it is answered, and when its client is gone.
struct Underway {
    shared: Arc<Shared>,
    number: usize,
    route: String,
    bucket: String,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.rates.release(&self.bucket);
            let entry = &mut state.world.ledger.requests[self.number];
            entry.ended.get_or_insert_with(Instant::now);
        });
    }
}

impl Asked {
    pub(crate) async fn answer(self, shared: Arc<Shared>) -> Answer {
        let found = routes::find(&self.method, &self.path);
        let template = found.as_ref().map_or("", |(route, _)| route.template);
        let route = format!("{} {template}", self.method);
        let parsed = call::parse_body(&self.content_type, &self.body);
        let params = found.as_ref().map(|(_, params)| params.clone()).unwrap_or_default();
        let (body, files) = parsed.clone().unwrap_or_default();
        let call = Call { params, query: routes::parse_query(&self.query), body, files };
        let bucket = bucket(&route, &call);
        let is_global = !template.starts_with("/interactions/")
            && call.param("webhook_id") != shared.lock().world.application.to_string();

        let (number, admission, troubles) = shared.change(|state| {
            let number = state.world.ledger.requests.len();
            let entry = self.entry(number, template, &bucket, &call);
            let now = entry.started;
            state.world.ledger.requests.push(entry);
            let admission = state.rates.admit(&route, &bucket, is_global, now);
            state.world.ledger.current = Some(number);
            for text in &admission.violations {
                state.world.ledger.violation(text.clone());
            }
            if !self.has_user_agent {
                // https://docs.discord.com/developers/reference#user-agent
                state.world.ledger.violation("no User-Agent");
            }
            state.world.ledger.current = None;
            let text = String::from_utf8_lossy(&self.body);
            (number, admission, state.faults.strike(&self.method, &self.path, &text))
        });
        let underway = Underway { shared: Arc::clone(&shared), number, route, bucket };
        if let Some((scope, wait)) = admission.refused {
            return Ok(underway.rate_limited(scope, wait));
        }
        let (before, after): (Vec<_>, Vec<_>) = troubles.into_iter().partition(Trouble::is_before);
        for trouble in before {
            if let Some(answer) = underway.suffer(trouble).await {
                return answer;
            }
        }
        let outcome = self.apply(&underway, found.map(|(route, _)| route), parsed, &call);
        for trouble in after {
            if let Some(answer) = underway.suffer(trouble).await {
                return answer;
            }
        }
        Ok(underway.respond(template, outcome))
    }

    fn entry(&self, number: usize, template: &'static str, bucket: &str, call: &Call) -> Entry {
        let query = if self.query.is_empty() { "" } else { "?" };
        Entry {
            number,
            method: self.method.clone(),
            path: format!("{}{query}{}", self.path, self.query),
            template,
            bucket: bucket.to_owned(),
            body: call.body.clone(),
            files: call.files.iter().map(|file| file.name.clone()).collect(),
            started: Instant::now(),
            ended: None,
            status: None,
            answer: None,
            applied: false,
        }
    }

    /// Authorisation, checks, the handler.
    fn apply(
        &self,
        underway: &Underway,
        route: Option<Route>,
        parsed: Result<(Value, Vec<call::Upload>), Refusal>,
        call: &Call,
    ) -> Outcome {
        let Some(route) = route else {
            underway.violation(&format!("no such path: {} {}", self.method, self.path));
            return Err(Refusal::plain(404, "Not Found"));
        };
        parsed?;
        const FILE_BYTES: usize = 10 << 20;
        if call.files.iter().any(|file| file.bytes.len() > FILE_BYTES) {
            return Err(Refusal::of(40005));
        }
        for key in checks::unknown_properties(&self.method, route.template, &call.body) {
            underway.violation(&super::rules::unknown_property(&key));
        }
        let wrong = checks::request(&self.method, route.template, &call.body);
        for error in wrong {
            underway.violation(&format!("the request does not fit Discord's schema: {error}"));
        }
        let work = |state: &mut State| {
            let is_bot = self.authorization == Some(format!("Bot {}", state.world.token));
            if !is_bot && !routes::has_own_token(route.template) {
                return Err(Refusal::plain(401, "Unauthorized"));
            }
            state.world.ledger.current = Some(underway.number);
            let handler = std::panic::AssertUnwindSafe(|| (route.handler)(&mut state.world, call));
            let outcome = std::panic::catch_unwind(handler).unwrap_or_else(|_| {
                state.world.ledger.violation("the double's own handler panicked");
                Err(Refusal::plain(500, "Internal Server Error"))
            });
            state.world.ledger.requests[underway.number].applied = outcome.is_ok();
            state.world.ledger.current = None;
            outcome
        };
        underway.shared.change(work)
    }
}

impl Underway {
    fn violation(&self, text: &str) {
        self.shared.change(|state| {
            state.world.ledger.current = Some(self.number);
            state.world.ledger.violation(text);
            state.world.ledger.current = None;
        });
    }

    /// Some where the trouble is the answer.
    async fn suffer(&self, trouble: Trouble) -> Option<Answer> {
        match trouble {
            Trouble::DelayBefore(time) | Trouble::DelayAfter(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Trouble::PauseBefore(pause) | Trouble::PauseAfter(pause) => {
                pause.stand(self.number).await;
                None
            }
            Trouble::HangBefore | Trouble::HangAfter => std::future::pending().await,
            Trouble::CutBefore | Trouble::CutAfter => Some(Err(Cut)),
            Trouble::RateLimit(scope, wait) => Some(Ok(self.rate_limited(scope, wait))),
            Trouble::Refuse(refusal) => Some(Ok(self.respond("", Err(refusal)))),
            Trouble::ServerError(status) | Trouble::AppliedServerError(status) => {
                self.note(status, None);
                Some(Ok(json_response(status, None)))
            }
        }
    }

    fn note(&self, status: u16, body: Option<&Value>) {
        self.shared.change(|state| {
            let entry = &mut state.world.ledger.requests[self.number];
            entry.status = Some(status);
            entry.answer = body.cloned();
            entry.ended = Some(Instant::now());
        });
    }

    fn respond(&self, template: &str, outcome: Outcome) -> Response<Full<Bytes>> {
        let (status, body) = match outcome {
            Ok(Reply { status, body }) => (status, body),
            Err(refusal) => (refusal.status, Some(refusal.body())),
        };
        let method = self.route.split(' ').next().unwrap_or_default();
        let is_odd = self.shared.lock().world.has_oddities && template.contains("messages");
        for error in checks::response(method, template, status, body.as_ref()) {
            if is_odd {
                break;
            }
            self.violation(&format!("the double's own answer is malformed: {error}"));
        }
        self.note(status, body.as_ref());
        let mut response = json_response(status, body.as_ref());
        self.add_standing(&mut response, false);
        response
    }

    /// <https://docs.discord.com/developers/topics/rate-limits#header-format>
    fn add_standing(&self, response: &mut Response<Full<Bytes>>, is_refused: bool) {
        let now = Instant::now();
        let standing =
            self.shared.change(|state| state.rates.standing(&self.route, &self.bucket, now));
        let Some(standing) = standing else { return };
        let remaining = if is_refused { 0 } else { standing.remaining };
        // Rounded up, so that who obeys is never early.
        let reset_after = (standing.reset_after.as_secs_f64() * 1000.0).ceil() / 1000.0;
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let reset = unix.as_secs_f64() + reset_after;
        let headers = [
            ("x-ratelimit-limit", standing.limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset-after", format!("{reset_after:.3}")),
            ("x-ratelimit-reset", format!("{reset:.3}")),
            ("x-ratelimit-bucket", hash(&self.route)),
        ];
        for (name, value) in headers {
            response.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
        }
    }

    fn rate_limited(&self, scope: Scope, wait: Duration) -> Response<Full<Bytes>> {
        let now = Instant::now();
        self.shared.change(|state| state.rates.tell(&self.bucket, scope, wait, now));
        let seconds = (wait.as_secs_f64() * 1000.0).ceil() / 1000.0;
        let mut response = match scope {
            Scope::Cloudflare => {
                let page = "<html><body>You are being rate limited (1015)</body></html>";
                self.note(429, None);
                let response = Response::builder().status(429).header("content-type", "text/html");
                response.body(Full::from(page)).unwrap()
            }
            _ => {
                let body = json!({
                    "message": "You are being rate limited.", "retry_after": seconds,
                    "global": scope == Scope::Global,
                    "code": if scope == Scope::Shared { 20028 } else { 0 },
                });
                self.note(429, Some(&body));
                json_response(429, Some(&body))
            }
        };
        let text = |value: String| HeaderValue::from_str(&value).unwrap();
        let headers = response.headers_mut();
        headers.insert("retry-after", text(format!("{}", wait.as_secs_f64().ceil())));
        let name = match scope {
            Scope::User => "user",
            Scope::Global => "global",
            Scope::Shared => "shared",
            Scope::Cloudflare => return response,
        };
        headers.insert("x-ratelimit-scope", text(name.into()));
        match scope {
            Scope::Global => drop(headers.insert("x-ratelimit-global", text("true".into()))),
            _ => {
                self.add_standing(&mut response, true);
                let reset = text(format!("{seconds:.3}"));
                response.headers_mut().insert("x-ratelimit-reset-after", reset);
            }
        }
        response
    }
}

/// What shares a limit: the route with its major parameters.
/// <https://docs.discord.com/developers/topics/rate-limits#rate-limits>
fn bucket(route: &str, call: &Call) -> String {
    let majors = ["channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_id"];
    let major = majors.into_iter().filter_map(|name| call.params.get(name));
    let major: Vec<&str> = major.map(|value| value.get(..20).unwrap_or(value)).collect();
    format!("{route} {}", major.join("/")).trim_end().to_owned()
}

/// Discord names buckets by a hash.
fn hash(route: &str) -> String {
    let start = 0xCBF2_9CE4_8422_2325u64;
    let hash = route.bytes().fold(start, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    format!("{hash:016x}{:016x}", hash.rotate_left(17))
}
