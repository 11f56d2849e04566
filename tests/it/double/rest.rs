//! REST: messages, threads, webhooks, permissions, rate limits.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Rest, SOON, text};
use crate::support::discord::ledger::Action;
use crate::support::discord::permissions::{
    BOT, EVERYONE, MANAGE_WEBHOOKS, SEND_MESSAGES, SEND_MESSAGES_IN_THREADS, VIEW_CHANNEL,
};
use crate::support::discord::{Discord, checks};

#[test]
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn says_whether_payloads_are_checked_against_discords_description() {
    let state = if checks::has_description() { "checked" } else { "SKIPPED: set DISCORD_OPENAPI" };
    eprintln!("payloads against Discord's OpenAPI description: {state}");
}

#[tokio::test]
async fn reads_what_a_bot_asks_for_at_its_start() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let guild = discord.guild("Skerry");
    guild.text_channel("harbour");
    guild.forum("stories", &["Maren"]);
    guild.media_channel("pictures", &[]);
    let ann = guild.member("ann");
    let rest = Rest::new(&discord);
    let id = guild.id;
    assert_eq!(rest.get("/users/@me").await["bot"], true);
    assert_eq!(rest.get("/applications/@me").await["flags"], 1 << 15 | 1 << 19);
    assert_eq!(rest.get("/oauth2/applications/@me").await["name"], "Dramatis");
    assert_eq!(rest.get("/gateway/bot").await["session_start_limit"]["remaining"], 1000);
    assert_eq!(rest.get("/users/@me/guilds").await[0]["name"], "Skerry");
    assert_eq!(rest.get(&format!("/guilds/{id}?with_counts=true")).await["name"], "Skerry");
    assert_eq!(rest.get(&format!("/guilds/{id}/channels")).await.as_array().unwrap().len(), 3);
    assert_eq!(rest.get(&format!("/guilds/{id}/roles")).await.as_array().unwrap().len(), 2);
    let member = rest.get(&format!("/guilds/{id}/members/{}", ann.id)).await;
    assert_eq!(member["user"]["global_name"], "Ann");
    assert_eq!(rest.get(&format!("/guilds/{id}/threads/active")).await["threads"], json!([]));
    assert_eq!(rest.refused(Method::GET, "/channels/1", Value::Null).await, 10003);
    let stranger = Rest { token: "a.b.c".into(), ..Rest::new(&discord) };
    let (status, body) = stranger.call(Method::GET, "/users/@me", Value::Null).await;
    assert_eq!((status, body["message"].as_str()), (401, Some("401: Unauthorized")));
}

#[tokio::test]
async fn a_message_is_posted_read_edited_and_deleted() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    let first = ann.say(harbour, "The tide is late.");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);

    let mut body = text(" It is. ");
    body["message_reference"] = json!({"message_id": first.id.to_string()});
    body["components"] = json!([{"type": 1, "components": [
        {"type": 2, "style": 1, "label": "Again", "custom_id": "again:1"},
    ]}]);
    let posted = rest.post(&path, body).await;
    assert_eq!(posted["content"], "It is.");
    assert_eq!(posted["referenced_message"]["content"], "The tide is late.");
    let id = posted["id"].as_str().unwrap().to_owned();
    let page = rest.get(&format!("{path}?limit=1")).await;
    assert_eq!(page[0]["id"], posted["id"]);
    let after = rest.get(&format!("{path}?after={}", first.id)).await;
    assert_eq!(after.as_array().unwrap().len(), 1);
    let around = rest.get(&format!("{path}?around={}&limit=3", first.id)).await;
    assert_eq!(around.as_array().unwrap().len(), 2);

    let (status, edited) = rest.call(Method::PATCH, &format!("{path}/{id}"), text("So.")).await;
    assert_eq!((status, edited["content"].as_str()), (200, Some("So.")));
    let theirs = format!("{path}/{}", first.id);
    assert_eq!(rest.refused(Method::PATCH, &theirs, text("No.")).await, 50005);

    let seen = discord.messages(harbour);
    assert_eq!(seen[1].author, "dramatis");
    assert_eq!(seen[1].buttons[0].label, "Again");
    assert_eq!(seen[1].answers, Some(first.id));
    let (status, _) = rest.call(Method::DELETE, &format!("{path}/{id}"), Value::Null).await;
    assert_eq!(status, 204);
    let actions: Vec<Action> = discord.deeds().iter().map(|deed| deed.action).collect();
    assert_eq!(actions, [Action::Posted, Action::Posted, Action::Edited, Action::Deleted]);
    assert_eq!(discord.messages(harbour).len(), 1);
}

