//! The double of Discord, tested by plain clients: what it says, what it refuses, and
//! how it misbehaves on demand.

mod faults;
mod foreign;
mod gateway;
mod interactions;
mod rest;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::discord::Discord;

/// Long enough for anything that is going to happen.
const SOON: Duration = Duration::from_secs(10);

/// Guilds, guild messages, reactions, typing, webhooks, content.
const INTENTS: u64 = 1 | 1 << 5 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 15;

/// A REST client that knows nothing but the token.
struct Rest {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Rest {
    fn new(discord: &Discord) -> Self {
        let http = reqwest::Client::builder().user_agent("DiscordBot (test, 1)").build().unwrap();
        Self { http, url: format!("{}/api/v10", discord.url()), token: discord.token() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> reqwest::Result<reqwest::Response> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bot {}", self.token));
        match body.is_null() {
            true => request.send().await,
            false => request.json(&body).send().await,
        }
    }

    /// Status and body, null where there is none.
    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let response = self.send(method, path, body).await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// The body of a success.
    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.call(Method::POST, path, body).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {body}");
        body
    }

    /// The code of a refusal.
    async fn refused(&self, method: Method, path: &str, body: Value) -> u64 {
        let (status, body) = self.call(method.clone(), path, body).await;
        assert!((400..500).contains(&status), "{method} {path}: {status} {body}");
        body["code"].as_u64().unwrap()
    }
}

/// Content that mentions nobody.
fn text(content: &str) -> Value {
    json!({"content": content, "allowed_mentions": {"parse": []}})
}

/// A gateway client.
struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    seq: u64,
}

impl Socket {
    async fn connect(discord: &Discord) -> Self {
        let url = discord.lock().world.gateway_url.clone();
        let url = format!("{url}/?v=10&encoding=json");
        let (stream, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut socket = Self { stream, seq: 0 };
        assert_eq!(socket.next().await["op"], 10);
        socket
    }

    /// Connected and identified, READY and GUILD_CREATEs read; and the session's id.
    async fn identified(discord: &Discord) -> (Self, String) {
        let mut socket = Self::connect(discord).await;
        socket.identify(discord, INTENTS).await;
        let ready = socket.event("READY").await;
        for _ in ready["guilds"].as_array().unwrap() {
            socket.event("GUILD_CREATE").await;
        }
        (socket, ready["session_id"].as_str().unwrap().to_owned())
    }

    async fn send(&mut self, json: Value) {
        self.stream.send(Message::Text(json.to_string())).await.unwrap();
    }

    async fn identify(&mut self, discord: &Discord, intents: u64) {
        let properties = json!({"os": "test", "browser": "test", "device": "test"});
        let data = json!({"token": discord.token(), "intents": intents, "properties": properties});
        self.send(json!({"op": 2, "d": data})).await;
    }

    async fn resume(&mut self, discord: &Discord, session: &str, seq: u64) {
        let data = json!({"token": discord.token(), "session_id": session, "seq": seq});
        self.send(json!({"op": 6, "d": data})).await;
    }

    /// The next payload; null once the connection is closed.
    async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(SOON, self.stream.next()).await;
            match message.expect("the gateway says nothing") {
                Some(Ok(Message::Text(text))) => {
                    let json: Value = serde_json::from_str(&text).unwrap();
                    self.seq = json["s"].as_u64().unwrap_or(self.seq);
                    return json;
                }
                Some(Ok(Message::Close(frame))) => {
                    return json!({"closed": frame.map(|frame| u16::from(frame.code))});
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Value::Null,
            }
        }
    }

    /// The data of the next event, which must be this one.
    async fn event(&mut self, name: &str) -> Value {
        let json = self.next().await;
        assert_eq!(json["t"], name, "{json}");
        json["d"].clone()
    }

    /// Whether nothing comes for a while.
    async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(150), self.stream.next()).await.is_err()
    }
}
