//! Interactions, answered by a little bot of the test's own.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Rest, SOON, Socket, text};
use crate::support::discord::answer::AnswerKind;
use crate::support::discord::people::Person;
use crate::support::discord::{ChannelId, Discord};

struct Stage {
    discord: Discord,
    rest: Rest,
    socket: Socket,
    harbour: ChannelId,
    ann: Person,
}

impl Stage {
    /// A guild with a command registered and a session open.
    async fn set() -> Self {
        let discord = Discord::start().await;
        discord.without_rate_limits();
        let guild = discord.guild("Skerry");
        let harbour = guild.text_channel("harbour");
        let ann = guild.member("ann");
        let rest = Rest::new(&discord);
        let option = json!({"type": 3, "name": "name", "description": "Whom", "required": true,
            "autocomplete": true});
        let length = json!({"type": 3, "name": "length", "description": "How long",
            "choices": [{"name": "Short", "value": "short"}]});
        let start = json!({"type": 1, "name": "start", "description": "Begin",
            "options": [option, length]});
        let file = json!({"type": 11, "name": "file", "description": "Which", "required": true});
        let commands = json!([
            {"name": "scene", "description": "Scenes", "options": [start]},
            {"name": "read", "description": "Read a file", "options": [file]},
            {"name": "Again", "type": 3},
        ]);
        let path =
            format!("/applications/{}/guilds/{}/commands", discord.application_id(), guild.id);
        let (status, body) = rest.call(Method::PUT, &path, commands).await;
        assert_eq!(status, 200, "{body}");
        let (socket, _) = Socket::identified(&discord).await;
        Self { discord, rest, socket, harbour, ann }
    }

    /// Answers the next interaction with `body`; the interaction.
    async fn respond(socket: &mut Socket, rest: &Rest, body: Value) -> Value {
        let asked = socket.event("INTERACTION_CREATE").await;
        rest.post(&callback(&asked), body).await;
        asked
    }
}

fn callback(asked: &Value) -> String {
    let text = |key: &str| asked[key].as_str().unwrap().to_owned();
    format!("/interactions/{}/{}/callback", text("id"), text("token"))
}

fn original(asked: &Value) -> String {
    let text = |key: &str| asked[key].as_str().unwrap().to_owned();
    format!("/webhooks/{}/{}/messages/@original", text("application_id"), text("token"))
}

#[tokio::test]
async fn a_command_is_deferred_edited_and_followed_up() {
    let Stage { discord, rest, mut socket, harbour, ann } = Stage::set().await;
    let options = json!({"name": "Maren", "length": "short"});
    let deferred = json!({"type": 5, "data": {"flags": 64}});
    let (answer, asked) = tokio::join!(
        ann.command(harbour, "scene start", options),
        Stage::respond(&mut socket, &rest, deferred.clone()),
    );
    assert_eq!(asked["data"]["options"][0]["options"][0]["value"], "Maren");
    assert_eq!(answer.kind(), AnswerKind::Deferred);
    assert!(answer.after().unwrap() < Duration::from_secs(3));
    assert!(answer.seen().unwrap().is_loading && answer.is_ephemeral());
    assert_eq!(rest.refused(Method::POST, &callback(&asked), deferred).await, 40060);
    rest.call(Method::PATCH, &original(&asked), text("Done.")).await;
    assert_eq!(answer.settled(SOON).await.content, "Done.");
    let hook = original(&asked).replace("/messages/@original", "");
    let mut more = text("One more thing.");
    more["flags"] = 64.into();
    rest.post(&hook, more).await;
    assert_eq!(answer.followups()[0].content, "One more thing.");
    assert!(discord.messages(harbour).is_empty(), "nobody else sees it");
    let unread = rest.get(&format!("/channels/{}/messages", harbour.0)).await;
    assert_eq!(unread, json!([]));

    discord.advance(Duration::from_secs(16 * 60));
    assert_eq!(rest.refused(Method::POST, &hook, text("too late")).await, 50027);
}

