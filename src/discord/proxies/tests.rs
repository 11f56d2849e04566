use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const HOLDS: Holds =
    Holds { order: Duration::from_millis(250), proxy: Duration::from_millis(2_500) };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A message written at that millisecond.
fn id(at_ms: u64) -> MessageId {
    MessageId::new(((1_000_000 + at_ms) << 22) + 1)
}

fn person(at_ms: u64, who: u64, content: &str) -> Said {
    let by = By::Person { id: UserId::new(who), name: format!("person {who}") };
    Said { id: id(at_ms), by, content: content.into(), replies_to: None }
}

fn repost(at_ms: u64, content: &str) -> Said {
    let by = By::Proxy { name: "Ash".into(), owner: None };
    Said { id: id(at_ms), by, content: content.into(), replies_to: None }
}

fn owner(said: &Said) -> Option<u64> {
    match said.by {
        By::Proxy { owner, .. } => owner.map(UserId::get),
        By::Person { .. } | By::Other => None,
    }
}

/// Everything that goes in within a minute.
fn rest(waiting: &mut Waiting, now: Instant) -> Vec<Step> {
    std::iter::from_fn(|| waiting.due(now + ms(60_000))).collect()
}

fn accepted(steps: &[Step]) -> Vec<(MessageId, Option<MessageId>)> {
    let accepted = steps.iter().filter_map(|step| match step {
        Step::Accept { said, instead_of } => Some((said.id, *instead_of)),
        _ => None,
    });
    accepted.collect()
}

#[test]
fn messages_go_in_as_they_were_written_and_once() {
    let now = Instant::now();
    let mut waiting = Waiting::new(HOLDS);
    for at in [5, 3, 4, 3, 5] {
        waiting.arrive(person(at, 1, "x"), false, now);
    }
    assert_eq!(waiting.due(now + ms(249)), None);
    let steps = rest(&mut waiting, now);
    assert_eq!(accepted(&steps), [(id(3), None), (id(4), None), (id(5), None)]);
    // A second delivery, a while later.
    waiting.arrive(person(4, 1, "x"), false, now + ms(5_000));
    assert_eq!(rest(&mut waiting, now), []);
}

#[test]
fn what_is_held_can_still_be_changed_and_deleted() {
    let now = Instant::now();
    let mut waiting = Waiting::new(HOLDS);
    waiting.arrive(person(1, 1, "x"), false, now);
    waiting.arrive(person(2, 1, "y"), false, now);
    assert_eq!(waiting.change(id(1), "z".into()), None);
    assert_eq!(waiting.delete(id(2), now), None);
    let steps = rest(&mut waiting, now);
    assert!(matches!(&steps[..], [Step::Accept { said, .. }] if said.content == "z"));
    let changed = waiting.change(id(1), "w".into());
    assert_eq!(changed, Some(Step::Change { id: id(1), content: "w".into() }));
    assert_eq!(waiting.delete(id(1), now), Some(Step::Remove(id(1))));
    assert_eq!(waiting.delete(id(1), now), None);
    // What was deleted before we heard of it never goes in.
    assert_eq!(waiting.delete(id(9), now), Some(Step::Remove(id(9))));
    waiting.arrive(person(9, 1, "late"), false, now);
    assert_eq!(rest(&mut waiting, now), []);
}

#[test]
fn our_own_posts_pass_in_their_turn_and_their_edits_are_nothing() {
    let now = Instant::now();
    let mut waiting = Waiting::new(HOLDS);
    let ours = Said { by: By::Other, ..person(2, 1, "") };
    waiting.arrive(ours, true, now);
    assert_eq!(waiting.change(id(2), "streaming".into()), None);
    waiting.arrive(person(1, 1, "x"), true, now);
    let steps = rest(&mut waiting, now);
    assert_eq!(accepted(&steps), [(id(1), None), (id(2), None)]);
    assert_eq!(waiting.change(id(2), "streaming on".into()), None);
    assert_eq!(waiting.delete(id(2), now), Some(Step::Remove(id(2))));
}

#[test]
fn the_repost_stands_for_the_original_in_every_order() {
    let now = Instant::now();
    for order in ["prd", "pdr", "rpd", "rdp", "dpr", "drp"] {
        let mut waiting = Waiting::new(HOLDS);
        for (step, what) in order.chars().enumerate() {
            let now = now + ms(100 * step as u64);
            match what {
                'p' => waiting.arrive(person(1, 7, "[Hello.]"), true, now),
                'r' => waiting.arrive(repost(900, "Hello."), true, now),
                _ => drop(waiting.delete(id(1), now)),
            }
        }
        let steps = rest(&mut waiting, now);
        assert_eq!(accepted(&steps), [(id(900), None)], "{order}");
        let Step::Accept { said, .. } = &steps[0] else { panic!() };
        assert_eq!(owner(said), Some(7), "{order}");
    }
}

#[test]
fn a_repost_that_comes_late_takes_the_place_of_the_original() {
    let now = Instant::now();
    for deleted_first in [true, false] {
        let mut waiting = Waiting::new(HOLDS);
        waiting.arrive(person(1, 7, "a: Hello."), false, now);
        assert_eq!(accepted(&rest(&mut waiting, now)), [(id(1), None)]);
        let later = now + ms(8_000);
        if deleted_first {
            assert_eq!(waiting.delete(id(1), later), Some(Step::Remove(id(1))));
            waiting.arrive(repost(8_000, "Hello."), true, later);
        } else {
            waiting.arrive(repost(8_000, "Hello."), true, later);
            assert_eq!(waiting.due(later + ms(300)), None, "it waits for the deletion");
            assert_eq!(waiting.delete(id(1), later + ms(400)), None);
        }
        let steps = rest(&mut waiting, later);
        assert_eq!(accepted(&steps), [(id(8_000), Some(id(1)))]);
    }
}

