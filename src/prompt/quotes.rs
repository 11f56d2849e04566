//! What the scene's texts can quote of one another, expanded once with names alone, so
//! that no text can quote itself.

use super::PromptInputs;
use super::macros::{MacroContext, StoryMacros, expand};

/// Whose words `{{char}}` and `{{description}}` stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The whole cast's.
    Everyone,
    /// A character's, by its place in the cast.
    One(usize),
}

/// The texts of a scene that can be quoted.
#[derive(Debug, Default)]
pub(super) struct Quotes<'a> {
    group: String,
    /// One for each character, then everyone's.
    of_characters: Vec<Character>,
    scenario: String,
    persona: String,
    /// As they were said; nothing in them is a placeholder.
    last_message: Option<&'a str>,
    last_user_message: Option<&'a str>,
    last_character_message: Option<&'a str>,
}

#[derive(Debug, Default)]
struct Character {
    description: String,
    personality: String,
    examples: String,
}

impl<'a> Quotes<'a> {
    /// `cast` are the characters' names, `group` and `people` everyone's.
    pub(super) fn new(
        inputs: &PromptInputs<'a>,
        cast: &[String],
        group: String,
        people: &str,
    ) -> Self {
        let expanded = |text: &str, character: &str, place: &str| {
            let (now, seed) = (inputs.now, inputs.macro_seed);
            let story = StoryMacros::default();
            let (original, user) = (None, people);
            let text = text.trim();
            expand(text, &MacroContext { character, user, original, now, seed, place, story })
        };
        let mut of_characters: Vec<_> = (inputs.cast.iter().zip(cast).enumerate())
            .map(|(i, (character, name))| {
                let text = |text| expanded(text, name, &format!("character {i}"));
                Character {
                    description: text(character.description),
                    personality: text(character.personality),
                    examples: text(character.example_dialogue),
                }
            })
            .collect();
        let all = |text: fn(&Character) -> &String| {
            let texts = of_characters.iter().map(text).filter(|text| !text.is_empty());
            texts.map(String::as_str).collect::<Vec<_>>().join("\n")
        };
        let everyone = Character {
            description: all(|character| &character.description),
            personality: all(|character| &character.personality),
            examples: all(|character| &character.examples),
        };
        of_characters.push(everyone);
        let personas = inputs.people.iter().enumerate();
        let personas = personas
            .map(|(i, person)| expanded(person.description, &group, &format!("person {i}")))
            .filter(|persona| !persona.is_empty());
        let last = |is_wanted: fn(bool) -> bool| {
            let mut turns = inputs.turns.iter().rev();
            turns.find(|turn| is_wanted(turn.speaker.is_character())).map(|turn| turn.text)
        };
        Self {
            scenario: expanded(inputs.scenario, &group, "scenario"),
            persona: personas.collect::<Vec<_>>().join("\n"),
            last_message: last(|_| true),
            last_user_message: last(|is_character| !is_character),
            last_character_message: last(|is_character| is_character),
            of_characters,
            group,
        }
    }

    /// Everyone in the cast.
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// What a text on (or for) that one may quote.
    pub(super) fn of<'q>(&'q self, who: Who, inputs: &PromptInputs<'a>) -> StoryMacros<'q> {
        let character = match who {
            Who::Everyone => self.of_characters.last(),
            Who::One(index) => self.of_characters.get(index),
        };
        StoryMacros {
            group: Some(&self.group),
            description: character.map(|character| character.description.as_str()),
            personality: character.map(|character| character.personality.as_str()),
            examples: character.map(|character| character.examples.as_str()),
            scenario: Some(&self.scenario),
            persona: Some(&self.persona),
            last_message: self.last_message,
            last_user_message: self.last_user_message,
            last_character_message: self.last_character_message,
            idle: inputs.idle,
        }
    }
}