#[tokio::test]
async fn buttons_modals_menus_and_autocompletion() {
    let Stage { discord, rest, mut socket, harbour, ann } = Stage::set().await;
    let choices = json!({"type": 8, "data": {"choices": [{"name": "Maren Holt", "value": "7"}]}});
    let (offered, asked) = tokio::join!(
        ann.autocomplete(harbour, "scene start", "name", "mar"),
        Stage::respond(&mut socket, &rest, choices),
    );
    assert_eq!(offered[0].name, "Maren Holt");
    assert_eq!(asked["data"]["options"][0]["options"][0]["focused"], true);

    let message = ann.say(harbour, "Tell it again.");
    socket.event("MESSAGE_CREATE").await;
    let mut data = text("Again.");
    data["components"] = json!([{"type": 1, "components": [
        {"type": 2, "style": 1, "label": "Edit", "custom_id": "edit:1"}]}]);
    let shown = json!({"type": 4, "data": data});
    let (answer, asked) = tokio::join!(
        ann.message_menu(message, "Again"),
        Stage::respond(&mut socket, &rest, shown),
    );
    let resolved = &asked["data"]["resolved"]["messages"][message.id.to_string()];
    assert_eq!(resolved["content"], "Tell it again.");
    socket.event("MESSAGE_CREATE").await;

    let modal = json!({"type": 9, "data": {"custom_id": "text:1", "title": "Edit", "components": [
        {"type": 1, "components": [
            {"type": 4, "custom_id": "words", "label": "Words", "style": 2, "value": "Again."}]}]}});
    let (opened, asked) = tokio::join!(
        ann.press(answer.message().unwrap(), "Edit"),
        Stage::respond(&mut socket, &rest, modal),
    );
    assert_eq!(asked["message"]["content"], "Again.");
    assert_eq!(opened.fields()[0].value, "Again.");
    let update = json!({"type": 7, "data": text("Once more.")});
    let fields = [("Words", "Once more.")];
    let (sent, asked) =
        tokio::join!(ann.submit(&opened, &fields), Stage::respond(&mut socket, &rest, update),);
    assert_eq!(asked["data"]["components"][0]["components"][0]["value"], "Once more.");
    assert_eq!(sent.kind(), AnswerKind::Update);
    assert_eq!(socket.event("MESSAGE_UPDATE").await["content"], "Once more.");
    assert_eq!(discord.messages(harbour)[1].content, "Once more.");
}

#[tokio::test]
async fn files_of_commands_are_told_of_and_can_be_fetched() {
    let Stage { discord, rest, mut socket, harbour, ann } = Stage::set().await;
    let file = ann.attach("My card (1).json", b"{}");
    let (_, asked) = tokio::join!(
        ann.command(harbour, "read", json!({"file": file})),
        Stage::respond(&mut socket, &rest, json!({"type": 5, "data": {"flags": 64}})),
    );
    let option = &asked["data"]["options"][0];
    assert_eq!(option["type"], 11);
    let told = &asked["data"]["resolved"]["attachments"][option["value"].as_str().unwrap()];
    assert_eq!(told["filename"], "My_card_1.json");
    assert_eq!((&told["size"], &told["ephemeral"]), (&json!(2), &json!(true)));
    let url = told["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/ephemeral-attachments/", discord.url())), "{url}");

    let http = &rest.http;
    let get = |url: String| async move { http.get(url).send().await.unwrap() };
    let came = get(url.to_owned()).await;
    assert_eq!(came.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(came.text().await.unwrap(), "{}");
    let (bare, _) = url.split_once('?').unwrap();
    assert_eq!(get(bare.to_owned()).await.status(), 404);
    assert_eq!(get(url.replace("hm=", "hm=0")).await.status(), 404);
    assert_eq!(get(url.replace("My_card", "Your_card")).await.status(), 404);
    discord.advance(Duration::from_secs(25 * 60 * 60));
    assert_eq!(get(url.to_owned()).await.status(), 404);
    // The bot's token is nothing for the content network.
    let shown = rest.http.get(url).header("authorization", "Bot token");
    assert_eq!(shown.send().await.unwrap().status(), 404);
    assert_eq!(discord.take_violations().len(), 1);
}

#[tokio::test]
async fn who_is_too_late_is_unknown() {
    let Stage { discord, rest, mut socket, harbour, ann } = Stage::set().await;
    discord.limits(|limits| limits.first_response = Duration::from_millis(100));
    let answer = ann.command(harbour, "scene start", json!({"name": "Maren"})).await;
    assert_eq!(answer.kind(), AnswerKind::Silence);
    let asked = socket.event("INTERACTION_CREATE").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let body = json!({"type": 5});
    assert_eq!(rest.refused(Method::POST, &callback(&asked), body).await, 10062);
    assert_eq!(rest.refused(Method::PATCH, &original(&asked), text("x")).await, 10015);
}

#[tokio::test]
#[should_panic(expected = "has no option")]
async fn a_person_cannot_give_an_option_that_is_not_there() {
    let Stage { discord: _discord, harbour, ann, .. } = Stage::set().await;
    ann.command_now(harbour, "scene start", json!({"name": "Maren", "mood": "grim"}));
}

#[tokio::test]
#[should_panic(expected = "is not offered")]
async fn a_person_cannot_choose_what_is_not_offered() {
    let Stage { discord: _discord, harbour, ann, .. } = Stage::set().await;
    ann.command_now(harbour, "scene start", json!({"name": "Maren", "length": "endless"}));
}
