//! Words enter a prompt only after whoever said them agreed.

use dramatis::chat::ChatError;
use dramatis::domain::{Participant, PersonId};
use dramatis::store::{Accepted, Consent, StoreError};

use super::house::House;
use super::models::tiny;
use super::stage::Shown;

const CANARY: &str = "the heron of Velmora sleeps";

/// A house in a guild that asks, with somebody who moderates.
async fn asking() -> (House, PersonId) {
    let house = House::open(tiny()).await;
    let mo = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id;
    house.chat.set_consent(house.guild, Consent::Asked, mo).await.unwrap();
    (house, mo)
}

fn must_agree(said: Result<Accepted, ChatError>) {
    let error = said.unwrap_err();
    assert!(matches!(error, ChatError::MustAgree), "{error}");
    assert!(error.notice().contains("/privacy optin"), "{}", error.notice());
}

#[tokio::test]
async fn a_guild_asks_unless_it_says_otherwise() {
    let db = crate::support::postgres::TestDatabase::as_shipped().await;
    let guild = db.store.upsert_guild("test", "new", "New").await.unwrap().id;
    assert_eq!(db.store.get_guild_consent(guild).await.unwrap(), Consent::Asked);
    let nowhere = dramatis::domain::GuildId(i64::MAX);
    let missing = db.store.set_guild_consent(nowhere, Consent::Assumed).await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))), "{missing:?}");
}

#[tokio::test]
async fn whoever_did_not_agree_is_absent() {
    let (mut house, mo) = asking().await;
    let (guild, chat, me) = (house.guild, house.chat.clone(), house.me.person.id);
    let scene = house.scene().await;
    must_agree(house.try_say(scene, CANARY).await);
    let dice = dramatis::chat::roll("1d6", Some(CANARY)).unwrap();
    must_agree(chat.accept_roll(guild, scene, &house.me, "roll".into(), &dice).await);
    assert!(house.line(scene).await.is_empty(), "nothing was taken");

    assert!(chat.agree(guild, me).await.unwrap());
    assert!(!chat.agree(guild, me).await.unwrap());
    house.say(scene, CANARY).await;
    assert!(house.preview(scene).await.contains(CANARY));
    let agreed = chat.kept_of(guild, me).await.unwrap().agreed_at;
    assert!(agreed.is_some());

    // What others said while nobody was asked is not taken for agreed.
    chat.set_consent(guild, Consent::Assumed, mo).await.unwrap();
    let ben = house.db.store.upsert_person(guild, "ben", "Ben").await.unwrap();
    house.me = Participant { person: ben, persona: None };
    house.say(scene, "The gulls of Ben are awake.").await;
    assert!(house.preview(scene).await.contains("gulls"));
    chat.set_consent(guild, Consent::Asked, mo).await.unwrap();
    let prompt = house.preview(scene).await;
    assert!(prompt.contains(CANARY) && !prompt.contains("Ben"), "{prompt}");
}

#[tokio::test]
async fn whoever_withdraws_is_gone_from_every_scene_at_once() {
    let (house, _) = asking().await;
    let (guild, chat, me) = (house.guild, &house.chat, house.me.person.id);
    chat.agree(guild, me).await.unwrap();
    let scenes = [house.scene().await, house.scene().await];
    for scene in scenes {
        house.say(scene, CANARY).await;
        assert!(house.preview(scene).await.contains(CANARY));
    }
    assert!(chat.opt_out(guild, me, true).await.unwrap());
    for scene in scenes {
        let prompt = house.preview(scene).await;
        assert!(!prompt.contains(CANARY) && !prompt.contains("Ann"), "{prompt}");
        house.try_say(scene, "Hello?").await.unwrap_err();
    }
    assert_eq!(chat.kept_of(guild, me).await.unwrap().agreed_at, None);
    // Wanting to be heard again is not yet agreeing.
    chat.opt_out(guild, me, false).await.unwrap();
    must_agree(house.try_say(scenes[0], "Hello?").await);
    assert!(!house.preview(scenes[0]).await.contains(CANARY));
    chat.agree(guild, me).await.unwrap();
    for scene in scenes {
        assert!(house.preview(scene).await.contains(CANARY));
    }
}

