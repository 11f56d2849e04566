//! What goes over the gateway's socket, both ways.

use std::borrow::Cow;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use serenity::model::gateway::GatewayIntents;

/// The version of the gateway that we speak.
const VERSION: u8 = 10;

/// What we listen to: guilds and their channels, what is written in them, and
/// webhooks that come and go.
pub(super) const INTENTS: GatewayIntents = GatewayIntents::GUILDS
    .union(GatewayIntents::GUILD_MESSAGES)
    .union(GatewayIntents::MESSAGE_CONTENT)
    .union(GatewayIntents::GUILD_WEBHOOKS);

/// What Discord says.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// The connection stands; a heartbeat is wanted that often.
    Hello(Duration),
    /// A heartbeat arrived.
    Ack,
    /// A heartbeat is wanted at once.
    BeatNow,
    /// The connection is about to be closed.
    Reconnect,
    /// The session is not accepted; whether it may be tried again.
    Invalid { is_resumable: bool },
    /// Something happened.
    Dispatch { seq: u64, name: Cow<'a, str>, data: &'a RawValue },
    /// Something that we need not know.
    Other,
}

#[derive(Deserialize)]
struct Frame<'a> {
    op: u8,
    #[serde(default)]
    s: Option<u64>,
    #[serde(default, borrow)]
    t: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    d: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval: u64,
}

/// Reads one frame; `None` if nobody could.
pub(super) fn read(text: &str) -> Option<Incoming<'_>> {
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    Some(match frame.op {
        0 => Incoming::Dispatch { seq: frame.s?, name: frame.t?, data: frame.d? },
        1 => Incoming::BeatNow,
        7 => Incoming::Reconnect,
        9 => Incoming::Invalid { is_resumable: frame.d.is_some_and(|d| d.get() == "true") },
        10 => {
            let hello: Hello = serde_json::from_str(frame.d?.get()).ok()?;
            // Whatever it says, we beat neither like mad nor never.
            let interval = hello.heartbeat_interval.clamp(50, 300_000);
            Incoming::Hello(Duration::from_millis(interval))
        }
        11 => Incoming::Ack,
        _ => Incoming::Other,
    })
}

/// Where a socket is opened.
pub(super) fn address(url: &str) -> String {
    format!("{}/?v={VERSION}&encoding=json", url.trim_end_matches('/'))
}

/// A heartbeat.
pub(super) fn heartbeat(seq: Option<u64>) -> String {
    json!({ "op": 1, "d": seq }).to_string()
}

/// The beginning of a session.
pub(super) fn identify(token: &SecretString, shard: u32, shard_count: u32) -> String {
    let us = "dramatis";
    json!({
        "op": 2,
        "d": {
            "token": token.expose_secret(),
            "intents": INTENTS.bits(),
            "shard": [shard, shard_count],
            "compress": false,
            "large_threshold": 50,
            "properties": { "os": std::env::consts::OS, "browser": us, "device": us },
        },
    })
    .to_string()
}

/// The continuation of a session.
pub(super) fn resume(token: &SecretString, session: &str, seq: u64) -> String {
    json!({
        "op": 6,
        "d": { "token": token.expose_secret(), "session_id": session, "seq": seq },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_leniently() {
        let text = r#"{"t":"TYPING_START","s":4,"op":0,"d":{"a":[1]},"new":true}"#;
        let Some(Incoming::Dispatch { seq: 4, name, data }) = read(text) else { panic!() };
        assert_eq!((&*name, data.get()), ("TYPING_START", r#"{"a":[1]}"#));
        assert!(matches!(
            read(r#"{"op":10,"d":{"heartbeat_interval":41250,"_trace":[]},"s":null,"t":null}"#),
            Some(Incoming::Hello(interval)) if interval == Duration::from_millis(41_250)
        ));
        assert!(matches!(
            read(r#"{"op":9,"d":true}"#),
            Some(Incoming::Invalid { is_resumable: true })
        ));
        assert!(matches!(read(r#"{"op":9}"#), Some(Incoming::Invalid { is_resumable: false })));
        assert!(matches!(read(r#"{"op":99}"#), Some(Incoming::Other)));
        for broken in ["", "[]", "{}", r#"{"op":0,"s":1}"#, r#"{"op":10,"d":7}"#] {
            assert!(read(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn what_we_send_is_what_discord_documents() {
        let token = SecretString::from("t.o.k");
        let value: serde_json::Value = serde_json::from_str(&identify(&token, 2, 5)).unwrap();
        assert_eq!(value["d"]["shard"], json!([2, 5]));
        // GUILDS, GUILD_WEBHOOKS, GUILD_MESSAGES and MESSAGE_CONTENT.
        assert_eq!(value["d"]["intents"], json!(1 | 1 << 5 | 1 << 9 | 1 << 15));
        assert_eq!(heartbeat(None), r#"{"op":1,"d":null}"#);
        assert_eq!(heartbeat(Some(7)), r#"{"op":1,"d":7}"#);
        assert_eq!(
            address("wss://gateway.discord.gg/"),
            "wss://gateway.discord.gg/?v=10&encoding=json"
        );
    }
}
