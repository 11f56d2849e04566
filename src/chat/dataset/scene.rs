//! One scene on its way into a dataset: may it, and as what.

use std::collections::HashSet;

use crate::domain::{PersonId, Speaker, SwipeOrigin, TurnId};
use crate::prompt::{
    Lesson, PromptCharacter, PromptInputs, PromptPerson, PromptTurn, lesson, visible,
};
use crate::store::{Store, StoreError, TrainingApproval, TreeTurn};
use crate::tokenizer::Tokenizer;

use super::lengths::{LengthRanges, length_of};
use super::names::Names;
use super::reason::LeftOut;
use super::scrub::{Replaced, scrub};
use super::story::{People, Story, speakers};
use super::window::{MIN_RESPONSES, Marks, Windows, windows};

/// What of a scene may go in, under its people's own names still.
pub(super) struct Allowed<'s> {
    turns: Vec<&'s TreeTurn>,
    /// Everybody whose words are in it.
    pub(super) speakers: Vec<PersonId>,
    /// Turns that stand and nobody approved yet.
    pub(super) num_waiting: usize,
    /// Turns that were played elsewhere.
    pub(super) num_imported: usize,
}

/// The text of a turn that stands.
fn standing(turn: &TreeTurn) -> Option<&str> {
    let swipe = turn.swipes.iter().find(|swipe| swipe.id == turn.standing)?;
    Some(swipe.text.trim()).filter(|text| !visible(text).trim().is_empty())
}

/// Whether a scene may go in, and how much of it.
pub(super) async fn allowed<'s>(
    store: &Store,
    story: &'s Story,
    approval: &TrainingApproval,
) -> Result<Result<Allowed<'s>, LeftOut>, StoreError> {
    if story.frame(&approval.seen) != approval.frame {
        return Ok(Err(LeftOut::ChangedSinceApproval));
    }
    let (guild, scene) = (story.scene.guild_id, story.scene.id);
    let seen: HashSet<_> = approval.seen.iter().copied().collect();
    let line = story.line();
    let end = story.num_usable(&seen);
    let num_waiting = line[end..].iter().filter(|turn| !turn.is_removed).count();
    let imported: HashSet<TurnId> =
        store.list_imported_turns(guild, scene).await?.into_iter().collect();
    let is_imported = |turn: &&TreeTurn| imported.contains(&turn.id);
    let start = line[..end].iter().rposition(is_imported).map_or(0, |at| at + 1);
    let num_imported = line[..start].iter().filter(|turn| !turn.is_removed).count();
    let speakers = speakers(&line[start..end]);
    let asked = store.list_training_speakers(guild, scene).await?;
    let consents = store.list_training_consents(guild, &asked).await?;
    for speaker in &asked {
        match consents.iter().find(|consent| consent.person == *speaker) {
            None => return Ok(Err(LeftOut::NoConsent)),
            Some(consent) if !consent.holds() => return Ok(Err(LeftOut::ConsentWithdrawn)),
            Some(_) => {}
        }
    }
    let turns = line[start..end].iter().copied();
    let turns: Vec<_> = turns.filter(|turn| !turn.is_removed && standing(turn).is_some()).collect();
    let num_replies = turns.iter().filter(|turn| is_taught(turn)).count();
    if num_replies < MIN_RESPONSES {
        return Ok(Err(LeftOut::TooShort));
    }
    Ok(Ok(Allowed { turns, speakers, num_waiting, num_imported }))
}

/// Whether the model learns to write it. A greeting is its card's, and the same in every
/// scene, also where it was continued.
fn is_taught(turn: &TreeTurn) -> bool {
    let is_greeting = turn.swipes.iter().any(|swipe| swipe.origin == SwipeOrigin::Greeting);
    turn.speaker.is_character() && !is_greeting
}

/// How scenes become samples.
pub(super) struct Recipe<'a> {
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) lengths: &'a LengthRanges,
    pub(super) marks: &'a Marks,
    pub(super) max_tokens: usize,
    pub(super) salt: &'a [u8],
}

