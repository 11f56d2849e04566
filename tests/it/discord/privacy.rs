//! `/privacy` through the real binary: seeing, taking along, leaving.

use serde_json::json;

use super::commands::{ask, until};
use super::scene::reply_at_end;
use super::serve::{PATIENCE, Skerry};

const CANARY: &str = "The heron of Velmora sleeps.";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_shown_taken_along_and_deleted_with_its_messages() {
    let Skerry { discord, guild: _guild, lobby, mo: _mo, ann, ben, home, serve } =
        Skerry::open().await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    ann.say(thread, CANARY);
    home.line_until(thread, |line| line.len() == 3).await;
    home.quiet().await;
    ben.say(thread, "Good night, then.");
    let before = home.line_until(thread, |line| line.len() == 5).await;
    home.quiet().await;
    let whole = home.database.dump().await;
    assert!(whole.contains("Velmora") && whole.contains(&ann.id.to_string()), "it is found");

    let shown = ask(&ann, thread, "privacy show", json!({})).await;
    assert!(shown.contains("1 texts in 1 scenes"), "{shown}");
    let export = ann.command(thread, "privacy export", json!({})).await;
    export.settled(PATIENCE).await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(export.file())).unwrap();
    let data: serde_json::Value =
        serde_json::from_reader(zip.by_name("data.json").unwrap()).unwrap();
    assert_eq!(data["texts"][0]["text"], CANARY);

    // The way out of the question changes nothing.
    let asked = ann.command(thread, "privacy delete", json!({ "messages": true })).await;
    let asked = asked.settled(PATIENCE).await;
    ann.press(asked.id, "Rather not").await;
    assert_eq!(home.line(thread).await.len(), 5);
    let asked = ann.command(thread, "privacy delete", json!({ "messages": true })).await;
    let asked = asked.settled(PATIENCE).await;
    assert!(asked.content.contains("for good"), "{}", asked.content);
    ann.press(asked.id, "Yes, really").await;
    let left = home.line_until(thread, |line| line.len() == 4).await;
    let others: Vec<_> = before.iter().filter(|(_, text)| text != CANARY).cloned().collect();
    assert_eq!(left, others, "others' turns are as they were");
    until(|| discord.messages(thread).iter().all(|message| message.content != CANARY)).await;
    home.quiet().await;
    // Neither her words nor who she is are in any table or any file.
    let dump = home.database.dump().await;
    let files = home.files();
    assert!(files.len() > 1, "logs and caches are looked through: {:?}", files.keys());
    for wanted in ["Velmora", &ann.id.to_string()] {
        assert_eq!(dump.lines().find(|line| line.contains(wanted)), None, "{wanted}");
        for (path, bytes) in &files {
            let found = bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes());
            assert!(!found, "{wanted} is in {}", path.display());
        }
    }

    let out = ask(&ben, thread, "privacy optout", json!({})).await;
    assert!(out.contains("not heard any more"), "{out}");
    let refused = ask(&ben, thread, "reply", json!({})).await;
    assert!(refused.contains("/privacy optin"), "{refused}");
    let again = ask(&ben, thread, "privacy optin", json!({})).await;
    assert!(again.contains("heard again"), "{again}");
    serve.stop().await;
}
