//! Lorebooks: made by hand or brought in, used, tried, and taken out again.

use serde_json::{Value, json};

use super::commands::{ask, told, until};
use super::scene::{reply_after, reply_at_end};
use super::serve::{PATIENCE, Skerry};

/// World info as SillyTavern writes it, with something of its own.
const WORLD: &str = r#"{"entries": {"0": {"uid": 0, "key": ["harbour", "quay"], "keysecondary": [],
  "comment": "The harbour", "content": "The harbour freezes in November.", "constant": false,
  "selective": true, "order": 100, "position": 0, "disable": false, "probability": 100,
  "useProbability": true, "depth": 4, "myOwn": 1.50}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn lore_is_made_used_tried_and_taken_away() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;

    let none = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(none.contains("/lore add") && none.contains("/lore import"), "{none}");
    let entry = json!({
        "book": "Town", "keys": "inn, Crow's Nest", "text": "The inn is kept by a widow.",
        "name": "The inn",
    });
    let added = ask(&ann, lobby, "lore add", entry.clone()).await;
    assert!(added.contains("The inn") && added.contains("No scene uses the book"), "{added}");
    let listed = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(listed.contains("Town") && listed.contains("used nowhere"), "{listed}");
    let listed = ask(&ben, lobby, "lore list", json!({ "book": "town" })).await;
    assert!(listed.contains("1 entry") && listed.contains("kept by a widow"), "{listed}");
    for (options, expected) in [
        (json!({ "book": "Town", "keys": " , ", "text": "Nothing." }), "give it keys"),
        (json!({ "book": "Town", "keys": "a", "text": " " }), "text"),
        (json!({ "book": " ", "keys": "a", "text": "b" }), "book"),
    ] {
        let refused = ask(&ann, lobby, "lore add", options).await;
        assert!(refused.contains(expected), "{refused}");
    }

    // Whose the book is, and whose the scene.
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;
    let here = json!({ "book": "Town", "for": "scene" });
    for (person, place, path, options, expected) in [
        (&ben, lobby, "lore add", entry, "omebody else made that lorebook"),
        (
            &ben,
            lobby,
            "lore edit",
            { json!({ "book": "Town", "entry": "The inn", "text": "x" }) },
            "omebody else made that lorebook",
        ),
        (&ben, lobby, "lore remove", json!({ "book": "Town" }), "omebody else made that lorebook"),
        (&ben, thread, "lore use", here.clone(), "for those who play"),
        (&ann, lobby, "lore use", here.clone(), "no scene is being played here"),
        (&ann, thread, "lore use", json!({ "book": "Town", "for": "server" }), "Manage Server"),
        (
            &ann,
            thread,
            "lore use",
            { json!({ "book": "Town", "for": "character", "character": "Tamsin" }) },
            "omebody else made that character",
        ),
        (&ann, thread, "lore use", json!({ "book": "Town", "for": "character" }), "character"),
        (&ann, thread, "lore use", json!({ "book": "City", "for": "scene" }), "there are Town"),
    ] {
        let refused = ask(person, place, path, options).await;
        assert!(refused.to_lowercase().contains(&expected.to_lowercase()), "/{path}: {refused}");
    }

    // Used where the story is, it is told and the receipt says so.
    let silent = ask(&ben, thread, "lore test", json!({ "text": "We go to the inn." })).await;
    assert!(silent.contains("no lore to try"), "{silent}");
    let used = ask(&ann, thread, "lore use", here.clone()).await;
    assert!(used.contains("Town is used in this scene"), "{used}");
    let tried = ask(&ben, thread, "lore test", json!({ "text": "We go to the inn." })).await;
    assert!(tried.contains("1 entry** would be told") && tried.contains("The inn"), "{tried}");
    let tried = ask(&ben, thread, "lore test", json!({ "text": "We stay at home." })).await;
    assert!(tried.contains("0 entries** would be told"), "{tried}");
    let beside = json!({ "text": "The inn!", "book": "Town" });
    let tried = ask(&ben, lobby, "lore test", beside).await;
    assert!(tried.contains("1 entry** would be told"), "{tried}");
    let refused = ask(&ben, lobby, "lore test", json!({ "text": "The inn!" })).await;
    assert!(refused.contains("name a book"), "{refused}");
    ann.say(thread, "Is the inn open?");
    let reply = reply_after(&discord, thread, greeting.id).await;
    home.quiet().await;
    let seen = told(ben.message_menu(reply.id, "What did it see").await).await;
    assert!(seen.contains("1 entry told") && seen.contains("The inn"), "{seen}");

    // Changed by name or by key, as completion offers it.
    let offered =
        ann.autocomplete_with(lobby, "lore edit", "entry", "inn", json!({ "book": "Town" })).await;
    assert_eq!(offered[0].name, "The inn");
    let offered_key = offered[0].value.clone();
    let options = json!({ "book": "Town", "entry": offered_key, "enabled": false, "order": 7 });
    let edited = ask(&mo, lobby, "lore edit", options).await;
    assert!(edited.contains("switched off") && edited.contains("order 7"), "{edited}");
    assert!(edited.contains("kept by a widow"), "what is left out stays: {edited}");
    let tried = ask(&ben, thread, "lore test", json!({ "text": "The inn!" })).await;
    assert!(!tried.contains("1 entry** would"), "{tried}");
    let options = json!({ "book": "Town", "entry": "crow's nest", "enabled": true, "depth": 0 });
    let edited = ask(&ann, lobby, "lore edit", options).await;
    assert!(edited.contains("right before the reply"), "{edited}");
    let off = json!({ "book": "Town", "for": "scene", "on": false });
    let said = ask(&ann, thread, "lore use", off).await;
    assert!(said.contains("is not used any more in this scene"), "{said}");
    let options = json!({ "book": "Town", "for": "server" });
    ask(&mo, lobby, "lore use", options).await;
    let listed = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(listed.contains("used everywhere"), "{listed}");
    let tried = ask(&ben, thread, "lore test", json!({ "text": "The inn!" })).await;
    assert!(tried.contains("1 entry** would be told"), "{tried}");

    // Away with an entry at once, with a book after a question.
    let options = json!({ "book": "Town", "keys": "mill", "text": "The mill burnt down." });
    ask(&ann, lobby, "lore add", options).await;
    let removed = ask(&ann, lobby, "lore remove", json!({ "book": "Town", "entry": "mill" })).await;
    assert!(removed.contains("mill") && removed.contains("no more"), "{removed}");
    let question = ann.command(lobby, "lore remove", json!({ "book": "Town" })).await;
    let asked = question.settled(PATIENCE).await;
    assert!(asked.content.contains("with its 1 entry"), "{asked:?}");
    ann.press(asked.id, "Yes, really").await;
    until(|| question.text().contains("is gone")).await;
    let none = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(none.contains("no lorebooks"), "{none}");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_come_in_and_go_out_as_files() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;

    let file = || json!(ann.attach("Skerry.json", WORLD.as_bytes()));
    // Where it may not be used it does not come in either.
    let everywhere = json!({ "file": file(), "name": "Skerry", "for": "server" });
    let refused = ask(&ann, thread, "lore import", everywhere).await;
    assert!(refused.contains("Manage Server"), "{refused}");
    let none = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(none.contains("no lorebooks"), "{none}");

    let options = json!({ "file": file(), "name": "Skerry", "for": "scene" });
    let came = ask(&ann, thread, "lore import", options).await;
    assert!(came.contains("Skerry is on this server now"), "{came}");
    assert!(came.contains("used in this scene"), "{came}");
    let tried = ask(&ben, thread, "lore test", json!({ "text": "Down to the quay." })).await;
    assert!(tried.contains("The harbour"), "{tried}");

    let again = json!({ "file": file(), "name": "skerry" });
    let refused = ask(&ann, thread, "lore import", again.clone()).await;
    assert!(refused.contains("already"), "{refused}");
    let mut theirs = again.clone();
    theirs["replace"] = true.into();
    theirs["file"] = ben.attach("Skerry.json", WORLD.as_bytes());
    let refused = ask(&ben, thread, "lore import", theirs).await;
    assert!(refused.contains("omebody else made that lorebook"), "{refused}");
    let changed = WORLD.replace("freezes in November", "never freezes");
    let replace = json!({
        "file": mo.attach("Skerry.json", changed.as_bytes()), "name": "skerry", "replace": true,
    });
    ask(&mo, lobby, "lore import", replace).await;
    let listed = ask(&ben, lobby, "lore list", json!({ "book": "Skerry" })).await;
    assert!(listed.contains("never freezes"), "{listed}");
    let listed = ask(&ben, lobby, "lore list", json!({})).await;
    assert!(listed.contains("in 1 scene"), "it stays where it was used: {listed}");

    let export = |format: &'static str| {
        let options = json!({ "book": "Skerry", "format": format });
        let asked = ben.command(lobby, "lore export", options);
        async move {
            let answer = asked.await;
            told(answer.clone()).await;
            String::from_utf8(answer.file()).unwrap()
        }
    };
    let kept = export("kept").await;
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(value(&kept), value(&changed));
    assert!(kept.contains("1.50"), "what was not changed is spelled as it was: {kept}");
    let v3: Value = serde_json::from_str(&export("v3").await).unwrap();
    assert_eq!(v3["spec"], "lorebook_v3", "{v3}");
    assert_eq!(v3["data"]["entries"][0]["keys"], json!(["harbour", "quay"]), "{v3}");
    let world: Value = serde_json::from_str(&export("world").await).unwrap();
    assert_eq!(world["entries"]["0"]["comment"], "The harbour", "{world}");
    serve.stop().await;
}
