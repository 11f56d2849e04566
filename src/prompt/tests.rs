//! What whole prompts look like, and that nobody's text can change their shape.

mod forged;
mod hostile;
mod long_scene;
mod lore;
mod shape;
mod templates;
mod too_large;

use chrono::DateTime;

use super::*;
use crate::domain::{CharacterId, Length, LorePosition, PersonId, PromptRole, Speaker};

/// Room enough for anything.
const AMPLE: Budget = Budget { context_tokens: 1_000_000, reply_tokens: 1_000 };

/// One character and one person, nothing said yet.
fn inputs<'a>(cast: &'a [PromptCharacter<'a>], people: &'a [PromptPerson<'a>]) -> PromptInputs<'a> {
    PromptInputs {
        length: Some(Length::Medium),
        macro_seed: 7,
        now: DateTime::parse_from_rfc3339("2026-11-23T16:05:00+01:00").unwrap(),
        ..PromptInputs::plain(cast, people, &[])
    }
}

fn character<'a>(name: &'a str, description: &'a str) -> PromptCharacter<'a> {
    PromptCharacter { name, description, personality: "", example_dialogue: "" }
}

fn person<'a>(name: &'a str, description: &'a str) -> PromptPerson<'a> {
    PromptPerson { name, description }
}

fn note(text: &str, depth: usize) -> PromptNote<'_> {
    PromptNote { author: NoteAuthor::Scene, text, depth, role: PromptRole::System }
}

fn lore(text: &str, place: LorePosition) -> PromptLore<'_> {
    PromptLore { text, place, label: text, keep_rank: 0 }
}

fn speaker(is_character: bool, name: &str) -> Speaker {
    if is_character {
        Speaker::Character { id: CharacterId(1), name: name.to_owned() }
    } else {
        Speaker::Person { id: PersonId(1), name: name.to_owned() }
    }
}

/// What was said, oldest first; `true` for a character's turn.
fn said(turns: &[(bool, &str, &str)]) -> Vec<(Speaker, String)> {
    turns.iter().map(|(side, name, text)| (speaker(*side, name), (*text).to_owned())).collect()
}

fn turns(said: &[(Speaker, String)]) -> Vec<PromptTurn<'_>> {
    let turns = said.iter().zip(1..);
    turns.map(|((speaker, text), id)| PromptTurn { id: TurnId(id), speaker, text }).collect()
}

/// Builds, and checks what holds for every prompt.
fn built(inputs: &PromptInputs<'_>, budget: Budget) -> Result<Prompt, PromptError> {
    let tokenizer = Tokenizer::bytes();
    let prompt = build(inputs, &tokenizer, budget)?;
    let PromptReceipt { sections, num_tokens, budget_tokens, trimmed, .. } = &prompt.receipt;
    assert_eq!(sections.iter().map(|section| section.num_tokens).sum::<usize>(), *num_tokens);
    assert_eq!(prompt.token_ids.len(), *num_tokens);
    assert!(num_tokens <= budget_tokens, "{num_tokens} > {budget_tokens}");
    assert_eq!(trimmed.first_kept, prompt.anchor);
    let bos = tokenizer.bos_id();
    assert_eq!(prompt.token_ids.iter().filter(|id| Some(**id) == bos).count(), 1);
    let whole: Vec<_> = bos.into_iter().chain(tokenizer.encode_start(&prompt.text)).collect();
    assert_eq!(prompt.token_ids, whole, "block by block is all at once");
    Ok(prompt)
}
