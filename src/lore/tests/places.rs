//! Where what fired stands.

use super::*;
use crate::domain::{LorePosition, PromptRole};

fn place(position: LorePosition, lines: &str) -> LorePlace {
    let asks = LoreEntry { position, content: format!("{lines}\n(text)"), ..constant("a") };
    let lore = lore(vec![book(vec![asks])]);
    Story { num_turns: 10, ..Story::new(&["x"]) }.activate(&lore).fired[0].place
}

fn at_depth(depth: usize, role: PromptRole) -> LorePosition {
    LorePosition::AtDepth { depth, role }
}

#[test]
fn an_entry_stands_where_it_says() {
    for position in [
        LorePosition::BeforeCharacters,
        LorePosition::AfterCharacters,
        LorePosition::BeforeExamples,
        LorePosition::AfterExamples,
        LorePosition::NoteTop,
        LorePosition::NoteBottom,
        at_depth(3, PromptRole::User),
    ] {
        assert_eq!(place(position, ""), LorePlace::Position(position));
    }
}

#[test]
fn depth_and_role_move_it_between_the_turns() {
    let moved = |lines| place(LorePosition::AfterCharacters, lines);
    let at = |depth, role| LorePlace::Position(at_depth(depth, role));
    assert_eq!(moved("@@depth 2"), at(2, PromptRole::System));
    assert_eq!(moved("@@depth 2\n@@role assistant"), at(2, PromptRole::Assistant));
    assert_eq!(moved("@@reverse_depth 3"), at(7, PromptRole::System));
    assert_eq!(moved("@@reverse_depth 30"), at(0, PromptRole::System));
    assert_eq!(moved("@@reverse_depth 3\n@@depth 1"), at(1, PromptRole::System));
    assert_eq!(moved("@@role user"), LorePlace::Position(LorePosition::AfterCharacters));
}

#[test]
fn what_is_at_a_depth_keeps_what_is_not_said_anew() {
    let moved = |lines| place(at_depth(4, PromptRole::User), lines);
    assert_eq!(moved("@@depth 1"), LorePlace::Position(at_depth(1, PromptRole::User)));
    let role = moved("@@role assistant");
    assert_eq!(role, LorePlace::Position(at_depth(4, PromptRole::Assistant)));
}

#[test]
fn position_beats_depth() {
    let moved = |lines| place(LorePosition::AfterCharacters, lines);
    assert_eq!(moved("@@position before_desc"), LorePlace::BeforeDescription);
    assert_eq!(moved("@@position after_desc"), LorePlace::AfterDescription);
    assert_eq!(moved("@@position personality\n@@depth 1"), LorePlace::Personality);
    assert_eq!(moved("@@depth 1\n@@position scenario"), LorePlace::Scenario);
}

#[test]
fn placeholders_are_replaced_and_counted() {
    let asks = LoreEntry { content: "{{char}} and {{user}}".to_owned(), ..constant("a") };
    let lore = lore(vec![book(vec![asks])]);
    let activation = Story::new(&["x"]).activate(&lore);
    assert_eq!(activation.fired[0].content, "Mira and Ana");
    assert_eq!((activation.fired[0].num_tokens, activation.num_tokens), (3, 3));
}
