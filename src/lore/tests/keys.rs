//! What counts as a key that was found.

use super::*;
use crate::domain::SecondaryLogic;

fn finds(key: &str, text: &str) -> bool {
    Story::new(&[text]).reason(entry("a", &[key])).is_none()
}

#[test]
fn a_key_is_found_in_any_letter_case() {
    assert!(finds("ELF", "an elf") && finds("größe", "GRÖẞE".to_lowercase().as_str()));
    assert!(finds("élan", "ÉLAN") && finds("οδος", "ΟΔΟΣ"));
}

#[test]
fn letter_case_counts_where_asked_for() {
    let asks = |own| LoreEntry { case_sensitive: own, ..entry("a", &["Elf"]) };
    let story = Story::new(&["an elf"]);
    let strict = story.clone().with(|settings| settings.case_sensitive = true);
    assert_eq!(story.reason(asks(Some(true))), Some(NotFired::NoKey));
    assert_eq!(strict.reason(asks(None)), Some(NotFired::NoKey));
    assert_eq!(strict.reason(asks(Some(false))), None, "the entry's own word counts");
    assert_eq!(Story::new(&["an Elf"]).reason(asks(Some(true))), None);
}

#[test]
fn one_word_must_stand_alone() {
    assert!(!finds("elf", "myself") && !finds("elf", "elf_5") && finds("elf", "'elf'"));
    assert!(finds("elf", "selfless elf"), "a later place counts");
    assert!(finds("gr", "größe"), "words are of ASCII");
    assert!(finds("*", "a * b") && !finds("-", "a-b"), "signs are words too");
}

#[test]
fn several_words_may_stand_within_others() {
    assert!(finds("red dragon", "a hundred dragons"));
}

#[test]
fn within_words_where_asked_for() {
    let asks = |own| LoreEntry { match_whole_words: own, ..entry("a", &["elf"]) };
    let story = Story::new(&["myself"]);
    let loose = story.clone().with(|settings| settings.match_whole_words = false);
    assert_eq!(story.reason(asks(Some(false))), None);
    assert_eq!(loose.reason(asks(None)), None);
    assert_eq!(loose.reason(asks(Some(true))), Some(NotFired::NoKey));
}

#[test]
fn keys_are_trimmed_and_the_empty_is_never_found() {
    assert!(finds("  elf\u{a0}", "elf"));
    assert_eq!(Story::new(&["x"]).reason(entry("a", &[" ", ""])), Some(NotFired::Keyless));
    assert_eq!(Story::new(&["x"]).reason(entry("a", &[])), Some(NotFired::Keyless));
}

#[test]
fn placeholders_in_keys_are_replaced() {
    assert!(finds("{{char}}", "hello Mira") && finds("/^\\x01{{user}}: hi/", "hi"));
    assert!(!finds("{{char}}", "hello Bob"));
}

#[test]
fn slashes_make_regular_expressions() {
    assert!(finds("/drag(on|ins?)/i", "DRAGIN") && !finds("/dragon/", "DRAGON"));
    assert!(finds("/elf/", "myself"), "they know nothing of whole words");
    assert!(finds("/usr/bin", "see /usr/bin there"), "that is none");
}

#[test]
fn regular_expressions_reach_across_messages_and_name_speakers() {
    let story = Story::new(&["the king", "the queen"]);
    assert_eq!(story.reason(entry("a", &["/queen[^]*king/"])), None, "the newest comes first");
    assert_eq!(story.reason(entry("a", &["/\\x01Ana: the q/"])), None);
    assert_eq!(story.reason(entry("a", &["/king[^]*queen/"])), Some(NotFired::NoKey));
}

#[test]
fn an_invalid_regular_expression_is_told_and_matches_nothing() {
    let lore = lore(vec![book(vec![entry("a", &["/(/"]), entry("b", &["/(/", "elf"])])]);
    let activation = Story::new(&["/(/ elf"]).activate(&lore);
    assert_eq!(uids(&activation), ["b"]);
    assert_eq!(reason_of(&activation, "a"), Some(&NotFired::InvalidRegex));
    assert_eq!(lore.findings().len(), 2);
    assert_eq!(
        lore.findings()[0].problem.to_string(),
        "the key \"/(/\" matches nothing: a group is not closed"
    );
}

