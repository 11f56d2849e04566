//! Books that mean harm: they cost a bounded time and do none to their neighbours.
//!
//! The bounds are for a build without optimisation on a busy machine.

use std::time::{Duration, Instant};

use super::*;
use crate::lore::javascript::RegexError;

/// What fires within the time.
fn fires_within(seconds: u64, story: &Story, entries: Vec<LoreEntry>) -> Vec<String> {
    let start = Instant::now();
    let fired = story.fires(entries);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(seconds), "{took:?}");
    fired
}

#[test]
fn catastrophic_regular_expressions() {
    let text = "a".repeat(1_000_000) + "!";
    let bomb = |at: usize| {
        let patterns = ["/(a+)+$/", "/(a|aa)+(?=!)b/", "/(a*)*\\1b/", "/(?=(a+)+b)x/"];
        let key = patterns[at % 4].replace('b', &"b".repeat(at + 1));
        entry(&format!("bomb{at}"), &[&key])
    };
    let mut entries: Vec<LoreEntry> = (0..200).map(bomb).collect();
    entries.push(entry("a", &["/!$/"]));
    let story = Story::new(&[&text]);
    let lore = lore(vec![book(entries.clone())]);
    assert_eq!(fires_within(20, &story, entries), ["a"]);
    assert!(story.activate(&lore).num_regexes_given_up > 0);
}

#[test]
fn ten_thousand_entries_and_a_megabyte() {
    let entries = (0..10_000)
        .map(|at| entry(&at.to_string(), &[&format!("key{at}"), "k", &format!("e{at} f")]))
        .collect();
    let text = "key key1 e5 fe7 f ".repeat(60_000);
    let mut fired = fires_within(20, &Story::new(&[&text]), entries);
    fired.sort_unstable();
    assert_eq!(fired, ["1", "5", "7"]);
}

#[test]
fn keys_within_one_another() {
    let entries = (1..2_000)
        .map(|len| entry(&len.to_string(), &[&"a".repeat(len), &"-a".repeat(len % 500 + 1)]))
        .collect();
    let text = "a".repeat(300_000) + &"-a".repeat(100_000);
    let story = Story::new(&[&text]);
    fires_within(20, &story, entries);
}

#[test]
fn a_long_chain_of_recursion() {
    let link = |at: usize| LoreEntry {
        content: format!("key{}.", at + 1),
        ignore_budget: true,
        ..entry(&at.to_string(), &[&format!("key{at}.")])
    };
    let fired = fires_within(30, &Story::new(&["key0."]), (0..5_000).map(link).collect());
    assert_eq!(fired.len(), 1_000, "it ends after so many rounds");
}

#[test]
fn too_many_regular_expressions() {
    let entries: Vec<LoreEntry> =
        (0..6_000).map(|at| entry(&at.to_string(), &[&format!("/a{at}b?;/")])).collect();
    let start = Instant::now();
    let lore = lore(vec![book(entries)]);
    let too_many = lore.findings().iter().filter(|finding| {
        matches!(&finding.problem, LoreProblem::InvalidRegex { error: RegexError::TooMany, .. })
    });
    assert_eq!(too_many.count(), 2_000);
    assert_eq!(uids(&Story::new(&["a17; a5999;"]).activate(&lore)), ["17"]);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn large_regular_expressions_are_refused_together() {
    let pattern = |at: usize| format!("/{at}(?:[a-z]{{30}}){{100}}/");
    let entries: Vec<LoreEntry> =
        (0..300).map(|at| entry(&at.to_string(), &[&pattern(at)])).collect();
    let start = Instant::now();
    let lore = lore(vec![book(entries)]);
    assert!(lore.findings().len() > 150, "{}", lore.findings().len());
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn keys_that_match_everything_or_nothing() {
    let entries = vec![
        entry("all", &["/^/"]),
        entry("any", &["/(?:)/"]),
        entry("none", &["/[]/"]),
        entry("never", &["/(?!)/"]),
        entry("blank", &["\u{feff} "]),
    ];
    let mut fired = Story::new(&["x"]).fires(entries);
    fired.sort_unstable();
    assert_eq!(fired, ["all", "any"]);
}

#[test]
fn numbers_beyond_all_bounds() {
    let huge = LoreEntry {
        scan_depth: Some(usize::MAX),
        sticky: usize::MAX,
        cooldown: usize::MAX,
        order: i64::MIN,
        priority: Some(i64::MAX),
        group_weight: u32::MAX,
        groups: vec!["g".to_owned(); 3],
        probability: f32::NAN,
        ..entry("a", &["elf"])
    };
    let other = LoreEntry { probability: f32::INFINITY, ..huge.clone() };
    let story = Story { num_turns: usize::MAX, ..Story::new(&["elf"]) }.with(|settings| {
        settings.scan_depth = usize::MAX;
        settings.min_activations = usize::MAX;
        settings.budget_percent = u32::MAX;
    });
    let story = Story { context_tokens: usize::MAX, ..story };
    assert!(story.fires(vec![huge, LoreEntry { uid: "b".to_owned(), ..other }]).len() <= 1);
}

#[test]
fn many_decorators() {
    let content = "@@depth x\n@@@role y\n".repeat(50_000) + "(text)";
    let lore = lore(vec![book(vec![LoreEntry { content, ..constant("a") }])]);
    assert_eq!(Story::new(&["x"]).activate(&lore).fired[0].content, "(text)");
}