#[test]
fn nobodys_words_are_taken_out_because_a_repost_looks_like_them() {
    let now = Instant::now();
    let mut waiting = Waiting::new(HOLDS);
    waiting.arrive(person(1, 7, "oh, hi"), false, now);
    assert_eq!(rest(&mut waiting, now).len(), 1);
    waiting.arrive(repost(4_000, "hi"), true, now + ms(4_000));
    assert_eq!(accepted(&rest(&mut waiting, now)), [(id(4_000), None)]);
    // Of two that would fit, it is the one with fewer marks.
    let mut waiting = Waiting::new(HOLDS);
    waiting.arrive(person(1, 7, "oh, hi"), true, now);
    waiting.arrive(person(2, 8, "[hi]"), true, now);
    waiting.arrive(repost(500, "hi"), true, now);
    let steps = rest(&mut waiting, now);
    assert_eq!(accepted(&steps), [(id(1), None), (id(500), None)]);
    let Step::Accept { said, .. } = &steps[1] else { panic!() };
    assert_eq!(owner(said), Some(8));
}

#[test]
fn a_stop_leaves_what_waits_for_a_repost_to_the_next_start() {
    let now = Instant::now();
    let mut waiting = Waiting::new(HOLDS);
    waiting.arrive(person(1, 7, "x"), false, now);
    waiting.arrive(person(2, 7, "y"), true, now);
    waiting.arrive(person(3, 7, "z"), false, now);
    waiting.hurry(now);
    let steps: Vec<_> = std::iter::from_fn(|| waiting.due(now)).collect();
    assert_eq!(accepted(&steps), [(id(1), None)]);
}

#[test]
fn marks_are_what_stands_around() {
    for (original, repost, around) in [
        ("[Hello.]", "Hello.", Some(2)),
        ("Ash: Hello.", "Hello.", Some(5)),
        ("Hello. -a", "Hello.", Some(3)),
        ("Hello.", "Hello.", Some(0)),
        ("Hello.", "Goodbye.", None),
        ("Hello.", "", None),
        ("🦊Hello.🦊", "Hello.", Some(8)),
    ] {
        assert_eq!(marks(original, repost), around, "{original}");
    }
    let long = format!("{} hi {}", "x".repeat(90), "y".repeat(90));
    assert_eq!(marks(&long, "hi"), None);
}

/// What Discord tells of.
#[derive(Debug, Clone)]
enum Told {
    Wrote(Said),
    Deleted(MessageId),
}

/// Words of several people, some proxied, told of in any order, some twice.
fn evening() -> impl Strategy<Value = (Vec<(u64, Told)>, BTreeSet<MessageId>)> {
    let words = prop::collection::vec((any::<bool>(), 0..3_000u64, 0..3_000u64), 1..8);
    words.prop_flat_map(|words| {
        let (mut told, mut canonical) = (Vec::new(), BTreeSet::new());
        for (number, (is_proxied, repost_after, deleted_after)) in words.into_iter().enumerate() {
            let at = 3_100 * number as u64;
            let text = format!("words number {number}.");
            if is_proxied {
                let original = person(at, number as u64 + 1, &format!("[{text}]"));
                let again = repost(at + 1 + repost_after, &text);
                canonical.insert(again.id);
                told.push((at + 1 + deleted_after, Told::Deleted(original.id)));
                told.push((at, Told::Wrote(original)));
                told.push((at + 1 + repost_after, Told::Wrote(again)));
            } else {
                let said = person(at, number as u64 + 1, &text);
                canonical.insert(said.id);
                told.push((at, Told::Wrote(said)));
            }
        }
        let shifts = prop::collection::vec((0..2_000u64, any::<bool>()), told.len());
        let told = shifts.prop_map(move |shifts| {
            let mut shifted = Vec::new();
            for ((at, told), (shift, twice)) in told.iter().zip(shifts) {
                shifted.push((at + shift, told.clone()));
                if twice {
                    shifted.push((at + shift * 2, told.clone()));
                }
            }
            shifted.sort_by_key(|(at, _)| *at);
            shifted
        });
        (told, Just(canonical))
    })
}

proptest! {
    #[test]
    fn everything_counts_once((told, canonical) in evening(), has_proxies in any::<bool>()) {
        let start = Instant::now();
        let mut waiting = Waiting::new(HOLDS);
        let (mut story, mut ever) = (BTreeSet::new(), BTreeSet::new());
        let mut perform = |step: Step| match step {
            Step::Accept { said, instead_of } => {
                if let Some(original) = instead_of {
                    story.remove(&original);
                }
                if ever.insert(said.id) {
                    story.insert(said.id);
                }
            }
            Step::Remove(id) => {
                story.remove(&id);
            }
            Step::Change { .. } => {}
        };
        for (at, told) in told {
            let now = start + ms(at);
            while let Some(step) = waiting.due(now) {
                perform(step);
            }
            match told {
                Told::Wrote(said) => waiting.arrive(said, has_proxies, now),
                Told::Deleted(id) => {
                    if let Some(step) = waiting.delete(id, now) {
                        perform(step);
                    }
                }
            }
        }
        for step in rest(&mut waiting, start + ms(60_000)) {
            perform(step);
        }
        prop_assert_eq!(story, canonical);
    }
}
