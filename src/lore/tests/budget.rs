//! How much is told, and by what luck.

use super::*;

/// An entry of so many words.
fn sized(uid: &str, words: usize, order: i64) -> LoreEntry {
    let content = (0..words).map(|word| format!("({uid}{word}) ")).collect();
    LoreEntry { content, order, ..constant(uid) }
}

fn of(tokens: usize) -> Story {
    Story::new(&["x"]).with(|settings| settings.budget_cap_tokens = Some(tokens))
}

#[test]
fn the_budget_is_a_share_of_the_context_up_to_the_cap() {
    let settings = LoreSettings::default();
    assert_eq!(settings.budget_tokens(4_096), 1_024);
    assert_eq!(settings.budget_tokens(10), 3, "2.5 is rounded up");
    assert_eq!(settings.budget_tokens(0), 1);
    let capped = LoreSettings { budget_cap_tokens: Some(100), ..settings };
    assert_eq!((capped.budget_tokens(4_096), capped.budget_tokens(40)), (100, 10));
}

#[test]
fn the_higher_order_comes_first_and_the_first_overflow_ends_it() {
    let entries = || vec![sized("low", 1, 1), sized("mid", 5, 2), sized("high", 3, 3)];
    assert_eq!(of(10).fires(entries()), ["low", "mid", "high"]);
    assert_eq!(of(9).fires(entries()), ["mid", "high"], "the budget itself is too much");
    assert_eq!(of(8).fires(entries()), ["high"], "low would fit, but is not asked");
}

#[test]
fn what_does_not_fit_is_told_so() {
    let lore = lore(vec![book(vec![sized("low", 1, 1), sized("mid", 5, 2), sized("high", 3, 3)])]);
    let activation = of(8).activate(&lore);
    assert!(activation.is_over_budget);
    assert_eq!((activation.num_tokens, activation.budget_tokens), (3, 8));
    let reason = reason_of(&activation, "mid").unwrap();
    assert_eq!(reason.to_string(), "takes 5 tokens, but 5 are left for lore");
    assert_eq!(reason_of(&activation, "low"), Some(&NotFired::Budget { needed: 1, left: 5 }));
}

#[test]
fn an_overflow_ends_recursion() {
    let brings = LoreEntry { content: "elf".to_owned(), ..sized("a", 1, 9) };
    let entries = vec![brings, sized("b", 50, 1), entry("c", &["elf"])];
    assert_eq!(of(20).fires(entries), ["a"]);
}

#[test]
fn what_ignores_the_budget_is_told_and_counted() {
    let ignores = LoreEntry { ignore_budget: true, ..sized("must", 30, 1) };
    let entries = || vec![sized("big", 20, 3), ignores.clone(), sized("small", 1, 0)];
    assert_eq!(of(10).fires(entries()), ["must"]);
    assert_eq!(of(40).fires(entries()), ["must", "big"]);
}

#[test]
fn what_prevents_recursion_is_counted_too() {
    let prevents = LoreEntry { prevent_recursion: true, ..sized("a", 6, 9) };
    let brings = LoreEntry { content: "elf".to_owned(), ..sized("b", 1, 8) };
    let brought = LoreEntry { content: "1 2 3 4".to_owned(), ..entry("c", &["elf"]) };
    let entries = vec![prevents, brings, brought];
    assert_eq!(of(12).fires(entries.clone()).len(), 3);
    assert_eq!(of(11).fires(entries).len(), 2);
}

#[test]
fn what_stays_comes_first() {
    let stays =
        LoreEntry { sticky: 9, order: 1, content: "1 2 3".to_owned(), ..entry("a", &["elf"]) };
    let lore = lore(vec![book(vec![stays, sized("b", 3, 9)])]);
    let effects = Story::new(&["elf"]).activate(&lore).effects;
    let story = Story { messages: vec![], num_turns: 2, effects, ..of(5) };
    assert_eq!(uids(&story.activate(&lore)), ["a"]);
}

