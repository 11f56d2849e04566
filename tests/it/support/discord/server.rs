//! The listeners, and what is not Discord's API: the gateway's handshake, files,
//! PluralKit. It runs on a thread of its own, so that a test that blocks does not
//! stop Discord.

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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::faults::Faults;
use super::gateway::{Gateway, socket};
use super::pluralkit;
use super::rates::Rates;
use super::refusal::Refusal;
use super::request::{Answer, Asked, Cut, json_response};
use super::tls::Identity;
use super::world::World;
use super::{Shared, State};

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
    if path.starts_with("/attachments/") || path.starts_with("/ephemeral-attachments/") {
        return Ok(attachment(&shared, &request));
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

fn attachment(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    shared.change(|state| {
        let world = &mut state.world;
        if request.headers().contains_key(header::AUTHORIZATION) {
            world.ledger.violation(format!("a token was shown to the content network: {path}"));
        }
        let Some(file) = world.fetch_file(path, query) else { return json_response(404, None) };
        let kind = file.content_type.unwrap_or("application/octet-stream");
        let response = Response::builder().header(header::CONTENT_TYPE, kind);
        response.body(Full::from(file.bytes.clone())).unwrap()
    })
}