#[tokio::test]
async fn a_nonce_posts_once_while_it_is_remembered() {
    let discord = Discord::start().await;
    let harbour = discord.guild("Skerry").text_channel("harbour");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    let mut body = text("once");
    body["nonce"] = "outbox-1-0".into();
    body["enforce_nonce"] = true.into();
    let first = rest.post(&path, body.clone()).await;
    let second = rest.post(&path, body.clone()).await;
    assert_eq!(first["id"], second["id"]);
    assert_eq!(first["nonce"], "outbox-1-0");
    assert_eq!(discord.messages(harbour).len(), 1);
    discord.advance(Duration::from_secs(600));
    rest.post(&path, body).await;
    assert_eq!(discord.messages(harbour).len(), 2);
}

#[tokio::test]
async fn refuses_what_the_documentation_forbids() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    let post = |body: Value| rest.refused(Method::POST, &path, body);
    assert_eq!(post(text(&"a".repeat(2001))).await, 50035);
    assert_eq!(post(json!({"content": "  ", "allowed_mentions": {"parse": []}})).await, 50006);
    let button = json!({"type": 2, "style": 1, "label": "A", "custom_id": "same"});
    let mut twice = text("x");
    twice["components"] = json!([{"type": 1, "components": [button, button]}]);
    assert_eq!(post(twice).await, 50035);
    let mut six = text("x");
    six["components"] = (0..6)
        .map(|n| {
            json!({"type": 1, "components": [
            {"type": 2, "style": 1, "label": "A", "custom_id": format!("b{n}")}]})
        })
        .collect();
    assert_eq!(post(six).await, 50035);
    let commands = format!("/applications/{}/commands", discord.application_id());
    let wrong = json!([{"name": "Scene", "description": "No capitals"}]);
    assert_eq!(rest.refused(Method::PUT, &commands, wrong).await, 50035);
    let hooks = format!("/channels/{}/webhooks", harbour.0);
    for name in ["Clyde", "my Discord", &"x".repeat(81)] {
        assert_eq!(rest.refused(Method::POST, &hooks, json!({"name": name})).await, 50035);
    }
    // The long name breaks the description as well.
    discord.take_violations();

    rest.post(&path, json!({"content": "careless @everyone"})).await;
    rest.post(&path, json!({"content": "", "embeds": [{"title": "x"}], "colour": 1})).await;
    let violations = discord.take_violations();
    assert_eq!(violations.len(), 2, "{violations:#?}");
    assert!(violations[0].contains("allowed_mentions") && violations[1].contains("colour"));
}

