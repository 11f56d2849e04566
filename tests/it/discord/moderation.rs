//! `/mod` and `/appeal` through the real binary.

use serde_json::json;

use super::commands::ask;
use super::scene::reply_at_end;
use super::serve::Skerry;

#[tokio::test(flavor = "multi_thread")]
async fn moderators_stop_scenes_people_and_everything_and_others_cannot() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    for verb in ["freeze", "unfreeze", "pause-all", "resume-all", "history"] {
        let refused = ask(&ann, lobby, &format!("mod {verb}"), json!({})).await;
        assert_eq!(refused, "That is for moderators.", "{verb}");
    }
    let on_ben = json!({ "person": ben.id.to_string() });
    for verb in ["block", "unblock"] {
        let refused = ask(&ann, lobby, &format!("mod {verb}"), on_ben.clone()).await;
        assert_eq!(refused, "That is for moderators.", "{verb}");
    }
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;

    let frozen = ask(&mo, thread, "mod freeze", json!({ "reason": "a break" })).await;
    assert!(frozen.starts_with("Case 1: this scene is frozen."), "{frozen}");
    ann.say(thread, "Hello?");
    for command in ["scene resume", "undo", "reply"] {
        let refused = ask(&ann, thread, command, json!({})).await;
        assert!(refused.contains("A moderator froze this scene"), "{command}: {refused}");
    }
    let thawed = ask(&mo, thread, "mod unfreeze", json!({})).await;
    assert!(thawed.starts_with("Case 2:"), "{thawed}");
    assert_eq!(home.line(thread).await.len(), 1, "what was said meanwhile was not taken");

    let blocked = ask(&mo, thread, "mod block", on_ben.clone()).await;
    assert!(blocked.starts_with("Case 3:"), "{blocked}");
    ben.say(thread, "Can you hear me?");
    let refused = ask(&ben, thread, "reply", json!({})).await;
    assert!(refused.contains("have you not heard"), "{refused}");
    let appeal = ask(&ben, thread, "appeal", json!({ "case": 3, "text": "Why?" })).await;
    assert!(appeal.contains("case 3"), "{appeal}");
    let case = ask(&mo, thread, "mod case", json!({ "case": 3 })).await;
    assert!(case.contains("block of") && case.contains("> Why?"), "{case}");
    let decided = ask(&mo, thread, "mod decide", json!({ "case": 3, "decision": "lifted" })).await;
    assert_eq!(decided, "Case 3 is closed.");
    ask(&mo, thread, "mod unblock", on_ben).await;

    for (command, options, wanted) in [
        ("mod case", json!({ "case": 99 }), "There is no case 99"),
        ("mod decide", json!({ "case": 3, "decision": "again" }), "Case 3 is closed already"),
        ("appeal", json!({ "case": 1, "text": "Why?" }), "There is no case 1 about you"),
        ("mod unfreeze", json!({}), "This scene is not frozen"),
    ] {
        let told = ask(&mo, thread, command, options).await;
        assert!(told.contains(wanted), "{command}: {told}");
    }

    let stopped = ask(&mo, lobby, "mod pause-all", json!({})).await;
    assert!(stopped.contains("everything on this server is stopped"), "{stopped}");
    let refused = ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    assert!(refused.contains("stopped all scenes"), "{refused}");
    let resumed = ask(&mo, lobby, "mod resume-all", json!({})).await;
    assert!(resumed.contains("played on"), "{resumed}");
    ann.say(thread, "And now?");
    home.line_until(thread, |line| line.len() == 3).await;
    home.quiet().await;
    let history = ask(&mo, lobby, "mod history", json!({})).await;
    assert_eq!(history.lines().count(), 6, "{history}");
    assert!(history.contains("lifted") && history.contains("freeze all"), "{history}");
    serve.stop().await;
}
