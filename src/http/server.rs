//! Connections: who is let in, for how long, and how a stop goes.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::HttpError;
use super::auth::Key;
use super::backend::Backend;
use super::routes::router;
use super::salts::Salts;
use super::shared::{Phase, Shared};
use crate::pool::Pool;
use crate::telemetry::metrics::Metrics;

/// Connections at once; more wait to be let in.
const MAX_CONNECTIONS: usize = 512;
/// How long the head of a request may take, and a connection be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// After a stop's grace: how long what runs may take to end, which it does in a step.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// And how long connections may take to send what is left.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Before the next try, where the system has no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a server listens and what it lets in.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The address and the port; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What requests must show; `None` lets everybody in.
    pub api_key: Option<SecretString>,
    /// How long a stop waits for completions that are being written.
    pub stop_grace: Duration,
    /// The longest body of a request.
    pub max_body_bytes: usize,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    stop_grace: Duration,
}

impl Server {
    /// Takes the address; nobody is answered before [`Server::run`].
    ///
    /// # Errors
    /// [`HttpError::Listen`] if it cannot be had.
    pub async fn bind(
        options: &ServerOptions,
        pool: Pool,
        metrics: Arc<Metrics>,
    ) -> Result<Self, HttpError> {
        let failed = |source| HttpError::Listen { listen: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let key = options.api_key.as_ref();
        let shared = Shared::new(
            Backend::new(pool),
            key.map(Key::new),
            Salts::new(key),
            options.max_body_bytes,
            metrics,
        );
        let stop_grace = options.stop_grace;
        Ok(Self { listener, address, shared: Arc::new(shared), stop_grace })
    }

    /// Where it listens, its port included.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then refuses what is new, gives what runs its grace, ends
    /// what is left with the text it has, and closes.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut wound_down = pin!(wind_down(&self.shared, stop, self.stop_grace));
        let service = router(self.shared.clone());
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await.expect("nobody closes it");
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut wound_down => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    let (service, shared) = (service.clone(), self.shared.clone());
                    connections.spawn(async move {
                        connection(stream, service, shared).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "http.accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        self.shared.phase.send_replace(Phase::Closing);
        let closed = async { while connections.join_next().await.is_some() {} };
        if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("http.stop.late");
        }
    }
}

/// Ends when nobody is at work any more, or the time for that is over.
async fn wind_down(shared: &Shared, stop: impl Future<Output = ()>, grace: Duration) {
    stop.await;
    shared.phase.send_replace(Phase::Draining);
    if timeout(grace, shared.idle()).await.is_ok() {
        return;
    }
    shared.phase.send_replace(Phase::Ending);
    if timeout(END_TIMEOUT, shared.idle()).await.is_err() {
        tracing::warn!("http.stop.unfinished");
    }
}

/// One connection, until either side has enough of it.
async fn connection(stream: TcpStream, service: Router, shared: Arc<Shared>) {
    // Words go out as they come. A connection that is gone already shows in the next step.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let mut phase = shared.phase.subscribe();
    tokio::select! {
        ended = &mut connection => return log_end(ended),
        _ = phase.wait_for(|&phase| phase == Phase::Closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    log_end(connection.await);
}

fn log_end(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        // Clients go away as they like.
        tracing::debug!(%error, "http.connection");
    }
}