#[test]
fn with_use_regex_all_keys_are_regular_expressions() {
    let asks = |keys: &[&str]| LoreEntry { use_regex: true, ..entry("a", keys) };
    let story = Story::new(&["dragons"]);
    assert_eq!(story.reason(asks(&["d.*n"])), None);
    assert_eq!(story.reason(asks(&["d.*n", "("])), Some(NotFired::InvalidRegex), "all must do");
    let secondary = LoreEntry {
        selective: true,
        secondary_keys: vec!["missing".to_owned()],
        constant: true,
        ..asks(&["d.*n"])
    };
    assert_eq!(story.reason(secondary.clone()), None, "secondary keys do not count");
    let elsewhere = Story::new(&["elf"]).reason(secondary);
    assert_eq!(elsewhere, Some(NotFired::NoKey), "nor does being constant");
}

#[test]
fn secondary_keys_count_by_their_logic() {
    use SecondaryLogic::{AndAll, AndAny, NotAll, NotAny};
    let fires = |logic, text: &str| {
        let asks = LoreEntry {
            selective: true,
            secondary_keys: vec!["red".to_owned(), "old".to_owned()],
            logic,
            ..entry("a", &["elf"])
        };
        Story::new(&[text]).reason(asks).is_none()
    };
    let texts = ["elf", "elf red", "elf red old", "red old"];
    let expected = [
        (AndAny, [false, true, true, false]),
        (NotAll, [true, true, false, false]),
        (NotAny, [true, false, false, false]),
        (AndAll, [false, false, true, false]),
    ];
    for (logic, row) in expected {
        assert_eq!(texts.map(|text| fires(logic, text)), row, "{logic:?}");
    }
}

#[test]
fn secondary_keys_count_only_where_selective() {
    let asks = |selective| LoreEntry {
        selective,
        secondary_keys: vec!["red".to_owned()],
        ..entry("a", &["elf"])
    };
    let story = Story::new(&["elf"]);
    assert_eq!(story.reason(asks(false)), None);
    let missed = NotFired::Secondary { key: "elf".to_owned(), logic: SecondaryLogic::AndAny };
    assert_eq!(story.reason(asks(true)), Some(missed));
}

#[test]
fn the_key_that_fired_is_told() {
    let asks = LoreEntry {
        selective: true,
        secondary_keys: vec!["old".to_owned(), "red".to_owned()],
        ..entry("a", &["orc", "elf"])
    };
    let lore = lore(vec![book(vec![asks])]);
    let activation = Story::new(&["a red elf"]).activate(&lore);
    let cause = Cause::Key { key: "elf".to_owned(), secondary: Some("red".to_owned()) };
    assert_eq!(activation.fired[0].cause, cause);
    assert_eq!(cause.to_string(), "key \"elf\" with \"red\"");
}

#[test]
fn depth_is_the_entrys_or_the_books_or_the_houses() {
    let story = Story::new(&["elf", "orc", "imp"]);
    let fires = |own, books, key: &str| {
        let asks = LoreEntry { scan_depth: own, ..entry("a", &[key]) };
        let book = Lorebook { scan_depth: books, ..book(vec![asks]) };
        story.activate(&lore(vec![book])).fired.len() == 1
    };
    assert!(fires(None, None, "orc") && !fires(None, None, "elf"), "the house's is 2");
    assert!(fires(None, Some(3), "elf") && !fires(None, Some(1), "orc"));
    assert!(fires(Some(3), Some(1), "elf") && !fires(Some(0), Some(3), "imp"));
}

#[test]
fn names_are_scanned_where_asked_for() {
    let story = Story::new(&["hello"]);
    assert_eq!(story.reason(entry("a", &["Ana"])), None);
    let nameless = story.with(|settings| settings.include_names = false);
    assert_eq!(nameless.reason(entry("a", &["Ana"])), Some(NotFired::NoKey));
}

#[test]
fn what_is_scanned_beside_the_messages_counts() {
    let story = Story { extras: vec!["an elf".to_owned()], ..Story::new(&["hello"]) };
    assert_eq!(story.reason(entry("a", &["elf"])), None);
    assert_eq!(story.reason(entry("a", &["/hello\\n\\x01an elf/"])), None);
}

#[test]
fn older_messages_are_scanned_until_enough_fires() {
    let entries = || vec![entry("a", &["elf"]), entry("b", &["orc"]), entry("c", &["imp"])];
    let story = Story::new(&["imp", "orc", "x", "elf", "y"]);
    assert_eq!(story.fires(entries()), ["a"]);
    let two = story.clone().with(|settings| settings.min_activations = 2);
    assert_eq!(two.fires(entries()), ["b", "a"], "later found, earlier told");
    let all = story.with(|settings| settings.min_activations = 9);
    assert_eq!(all.fires(entries()), ["c", "b", "a"]);
    let near = all.with(|settings| settings.min_activations_max_depth = 3);
    assert_eq!(near.fires(entries()), ["b", "a"]);
}
