//! Whose books take part, for whom, and in which order.

use super::*;
use crate::domain::CharacterFilter;

fn source(scope: LoreScope, id: &str, entries: Vec<LoreEntry>) -> LoreSource {
    LoreSource { scope, id: id.to_owned(), book: book(entries) }
}

fn of_character(name: &str) -> LoreScope {
    LoreScope::Character { name: name.to_owned() }
}

fn ordered(uid: &str, order: i64) -> LoreEntry {
    LoreEntry { order, ..constant(uid) }
}

#[test]
fn the_scenes_book_is_asked_first_then_the_personas_the_characters_and_the_guilds() {
    let lore = Lore::new(vec![
        source(LoreScope::Guild, "g", vec![ordered("guild", 900)]),
        source(of_character("Mira"), "c", vec![ordered("character", 1), ordered("higher", 2)]),
        source(LoreScope::Persona, "p", vec![ordered("persona", 1)]),
        source(LoreScope::Scene, "s", vec![ordered("scene", 1)]),
    ]);
    let one_less = |tokens| Story::new(&["x"]).with(|s| s.budget_cap_tokens = Some(tokens));
    let fired = |tokens| {
        let mut fired = uids(&one_less(tokens).activate(&lore));
        fired.sort_unstable();
        fired
    };
    assert_eq!(fired(2), ["scene"]);
    assert_eq!(fired(3), ["persona", "scene"]);
    assert_eq!(fired(4), ["higher", "persona", "scene"], "within a scope by order");
    assert_eq!(fired(5), ["character", "higher", "persona", "scene"]);
}

#[test]
fn what_is_told_ascends_whatever_the_scope() {
    let lore = Lore::new(vec![
        source(LoreScope::Scene, "s", vec![ordered("b", 2), ordered("d", 4)]),
        source(LoreScope::Guild, "g", vec![ordered("c", 3), ordered("a", 1)]),
    ]);
    assert_eq!(uids(&Story::new(&["x"]).activate(&lore)), ["a", "b", "c", "d"]);
}

#[test]
fn of_equals_the_one_that_fired_last_stands_first() {
    let entries = vec![constant("a"), constant("b"), constant("c")];
    assert_eq!(Story::new(&["x"]).fires(entries), ["c", "b", "a"]);
}

#[test]
fn a_characters_book_is_for_its_character() {
    let lore = Lore::new(vec![source(of_character("Bob"), "c", vec![constant("a")])]);
    let activation = Story::new(&["x"]).activate(&lore);
    assert_eq!(reason_of(&activation, "a"), Some(&NotFired::CharacterFilter));
    let story = Story { character: "bob".to_owned(), ..Story::new(&["x"]) };
    assert_eq!(story.activate(&lore).fired.len(), 1);
}

#[test]
fn filters_take_names_and_tags() {
    let fires = |names: &[&str], tags: &[&str], is_exclude| {
        let own = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        let filter = CharacterFilter { names: own(names), tags: own(tags), is_exclude };
        let asks = LoreEntry { character_filter: Some(filter), ..constant("a") };
        Story { tags: vec!["Elf".to_owned()], ..Story::new(&["x"]) }.reason(asks).is_none()
    };
    assert!(fires(&[], &[], false) && fires(&[], &[], true));
    assert!(fires(&["mira", "Bob"], &[], false) && !fires(&["Bob"], &[], false));
    assert!(!fires(&["Mira"], &[], true) && fires(&["Bob"], &[], true));
    assert!(fires(&[], &["elf"], false) && !fires(&[], &["orc"], false));
    assert!(!fires(&[], &["elf"], true) && fires(&[], &["orc"], true));
    assert!(!fires(&["Mira"], &["orc"], false), "both must let it through");
}

#[test]
fn entries_may_be_for_some_kinds_of_reply() {
    let asks = LoreEntry { triggers: vec!["swipe".to_owned()], ..constant("a") };
    let story = Story::new(&["x"]);
    assert_eq!(story.reason(asks.clone()), Some(NotFired::Trigger));
    let swipe = Story { trigger: "swipe".to_owned(), ..story };
    assert_eq!(swipe.reason(asks), None);
}

#[test]
fn the_disabled_never_fire() {
    let asks = LoreEntry { enabled: false, content: "@@activate\nx".to_owned(), ..constant("a") };
    assert_eq!(Story::new(&["x"]).reason(asks), Some(NotFired::Disabled));
}

#[test]
fn every_entry_is_accounted_for() {
    let lore = Lore::new(vec![
        source(LoreScope::Scene, "s", vec![constant("a"), entry("b", &["elf"])]),
        source(LoreScope::Guild, "g", vec![entry("c", &["orc"])]),
    ]);
    let activation = Story::new(&["an elf"]).activate(&lore);
    assert_eq!((activation.fired.len(), activation.not_fired.len()), (2, 1));
    assert_eq!(activation.not_fired[0].source.id, "g");
}

#[test]
fn no_books_and_no_messages_are_fine() {
    assert!(Story::new(&["x"]).activate(&Lore::new(vec![])).fired.is_empty());
    assert_eq!(Story::new(&[]).fires(vec![constant("a"), entry("b", &["x"])]), ["a"]);
}

#[test]
fn lore_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Lore>();
}
