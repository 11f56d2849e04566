//! One gateway connection: hello, identify or resume, heartbeats, and what the client
//! may not do. <https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway>

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use super::super::call::id_of;
use super::super::{Shared, State};
use super::Out;

/// A client's state on this connection.
struct Client {
    shared: Arc<Shared>,
    number: u64,
    sender: UnboundedSender<Out>,
    /// Identified or resumed.
    is_known: bool,
    sent: VecDeque<Instant>,
}

/// Serves one connection until either side ends it.
pub(crate) async fn serve<S>(shared: Arc<Shared>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let (sender, receiver) = unbounded_channel();
    let (number, heartbeat) = shared.change(|state| {
        let number = state.gateway.number();
        state.gateway.connections.insert(number, sender.clone());
        (number, state.world.limits.heartbeat)
    });
    let hello = json!({"op": 10, "s": null, "t": null,
        "d": {"heartbeat_interval": heartbeat.as_millis() as u64, "_trace": []}});
    let _ = sender.send(Out::Text(hello.to_string()));
    let mut client = Client {
        shared: Arc::clone(&shared),
        number,
        sender,
        is_known: false,
        sent: VecDeque::new(),
    };
    let said_goodbye = client.talk(&mut socket, receiver).await;
    shared.change(|state| state.gateway.disconnect(number, said_goodbye));
}

impl Client {
    /// True where the client closed with 1000 or 1001, which ends its session.
    async fn talk<S>(
        &mut self,
        socket: &mut WebSocketStream<S>,
        mut receiver: UnboundedReceiver<Out>,
    ) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            tokio::select! {
                biased;
                out = receiver.recv() => match out {
                    Some(Out::Text(text)) => {
                        if socket.send(Message::Text(text)).await.is_err() {
                            return false;
                        }
                    }
                    Some(Out::Close(code, reason)) => {
                        let frame = CloseFrame { code: code.into(), reason: reason.into() };
                        let _ = socket.close(Some(frame)).await;
                        let drain = async { while let Some(Ok(_)) = socket.next().await {} };
                        let _ = tokio::time::timeout(Duration::from_millis(500), drain).await;
                        return false;
                    }
                    Some(Out::Cut) | None => return false,
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(text.as_bytes()),
                    Some(Ok(Message::Binary(bytes))) => self.hear(&bytes),
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.map_or(1005, |frame| u16::from(frame.code));
                        // Lets the answer to the closing frame out.
                        let _ = socket.flush().await;
                        return code == 1000 || code == 1001;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return false,
                },
            }
        }
    }

    fn send(&self, op: u8, data: Value) {
        let text = json!({"op": op, "s": null, "t": null, "d": data}).to_string();
        let _ = self.sender.send(Out::Text(text));
    }

    fn close(&self, code: u16, reason: &'static str) {
        let _ = self.sender.send(Out::Close(code, reason));
    }

    fn hear(&mut self, bytes: &[u8]) {
        // "Clients are allowed to send 120 gateway events every 60 seconds."
        // https://docs.discord.com/developers/events/gateway#rate-limiting
        let now = Instant::now();
        self.sent.push_back(now);
        self.sent.retain(|when| now - *when < Duration::from_secs(60));
        if self.sent.len() > 120 {
            let text = "gateway: more than 120 events in 60 s from one client";
            self.shared.change(|state| state.world.ledger.violations.push(text.into()));
            return self.close(4008, "You are being rate limited.");
        }
        let Ok(json) = serde_json::from_slice::<Value>(bytes) else {
            return self.close(4002, "Error while decoding payload.");
        };
        let shared = Arc::clone(&self.shared);
        let data = &json["d"];
        match json["op"].as_u64() {
            Some(1) => {
                if !shared.change(|state| state.gateway.zombie) {
                    self.send(11, Value::Null);
                }
            }
            Some(2) => shared.change(|state| self.identify(state, data)),
            Some(6) => shared.change(|state| self.resume(state, data)),
            Some(3 | 4 | 8) if !self.is_known => self.close(4003, "Not authenticated."),
            Some(8) => shared.change(|state| request_members(state, self.number, data)),
            Some(3 | 4) => {}
            _ => self.close(4001, "Unknown opcode."),
        }
    }

    fn identify(&mut self, state: &mut State, data: &Value) {
        if self.is_known {
            return self.close(4005, "Already authenticated.");
        }
        if data["token"].as_str().map(bare) != Some(&state.world.token) {
            return self.close(4004, "Authentication failed.");
        }
        let shard = data["shard"].as_array().map_or(Some((0, 1)), |shard| {
            let (number, count) = (shard.first()?.as_u64()?, shard.get(1)?.as_u64()?);
            (number < count).then_some((number, count))
        });
        let Some(shard) = shard else { return self.close(4010, "Invalid shard.") };
        // "Each shard can only support a maximum of 2500 guilds."
        if state.world.guilds.len() as u64 / shard.1 > 2500 {
            return self.close(4011, "Sharding required.");
        }
        let Some(intents) = data["intents"].as_u64().filter(|intents| *intents < 1 << 26) else {
            return self.close(4013, "Invalid intent(s).");
        };
        let privileged = super::intent::GUILD_MEMBERS
            | super::intent::GUILD_PRESENCES
            | super::intent::MESSAGE_CONTENT;
        if intents & privileged & !state.world.limits.privileged_intents != 0 {
            return self.close(4014, "Disallowed intent(s).");
        }
        if !state.gateway.count_identify(&mut state.world, shard.0) {
            return self.send(9, json!(false));
        }
        self.is_known = true;
        let connection = (self.number, self.sender.clone());
        state.gateway.identify(&state.world, connection, shard, intents);
    }

    fn resume(&mut self, state: &mut State, data: &Value) {
        if data["token"].as_str().map(bare) != Some(&state.world.token) {
            return self.close(4004, "Authentication failed.");
        }
        let id = data["session_id"].as_str().unwrap_or_default();
        let seq = data["seq"].as_u64().unwrap_or(0);
        self.is_known = state.gateway.resume(id, seq, (self.number, self.sender.clone()));
        if !self.is_known {
            self.send(9, json!(false));
        }
    }
}

/// Some clients send `Bot ` before the token here too.
fn bare(token: &str) -> &str {
    token.trim_start_matches("Bot ")
}

/// <https://docs.discord.com/developers/events/gateway-events#request-guild-members>
fn request_members(state: &mut State, connection: u64, data: &Value) {
    let Some(guild) = id_of(&data["guild_id"]) else { return };
    let Some(known) = state.world.guilds.get(&guild) else { return };
    let query = data["query"].as_str().unwrap_or_default().to_lowercase();
    let asked: Vec<u64> = match &data["user_ids"] {
        Value::Array(ids) => ids.iter().filter_map(id_of).collect(),
        other => id_of(other).into_iter().collect(),
    };
    let fits = |user: &&u64| match asked.is_empty() {
        true => state.world.name_of(**user, Some(guild)).to_lowercase().starts_with(&query),
        false => asked.contains(user),
    };
    let users = known.members.keys().filter(fits);
    let members: Vec<Value> = users.map(|user| state.world.member_json(guild, *user)).collect();
    let chunk = json!({
        "guild_id": guild.to_string(), "members": members, "chunk_index": 0, "chunk_count": 1,
        "not_found": [], "nonce": data["nonce"],
    });
    let gateway = &mut state.gateway;
    let is_its = |session: &&mut super::Session| {
        session.connection.as_ref().is_some_and(|(number, _)| *number == connection)
    };
    if let Some(session) = gateway.sessions.values_mut().find(is_its) {
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk, &mut gateway.violations);
    }
}
