//! A part of an evening on a double of Discord that we did not write, so that not only
//! our own says that it works. Skipped where it is not installed; `tests/twin/README.md`
//! tells how, and what it can and cannot show.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::discord::ChannelId;

use super::serve::{Home, PATIENCE};

/// Of the shape of a real one, which the bot asks for; opens nothing.
const TOKEN: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4.Twin00.this-opens-no-door-anywhere";
/// In a message's flags: for one person only.
const EPHEMERAL: u64 = 1 << 6;

#[expect(clippy::disallowed_methods, reason = "where software outside the project is")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn installed() -> Option<String> {
    let found = std::env::var("DISCORD_TWIN").ok();
    if found.is_none() {
        eprintln!("SKIPPED: DISCORD_TWIN is not set; see tests/twin/README.md");
    }
    found
}

/// The other double, in a process of its own that lives as long as this.
struct Twin {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
    /// Where anybody may begin a scene, and somebody who does.
    lobby: ChannelId,
    ann: String,
}

impl Twin {
    async fn start(installed: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twin/twin.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("DISCORD_TWIN", installed)
            .env("DISCORD_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let known = read(&mut output).await;
        let url = known["url"].as_str().unwrap().to_owned();
        let (lobby, ann) = (channel(&known["channel"]), text(&known["person"]));
        Self { _child: child, input, output, url, lobby, ann }
    }

    /// Has the twin do something in a channel, by its own interface.
    async fn ask(&mut self, place: ChannelId, who: Option<&str>, act: &str, with: Value) -> Value {
        let channel = place.0.to_string();
        let line = json!({ "channel": channel, "person": who, "act": act, "options": with });
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        read(&mut self.output).await
    }

    async fn ann(&mut self, place: ChannelId, act: &str, with: Value) -> Value {
        let ann = self.ann.clone();
        self.ask(place, Some(&ann), act, with).await
    }

    /// Gives the message's id.
    async fn say(&mut self, place: ChannelId, words: &str) -> String {
        text(&self.ann(place, "sendMessage", json!({ "content": words })).await["id"])
    }

    /// Uses a command; its options are texts.
    async fn command(&mut self, place: ChannelId, path: &str, options: &[(&str, &str)]) {
        let texts =
            options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value }));
        let options: Vec<Value> = texts.collect();
        let with = match path.split_once(' ') {
            Some((name, sub)) => {
                json!({ "name": name, "options": [{ "name": sub, "type": 1, "options": options }] })
            }
            None => json!({ "name": path, "options": options }),
        };
        let interaction = self.ann(place, "runSlashCommand", with).await;
        self.acknowledged(place, &interaction).await;
    }

    async fn press(&mut self, place: ChannelId, message: &Value, label: &str) {
        let button = buttons(message).into_iter().find(|button| button["label"] == *label);
        let custom_id = &button.expect("it has that button")["custom_id"];
        let with = json!({ "messageId": message["id"], "customId": custom_id });
        let interaction = self.ann(place, "clickButton", with).await;
        self.acknowledged(place, &interaction).await;
    }

    /// Discord would not wait any longer than three seconds.
    async fn acknowledged(&mut self, place: ChannelId, interaction: &Value) {
        let with = json!({ "interactionId": interaction["id"], "timeout": 3000 });
        let answer = self.ask(place, None, "waitForInteractionAck", with).await;
        assert_eq!(answer["acknowledged"], true, "{answer}");
    }

    /// What characters and people said in a channel. The twin keeps answers to
    /// commands among them, where Discord shows them to one person only.
    async fn said(&mut self, place: ChannelId) -> Vec<Value> {
        let Value::Array(mut messages) = self.ask(place, None, "getMessages", json!({})).await
        else {
            panic!("messages are a list")
        };
        messages.retain(|message| {
            let flags = message["flags"].as_u64().unwrap_or_default();
            message["webhook_id"].is_null() && flags & EPHEMERAL == 0
        });
        messages
    }

    /// Waits until what was said in a channel is as wanted.
    async fn said_until(
        &mut self,
        place: ChannelId,
        is_so: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said(place).await;
            if is_so(&said) {
                return said;
            }
            assert!(Instant::now() < deadline, "it stays as it is: {said:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so much was said and the last of it is a finished reply.
    async fn finished(&mut self, place: ChannelId, num_messages: usize) -> Value {
        let is_so = |said: &[Value]| {
            said.len() == num_messages
                && said.last().is_some_and(|last| has_button(last, "Continue"))
        };
        self.said_until(place, is_so).await.pop().unwrap()
    }

    async fn thread(&mut self) -> ChannelId {
        let (lobby, with) = (self.lobby, json!({ "timeout": 30_000 }));
        channel(&self.ask(lobby, None, "waitForThread", with).await["id"])
    }
}

async fn read(output: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = tokio::time::timeout(PATIENCE, output.next_line()).await;
    let line = line.expect("the twin answers").unwrap().expect("the twin lives");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn channel(id: &Value) -> ChannelId {
    ChannelId(text(id).parse().unwrap())
}

fn buttons(message: &Value) -> Vec<&Value> {
    let rows = message["components"].as_array().into_iter().flatten();
    rows.flat_map(|row| row["components"].as_array().into_iter().flatten()).collect()
}

fn has_button(message: &Value, label: &str) -> bool {
    buttons(message).iter().any(|button| button["label"] == *label)
}

/// A character's message: without webhooks the bot speaks, and names the character.
fn words_of_tamsin(message: &Value) -> String {
    let content = text(&message["content"]);
    let words = content.strip_prefix("**Tamsin**\n");
    words.unwrap_or_else(|| panic!("not Tamsin's: {content}")).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_on_a_double_that_is_not_ours() {
    let Some(installed) = installed() else { return };
    let mut twin = Twin::start(&installed).await;
    let home = Home::new().await;
    let serve = home.serve_at(&twin.url, TOKEN).await;

    // A scene is a thread, and begins with the greeting.
    let lobby = twin.lobby;
    let options = [("character", "Tamsin"), ("length", "micro")];
    twin.command(lobby, "scene start", &options).await;
    let thread = twin.thread().await;
    let greeting = twin.finished(thread, 1).await;
    let line = home.line(thread).await;
    assert_eq!(line, [("Tamsin".to_owned(), words_of_tamsin(&greeting))]);

    // A message is answered once.
    let first = twin.say(thread, "I light the lamp.").await;
    let reply = twin.finished(thread, 3).await;
    home.quiet().await;
    let line = home.line(thread).await;
    assert_eq!(line[1], ("ann".to_owned(), "I light the lamp.".to_owned()));
    assert_eq!(line[2], ("Tamsin".to_owned(), words_of_tamsin(&reply)));
    assert_eq!((line.len(), twin.said(thread).await.len()), (3, 3));

    // Another text for it, in the same message.
    twin.press(thread, &reply, "Again").await;
    let said =
        twin.said_until(thread, |said| said.last().is_some_and(|last| has_button(last, "2/2")));
    let other = said.await.pop().unwrap();
    assert_eq!(other["id"], reply["id"]);
    home.line_until(thread, |line| line.len() == 3 && line[2].1.trim() == words_of_tamsin(&other))
        .await;

    // What is written while the bot is away is answered when it is back.
    let (status, _) = serve.stop().await;
    assert!(status.success(), "{status}\n{}", home.log());
    let second = twin.say(thread, "Is anybody there?").await;
    let serve = home.serve_at(&twin.url, TOKEN).await;
    twin.finished(thread, 5).await;
    home.quiet().await;
    assert_eq!(home.line(thread).await.len(), 5);

    // What is taken back is gone from the channel too, but for the person's own words.
    twin.command(thread, "undo", &[]).await;
    let is_so = |said: &[Value]| said.len() == 4 && has_button(&said[2], "Continue");
    let said = twin.said_until(thread, is_so).await;
    assert_eq!(said[3]["id"], second);
    assert_eq!(home.line(thread).await.len(), 3);

    // Edits and deletions of people change the transcript.
    let edit = json!({ "messageId": first, "content": "I light the other lamp." });
    twin.ann(thread, "editMessage", edit).await;
    home.line_until(thread, |line| line[1].1 == "I light the other lamp.").await;
    twin.ann(thread, "deleteMessage", json!({ "messageId": first })).await;
    home.line_until(thread, |line| line.len() == 2).await;
    home.quiet().await;

    let (status, took) = serve.stop().await;
    assert!(status.success(), "{status}\n{}", home.log());
    assert!(took < PATIENCE, "stopping took {took:?}");
    assert!(!home.log().contains(TOKEN), "the token is never printed");
}