#[tokio::test]
async fn a_proxy_is_heard_when_whoever_is_behind_it_is() {
    let (mut house, mo) = asking().await;
    let (guild, chat, store) = (house.guild, house.chat.clone(), house.db.store.clone());
    let owner = house.me.person.id;
    let proxy = store.upsert_person(guild, "proxy:ann:ash", "Ash").await.unwrap();
    let id = proxy.id;
    house.me = Participant { person: proxy, persona: None };
    let scene = house.scene().await;
    store.set_proxy_owner(guild, id, owner).await.unwrap();
    must_agree(house.try_say(scene, CANARY).await);
    chat.agree(guild, owner).await.unwrap();
    house.say(scene, CANARY).await;
    assert!(house.preview(scene).await.contains(CANARY));
    for out in [true, false] {
        chat.opt_out(guild, owner, out).await.unwrap();
        assert!(!house.preview(scene).await.contains(CANARY), "withdrawn: {out}");
    }
    chat.agree(guild, owner).await.unwrap();
    chat.block_person(guild, owner, true, mo, "").await.unwrap();
    house.try_say(scene, "Hello?").await.unwrap_err();
}

#[tokio::test]
async fn whoever_is_forgotten_has_agreed_to_nothing() {
    let (house, _) = asking().await;
    let (guild, chat, store) = (house.guild, &house.chat, &house.db.store);
    let me = &house.me.person;
    chat.agree(guild, me.id).await.unwrap();
    chat.forget_person(guild, me.id).await.unwrap();
    assert_eq!(store.get_agreement(guild, me.id).await.unwrap(), None);
    let again = store.upsert_person(guild, &me.external_id, "Ann").await.unwrap();
    assert!(store.get_standing(guild, again.id).await.unwrap().must_agree);
}

/// Somebody is gone while a reply is written that has read them.
async fn gone_meanwhile(house: &House, mo: PersonId, by: &str) {
    let (guild, chat, me) = (house.guild, &house.chat, house.me.person.id);
    match by {
        "opt-out" => assert!(chat.opt_out(guild, me, true).await.unwrap()),
        "block" => assert!(chat.block_person(guild, me, true, mo, "").await.unwrap().is_some()),
        _ => chat.set_consent(guild, Consent::Asked, mo).await.unwrap(),
    }
}

#[tokio::test]
async fn a_reply_that_has_read_somebody_is_begun_anew_without_them() {
    for by in ["opt-out", "block", "consent"] {
        let mut house = House::open(tiny()).await;
        let scene = house.scene().await;
        let (guild, store) = (house.guild, house.db.store.clone());
        let mo = store.upsert_person(guild, "mo", "Mo").await.unwrap().id;
        let ben = store.upsert_person(guild, "ben", "Ben").await.unwrap();
        house.chat.agree(guild, ben.id).await.unwrap();
        let me = std::mem::replace(&mut house.me, Participant { person: ben, persona: None });
        house.say(scene, "The gulls of Ben are awake.").await;
        house.me = me;
        house.say(scene, CANARY).await;
        house.stage.hold();
        house.run();
        house.stage.wait_for_words(scene).await;
        gone_meanwhile(&house, mo, by).await;
        house.stage.release();
        house.settled(scene).await;
        let prompt = house.prompt_of(&house.latest(scene).await).await;
        assert!(prompt.contains("gulls") && !prompt.contains(CANARY), "{by}: {prompt}");
        assert_eq!(house.stage.finished(scene).len(), 1, "{by}");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_reply_to_nobody_else_is_called_off() {
    let (mut house, mo) = asking().await;
    let (guild, chat, me) = (house.guild, house.chat.clone(), house.me.person.id);
    chat.agree(guild, me).await.unwrap();
    // In one it is being written, in the other it waits; what another says is left alone.
    let [begun, waiting, other] = [house.scene().await, house.scene().await, house.scene().await];
    house.say(begun, CANARY).await;
    house.stage.hold();
    house.run_at_most(1);
    house.stage.wait_for_words(begun).await;
    house.say(waiting, CANARY).await;
    let ben = house.db.store.upsert_person(guild, "ben", "Ben").await.unwrap();
    chat.agree(guild, ben.id).await.unwrap();
    house.me = Participant { person: ben, persona: None };
    house.say(other, "The gulls are awake.").await;
    chat.block_person(guild, me, true, mo, "").await.unwrap();
    house.stage.release();
    house.stage.wait_for(begun, 1, |shown| *shown == Shown::Withdrawn).await;
    for scene in [begun, waiting, other] {
        house.settled(scene).await;
    }
    assert!(house.stage.finished(begun).is_empty() && house.stage.finished(waiting).is_empty());
    assert_eq!(house.stage.finished(other).len(), 1);
    house.stop().await;
}
