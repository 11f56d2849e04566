//! `/training`: everybody says it for themselves, moderators approve.

use serde_json::json;

use super::commands::ask;
use super::scene::reply_at_end;
use super::serve::Skerry;

#[tokio::test(flavor = "multi_thread")]
async fn people_agree_for_themselves_and_moderators_approve_what_they_saw() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;

    // Nobody agrees unasked, and is told what it means before.
    let status = ask(&ann, lobby, "training status", json!({})).await;
    assert!(status.contains("You have not agreed"), "{status}");
    assert!(status.contains("names are replaced") && status.contains("words themselves stay"));
    let nowhere = ask(&ann, lobby, "training approve", json!({})).await;
    assert!(nowhere.contains("o scene is being played here"), "{nowhere}");

    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    ann.say(thread, "Hello, Tamsin.");
    home.line_until(thread, |line| line.len() == 3).await;
    home.quiet().await;

    let agreed = ask(&ann, thread, "training agree", json!({})).await;
    assert!(agreed.starts_with("You agree.") && agreed.contains("/training withdraw"), "{agreed}");
    let again = ask(&ann, thread, "training agree", json!({})).await;
    assert!(again.starts_with("You agreed already."), "{again}");
    // Who began the scene does not look after it for that.
    for verb in ["approve", "unapprove"] {
        let refused = ask(&ann, thread, &format!("training {verb}"), json!({})).await;
        assert_eq!(refused, "That is for moderators.");
    }
    let status = ask(&ann, thread, "training status", json!({})).await;
    assert!(
        status.contains("You agreed <t:") && status.contains("No moderator approved"),
        "{status}"
    );
    assert!(status.contains("1 of 1 who speak here agreed"), "{status}");

    let approved = ask(&mo, thread, "training approve", json!({})).await;
    assert!(approved.contains("Approved as it stands"), "{approved}");
    assert!(approved.contains("3 turns of this scene approved, 0 waiting"), "{approved}");
    ben.say(thread, "And me?");
    home.line_until(thread, |line| line.len() == 5).await;
    home.quiet().await;
    let status = ask(&ben, thread, "training status", json!({})).await;
    assert!(status.contains("You have not agreed"), "{status}");
    assert!(status.contains("2 waiting. 1 of 2 who speak here agreed"), "{status}");

    let gone = ask(&ann, thread, "training withdraw", json!({})).await;
    assert!(gone.contains("You agree no more"), "{gone}");
    let gone = ask(&ann, thread, "training withdraw", json!({})).await;
    assert!(gone.contains("nothing of yours is used"), "{gone}");
    let gone = ask(&mo, thread, "training unapprove", json!({})).await;
    assert!(gone.contains("approved no more"), "{gone}");
    let gone = ask(&mo, thread, "training unapprove", json!({})).await;
    assert!(gone.contains("was not approved"), "{gone}");
    serve.stop().await;
}
