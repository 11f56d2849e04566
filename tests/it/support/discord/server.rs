//! The listeners, and a request's way: ledger, rate limits, faults, authorisation,
//! checks, the handler, the answer. It runs on a thread of its own, so that a test
//! that blocks does not stop Discord.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::call::{self, Call, Outcome, Reply};
use super::checks;
use super::faults::{Faults, Trouble};
use super::gateway::{Gateway, socket};
use super::ledger::Entry;
use super::pluralkit;
use super::rates::{Rates, Scope};
use super::refusal::Refusal;
use super::routes::{self, Route};
use super::tls::Identity;
use super::world::World;
use super::{Shared, State};

/// The line is cut: hyper closes the connection on an error.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the line is cut on purpose")
    }
}

impl std::error::Error for Cut {}

type Answer = Result<Response<Full<Bytes>>, Cut>;

pub(crate) struct Started {
    pub(crate) shared: Arc<Shared>,
    pub(crate) addr: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) thread: JoinHandle<()>,
}

/// Starts both listeners.
pub(crate) fn start(identity: Option<&Identity>) -> Started {
    let bind = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    };
    let (rest, addr) = bind();
    let (gateway, gateway_addr) = bind();
    let scheme = if identity.is_some() { "https" } else { "http" };
    let world = World::new(format!("{scheme}://{addr}"), format!("ws://{gateway_addr}"));
    let state = State {
        world,
        gateway: Gateway::new(),
        rates: Rates::default(),
        faults: Faults::default(),
    };
    let shared = Arc::new(Shared {
        state: state.into(),
        version: watch::channel(0).0,
        gateway_closed_until: watch::channel(None).0,
        rest_closed_until: watch::channel(None).0,
    });
    let acceptor = identity.map(|identity| identity.acceptor.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let inner = Arc::clone(&shared);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let closed = inner.rest_closed_until.subscribe();
            tokio::spawn(listen(Arc::clone(&inner), rest, addr, acceptor, closed));
            let closed = inner.gateway_closed_until.subscribe();
            tokio::spawn(listen(Arc::clone(&inner), gateway, gateway_addr, None, closed));
            tokio::spawn(let_shuffled_out(inner));
            // Ends when the sender is dropped.
            let _ = stopped.await;
        });
    });
    Started { shared, addr, stop, thread }
}

/// Events that are shuffled leave in groups.
async fn let_shuffled_out(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if shared.lock().gateway.has_shuffled() {
            shared.change(|state| state.gateway.release(&state.world));
        }
    }
}

async fn listen(
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    addr: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    mut closed: watch::Receiver<Option<Instant>>,
) {
    let mut listener = TcpListener::from_std(listener).unwrap();
    loop {
        let until = *closed.borrow_and_update();
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            drop(listener);
            tokio::time::sleep_until(until.into()).await;
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(addr).unwrap();
            listener = socket.listen(1024).unwrap();
            continue;
        }
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                stream.set_nodelay(true).unwrap();
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(shared, stream).await,
                        // A client that does not trust us has gone away.
                        Some(acceptor) => if let Ok(stream) = acceptor.accept(stream).await {
                            serve(shared, stream).await;
                        }
                    }
                });
            }
            _ = closed.changed() => {}
        }
    }
}

async fn serve<S>(shared: Arc<Shared>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(shared, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // An error is a line that was cut, by either side.
    let _ = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

async fn answer(shared: Arc<Shared>, mut request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(stream) = upgrade.await {
                socket::serve(shared, TokioIo::new(stream)).await;
            }
        });
        return Ok(switching(&key));
    }
    if let Some(rest) = path.strip_prefix("/attachments/") {
        return Ok(attachment(&shared, rest));
    }
    if let Some(rest) = path.strip_prefix("/v2/") {
        let (status, body) = pluralkit::answer(&mut shared.lock().world, rest);
        return Ok(json_response(status, Some(&body)));
    }
    let Some(rest) = path.strip_prefix("/api/v10/").or_else(|| path.strip_prefix("/api/webhooks"))
    else {
        let text = format!("a request outside the API: {path}");
        shared.change(|state| state.world.ledger.violations.push(text));
        return Ok(json_response(404, Some(&Refusal::plain(404, "Not Found").body())));
    };
    let rest = match path.starts_with("/api/v10/") {
        true => format!("/{rest}"),
        false => format!("/webhooks{rest}"),
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (head, body) = request.into_parts();
    // The line broke while the body came: nothing was asked.
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path: rest,
        query,
        content_type: text(header::CONTENT_TYPE).unwrap_or_default().to_owned(),
        authorization: text(header::AUTHORIZATION).map(str::to_owned),
        has_user_agent: head.headers.contains_key(header::USER_AGENT),
        body,
    };
    asked.answer(shared).await
}

fn switching(key: &HeaderValue) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(101)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    response.body(Full::default()).unwrap()
}

fn attachment(shared: &Shared, path: &str) -> Response<Full<Bytes>> {
    let id = path.split('/').nth(1).and_then(|id| id.parse::<u64>().ok());
    let state = shared.lock();
    match id.and_then(|id| state.world.files.get(&id)) {
        Some((content_type, bytes)) => Response::builder()
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::from(bytes.clone()))
            .unwrap(),
        None => json_response(404, None),
    }
}

fn json_response(status: u16, body: Option<&Value>) -> Response<Full<Bytes>> {
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
struct Asked {
    method: String,
    path: String,
    query: String,
    content_type: String,
    authorization: Option<String>,
    has_user_agent: bool,
    body: Bytes,
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
    async fn answer(self, shared: Arc<Shared>) -> Answer {
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
        for error in checks::response(method, template, status, body.as_ref()) {
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
