//! A whole evening's play, as people see it.

use serde_json::json;

use crate::support::discord::Discord;
use crate::support::discord::answer::AnswerKind;

use super::scene::{has_button, replies, reply_after, reply_at_end, reply_that};
use super::serve::{Home, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn an_evening_in_a_forum_from_the_set_up_to_the_pause() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let stories = guild.forum("stories", &["Maren Holt", "micro"]);
    let (mod_, ann) = (guild.administrator("Mo"), guild.member("ann"));
    let (ben, cy) = (guild.member("ben"), guild.member("cy"));
    let home = Home::new().await;
    let serve = home.serve(&discord).await;

    // Set-up.
    let options = json!({ "channel": stories.0.to_string(), "scenes": "post", "length": "micro" });
    let answer = mod_.command(lobby, "setup channel", options).await;
    let told = answer.settled(PATIENCE).await;
    assert!(told.is_ephemeral && told.content.contains("stories"), "{told:?}");
    let shown = mod_.command(lobby, "setup show", json!({})).await.settled(PATIENCE).await;
    assert!(shown.content.contains(&stories.0.to_string()), "{shown:?}");

    // A post is a scene: its text the scenario, its tags the character and the length.
    let text = "The lamp went out at midnight, and somebody must row across.";
    let post = ann.post(stories, "The lamp", text, &["Maren Holt", "micro"]);
    let greeting = reply_at_end(&discord, post).await;
    assert_eq!(greeting.author, "Maren Holt");
    assert!(greeting.content.starts_with("The door gave on the third shove"), "{greeting:?}");
    let status = ann.command(post, "scene status", json!({})).await.settled(PATIENCE).await;
    for known in ["Maren Holt", "micro", "The lamp went out"] {
        assert!(status.content.contains(known), "no {known} in {}", status.content);
    }

    // Five turns by three people.
    let persona = json!({ "name": "Ash", "description": "a courier", "scope": "here" });
    let set = ben.command(post, "persona set", persona).await.settled(PATIENCE).await;
    assert!(set.content.contains("Ash"), "{set:?}");
    let mut last = greeting.id;
    let mut said = Vec::new();
    for (person, words) in [
        (&ann, "I light the other lamp."),
        (&ben, "Is anybody there?"),
        (&cy, "((brb, tea)) I hold the rope. // nobody saw this"),
        (&ann, "Row, then."),
        (&ben, "I row."),
    ] {
        said.push(person.say(post, words));
        last = reply_after(&discord, post, last).await.id;
    }
    assert_eq!(replies(&discord, post).len(), 6, "a greeting and five answers");
    let with_buttons = discord.messages(post).into_iter().filter(|m| !m.buttons.is_empty());
    assert_eq!(with_buttons.count(), 1, "only the latest reply has buttons");
    let context = ann.command(post, "context", json!({})).await.settled(PATIENCE).await;
    assert!(context.is_ephemeral && context.content.contains("tokens"), "{context:?}");

    // Out of character is shown, and no part of the story.
    let line = home.line(post).await;
    assert_eq!(line[5], ("Cy".to_owned(), "I hold the rope.".to_owned()), "{line:?}");
    assert_eq!(line[3].0, "Ash", "a persona heads the turn");
    cy.say(post, "// only talking");
    cy.say(post, "((only talking))");

    // Another text, and back.
    let reply = replies(&discord, post).pop().unwrap();
    let pressed = ann.press(reply.id, "Again").await;
    assert_eq!(pressed.kind(), AnswerKind::DeferredUpdate);
    let position = |wanted: &'static str| {
        move |message: &crate::support::discord::seen::SeenMessage| has_button(message, wanted)
    };
    discord
        .wait_until(PATIENCE, |world| {
            world
                .seen(post)
                .iter()
                .any(|message| message.id == reply.id && position("2/2")(message))
        })
        .await;
    ann.press(reply.id, "◀️").await;
    discord
        .wait_until(PATIENCE, |world| {
            let seen = world.seen(post);
            let message = seen.iter().find(|message| message.id == reply.id).unwrap();
            position("1/2")(message) && message.content == reply.content
        })
        .await;
    assert_eq!(home.line(post).await.len(), 11, "talk beside the story is no turn");

    // Edits and deletions of people change the transcript.
    ann.edit(said[3], "Row faster, then.");
    home.line_until(post, |line| line[7].1 == "Row faster, then.").await;
    ben.delete(said[1]);
    home.line_until(post, |line| {
        line.len() == 10 && line.iter().all(|(_, t)| !t.starts_with("Is any"))
    })
    .await;
    // The bot's own message, deleted by a moderator: the turn goes.
    let first = replies(&discord, post)[1].clone();
    mod_.delete(first.id);
    home.line_until(post, |line| line.len() == 9).await;

    // Undo can be undone.
    let before = replies(&discord, post).len();
    let undone = ben.command(post, "undo", json!({})).await.settled(PATIENCE).await;
    assert!(undone.is_ephemeral, "{undone:?}");
    discord.wait_until(PATIENCE, |_| replies(&discord, post).len() == before - 1).await;
    ben.command(post, "redo", json!({})).await.settled(PATIENCE).await;
    reply_that(&discord, post, |_| replies(&discord, post).len() == before).await;

    // A branch from an earlier turn, in a post of its own.
    let earlier = replies(&discord, post)[1].id;
    let branched = ann.message_menu(earlier, "Branch here").await.settled(PATIENCE).await;
    let branch = home.channel_of_newest_scene(post).await;
    assert!(branched.content.contains(&branch.0.to_string()), "{branched:?}");
    reply_at_end(&discord, branch).await;
    let original = home.line(post).await;
    let copy = home.line(branch).await;
    assert!(original.len() > copy.len() && original.starts_with(&copy), "{copy:?}");
    cy.say(branch, "Here I turn left.");
    let there = replies(&discord, branch).pop().unwrap().id;
    reply_after(&discord, branch, there).await;
    assert_eq!(home.line(post).await, original, "the branch changes nothing of the trunk");

    // Taken along as a file.
    let exported = ann.command(post, "scene export", json!({})).await.settled(PATIENCE).await;
    assert!(exported.files.iter().any(|name| name.ends_with(".md")), "{exported:?}");

    // Paused: turns are kept, nobody answers; then they are answered.
    ann.command(post, "scene pause", json!({})).await.settled(PATIENCE).await;
    let num_turns = home.line(post).await.len();
    let num_replies = replies(&discord, post).len();
    cy.say(post, "Is this thing on?");
    home.line_until(post, |line| line.len() == num_turns + 1).await;
    assert_eq!(replies(&discord, post).len(), num_replies);
    ann.command(post, "scene resume", json!({})).await.settled(PATIENCE).await;
    cy.say(post, "And now?");
    discord.wait_until(PATIENCE, |_| replies(&discord, post).len() == num_replies + 1).await;

    let (status, took) = serve.stop().await;
    assert!(status.success(), "{status}\n{}", home.log());
    assert!(took < PATIENCE, "stopping took {took:?}");
    assert!(!home.log().contains(&discord.token()), "the token is never printed");
}
