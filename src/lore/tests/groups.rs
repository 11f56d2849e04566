//! Of a group a single entry is told.

use std::collections::BTreeMap;

use super::*;
use crate::domain::SecondaryLogic;

fn grouped(uid: &str, keys: &[&str]) -> LoreEntry {
    LoreEntry { groups: vec!["weather".to_owned()], ..entry(uid, keys) }
}

/// How often each entry won, over many seeds.
fn wins(entries: &[LoreEntry]) -> BTreeMap<String, usize> {
    let lore = lore(vec![book(entries.to_vec())]);
    let mut wins = BTreeMap::new();
    for seed in 0..1_000 {
        let activation = Story { seed, ..Story::new(&["sky"]) }.activate(&lore);
        assert_eq!(activation.fired.len(), 1);
        *wins.entry(activation.fired[0].entry.uid.clone()).or_default() += 1;
    }
    wins
}

#[test]
fn one_wins_by_lot_as_likely_as_its_weight() {
    let weighs = |uid, group_weight| LoreEntry { group_weight, ..grouped(uid, &["sky"]) };
    let wins = wins(&[weighs("rain", 100), weighs("snow", 300), weighs("hail", 0)]);
    assert!((200..300).contains(&wins["rain"]), "{wins:?}");
    assert!(wins.len() == 2 && wins["rain"] + wins["snow"] == 1_000, "{wins:?}");
}

#[test]
fn the_loser_knows_to_whom() {
    let entries = vec![
        LoreEntry { group_override: true, name: "Rain".to_owned(), ..grouped("rain", &["sky"]) },
        grouped("snow", &["sky"]),
    ];
    let lore = lore(vec![book(entries)]);
    let activation = Story::new(&["sky"]).activate(&lore);
    let lost = reason_of(&activation, "snow").unwrap();
    assert_eq!(lost.to_string(), "lost to \"Rain\" in the group \"weather\"");
}

#[test]
fn the_highest_that_asks_for_it_wins() {
    let asks =
        |uid, order, group_override| LoreEntry { order, group_override, ..grouped(uid, &["sky"]) };
    let wins = wins(&[asks("rain", 1, true), asks("snow", 2, true), asks("hail", 3, false)]);
    assert_eq!(wins.keys().collect::<Vec<_>>(), ["snow"]);
}

#[test]
fn the_most_keys_win_where_scores_count() {
    let entries = || vec![grouped("rain", &["sky"]), grouped("snow", &["sky", "cold"])];
    let story = Story::new(&["cold sky"]).with(|settings| settings.use_group_scoring = true);
    for seed in 0..20 {
        assert_eq!(Story { seed, ..story.clone() }.fires(entries()), ["snow"]);
    }
    let mut own = entries();
    own[0].use_group_scoring = Some(true);
    for seed in 0..20 {
        assert_eq!(Story { seed, ..Story::new(&["cold sky"]) }.fires(own.clone()), ["snow"]);
    }
}

#[test]
fn an_entry_may_refuse_to_be_scored() {
    let refuses = LoreEntry { use_group_scoring: Some(false), ..grouped("rain", &["sky"]) };
    let story = Story::new(&["cold sky"]).with(|settings| settings.use_group_scoring = true);
    let fired = |seed| {
        let entries = vec![refuses.clone(), grouped("snow", &["sky", "cold"])];
        Story { seed, ..story.clone() }.fires(entries)
    };
    assert!((0..20).any(|seed| fired(seed) == ["rain"]), "it stays in the lot");
}

#[test]
fn secondary_keys_score_where_they_must_be_there() {
    let scores = |logic, secondary: &[&str]| {
        let best = LoreEntry {
            selective: true,
            secondary_keys: secondary.iter().map(|key| (*key).to_owned()).collect(),
            logic,
            ..grouped("rain", &["sky"])
        };
        let entries = vec![best, grouped("snow", &["sky"])];
        let story = Story::new(&["cold sky"]).with(|settings| settings.use_group_scoring = true);
        (0..20).all(|seed| Story { seed, ..story.clone() }.fires(entries.clone()) == ["rain"])
    };
    assert!(scores(SecondaryLogic::AndAny, &["cold", "warm"]));
    assert!(scores(SecondaryLogic::AndAll, &["cold"]));
    assert!(!scores(SecondaryLogic::NotAll, &["cold", "warm"]));
    assert!(!scores(SecondaryLogic::NotAny, &["warm"]));
}

#[test]
fn what_fired_in_an_earlier_round_keeps_the_group() {
    let entries = vec![
        LoreEntry { content: "snow falls".to_owned(), ..grouped("rain", &["sky"]) },
        grouped("snow", &["snow"]),
    ];
    assert_eq!(Story::new(&["sky"]).fires(entries), ["rain"]);
}

#[test]
fn what_stays_wins() {
    let entries =
        vec![LoreEntry { sticky: 3, ..grouped("rain", &["rain"]) }, grouped("snow", &["sky"])];
    let lore = lore(vec![book(entries)]);
    let first = Story::new(&["rain"]).activate(&lore);
    for seed in 0..20 {
        let effects = first.effects.clone();
        let story = Story { seed, effects, ..Story::new(&["rain", "a", "the sky"]) };
        assert_eq!(uids(&story.activate(&lore)), ["rain"]);
    }
}

#[test]
fn what_stays_wins_although_its_rest_runs_too() {
    let lasts = LoreEntry { sticky: 3, cooldown: 3, ..grouped("rain", &["rain"]) };
    let lore = lore(vec![book(vec![lasts, grouped("snow", &["sky"])])]);
    let effects = Story::new(&["rain"]).activate(&lore).effects;
    let story = Story { effects, ..Story::new(&["rain", "the sky"]) };
    assert_eq!(uids(&story.activate(&lore)), ["rain"]);
}

#[test]
fn an_entry_of_two_groups_must_win_both_and_harms_nobody_else() {
    let both = LoreEntry {
        groups: vec!["weather".to_owned(), "season".to_owned()],
        ..entry("both", &["sky"])
    };
    let wins = |uid, group: &str| LoreEntry {
        groups: vec![group.to_owned()],
        group_override: true,
        ..entry(uid, &["sky"])
    };
    let entries =
        vec![both, wins("a", "weather"), wins("b", "season"), entry("bystander", &["sky"])];
    let mut fired = Story::new(&["sky"]).fires(entries);
    fired.sort_unstable();
    assert_eq!(fired, ["a", "b", "bystander"]);
}

#[test]
fn an_empty_entry_can_win_and_then_nothing_is_told() {
    let empty =
        LoreEntry { content: String::new(), group_override: true, ..grouped("none", &["sky"]) };
    let lore = lore(vec![book(vec![empty, grouped("rain", &["sky"])])]);
    let activation = Story::new(&["sky"]).activate(&lore);
    assert!(activation.fired.is_empty());
    assert_eq!(reason_of(&activation, "none"), Some(&NotFired::Empty));
}
