//! What lasts from turn to turn.

use super::*;

/// Asks at every number of turns, each message saying what it is given, and hands the
/// effects on.
fn over_turns(entry: LoreEntry, messages: &[&str]) -> Vec<bool> {
    let lore = lore(vec![book(vec![entry])]);
    let mut effects = TimedEffects::default();
    let mut fired = Vec::new();
    for len in 1..=messages.len() {
        let story = Story { effects, ..Story::new(&messages[..len]) };
        let story = story.with(|settings| settings.scan_depth = 1);
        let activation = story.activate(&lore);
        fired.push(!activation.fired.is_empty());
        effects = activation.effects;
    }
    fired
}

#[test]
fn it_stays_after_its_key_is_gone() {
    let stays = LoreEntry { sticky: 3, ..entry("a", &["elf"]) };
    assert_eq!(over_turns(stays, &["x", "elf", "x", "x", "x"]), [false, true, true, true, false]);
}

#[test]
fn it_rests_although_its_key_is_there() {
    let rests = LoreEntry { cooldown: 3, ..entry("a", &["elf"]) };
    assert_eq!(over_turns(rests, &["elf"; 5]), [true, false, false, true, false]);
}

#[test]
fn it_rests_after_it_stayed() {
    let both = LoreEntry { sticky: 2, cooldown: 2, ..entry("a", &["elf"]) };
    assert_eq!(
        over_turns(both, &["elf", "x", "elf", "elf", "elf"]),
        [true, true, false, false, true]
    );
}

#[test]
fn it_waits_for_its_turns() {
    let waits = LoreEntry { delay: 3, ..entry("a", &["elf"]) };
    assert_eq!(over_turns(waits.clone(), &["elf"; 4]), [false, false, true, true]);
    let reason = Story::new(&["elf"]).reason(waits);
    assert_eq!(reason, Some(NotFired::Delay { turns_left: 2 }));
}

#[test]
fn a_swipe_does_not_see_what_the_first_text_left() {
    let rests = LoreEntry { cooldown: 9, ..entry("a", &["elf"]) };
    let lore = lore(vec![book(vec![rests])]);
    let effects = Story::new(&["elf"]).activate(&lore).effects;
    let swipe = Story { effects: effects.clone(), ..Story::new(&["elf"]) };
    assert_eq!(swipe.activate(&lore).fired.len(), 1);
    let next = Story { effects, ..Story::new(&["elf", "elf"]) };
    let activation = next.activate(&lore);
    assert_eq!(reason_of(&activation, "a"), Some(&NotFired::Cooldown { turns_left: 8 }));
}

#[test]
fn what_stays_passes_recursion_flags() {
    let stays = LoreEntry { sticky: 5, delay_until_recursion: Some(1), ..entry("a", &["elf"]) };
    let lore = lore(vec![book(vec![stays, entry("b", &["elf"])])]);
    let effects = Story::new(&["elf"]).activate(&lore).effects;
    let story = Story { effects, ..Story::new(&["elf", "x"]) };
    let story = story.with(|settings| settings.scan_depth = 1);
    assert_eq!(uids(&story.activate(&lore)), ["a"]);
}

#[test]
fn entries_of_one_uid_are_told_apart() {
    let stays = |key| LoreEntry { sticky: 5, content: format!("({key})"), ..entry("a", &[key]) };
    let lore = lore(vec![book(vec![stays("elf"), stays("orc")])]);
    let effects = Story::new(&["orc"]).activate(&lore).effects;
    let story = Story { effects, ..Story::new(&["orc", "x"]) };
    let story = story.with(|settings| settings.scan_depth = 1);
    let activation = story.activate(&lore);
    assert_eq!(activation.fired[0].content, "(orc)");
    assert_eq!(activation.fired.len(), 1);
}