#[tokio::test]
async fn forums_threads_and_their_states() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let guild = discord.guild("Skerry");
    let stories = guild.forum("stories", &["Maren", "short"]);
    let ann = guild.member("ann");
    let post = ann.post(stories, "Storm", "A light on the rocks.", &["Maren"]);
    let rest = Rest::new(&discord);
    let forum = format!("/channels/{}/threads", stories.0);

    assert_eq!(discord.messages(post)[0].id.id, post.0);
    let channel = rest.get(&format!("/channels/{}", post.0)).await;
    assert_eq!(channel["applied_tags"].as_array().unwrap().len(), 1);
    rest.post(&format!("/channels/{}/messages", post.0), text("Hello.")).await;
    let active = rest.get(&format!("/guilds/{}/threads/active", guild.id)).await;
    assert_eq!(active["threads"][0]["name"], "Storm");

    guild.require_tag(stories);
    let bare = json!({"name": "Calm", "message": text("The sea.")});
    assert_eq!(rest.refused(Method::POST, &forum, bare.clone()).await, 40067);
    let mut tagged = bare;
    tagged["applied_tags"] = json!([channel["applied_tags"][0]]);
    let made = rest.post(&forum, tagged).await;
    assert_eq!(made["message"]["id"], made["id"]);

    let mine = rest.get(&format!("/channels/{}/messages?limit=1", post.0)).await[0].clone();
    let message = format!("/channels/{}/messages/{}", post.0, mine["id"].as_str().unwrap());
    guild.archive(post);
    assert_eq!(rest.refused(Method::PATCH, &message, text("x")).await, 50083);
    let archived = rest.get(&format!("/channels/{}/threads/archived/public", stories.0)).await;
    assert_eq!(archived["threads"].as_array().unwrap().len(), 1);
    rest.post(&format!("/channels/{}/messages", post.0), text("Awake.")).await;
    assert!(!discord.lock().world.channels[&post.0].thread.as_ref().unwrap().archived);

    guild.set_bot_permissions(EVERYONE);
    guild.lock(post, true);
    let send = format!("/channels/{}/messages", post.0);
    assert_eq!(rest.refused(Method::POST, &send, text("x")).await, 160005);
    guild.unlock(post);
    guild.deny_bot(stories, SEND_MESSAGES_IN_THREADS);
    assert_eq!(rest.refused(Method::POST, &send, text("x")).await, 50013);
    guild.deny_bot(stories, VIEW_CHANNEL);
    assert_eq!(rest.refused(Method::POST, &send, text("x")).await, 50001);

    let harbour = guild.text_channel("harbour");
    let message = ann.say(harbour, "Here?");
    let path = format!("/channels/{}/messages/{}/threads", harbour.0, message.id);
    let thread = rest.post(&path, json!({"name": "Here"})).await;
    assert_eq!(thread["id"], message.id.to_string());
    assert_eq!(rest.refused(Method::POST, &path, json!({"name": "Again"})).await, 160004);
    guild.deny_bot(harbour, SEND_MESSAGES);
    let thread = format!("/channels/{}/messages", message.id);
    rest.post(&thread, text("threads have a permission of their own")).await;
}

#[tokio::test]
async fn characters_speak_through_webhooks() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let stories = guild.forum("stories", &[]);
    let rest = Rest::new(&discord);
    let hook =
        rest.post(&format!("/channels/{}/webhooks", harbour.0), json!({"name": "Cast"})).await;
    let path =
        format!("/webhooks/{}/{}", hook["id"].as_str().unwrap(), hook["token"].as_str().unwrap());
    let mut body = text("The light holds.");
    body["username"] = "Maren Holt".into();
    body["avatar_url"] = "https://example.com/maren.png".into();
    body["components"] = json!([{"type": 1, "components": [
        {"type": 2, "style": 2, "emoji": {"name": "🔁"}, "custom_id": "again:7"}]}]);
    let said = rest.post(&format!("{path}?wait=true"), body.clone()).await;
    assert_eq!(said["author"]["username"], "Maren Holt");
    let seen = &discord.messages(harbour)[0];
    assert_eq!((seen.author.as_str(), seen.buttons[0].label.as_str()), ("Maren Holt", "🔁"));
    let message = format!("{path}/messages/{}", said["id"].as_str().unwrap());
    let (status, _) = rest.call(Method::PATCH, &message, text("It holds.")).await;
    assert_eq!(status, 200);
    body["username"] = "Clyde".into();
    assert_eq!(rest.refused(Method::POST, &path, body).await, 50035);

    let there =
        rest.post(&format!("/channels/{}/webhooks", stories.0), json!({"name": "Cast"})).await;
    let there =
        format!("/webhooks/{}/{}", there["id"].as_str().unwrap(), there["token"].as_str().unwrap());
    assert_eq!(rest.refused(Method::POST, &there, text("x")).await, 220001);
    let thread = guild.member("ann").post(stories, "Storm", "Rain.", &[]);
    let inside = format!("{there}?wait=true&thread_id={}", thread.0);
    assert_eq!(rest.post(&inside, text("x")).await["channel_id"], thread.0.to_string());
    assert_eq!(rest.refused(Method::POST, &format!("{there}?thread_id=5"), text("x")).await, 10003);

    let foreign = guild.webhook(harbour, "Tupperbox", Some(431_544_605_209_788_416)).to_string();
    let listed = rest.get(&format!("/channels/{}/webhooks", harbour.0)).await;
    let other = listed.as_array().unwrap().iter().find(|one| one["id"] == *foreign);
    assert!(other.unwrap().get("token").is_none(), "tokens of others are not shown");
    for n in 0..13 {
        guild.webhook(harbour, &format!("hook {n}"), None);
    }
    let more = format!("/channels/{}/webhooks", harbour.0);
    assert_eq!(rest.refused(Method::POST, &more, json!({"name": "Cast"})).await, 30007);
    guild.set_bot_permissions(BOT & !MANAGE_WEBHOOKS);
    assert_eq!(rest.refused(Method::GET, &more, Value::Null).await, 50013);
    guild.delete_webhook(hook["id"].as_str().unwrap().parse().unwrap());
    assert_eq!(rest.refused(Method::POST, &path, text("x")).await, 10015);
}