impl Recipe<'_> {
    /// The samples of a scene. Nobody's name is in them.
    pub(super) fn samples(
        &self,
        story: &Story,
        allowed: &Allowed<'_>,
        people: &People,
        replaced: &mut Replaced,
    ) -> Result<Windows, LeftOut> {
        // Another scene, other names: nobody is known again by theirs.
        let salt =
            [self.salt, &story.scene.guild_id.0.to_be_bytes(), &story.scene.id.0.to_be_bytes()];
        let names = Names::new(&people.named, &story.character_names(), &salt.concat())
            .map_err(|_| LeftOut::NameIsWord)?;
        let (lesson, counted) = self.lesson(story, allowed, people, &names);
        self.check(&lesson, &names)?;
        let taught: Vec<bool> = allowed.turns.iter().map(|turn| is_taught(turn)).collect();
        let cut = windows(&lesson, &taught, self.marks, self.tokenizer, self.max_tokens);
        if cut.samples.is_empty() {
            return Err(LeftOut::TooLarge);
        }
        replaced.add(counted);
        Ok(cut)
    }

    /// The scene as a transcript, under plain names.
    fn lesson(
        &self,
        story: &Story,
        allowed: &Allowed<'_>,
        people: &People,
        names: &Names,
    ) -> (Lesson, Replaced) {
        let mut replaced = Replaced::default();
        let mut plain = |text: &str| {
            let by_id = |id: &str| people.by_mention.get(id).map(|id| names.of(*id).to_owned());
            let seen = visible(text);
            let scrubbed = scrub(&seen, by_id, &mut replaced);
            let (text, num_names) = names.replace(&scrubbed);
            replaced.names += num_names;
            text
        };
        let characters = story.characters_of(&allowed.turns);
        let sheets: Vec<[String; 2]> = characters
            .iter()
            .map(|it| [plain(&it.sheet.description), plain(&it.sheet.personality)])
            .collect();
        let cast: Vec<PromptCharacter<'_>> = characters
            .iter()
            .zip(&sheets)
            .map(|(character, [description, personality])| PromptCharacter {
                name: character.sheet.stage_name(),
                description,
                personality,
                example_dialogue: "",
            })
            .collect();
        let in_it = speakers(&allowed.turns);
        let personas: Vec<String> =
            in_it.iter().map(|id| plain(story.description_of(*id))).collect();
        let persons = in_it.iter().zip(&personas);
        let persons: Vec<PromptPerson<'_>> = persons
            .map(|(id, description)| PromptPerson { name: names.of(*id), description })
            .collect();
        let spoken: Vec<(TurnId, Speaker, String)> = allowed
            .turns
            .iter()
            .map(|turn| {
                let speaker = match &turn.speaker {
                    Speaker::Person { id, .. } => {
                        Speaker::Person { id: *id, name: names.of(*id).to_owned() }
                    }
                    Speaker::Character { id, name } => {
                        let known = characters.iter().find(|character| character.id == *id);
                        let name = known.map_or(name.as_str(), |it| it.sheet.stage_name());
                        Speaker::Character { id: *id, name: name.to_owned() }
                    }
                };
                let text = standing(turn).unwrap_or_default();
                (turn.id, speaker, plain(text))
            })
            .collect();
        let turns: Vec<PromptTurn<'_>> = spoken
            .iter()
            .map(|(id, speaker, text)| PromptTurn { id: *id, speaker, text })
            .collect();
        let inputs = PromptInputs {
            scenario: &plain(&story.scene.scenario),
            macro_seed: story.scene.id.0.unsigned_abs(),
            ..PromptInputs::plain(&cast, &persons, &turns)
        };
        let length = |text: &str| length_of(self.tokenizer.count(text), self.lengths);
        let lesson = lesson(&inputs, length).expect("whoever replied is in the cast");
        (lesson, replaced)
    }

    /// What was made of the texts is looked at once more: macros, and what makes people's
    /// text harmless, may have put together what was not there before.
    fn check(&self, lesson: &Lesson, names: &Names) -> Result<(), LeftOut> {
        let parts = lesson.turns.iter().flat_map(|turn| [&turn.header, &turn.text]);
        for text in parts.chain([&lesson.opening]) {
            if names.are_in(text) {
                return Err(LeftOut::NameRemains);
            }
            let has_mark = |mark: &str| !mark.is_empty() && text.contains(mark);
            if !self.tokenizer.find_control(text).is_empty()
                || has_mark(&self.marks.bos)
                || has_mark(&self.marks.eos)
            {
                return Err(LeftOut::ControlToken);
            }
        }
        Ok(())
    }
}
