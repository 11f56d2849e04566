//! Too many wait: what is kept, what is refused, what people are told.

use dramatis::chat::{ChatError, unanswered};
use dramatis::store::{Accepted, StoreError};

use super::house::House;
use super::models::tiny;

#[tokio::test]
async fn whoever_asks_for_too_much_is_told_and_loses_nothing() {
    let settings = [("chat.max_waiting_per_person", "1")];
    let mut house = House::open_with(tiny(), &settings).await;
    let (first, second) = (house.scene().await, house.scene().await);
    let (guild, me) = (house.guild, house.me.person.id);
    house.say(first, "Hello.").await;
    let Accepted::New { queued: None, refused: Some(full), .. } =
        house.say(second, "You, too.").await
    else {
        panic!("it is refused");
    };
    let told = unanswered(full);
    for part in ["is kept", "1 reply that you asked for waits", "/reply asks again"] {
        assert!(told.contains(part), "{told}");
    }
    let asked = house.chat.ask_reply(guild, second, me, None, None).await.unwrap_err();
    assert!(matches!(asked, ChatError::Store(StoreError::Full(_))), "{asked:?}");
    assert!(asked.notice().contains("ask again"), "{}", asked.notice());
    assert!(house.chat.metrics().render().contains("queue_refusals_total{limit=\"person\"} 2"));
    house.run();
    house.settled(first).await;
    house.settled(second).await;
    assert_eq!(house.speakers(second).await, ["Ann"], "kept, and not answered");
    // The swipe of a button, too.
    let reply = house.latest(first).await;
    house.stop().await;
    house.chat.ask_reply(guild, second, me, None, None).await.unwrap();
    let swipe = house.chat.ask_swipe(guild, first, me, reply.id, None).await.unwrap_err();
    assert!(matches!(swipe, ChatError::Store(StoreError::Full(_))), "{swipe:?}");
    house.run();
    house.settled(second).await;
    assert_eq!(house.speakers(second).await, ["Ann", "Mira"], "asked for again, it is answered");
}
