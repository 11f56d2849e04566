//! What V3's decorators do.

use super::*;

fn decorated(lines: &str) -> LoreEntry {
    LoreEntry { content: format!("{lines}\n(text)"), ..entry("a", &["elf"]) }
}

fn held_back(story: &Story, lines: &str) -> Option<NotFired> {
    story.reason(decorated(lines))
}

fn elf() -> Story {
    Story::new(&["an elf"])
}

#[test]
fn they_are_cut_off() {
    let lore = lore(vec![book(vec![decorated("@@depth 1\n@@role user\n")])]);
    assert_eq!(elf().activate(&lore).fired[0].content, "(text)");
}

#[test]
fn activate_needs_no_key_and_beats_dont_activate() {
    let story = Story::new(&["x"]);
    assert_eq!(held_back(&story, "@@activate"), None);
    assert_eq!(held_back(&story, "@@dont_activate\n@@activate"), None);
    let dont = Some(NotFired::Decorator("dont_activate"));
    assert_eq!(held_back(&elf(), "@@dont_activate"), dont);
}

#[test]
fn replies_are_counted() {
    let with =
        |num_replies, lines: &str| held_back(&Story { num_replies, ..elf() }, lines).is_none();
    assert!(!with(2, "@@activate_only_after 3") && with(3, "@@activate_only_after 3"));
    assert!(with(4, "@@activate_only_every 2") && !with(5, "@@activate_only_every 2"));
}

#[test]
fn greetings_and_icons_are_compared_where_known() {
    let greets = |greeting| held_back(&Story { greeting, ..elf() }, "@@is_greeting 1");
    assert_eq!((greets(None), greets(Some(1))), (None, None));
    assert_eq!(greets(Some(0)), Some(NotFired::Decorator("is_greeting")));
    let icon = |name: Option<&str>| {
        let user_icon = name.map(str::to_owned);
        held_back(&Story { user_icon, ..elf() }, "@@is_user_icon Knight")
    };
    assert_eq!((icon(None), icon(Some("Knight"))), (None, None));
    assert_eq!(icon(Some("Queen")), Some(NotFired::Decorator("is_user_icon")));
}

#[test]
fn constant_entries_keep_to_their_conditions() {
    let asks = |lines| LoreEntry { constant: true, ..decorated(lines) };
    assert!(elf().reason(asks("@@activate_only_after 3")).is_some());
    assert!(elf().reason(asks("@@exclude_keys elf")).is_some());
    assert!(elf().reason(asks("@@additional_keys orc")).is_some());
}

#[test]
fn additional_and_excluded_keys_count() {
    assert_eq!(held_back(&elf(), "@@additional_keys orc, an"), None);
    let missing = Some(NotFired::Decorator("additional_keys"));
    assert_eq!(held_back(&elf(), "@@additional_keys orc, imp"), missing);
    assert_eq!(held_back(&elf(), "@@exclude_keys orc"), None);
    let excluded = Some(NotFired::Decorator("exclude_keys"));
    assert_eq!(held_back(&elf(), "@@exclude_keys orc, an"), excluded);
}

#[test]
fn scan_depth_overrides_all() {
    let story = Story::new(&["an elf", "x"]);
    assert_eq!(held_back(&story, "@@scan_depth 1"), Some(NotFired::NoKey));
    let asks = LoreEntry { scan_depth: Some(1), ..decorated("@@scan_depth 2") };
    assert_eq!(story.reason(asks), None);
}

#[test]
fn a_match_is_remembered_for_good_or_ill() {
    let after_match = |lines: &str| {
        let lore = lore(vec![book(vec![decorated(lines)])]);
        let effects = elf().activate(&lore).effects;
        let story = Story { effects, ..Story::new(&["an elf", "x", "x"]) };
        let gone = uids(&story.activate(&lore)).len();
        let story = Story { num_turns: 9, messages: elf().messages, ..story };
        (gone, uids(&story.activate(&lore)).len())
    };
    assert_eq!(after_match("@@keep_activate_after_match"), (1, 1));
    assert_eq!(after_match("@@dont_activate_after_match"), (0, 0));
    assert_eq!(after_match("@@depth 1"), (0, 1));
}

#[test]
fn what_goes_first_from_a_full_context_is_marked_and_asked_last() {
    let first = LoreEntry { order: 900, ..decorated("@@ignore_on_max_context") };
    let full = Story { is_context_full: true, ..elf() };
    let full_reason = Some(NotFired::Decorator("ignore_on_max_context"));
    assert_eq!(full.reason(first.clone()), full_reason);
    let lore = lore(vec![book(vec![first, constant("b")])]);
    let activation = elf().activate(&lore);
    assert!(activation.fired.iter().any(|fired| fired.is_expendable));
    let tight = elf().with(|settings| settings.budget_cap_tokens = Some(2));
    assert_eq!(uids(&tight.activate(&lore)), ["b"]);
}

#[test]
fn our_own_prompts_can_be_switched_off() {
    let asks = decorated("@@disable_ui_prompt post_history_instructions");
    let lore = lore(vec![book(vec![asks])]);
    let fired = elf().activate(&lore).disabled_prompts;
    assert_eq!(fired, [UiPrompt::PostHistoryInstructions]);
    assert!(Story::new(&["x"]).activate(&lore).disabled_prompts.is_empty());
}

#[test]
fn the_unknown_is_found() {
    let lore = lore(vec![book(vec![decorated("@@risu_only 4")])]);
    let findings: Vec<String> =
        lore.findings().iter().map(|finding| finding.problem.to_string()).collect();
    assert_eq!(findings, ["the decorator @@risu_only is unknown and was skipped"]);
    assert_eq!(elf().activate(&lore).fired.len(), 1);
}
