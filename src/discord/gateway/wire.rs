//! The socket under a shard.

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// How long a connection may take to stand.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// How long a frame may take to leave, and a close to be answered.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// The largest thing that Discord may say: a guild with everything in it.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Makes connections.
pub(super) trait Connect: Send + 'static {
    /// What it makes.
    type Wire: Wire;

    /// A connection to that address, or why there is none.
    fn connect(&self, url: &str) -> impl Future<Output = Result<Self::Wire, String>> + Send;
}

/// A connection: frames of text, in order.
pub(super) trait Wire: Send {
    /// The next frame. May be given up and asked again without losing any.
    fn receive(&mut self) -> impl Future<Output = Received> + Send;

    /// Sends a frame; an error means that the connection is of no use any more.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), String>> + Send;

    /// Says goodbye.
    fn close(self, code: u16) -> impl Future<Output = ()> + Send;
}

/// What came over a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A frame.
    Text(String),
    /// It is over. Discord's code, if it gave one.
    Closed(Option<u16>),
}

/// Makes websockets.
pub(super) struct Internet;

impl Connect for Internet {
    type Wire = Socket;

    async fn connect(&self, url: &str) -> Result<Socket, String> {
        let config = WebSocketConfig {
            max_message_size: Some(MAX_MESSAGE_BYTES),
            max_frame_size: Some(MAX_MESSAGE_BYTES),
            ..WebSocketConfig::default()
        };
        match timeout(CONNECT_WITHIN, connect_async_with_config(url, Some(config), true)).await {
            Ok(Ok((stream, _))) => Ok(Socket(stream)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("nothing answered within {} s", CONNECT_WITHIN.as_secs())),
        }
    }
}

/// A websocket.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Wire for Socket {
    async fn receive(&mut self) -> Received {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Text(text))) => Received::Text(text),
                Some(Ok(Message::Close(frame))) => {
                    Received::Closed(frame.map(|frame| frame.code.into()))
                }
                // Pings are answered by the library; nothing else was asked for.
                Some(Ok(_)) => continue,
                Some(Err(error)) => {
                    tracing::debug!(%error, "discord.gateway.broken");
                    Received::Closed(None)
                }
                None => Received::Closed(None),
            };
        }
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        match timeout(SEND_WITHIN, self.0.send(Message::Text(text))).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("nothing leaves any more".into()),
        }
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        // Whoever does not hear it will notice.
        let _ = timeout(SEND_WITHIN, self.0.close(Some(frame))).await;
    }
}
