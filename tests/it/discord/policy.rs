//! `/policy`, and places for adults, through the real binary.

use std::time::{Duration, Instant};

use serde_json::json;

use super::commands::ask;
use super::scene::reply_at_end;
use super::serve::{PATIENCE, Skerry};

const EXPLICIT: &str = "Tell me of masturbation.";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_begins_with_a_policy_takes_it_out_and_in_and_tries_it() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben: _ben, home, serve } =
        Skerry::open().await;
    for (verb, options) in [("preset", json!({ "preset": "strict" })), ("clear", json!({}))] {
        let refused = ask(&ann, lobby, &format!("policy {verb}"), options).await;
        assert!(refused.contains("Manage Server"), "{verb}: {refused}");
    }
    let set = ask(&mo, lobby, "policy preset", json!({ "preset": "strict" })).await;
    assert!(set.contains("holds from the next word on"), "{set}");
    let shown = ask(&ann, lobby, "policy show", json!({})).await;
    assert!(shown.contains("rating = \"general\""), "{shown}");
    let refused = ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    assert!(refused.contains("leaves that to moderators"), "{refused}");

    let file = mo.attach(
        "policy.toml",
        b"rating = 'teen'\n[[words]]\nterms = ['black salt']\nverdict = 'refuse'\n",
    );
    ask(&mo, lobby, "policy import", json!({ "file": file })).await;
    let wrong = mo.attach("policy.toml", b"ratng = 'teen'");
    let wrong = ask(&mo, lobby, "policy import", json!({ "file": wrong })).await;
    assert!(wrong.contains("unknown field `ratng`"), "{wrong}");
    let picture = mo.attach("policy.toml", &[0xff, 0xfe, 0x00]);
    let wrong = ask(&mo, lobby, "policy import", json!({ "file": picture })).await;
    assert!(wrong.contains("no text file"), "{wrong}");
    let shown = ask(&mo, lobby, "policy show", json!({})).await;
    assert!(shown.contains("black salt"), "what stood there stands: {shown}");
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    ann.say(thread, "Sell me some black salt.");
    ann.say(thread, "Then some bread.");
    let line = home.line_until(thread, |line| line.len() == 3).await;
    assert!(line.iter().all(|(_, text)| !text.contains("black salt")), "{line:?}");
    home.quiet().await;
    let tried = ask(&mo, thread, "policy test", json!({ "text": "B.l.a.c.k salt" })).await;
    assert_eq!(tried, "refuse: black salt");
    let history = ask(&mo, thread, "policy test", json!({})).await;
    assert!(history.contains("of the 3 turns"), "{history}");
    assert!(!history.contains("limits"), "there are none: {history}");

    // How often a rule was met is written down without being asked for.
    let written = "SELECT sum(texts)::bigint FROM rule_hit WHERE rule = 'black salt'";
    let since = Instant::now();
    while sqlx::query_scalar::<_, Option<i64>>(written)
        .fetch_one(&home.database.pool)
        .await
        .unwrap()
        != Some(1)
    {
        assert!(since.elapsed() < PATIENCE, "it never is\n{}", home.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = ask(&ann, thread, "policy hits", json!({})).await;
    assert_eq!(refused, "That is for moderators.");
    ann.say(thread, "And more black salt.");
    let deadline = Instant::now() + PATIENCE;
    let hits = loop {
        let hits = ask(&mo, lobby, "policy hits", json!({ "days": 1 })).await;
        if hits.contains("- black salt: 2 refused") {
            break hits;
        }
        assert!(Instant::now() < deadline, "{hits}");
    };
    assert!(hits.starts_with("Today these rules were met"), "{hits}");
    assert!(!hits.contains("Ann") && !hits.contains("more"), "{hits}");
    let limits = mo.attach("policy.toml", b"[limits]\nturns_per_person_per_hour = 1\n");
    ask(&mo, lobby, "policy import", json!({ "file": limits })).await;
    let history = ask(&mo, thread, "policy test", json!({})).await;
    assert!(history.ends_with("Its limits would have stopped nothing."), "{history}");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explicit_words_are_for_places_of_adults_alone_threads_included() {
    let Skerry { discord, guild, lobby, mo: _mo, ann, ben: _ben, home, serve } =
        Skerry::open().await;
    let cellar = guild.nsfw_channel("cellar");
    for (channel, num_turns) in [(lobby, 1), (cellar, 3)] {
        ask(&ann, channel, "scene start", json!({ "character": "Tamsin" })).await;
        let thread = home.channel_of_newest_scene(channel).await;
        reply_at_end(&discord, thread).await;
        ann.say(thread, EXPLICIT);
        if num_turns == 1 {
            // Whatever is said next is the first to be taken.
            ann.say(thread, "Of the sea, then.");
            let line = home.line_until(thread, |line| line.len() >= 2).await;
            assert_eq!(line[1].1, "Of the sea, then.");
        } else {
            let line = home.line_until(thread, |line| line.len() >= 2).await;
            assert_eq!(line[1].1, EXPLICIT);
        }
        home.quiet().await;
    }
    serve.stop().await;
}