#[test]
fn a_books_own_budget_drops_the_lowest_priority() {
    let with =
        |uid: &str, words, order, priority| LoreEntry { priority, ..sized(uid, words, order) };
    let entries =
        vec![with("a", 2, 3, Some(1)), with("b", 3, 2, Some(9)), with("c", 3, 1, Some(5))];
    let fired = |budget| {
        let book = Lorebook { token_budget: Some(budget), ..book(entries.clone()) };
        uids(&Story::new(&["x"]).activate(&lore(vec![book])))
    };
    assert_eq!(fired(8), ["c", "b", "a"]);
    assert_eq!(fired(7), ["c", "b"], "the lowest goes, whatever its order");
    assert_eq!(fired(5), ["b"], "lower ones do not fill the gap");
    assert_eq!(fired(2), Vec::<String>::new());
}

#[test]
fn a_books_budget_holds_through_recursion_and_for_it_alone() {
    let brings = LoreEntry { content: "elf orc".to_owned(), ..constant("a") };
    let brought = LoreEntry { content: "1 2".to_owned(), ..entry("b", &["elf"]) };
    let own = Lorebook { token_budget: Some(3), ..book(vec![brings, brought]) };
    let other = book(vec![entry("c", &["orc"])]);
    let lore = lore(vec![own, other]);
    let activation = Story::new(&["x"]).activate(&lore);
    assert_eq!(uids(&activation), ["c", "a"]);
    let reason = reason_of(&activation, "b");
    assert_eq!(reason, Some(&NotFired::BookBudget { needed: 2, budget: 3 }));
}

#[test]
fn priority_is_the_order_where_there_is_none() {
    let entries = vec![sized("a", 2, 1), sized("b", 2, 2)];
    let book = Lorebook { token_budget: Some(3), ..book(entries) };
    assert_eq!(uids(&Story::new(&["x"]).activate(&lore(vec![book]))), ["b"]);
}

#[test]
fn luck_is_as_likely_as_it_says() {
    let asks = LoreEntry { probability: 25.0, ..constant("a") };
    let lore = lore(vec![book(vec![asks])]);
    let fired = |seed| Story { seed, ..Story::new(&["x"]) }.activate(&lore).fired.len();
    let count: usize = (0..2_000).map(fired).sum();
    assert!((400..600).contains(&count), "{count} of 2000");
}

#[test]
fn bad_luck_is_not_tried_again() {
    let unlucky = LoreEntry { probability: 50.0, ..entry("a", &["elf"]) };
    let brings = LoreEntry { content: "elf".to_owned(), ..constant("b") };
    let lore = lore(vec![book(vec![unlucky, brings])]);
    let fired = |seed| Story { seed, ..Story::new(&["elf"]) }.activate(&lore).fired.len() == 2;
    let count = (0..1_000).filter(|seed| fired(*seed)).count();
    assert!((450..550).contains(&count), "{count} of 1000 would be 750 with a second try");
}

#[test]
fn what_stays_needs_no_luck() {
    let asks = LoreEntry { probability: 50.0, sticky: 50, ..entry("a", &["elf"]) };
    let lore = lore(vec![book(vec![asks])]);
    let lucky = (0..).find(|seed| {
        !Story { seed: *seed, ..Story::new(&["elf"]) }.activate(&lore).fired.is_empty()
    });
    let effects = Story { seed: lucky.unwrap(), ..Story::new(&["elf"]) }.activate(&lore).effects;
    for seed in 0..20 {
        let story = Story { seed, effects: effects.clone(), ..Story::new(&["elf", "x"]) };
        assert_eq!(story.activate(&lore).fired.len(), 1);
    }
}

#[test]
fn the_same_is_told_once() {
    let same = |uid, order| LoreEntry { content: "same".to_owned(), order, ..constant(uid) };
    let lore = lore(vec![book(vec![same("a", 1), same("b", 2)])]);
    let activation = Story::new(&["x"]).activate(&lore);
    assert_eq!((uids(&activation), activation.num_tokens), (vec!["b".to_owned()], 1));
    let duplicate = NotFired::Duplicate { of: "b".to_owned() };
    assert_eq!(reason_of(&activation, "a"), Some(&duplicate));
}
