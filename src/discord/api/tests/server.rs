//! A server of a few lines, over real connections, with or without TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What it does about a request.
#[derive(Debug, Clone)]
pub(super) enum Does {
    /// Answers, with extra headers.
    Answers(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection; the request was applied.
    Cuts,
    /// Closes it in the middle of the answer.
    CutsBody,
}

pub(super) fn answers(status: u16, body: &str) -> Does {
    Does::Answers(status, Vec::new(), body.to_owned())
}

/// A message that was made.
pub(super) fn made() -> Does {
    answers(200, r#"{"id": "1", "channel_id": "2", "author": {"id": "3"}}"#)
}

/// A request as it came: the first line, the headers, the body.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

pub(super) struct Server {
    pub(super) addr: SocketAddr,
    pub(super) came: Arc<Mutex<Vec<Came>>>,
    /// Of the authority that its certificate is from.
    pub(super) root_pem: String,
}

type Script = Arc<dyn Fn(&Came, usize) -> Does + Send + Sync>;

impl Server {
    pub(super) async fn start(
        script: impl Fn(&Came, usize) -> Does + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Arc::new(script), None).await
    }

    /// As `discord.com`.
    pub(super) async fn start_tls(
        script: impl Fn(&Came, usize) -> Does + Send + Sync + 'static,
    ) -> Self {
        let (root_pem, acceptor) = identity();
        Self { root_pem, ..Self::listen(Arc::new(script), Some(acceptor)).await }
    }

    async fn listen(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let seen = came.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, tls) = (script.clone(), seen.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, seen).await;
                            }
                        }
                        None => serve(stream, script, seen).await,
                    }
                });
            }
        });
        Self { addr, came, root_pem: String::new() }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.came.lock().unwrap().iter().map(|came| came.line.clone()).collect()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    seen: Arc<Mutex<Vec<Came>>>,
) {
    let mut buffer = Vec::new();
    while let Some(came) = read_request(&mut stream, &mut buffer).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(came.clone());
            seen.len() - 1
        };
        let text = match script(&came, number) {
            Does::Cuts => return,
            Does::CutsBody => "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"id".to_owned(),
            Does::Answers(status, headers, body) => {
                let headers: String =
                    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
            }
        };
        if stream.write_all(text.as_bytes()).await.is_err() || text.ends_with("{\"id") {
            return;
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Came> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = buffer[end + 4..whole].to_vec();
                buffer.drain(..whole);
                let line = head.lines().next().unwrap().to_owned();
                return Some(Came { line, head, body });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn identity() -> (String, TlsAcceptor) {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["discord.com".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (root.pem(), TlsAcceptor::from(Arc::new(config)))
}
