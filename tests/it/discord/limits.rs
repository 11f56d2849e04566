//! Floods, loops and disguises, through the real binary.

use serde_json::json;

use super::commands::ask;
use super::scene::{num_replies_is, replies, reply_at_end};
use super::serve::{PATIENCE, Skerry};
use crate::support::discord::changes::Draft;
use crate::support::discord::model::Author;

#[tokio::test(flavor = "multi_thread")]
async fn what_machines_say_is_not_heard() {
    let Skerry { discord, guild, lobby, mo: _mo, ann, ben: _ben, home, serve } =
        Skerry::open().await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;
    // Other bots, perhaps others of ours, and webhooks of whoever made them.
    let parrot = guild.bot_member("parrot");
    for application in [None, Some(4_711)] {
        let id = guild.webhook(lobby, "Tamsin", application);
        let author = Author::Webhook { id, name: "Tamsin".into(), avatar: None };
        let content = "Tamsin, will you answer me?".to_owned();
        let draft = Draft { content, application, ..Draft::default() };
        discord.lock().world.post(thread.0, author, draft);
    }
    parrot.say(thread, "Tamsin, will you answer me?");
    parrot.reply_to(greeting.id, "Will you?");
    ann.say(thread, "Good morning.");
    let line = home.line_until(thread, |line| line.len() >= 2).await;
    assert_eq!(line[1], ("Ann".to_owned(), "Good morning.".to_owned()), "{line:?}");
    // Whoever spoke before her would stand before her, and somebody would answer them.
    let jobs = "SELECT count(*) FROM job WHERE work ->> 'kind' <> 'show'";
    let jobs: i64 = sqlx::query_scalar(jobs).fetch_one(&home.database.pool).await.unwrap();
    assert_eq!(jobs, 1);
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_enough_is_told_in_words() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    let limits = b"[limits]\nturns_per_person_per_hour = 1\nscenes_per_person = 1\n";
    let file = mo.attach("policy.toml", limits);
    ask(&mo, lobby, "policy import", json!({ "file": file })).await;
    let shown = ask(&mo, lobby, "policy show", json!({})).await;
    assert!(shown.contains("scenes_per_person = 1"), "{shown}");
    let wrong = mo.attach("policy.toml", b"[limits]\nscenes_per_person = 0\n");
    let wrong = ask(&mo, lobby, "policy import", json!({ "file": wrong })).await;
    assert!(wrong.contains("scenes_per_person is 0; write at least 1"), "{wrong}");

    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    reply_at_end(&discord, thread).await;
    let more = ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    assert!(more.contains("1 open scene may be begun by one person"), "{more}");
    ann.say(thread, "Good morning.");
    home.line_until(thread, |line| line.iter().any(|(name, _)| name == "Ann")).await;
    let more = ann.say(thread, &format!("{} And another word.", ben.mention()));
    let notice = discord
        .wait_for(PATIENCE, |world| {
            let seen = world.seen(thread).into_iter();
            seen.filter(|one| one.webhook.is_none()).find(|one| one.content.contains("an hour"))
        })
        .await;
    assert!(notice.content.starts_with("-# ⚠️ 1 message an hour"), "{notice:?}");
    assert!(notice.content.ends_with("room for one more in 60 minutes."), "{notice:?}");
    assert!(notice.pinged.is_empty(), "{notice:?}");
    discord
        .wait_until(PATIENCE, |world| {
            let seen = world.seen(thread);
            seen.iter().any(|one| one.id == more && one.reactions.iter().any(|it| it.0 == "⚠️"))
        })
        .await;
    // She alone has had enough.
    ben.say(thread, "I have not spoken yet.");
    let line = home.line_until(thread, |line| line.iter().any(|(name, _)| name == "Ben")).await;
    assert!(!line.iter().any(|(_, text)| text.contains("another word")), "{line:?}");
    let asked = ann.command(thread, "scene end", json!({})).await.settled(PATIENCE).await;
    ann.press(asked.id, "Yes, really").await;
    discord
        .wait_until(PATIENCE, |world| world.channels[&thread.0].thread.as_ref().unwrap().archived)
        .await;
    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    assert_eq!(home.channels_of_scenes().await.len(), 2, "one is over, so there is room");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_pinged_and_nobody_is_taken_for_staff() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;
    let call = format!("@everyone @here {} <@&{}>", ben.mention(), lobby.0);
    for (name, shown) in
        [("Mode\u{200b}rator", "Mode·rator"), ("Sуstem", "Sуs·tem"), ("@everyone", "·everyone")]
    {
        let card = json!({ "spec": "chara_card_v2", "spec_version": "2.0", "data": {
            "name": name, "description": call, "first_mes": format!("{call} Hear me."),
        } });
        let file = ann.attach("card.json", card.to_string().as_bytes());
        let told = ask(&ann, lobby, "character import", json!({ "file": file })).await;
        assert!(told.contains("is known"), "{told}");
        ask(&mo, lobby, "scene start", json!({ "character": name, "title": call })).await;
        let thread = home.channel_of_newest_scene(lobby).await;
        num_replies_is(&discord, thread, 1).await;
        let greeting = replies(&discord, thread).remove(0);
        assert_eq!(greeting.author, shown);
        assert!(greeting.pinged.is_empty() && !greeting.pinged_everyone, "{greeting:?}");
    }
    home.quiet().await;
    // A thread's name stands in a line of the system's, which pings nobody.
    for seen in discord.lock().world.seen(lobby).iter().filter(|seen| seen.kind != 18) {
        assert!(seen.pinged.is_empty() && !seen.pinged_everyone, "{seen:?}");
    }
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sends_it_to_another_server() {
    let Skerry { discord, guild: _guild, lobby, mo, ann: _ann, ben: _ben, home, serve } =
        Skerry::open().await;
    let other = discord.guild("Elsewhere");
    let theirs = other.text_channel("theirs");
    let member = other.member("eve");
    let thread = member.open_thread(member.say(theirs, "Hello."), "Theirs");
    for channel in [theirs, thread] {
        let there = json!({ "channel": channel.0.to_string() });
        for (command, more) in [
            ("setup channel", json!({})),
            ("setup reports", json!({})),
            ("policy preset", json!({ "preset": "strict" })),
        ] {
            let mut options = there.clone();
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let told = ask(&mo, lobby, command, options).await;
            assert!(told.contains("is not on this server"), "{command}: {told}");
        }
    }
    home.quiet().await;
    assert!(discord.lock().world.seen(thread).iter().all(|one| !one.author_is_bot));
    assert!(discord.lock().world.seen(theirs).iter().all(|one| !one.author_is_bot));
    serve.stop().await;
}
