//! What fired may fire others.

use super::*;

fn says(uid: &str, keys: &[&str], content: &str) -> LoreEntry {
    LoreEntry { content: content.to_owned(), ..entry(uid, keys) }
}

/// An elf who knows an orc who knows an imp.
fn chain() -> Vec<LoreEntry> {
    vec![
        says("elf", &["elf"], "knows the orc"),
        says("orc", &["orc"], "knows the imp"),
        says("imp", &["imp"], "knows nobody"),
    ]
}

fn sorted(mut uids: Vec<String>) -> Vec<String> {
    uids.sort_unstable();
    uids
}

#[test]
fn what_fired_fires_others() {
    let lore = lore(vec![book(chain())]);
    let activation = Story::new(&["an elf"]).activate(&lore);
    let levels: Vec<_> =
        activation.fired.iter().map(|fired| (fired.entry.uid.as_str(), fired.level)).collect();
    assert_eq!(levels, [("imp", 2), ("orc", 1), ("elf", 0)]);
    assert_eq!(activation.num_rounds, 4, "the last finds nothing");
}

#[test]
fn not_where_the_house_does_not_recurse() {
    let story = Story::new(&["an elf"]).with(|settings| settings.recursive = false);
    assert_eq!(story.fires(chain()), ["elf"]);
}

#[test]
fn a_book_speaks_for_its_entries() {
    let with = |recursive| Lorebook { recursive_scanning: Some(recursive), ..book(chain()) };
    let fired = |story: &Story, recursive| story.activate(&lore(vec![with(recursive)])).fired.len();
    let story = Story::new(&["an elf"]);
    assert_eq!(fired(&story, false), 1);
    assert_eq!(fired(&story.with(|settings| settings.recursive = false), true), 3);
}

#[test]
fn a_book_that_forbids_recursion_neither_brings_up_nor_is_brought_up() {
    let forbids = Lorebook {
        recursive_scanning: Some(false),
        ..book(vec![says("a", &["elf"], "knows the orc"), entry("c", &["imp"])])
    };
    let lore =
        lore(vec![forbids, book(vec![says("b", &["orc"], "x"), says("d", &["elf"], "imp")])]);
    assert_eq!(sorted(uids(&Story::new(&["an elf"]).activate(&lore))), ["a", "d"]);
}

#[test]
fn what_prevents_recursion_brings_up_nobody() {
    let mut entries = chain();
    entries[0].prevent_recursion = true;
    assert_eq!(Story::new(&["an elf"]).fires(entries), ["elf"]);
}

#[test]
fn what_is_excluded_fires_from_messages_alone() {
    let mut entries = chain();
    entries[1].exclude_recursion = true;
    assert_eq!(Story::new(&["an elf"]).fires(entries.clone()), ["elf"]);
    assert_eq!(Story::new(&["an orc"]).fires(entries.clone()), ["imp", "orc"]);
    let lore = lore(vec![book(entries)]);
    let activation = Story::new(&["an elf"]).activate(&lore);
    assert_eq!(reason_of(&activation, "orc"), Some(&NotFired::ExcludedFromRecursion));
    assert_eq!(reason_of(&activation, "imp"), Some(&NotFired::NoKey));
}

#[test]
fn what_waits_for_recursion_does_not_fire_at_once() {
    let mut entries = chain();
    entries[0].delay_until_recursion = Some(1);
    let lore = lore(vec![book(entries)]);
    let alone = Story::new(&["an elf"]).activate(&lore);
    assert_eq!(reason_of(&alone, "elf"), Some(&NotFired::RecursionOnly { level: 1 }));
    let with_imp = Story::new(&["an elf and an imp"]).activate(&lore);
    assert_eq!(sorted(uids(&with_imp)), ["elf", "imp", "orc"], "the imp's round lets it in");
}

#[test]
fn levels_open_one_by_one() {
    let waits =
        |uid, level| LoreEntry { delay_until_recursion: Some(level), ..entry(uid, &["elf"]) };
    let entries = vec![waits("five", 5), waits("two", 2), entry("now", &["elf"])];
    let lore = lore(vec![book(entries)]);
    let activation = Story::new(&["elf"]).activate(&lore);
    let levels: Vec<_> =
        activation.fired.iter().map(|fired| (fired.entry.uid.as_str(), fired.level)).collect();
    assert_eq!(levels, [("five", 3), ("two", 1), ("now", 0)]);
}

#[test]
fn without_recursion_no_level_opens() {
    let waits =
        |uid, level| LoreEntry { delay_until_recursion: Some(level), ..entry(uid, &["elf"]) };
    let story = Story::new(&["elf"]).with(|settings| settings.recursive = false);
    assert_eq!(story.fires(vec![waits("a", 1), waits("b", 2), entry("c", &["elf"])]), ["c"]);
}

#[test]
fn rounds_can_be_limited() {
    let story = Story::new(&["an elf"]).with(|settings| settings.max_recursion_steps = 2);
    assert_eq!(story.fires(chain()), ["orc", "elf"]);
}

#[test]
fn older_messages_do_not_meet_what_fired_at_once() {
    let fits = LoreEntry {
        selective: true,
        secondary_keys: vec!["orc".to_owned()],
        ..says("both", &["imp"], "x")
    };
    let entries = vec![says("elf", &["elf"], "knows the orc"), fits];
    let story = Story::new(&["an imp", "x", "an elf"])
        .with(|settings| (settings.scan_depth, settings.min_activations) = (1, 3));
    assert_eq!(story.fires(entries), ["both", "elf"], "a round for recursion follows");
}

#[test]
fn a_key_within_what_fired_together_is_found() {
    let entries = vec![
        LoreEntry { order: 2, ..says("a", &["elf"], "full") },
        LoreEntry { order: 1, ..says("b", &["elf"], "moon") },
        entry("c", &["/full\\nmoon/"]),
    ];
    assert_eq!(sorted(Story::new(&["elf"]).fires(entries)), ["a", "b", "c"]);
}

#[test]
fn at_depth_0_nothing_is_found() {
    let entries = vec![constant("a"), LoreEntry { scan_depth: Some(0), ..entry("b", &["a"]) }];
    assert_eq!(Story::new(&["a"]).fires(entries), ["a"]);
}
