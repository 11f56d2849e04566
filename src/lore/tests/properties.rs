//! Random books: the fast way equals the plain one, and nothing depends on chance.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::SecondaryLogic;

const WORDS: [&str; 24] = [
    "elf",
    "Elf",
    "self",
    "selfless",
    "red",
    "red dragon",
    "dragon",
    "a",
    "aa",
    "aaa",
    "ab",
    "größe",
    "gr",
    "ÉLAN",
    "élan",
    "ΟΔΟΣ",
    "οδος",
    "İ",
    "i",
    "北京",
    "京",
    "-",
    "a_b",
    "😀",
];
const REGEXES: [&str; 12] = [
    "/elf/i",
    "/\\bgr\\b/",
    "/a+b?/",
    "/(a|b)\\1/",
    "/red[^]*elf/",
    "/elf(?!less)/",
    "/^\\x01Ana: a/m",
    "/[a-c]{3}/",
    "/京$/",
    "/(/",
    "/dragon|größe/gi",
    "/ΟΔ/i",
];

/// A text of the words, close together or apart.
fn text() -> impl Strategy<Value = String> {
    let part = (select(WORDS.to_vec()), select(vec!["", " ", " ", ". ", "\n", "-"]));
    vec(part, 0..8)
        .prop_map(|parts| parts.iter().map(|(word, gap)| format!("{word}{gap}")).collect())
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(WORDS.to_vec()).prop_map(str::to_owned),
        2 => select(REGEXES.to_vec()).prop_map(str::to_owned),
        1 => text(),
        1 => select(vec!["", " ", " elf ", "*", "."]).prop_map(str::to_owned),
    ]
}

fn random_entry() -> impl Strategy<Value = LoreEntry> {
    use SecondaryLogic::{AndAll, AndAny, NotAll, NotAny};
    let keys = (vec(key(), 0..4), vec(key(), 0..3), select(vec![AndAny, NotAll, NotAny, AndAll]));
    let flags = (any::<bool>(), prop::bool::weighted(0.05), any::<bool>(), any::<bool>());
    let own = (of(any::<bool>()), of(any::<bool>()), of(0..4_usize), 0..3_i64);
    (keys, flags, own, text()).prop_map(|(keys, flags, own, content)| LoreEntry {
        keys: keys.0,
        secondary_keys: keys.1,
        logic: keys.2,
        selective: flags.0,
        constant: flags.1,
        exclude_recursion: flags.2,
        prevent_recursion: flags.3,
        case_sensitive: own.0,
        match_whole_words: own.1,
        scan_depth: own.2,
        order: own.3,
        content,
        ..LoreEntry::default()
    })
}

/// Entries that are told apart by uid and by what they say.
fn random_entries() -> impl Strategy<Value = Vec<LoreEntry>> {
    vec(random_entry(), 0..12).prop_map(|mut entries| {
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.uid = at.to_string();
            entry.content = format!("({at}) {}", entry.content);
        }
        entries
    })
}

fn random_settings() -> impl Strategy<Value = LoreSettings> {
    (0..5_usize, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(scan_depth, recursive, case_sensitive, match_whole_words)| LoreSettings {
            scan_depth,
            recursive,
            case_sensitive,
            match_whole_words,
            budget_percent: 100,
            ..LoreSettings::default()
        },
    )
}

/// Timed, grouped and unlucky entries.
fn lasting(mut entries: Vec<LoreEntry>) -> Vec<LoreEntry> {
    for (at, entry) in entries.iter_mut().enumerate() {
        (entry.sticky, entry.cooldown) = (at % 3, at % 4);
        entry.groups = vec![["g", "h", ""][at % 3].to_owned()];
        entry.probability = [100.0, 50.0][at % 2];
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_fast_way_equals_the_plain_one(
        entries in random_entries(),
        messages in vec(text(), 0..6),
        settings in random_settings(),
    ) {
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let expected = reference::fires(&entries, &messages, &settings);
        let story = Story { settings, context_tokens: 1_000_000, ..Story::new(&messages) };
        prop_assert_eq!(story.fires(entries), expected);
    }

    #[test]
    fn the_same_inputs_give_the_same_activation(
        entries in random_entries(),
        messages in vec(text(), 0..6),
        seed in any::<u64>(),
    ) {
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let entries = lasting(entries);
        let (one, other) = (lore(vec![book(entries.clone())]), lore(vec![book(entries)]));
        let story = Story { seed, ..Story::new(&messages) };
        let first = story.activate(&one);
        prop_assert_eq!(&first, &story.activate(&one));
        prop_assert_eq!(&first, &story.activate(&other));
    }

    #[test]
    fn every_entry_is_told_or_has_a_reason_and_the_budget_holds(
        entries in random_entries(),
        messages in vec(text(), 0..6),
        cap in 1..30_usize,
    ) {
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let lore = lore(vec![book(lasting(entries.clone()))]);
        let story = Story::new(&messages).with(|settings| settings.budget_cap_tokens = Some(cap));
        let activation = story.activate(&lore);
        prop_assert_eq!(activation.fired.len() + activation.not_fired.len(), entries.len());
        prop_assert!(activation.num_tokens < cap);
        let sum: usize = activation.fired.iter().map(|fired| fired.num_tokens).sum();
        prop_assert_eq!(sum, activation.num_tokens);
        for group in ["g", "h"] {
            let of_group = |fired: &&FiredEntry<'_>| fired.entry.groups[0] == group;
            prop_assert!(activation.fired.iter().filter(of_group).count() <= 1);
        }
    }

    #[test]
    fn nothing_panics_whatever_a_book_holds(
        keys in vec(any::<String>(), 0..5),
        regex in "/[/()\\[\\]{}*+?|\\\\^$.,:=!<>a-c0-9bBdDwWsSkpux-]{1,30}/[gimsuy]{0,2}",
        content in "(@@@?[a-z_]{1,12} ?[a-z0-9,-]{0,6}\n){0,4}.{0,20}",
        text in any::<String>(),
    ) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).chain([regex.as_str()]).collect();
        let plain = LoreEntry { content: content.clone(), ..entry("a", &keys) };
        let use_regex = LoreEntry { use_regex: true, content, ..entry("b", &keys) };
        let activation_of = |lore: &Lore| Story::new(&[&text, "b"]).activate(lore).num_rounds;
        activation_of(&lore(vec![book(vec![plain, use_regex, entry("c", &["b"])])]));
    }
}
