//! Who is on stage, under which names, and how their texts become safe to use.
//!
//! Every text of a scene passes through here once: placeholders first, then
//! neutralising, so that no value of a placeholder can forge anything either.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::alpaca::{self, Side};
use super::examples::examples;
use super::macros::{MacroContext, expand};
use super::neutralise::{Markers, Neutraliser, neutral_name_among};
use super::quotes::{Quotes, Who};
use super::{PromptError, PromptInputs};
use crate::domain::{Speaker, Template};

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
    /// What the inputs' lore says, neutralised.
    pub(super) lore: Vec<String>,
    /// What the texts may quote of one another.
    quotes: Quotes<'a>,
    /// The template's own words, which nobody else may write.
    markers: Arc<Markers>,
    /// For all texts but the characters' own.
    neutraliser: Neutraliser,
}

/// An example dialogue, neutralised.
pub(super) struct StandingExample {
    pub(super) label: String,
    /// Whose turn, under which name, and what is said; never empty.
    pub(super) turns: Vec<(Side, String, String)>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(inputs: &'a PromptInputs<'a>) -> Result<Self, PromptError> {
        if inputs.answering >= inputs.cast.len() {
            let (answering, cast) = (inputs.answering, inputs.cast.len());
            return Err(PromptError::NobodyAnswers { answering, cast });
        }
        let markers = Arc::new(Markers::new(inputs.template));
        let name_or = |name, default| name_or(name, default, &markers);
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
        let headers = markers.headers(&speakers);
        let labels = labels.chain(headers.iter().map(String::as_str));
        let neutraliser = Neutraliser::new(labels).with_markers(&markers);
        let lore = inputs.lore.iter().map(|lore| neutraliser.neutralise(lore.text)).collect();
        let [group, everyone] = [&cast, &people].map(|names| alpaca::join_names(names));
        let quotes = Quotes::new(inputs, &cast, group, &everyone);
        Ok(Self { inputs, cast, people, speakers, lore, quotes, markers, neutraliser })
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

    /// How many speak or have spoken.
    pub(super) fn num_speakers(&self) -> usize {
        self.speakers.len()
    }

    /// The name that heads a turn.
    pub(super) fn name(&self, speaker: &Speaker) -> String {
        let (name, default) = named(speaker);
        name_or(name, default, &self.markers)
    }

    /// What somebody said, and other text in which nothing is a placeholder.
    pub(super) fn speech(&self, text: &str) -> String {
        self.neutraliser.neutralise(text)
    }

    /// A text of the scene as a whole: `{{char}}` is everyone in the cast.
    pub(super) fn shared(&self, text: &str, place: &str) -> String {
        self.speech(&self.expand(text, Who::Everyone, None, place))
    }

    /// A text for the one who answers; `original` is what it replaces.
    pub(super) fn direction(&self, text: &str, original: Option<&str>, place: &str) -> String {
        self.speech(&self.expand(text, Who::One(self.inputs.answering), original, place))
    }

    /// What is known of a character. Cards show its manner in lines of dialogue,
    /// which no header makes turns here, so they stay; only another's persona
    /// could be forged.
    pub(super) fn character(&self, index: usize) -> String {
        let character = &self.inputs.cast[index];
        let parts = [character.description, character.personality];
        let parts = parts.map(|part| part.trim()).into_iter().filter(|part| !part.is_empty());
        self.of_character(&parts.collect::<Vec<_>>().join("\n"), index)
    }

    /// A text on a character, in which `{{char}}` is that one.
    pub(super) fn of_character(&self, text: &str, index: usize) -> String {
        let name = &self.cast[index];
        let text = self.expand(text, Who::One(index), None, &format!("character {index}"));
        if *self.inputs.template != Template::Limarp {
            return self.speech(&text);
        }
        let others = self.speakers.iter().filter(|other| *other != name);
        let headings: Vec<_> = others.map(|other| persona_heading(other)).collect();
        Neutraliser::new(headings.iter().map(String::as_str)).neutralise(&text)
    }

    /// What a person's persona says; empty for the nameless.
    pub(super) fn persona(&self, index: usize) -> String {
        let person = self.inputs.people.get(index);
        person.map_or_else(String::new, |person| {
            self.shared(person.description, &format!("person {index}"))
        })
    }

    /// What happens in the story.
    pub(super) fn scenario(&self) -> String {
        self.shared(self.inputs.scenario, "scenario")
    }

    /// What is not to be seen in the story; empty where everything is.
    pub(super) fn boundaries(&self) -> String {
        let all = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| self.speech(text)).collect()
        };
        alpaca::boundaries(&all(self.inputs.lines), &all(self.inputs.veils))
    }

    /// What the model is told to do: the character's words, else the template's, else
    /// the role line.
    pub(super) fn system_prompt(&self, templates: &str) -> String {
        let default = if templates.trim().is_empty() {
            let [characters, people] = [&self.cast, &self.people].map(|n| alpaca::join_names(n));
            alpaca::role_line(&characters, &people)
        } else {
            self.shared(templates, "template")
        };
        match self.inputs.system_prompt {
            ours if ours.trim().is_empty() => default,
            ours => self.direction(ours, Some(&default), "system prompt"),
        }
    }

    /// The instruction right before the reply: the character's, else the template's.
    pub(super) fn post_history(&self, templates: &str) -> String {
        let default = self.direction(templates, None, "template post-history");
        match self.inputs.post_history_instructions {
            ours if ours.trim().is_empty() => default,
            ours => self.direction(ours, Some(&default), "post-history"),
        }
    }

    /// A character's reminder of itself.
    pub(super) fn reminder(&self, text: &str, index: usize, place: &str) -> String {
        self.speech(&self.expand(text, Who::One(index), None, place))
    }

    /// What the reply already begins with; may be empty.
    pub(super) fn begun(&self) -> String {
        self.speech(self.inputs.continuation.unwrap_or_default())
    }

    /// The example dialogues of the whole cast. `{{user}}` is the first person.
    pub(super) fn all_examples(&self) -> Vec<StandingExample> {
        (0..self.cast.len()).flat_map(|index| self.examples(index)).collect()
    }

    fn examples(&self, index: usize) -> Vec<StandingExample> {
        let place = format!("character {index}");
        let (name, user) = (&self.cast[index], &self.people[0]);
        let context = self.macros(Who::One(index), user, None, &place);
        let examples = examples(self.inputs.cast[index].example_dialogue, &context);
        let standing = examples.into_iter().enumerate().map(|(i, turns)| {
            let turns = turns.into_iter().map(|turn| {
                let name = if turn.side == Side::Response { name } else { user };
                (turn.side, name.clone(), self.speech(&turn.text))
            });
            StandingExample { label: format!("{name}, {}", i + 1), turns: turns.collect() }
        });
        standing.collect()
    }

    /// The template's own words with their macros expanded; names are put in elsewhere.
    pub(super) fn words(&self, words: &str) -> String {
        self.expand(words, Who::Everyone, None, "template")
    }

    fn expand(&self, text: &str, who: Who, original: Option<&str>, place: &str) -> String {
        let user = alpaca::join_names(&self.people);
        expand(text, &self.macros(who, &user, original, place))
    }

    fn macros<'m>(
        &'m self,
        who: Who,
        user: &'m str,
        original: Option<&'m str>,
        place: &'m str,
    ) -> MacroContext<'m> {
        let (now, seed) = (self.inputs.now, self.inputs.macro_seed);
        let story = self.quotes.of(who, self.inputs);
        let character = match who {
            Who::Everyone => self.quotes.group(),
            Who::One(index) => &self.cast[index],
        };
        MacroContext { character, user, original, now, seed, place, story }
    }
}

fn named(speaker: &Speaker) -> (&str, &'static str) {
    (speaker.name(), if speaker.is_character() { CHARACTER } else { USER })
}

fn name_or(name: &str, default: &str, markers: &Arc<Markers>) -> String {
    let name = neutral_name_among(name, markers);
    if name.is_empty() { default.to_owned() } else { name }
}

/// What heads the paragraph on somebody, up to its colon.
fn persona_heading(name: &str) -> String {
    alpaca::persona(name, "").trim_end_matches([':', ' ']).to_owned()
}
