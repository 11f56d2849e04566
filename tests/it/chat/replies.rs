//! From a message to its answer, once.

use dramatis::chat::ChatError;
use dramatis::domain::{CharacterSheet, SwipeOrigin};
use dramatis::store::{Accepted, JobState};

use super::house::{House, receipt};
use super::models::tiny;
use super::stage::Shown;

#[tokio::test]
async fn a_message_is_answered_stored_and_shown_once() {
    let mut house = House::open(tiny()).await;
    let mira = house
        .character(CharacterSheet {
            name: "Mira".into(),
            greeting: "Come in, {{user}}. {{char}} has tea.".into(),
            alternate_greetings: vec!["Who is {{user}}?".into(), " ".into(), "Away!".into()],
            ..CharacterSheet::default()
        })
        .await;
    let scene = house.open_scene(&[mira]).await.unwrap().id;
    let greeting = house.latest(scene).await;
    assert_eq!(greeting.swipe.text, "Come in, Ann. Mira has tea.");
    assert_eq!(greeting.swipe.origin, SwipeOrigin::Greeting);
    let greetings = house.db.store.list_swipes(house.guild, greeting.id).await.unwrap();
    let others: Vec<_> = greetings.iter().skip(1).map(|swipe| swipe.text.as_str()).collect();
    assert_eq!(others, ["Who is Ann?", "Away!"], "the blank one is left out");

    house.run();
    let Accepted::New { turn, queued: Some(queued), .. } = house.say(scene, "Is there tea?").await
    else {
        panic!("a new turn with a job");
    };
    house.settled(scene).await;

    let line = house.line(scene).await;
    let [_, asked, reply] = &line[..] else { panic!("{line:?}") };
    assert_eq!((asked.id, asked.swipe.text.as_str()), (turn, "Is there tea?"));
    assert_eq!((reply.parent, reply.num_swipes), (Some(asked.id), 1));
    assert_eq!((reply.speaker.name(), reply.swipe.origin), ("Mira", SwipeOrigin::Generated));
    let job = house.db.store.get_job(house.guild, queued.job).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Sent, 1));
    assert_eq!(job.text, Some((reply.id, reply.swipe.id)));

    let shown = house.stage.shown(scene);
    let [Shown::Begin(begin), updates @ .., Shown::Finished(finished)] = &shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(
        (begin.job, begin.speaker.name(), begin.standing_text.as_str()),
        (queued.job, "Mira", "")
    );
    let texts: Vec<_> = updates
        .iter()
        .map(|shown| match shown {
            Shown::Update(text) => text.as_str(),
            other => panic!("{other:?} among the updates"),
        })
        .collect();
    assert!(texts.len() > 3, "it streams: {texts:?}");
    assert!(texts.windows(2).all(|pair| pair[1].starts_with(pair[0]) && pair[0] != pair[1]));
    assert!(texts.last().unwrap().starts_with(&reply.swipe.text));
    assert_eq!(
        (finished.job, finished.turn.id, finished.turn.swipe.ordinal),
        (queued.job, reply.id, 0)
    );
    assert_eq!(finished.turn.swipe.text, reply.swipe.text);

    let receipt = receipt(&reply.swipe);
    assert_eq!((receipt.model.as_str(), receipt.preset.as_str()), ("tiny", "limarp"));
    assert_eq!(receipt.model_fingerprint, house.chat.pool().model().fingerprint);
    // By its limit, or before it where a sentence ends.
    assert_eq!(receipt.max_tokens, 24);
    assert!(["length", "sentence"].contains(&receipt.finish.as_str()), "{}", receipt.finish);
    assert!((18..=24).contains(&receipt.timings.num_generated_tokens), "{:?}", receipt.timings);
    let ids = house.prompt_ids(reply).await;
    assert_eq!(ids.len(), receipt.prompt.num_tokens);
    assert_eq!(ids.len(), receipt.timings.num_prompt_tokens);
    let prompt = house.prompt_of(reply).await;
    let end = "\n\n### Input:\nAnn: Is there tea?\n\n### Response: (length = medium)\nMira:";
    assert!(prompt.ends_with(end), "{prompt}");
    assert!(prompt.contains("### Response:\nMira: Come in, Ann. Mira has tea."), "{prompt}");
}

#[tokio::test]
async fn a_message_delivered_twice_is_one_turn_and_one_reply() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.run();
    let first = house.deliver(scene, "same".into(), "Hello.").await.unwrap();
    let Accepted::New { turn, .. } = first else { panic!("{first:?}") };
    let again = house.deliver(scene, "same".into(), "Hello.").await.unwrap();
    assert_eq!(again, Accepted::Duplicate { turn });
    house.settled(scene).await;
    let late = house.deliver(scene, "same".into(), "Something else.").await.unwrap();
    assert_eq!(late, Accepted::Duplicate { turn });
    assert!(house.db.store.list_open_jobs(house.guild, scene).await.unwrap().is_empty());
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
    assert_eq!(house.stage.finished(scene).len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_turn_is_refused_and_changes_nothing() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let long = "x".repeat(200_000);
    for (text, reason) in [
        ("", "nothing in that message"),
        (" \r\n\t ", "nothing in that message"),
        ("\u{1b}\u{7}\0", "nothing in that message"),
        (long.as_str(), "200000 bytes of text, and 32768 are taken"),
    ] {
        let refused = house.try_say(scene, text).await.unwrap_err();
        assert!(matches!(refused, ChatError::Refused(_)), "{refused:?}");
        assert!(refused.notice().contains(reason), "{}", refused.notice());
    }
    assert!(house.line(scene).await.is_empty());
    assert!(house.db.store.list_open_jobs(house.guild, scene).await.unwrap().is_empty());

    house.say(scene, "\u{1b}[2JHello\r\nthere\0.\u{9b}").await;
    assert_eq!(house.texts(scene).await, ["[2JHello\nthere."], "no screen obeys it");

    house.chat.end_scene(house.guild, scene).await.unwrap();
    let refused = house.try_say(scene, "Still there?").await.unwrap_err();
    assert!(refused.notice().contains("over"), "{}", refused.notice());
    assert_eq!(house.line(scene).await.len(), 1);
}

#[tokio::test]
async fn messages_that_come_while_the_lane_waits_are_answered_together() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let mut jobs = Vec::new();
    for text in ["One.", "Two.", "Three."] {
        let Accepted::New { queued: Some(queued), .. } = house.say(scene, text).await else {
            panic!("a new turn with a job");
        };
        jobs.push(queued);
    }
    assert!(jobs.iter().all(|queued| queued.job == jobs[0].job), "{jobs:?}");
    house.run();
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Ann", "Ann", "Mira"]);
    let prompt = house.prompt_of(&house.latest(scene).await).await;
    let places = ["Ann: One.", "Ann: Two.", "Ann: Three."].map(|text| prompt.find(text).unwrap());
    assert!(places.is_sorted(), "{prompt}");
}

#[tokio::test]
async fn a_message_that_comes_during_a_reply_gets_one_of_its_own() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.stage.hold();
    house.run();
    house.say(scene, "One.").await;
    house.stage.wait_for_words(scene).await;
    house.say(scene, "Two.").await;
    house.say(scene, "Three.").await;
    house.stage.release();
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Ann", "Ann", "Mira", "Mira"]);
    let line = house.line(scene).await;
    assert!(!house.prompt_of(&line[3]).await.contains("Two."), "it had begun already");
    let second = house.prompt_of(&line[4]).await;
    assert!(second.contains("Ann: Two.") && second.contains("Ann: Three."), "{second}");
}