#[tokio::test]
async fn files_come_and_go() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let rest = Rest::new(&discord);
    let payload = json!({"content": "Here.", "allowed_mentions": {"parse": []},
        "attachments": [{"id": 0, "filename": "scene.txt"}]});
    let file = reqwest::multipart::Part::bytes(b"Once.\r\n\r\nTwice.".to_vec())
        .file_name("scene.txt")
        .mime_str("text/plain")
        .unwrap();
    let form = reqwest::multipart::Form::new()
        .text("payload_json", payload.to_string())
        .part("files[0]", file);
    let request = rest.http.post(format!("{}/channels/{}/messages", rest.url, harbour.0));
    let request = request.header("authorization", format!("Bot {}", rest.token)).multipart(form);
    let posted: Value = request.send().await.unwrap().json().await.unwrap();
    let url = posted["attachments"][0]["url"].as_str().unwrap().to_owned();
    let fetched = rest.http.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(fetched, "Once.\r\n\r\nTwice.");
    assert_eq!(discord.messages(harbour)[0].files, ["scene.txt"]);
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let discord = Discord::start().await;
    let harbour = discord.guild("Skerry").text_channel("harbour");
    discord.rate("POST /channels/{channel_id}/messages", 2, Duration::from_millis(400));
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    let mut remaining = Vec::new();
    let mut wait = 0.0;
    for n in 0..2 {
        let response = rest.send(Method::POST, &path, text(&n.to_string())).await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        remaining.push(header("x-ratelimit-remaining"));
        wait = header("x-ratelimit-reset-after").parse().unwrap();
        assert_eq!(header("x-ratelimit-limit"), "2");
    }
    assert_eq!(remaining, ["1", "0"]);
    // Who obeys is let in.
    tokio::time::sleep(Duration::from_secs_f64(wait)).await;
    rest.post(&path, text("obedient")).await;
    rest.post(&path, text("obedient")).await;
    discord.assert_clean();
    // Who does not is refused, and told on.
    let response = rest.send(Method::POST, &path, text("eager")).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-ratelimit-scope"], "user");
    let body: Value = response.json().await.unwrap();
    assert!(body["retry_after"].as_f64().unwrap() <= 0.4 && body["global"] == false);
    assert!(discord.take_violations()[0].contains("known to be empty"));
}

#[tokio::test]
async fn two_requests_at_once_in_a_bucket_are_told_on() {
    let discord = Discord::start().await;
    let harbour = discord.guild("Skerry").text_channel("harbour");
    let pause = discord.pause_before("POST /channels/*/messages");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    let both = async { tokio::join!(rest.post(&path, text("a")), rest.post(&path, text("b"))) };
    let gate = async {
        pause.reached(SOON).await;
        pause.reached(SOON).await;
        pause.release();
    };
    tokio::join!(both, gate);
    assert!(discord.take_violations()[0].contains("concurrent in bucket"));
}

