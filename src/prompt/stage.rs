//! Who is on stage, under which names, and how their texts become safe to use.
//!
//! Every text of a scene passes through here once: placeholders first, then
//! neutralising, so that no value of a placeholder can forge anything either.

use std::collections::BTreeSet;

use super::alpaca::{self, Side};
use super::examples::examples;
use super::macros::{MacroContext, expand};
use super::neutralise::{Neutraliser, neutral_name};
use super::{PromptError, PromptInputs};
use crate::domain::Speaker;

/// The names of the nameless, as the model card has them.
const CHARACTER: &str = "Character";
const USER: &str = "User";

/// The scene's inputs with everything that rendering needs to know of them.
pub(super) struct Stage<'a> {
    pub(super) inputs: &'a PromptInputs<'a>,
    /// The characters' names as they stand in prompts, in the cast's order.
    pub(super) cast: Vec<String>,
    /// The people's, in their order; never empty.
    pub(super) people: Vec<String>,
    /// Everyone who speaks or has spoken.
    speakers: BTreeSet<String>,
    /// For all texts but the characters' own.
    neutraliser: Neutraliser,
}

impl<'a> Stage<'a> {
    pub(super) fn new(inputs: &'a PromptInputs<'a>) -> Result<Self, PromptError> {
        if inputs.answering >= inputs.cast.len() {
            let (answering, cast) = (inputs.answering, inputs.cast.len());
            return Err(PromptError::NobodyAnswers { answering, cast });
        }
        let cast: Vec<_> = inputs.cast.iter().map(|c| name_or(c.name, CHARACTER)).collect();
        let mut people: Vec<_> = inputs.people.iter().map(|p| name_or(p.name, USER)).collect();
        if people.is_empty() {
            people.push(USER.to_owned());
        }
        let past: BTreeSet<_> = inputs.turns.iter().map(|turn| named(turn.speaker)).collect();
        let past = past.into_iter().map(|(name, default)| name_or(name, default));
        let speakers: BTreeSet<_> = cast.iter().chain(&people).cloned().chain(past).collect();
        let headings = speakers.iter().map(|name| persona_heading(name)).collect::<Vec<_>>();
        let labels = speakers.iter().chain(&headings).map(String::as_str);
        let neutraliser = Neutraliser::new(labels);
        Ok(Self { inputs, cast, people, speakers, neutraliser })
    }

    /// Who answers.
    pub(super) fn answering(&self) -> &str {
        &self.cast[self.inputs.answering]
    }

    /// Everyone whose line ends the reply: all but the one who answers, those on
    /// stage first.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        let everyone = self.cast.iter().chain(&self.people).chain(&self.speakers);
        everyone.map(String::as_str).filter(|name| *name != self.answering())
    }

    /// The name that heads a turn.
    pub(super) fn name(&self, speaker: &Speaker) -> String {
        let (name, default) = named(speaker);
        name_or(name, default)
    }

    /// What somebody said, and other text in which nothing is a placeholder.
    pub(super) fn speech(&self, text: &str) -> String {
        self.neutraliser.neutralise(text)
    }

    /// A text of the scene as a whole: `{{char}}` is everyone in the cast.
    pub(super) fn shared(&self, text: &str, place: &str) -> String {
        let cast = alpaca::join_names(&self.cast);
        self.speech(&self.expand(text, &cast, None, place))
    }

    /// A text for the one who answers; `original` is what it replaces.
    pub(super) fn direction(&self, text: &str, original: Option<&str>, place: &str) -> String {
        self.speech(&self.expand(text, self.answering(), original, place))
    }

    /// What is known of a character. Cards show its manner in lines of dialogue,
    /// which no header makes turns here, so they stay; only another's persona
    /// could be forged.
    pub(super) fn character(&self, index: usize) -> String {
        let (character, name) = (&self.inputs.cast[index], &self.cast[index]);
        let others = self.speakers.iter().filter(|other| *other != name);
        let headings: Vec<_> = others.map(|other| persona_heading(other)).collect();
        let neutraliser = Neutraliser::new(headings.iter().map(String::as_str));
        let place = format!("character {index}");
        let parts = [character.description, character.personality];
        let parts = parts.map(|part| part.trim()).into_iter().filter(|part| !part.is_empty());
        let text = parts.collect::<Vec<_>>().join("\n");
        neutraliser.neutralise(&self.expand(&text, name, None, &place))
    }

    /// A character's example dialogues, rendered. `{{user}}` is the first person.
    pub(super) fn examples(&self, index: usize) -> Vec<String> {
        let place = format!("character {index}");
        let (name, user) = (&self.cast[index], &self.people[0]);
        let context = self.macros(name, user, None, &place);
        let examples = examples(self.inputs.cast[index].example_dialogue, &context).into_iter();
        examples
            .map(|turns| {
                let turns = turns.iter().map(|turn| {
                    let name = if turn.side == Side::Response { name } else { user };
                    alpaca::turn(turn.side, name, &self.speech(&turn.text))
                });
                turns.collect()
            })
            .collect()
    }

    fn expand(&self, text: &str, char: &str, original: Option<&str>, place: &str) -> String {
        let user = alpaca::join_names(&self.people);
        expand(text, &self.macros(char, &user, original, place))
    }

    fn macros<'m>(
        &self,
        character: &'m str,
        user: &'m str,
        original: Option<&'m str>,
        place: &'m str,
    ) -> MacroContext<'m> {
        let (now, seed) = (self.inputs.now, self.inputs.macro_seed);
        MacroContext { character, user, original, now, seed, place }
    }
}

fn named(speaker: &Speaker) -> (&str, &'static str) {
    (speaker.name(), if speaker.is_character() { CHARACTER } else { USER })
}

fn name_or(name: &str, default: &str) -> String {
    let name = neutral_name(name);
    if name.is_empty() { default.to_owned() } else { name }
}

/// What heads the paragraph on somebody, up to its colon.
fn persona_heading(name: &str) -> String {
    alpaca::persona(name, "").trim_end_matches([':', ' ']).to_owned()
}