#[tokio::test]
async fn tls_as_discord_com() {
    let discord = Discord::start_tls().await;
    let root = reqwest::Certificate::from_pem(discord.root_certificate_pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .user_agent("DiscordBot (test, 1)")
        .tls_built_in_root_certs(false)
        .add_root_certificate(root)
        .resolve("discord.com", discord.addr())
        .build()
        .unwrap();
    let request = http.get("https://discord.com/api/v10/users/@me");
    let request = request.header("authorization", format!("Bot {}", discord.token()));
    let me: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(me["username"], "dramatis");
}

#[tokio::test]
async fn pluralkit_knows_its_reposts() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    let original = ann.say(harbour, "l: Hold the line.");
    let copy = ann.proxied(original, "Lua", "uuid-of-lua");
    let seen = discord.messages(harbour);
    assert_eq!((seen.len(), seen[0].author.as_str()), (1, "Lua"));
    let rest = Rest::new(&discord);
    for id in [original.id, copy.id] {
        let url = format!("{}/v2/messages/{id}", discord.url());
        let body: Value = rest.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(body["member"]["uuid"], "uuid-of-lua");
        assert_eq!(body["original"], original.id.to_string());
    }
}

#[tokio::test]
async fn emojis_of_the_application_are_made_listed_and_deleted() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let rest = Rest::new(&discord);
    let path = format!("/applications/{}/emojis", discord.application_id());
    assert_eq!(rest.get(&path).await, json!({"items": []}));
    // A GIF of one point: what matters is how it begins.
    let image = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
    let made = rest.post(&path, json!({"name": "face_1", "image": image})).await;
    assert_eq!((&made["name"], &made["animated"]), (&json!("face_1"), &json!(true)));
    assert_eq!(rest.get(&path).await["items"][0]["id"], made["id"]);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(rest.get(&one).await["name"], "face_1");

    let png = format!("data:image/png;base64,iVBORw0KGgo{}", "A".repeat(400_001));
    for (name, image) in [
        ("face_1", image),
        ("face-2", image),
        ("face_2", "data:image/webp;base64,UklGRg=="),
        ("face_2", "data:image/png;base64,R0lGODlhAQAB"),
        ("face_2", "https://example.org/a.png"),
        ("face_2", &png),
    ] {
        let body = json!({"name": name, "image": image});
        assert_eq!(rest.refused(Method::POST, &path, body).await, 50035, "{name}");
    }
    discord.limits(|limits| limits.emojis = 1);
    let body = json!({"name": "face_2", "image": image});
    assert_eq!(rest.refused(Method::POST, &path, body).await, 30008);
    assert_eq!(rest.refused(Method::GET, "/applications/1/emojis", Value::Null).await, 50001);
    assert_eq!(rest.call(Method::DELETE, &one, Value::Null).await.0, 204);
    assert_eq!(rest.refused(Method::DELETE, &one, Value::Null).await, 10014);
    // A name that is too short does not fit Discord's description either.
    let body = json!({"name": "x", "image": image});
    assert_eq!(rest.refused(Method::POST, &path, body).await, 50035);
    if checks::has_description() {
        assert_eq!(discord.take_violations().len(), 1);
    }
}

#[tokio::test]
async fn options_of_commands_have_what_their_kinds_can_have() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let rest = Rest::new(&discord);
    let path = format!("/applications/{}/commands", discord.application_id());
    let command = |option: Value| {
        let mut whole = json!({"name": "file", "description": "A file", "required": true});
        whole.as_object_mut().unwrap().extend(option.as_object().unwrap().clone());
        json!([{"name": "give", "description": "Give", "options": [whole]}])
    };
    let (status, body) = rest.call(Method::PUT, &path, command(json!({"type": 11}))).await;
    assert_eq!((status, &body[0]["options"][0]["type"]), (200, &json!(11)), "{body}");
    for option in [
        json!({"type": 12}),
        json!({"type": 11, "max_length": 3}),
        json!({"type": 11, "autocomplete": true}),
        json!({"type": 4, "max_length": 3}),
        json!({"type": 3, "min_value": 3}),
        json!({"type": 5, "choices": [{"name": "Yes", "value": "yes"}]}),
    ] {
        assert_eq!(rest.refused(Method::PUT, &path, command(option)).await, 50035);
    }
    // Discord's own description says the same of most of them.
    discord.take_violations();
}
