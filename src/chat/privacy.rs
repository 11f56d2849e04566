//! What is kept of a person: seeing it, taking it along, having it deleted, and not being
//! heard at all.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::{BoundaryOf, GuildId, PersonId};
use crate::formats::archive;
use crate::store::{Noun, PersonText, StoreError};

use super::{Chat, ChatError, FileOut};

/// What is kept of somebody, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Texts that they said.
    pub num_texts: usize,
    /// In how many scenes.
    pub num_scenes: usize,
    /// Whom they play.
    pub num_personas: usize,
    /// Cases about them.
    pub num_cases: usize,
    /// Their lines and veils.
    pub num_boundaries: usize,
    /// Since when they agree that their words are taken, where they were asked.
    pub agreed_at: Option<DateTime<Utc>>,
    /// Whether they agreed to train a model.
    pub trains: bool,
}

/// What became of a person's data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many of their turns were emptied.
    pub num_turns: u64,
    /// The platform's ids of their messages, each after that of its place.
    pub messages: Vec<(String, String)>,
    /// In how many scenes a worker could not be reached whose cache holds some of it.
    pub num_not_reached: usize,
}

impl Chat {
    /// What is kept of a person in a guild.
    ///
    /// # Errors
    /// The database fails.
    pub async fn kept_of(&self, guild: GuildId, person: PersonId) -> Result<Kept, ChatError> {
        let texts = self.store.list_person_texts(guild, person).await?;
        let mut scenes: Vec<_> = texts.iter().map(|text| text.scene).collect();
        scenes.dedup();
        Ok(Kept {
            num_texts: texts.len(),
            num_scenes: scenes.len(),
            num_personas: self.store.list_personas(guild, person).await?.len(),
            num_cases: self.store.list_cases(guild, Some(person)).await?.len(),
            num_boundaries: self.boundaries_of(guild, BoundaryOf::Person(person)).await?.len(),
            agreed_at: self.store.get_agreement(guild, person).await?.map(|it| it.at),
            trains: self.library.training_consent(guild, person).await?.is_some(),
        })
    }

    /// Everything that is kept of a person in a guild, as an archive that people and
    /// programs can read.
    ///
    /// # Errors
    /// There is no such person, or the database fails.
    pub async fn export_person(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<FileOut, ChatError> {
        let known = self.store.get_person(guild, person).await?;
        let known = known.ok_or(StoreError::NotFound(Noun::Person))?;
        let texts = self.store.list_person_texts(guild, person).await?;
        let personas = self.store.list_personas(guild, person).await?;
        let cases = self.store.list_cases(guild, Some(person)).await?;
        let consent = self.library.training_consent(guild, person).await?;
        let agreement = self.store.get_agreement(guild, person).await?;
        let boundaries = self.boundaries_of(guild, BoundaryOf::Person(person)).await?;
        let held = self.store.list_person_held(guild, person).await?;
        let data = json!({
            "name": known.display_name,
            "id": known.external_id,
            "personas": personas.iter().map(|it| json!({
                "name": it.name, "description": it.description,
            })).collect::<Vec<_>>(),
            "texts": texts.iter().map(text_json).collect::<Vec<_>>(),
            "cases": cases.iter().map(|case| json!({
                "number": case.number, "kind": case.kind, "at": case.created_at,
                "reason": case.reason, "appeal": case.appeal, "decision": case.decision,
            })).collect::<Vec<_>>(),
            "lines_and_veils": boundaries.iter().map(|it| json!({
                "kind": it.kind.as_str(), "text": it.text,
            })).collect::<Vec<_>>(),
            "agreed": agreement.map(|it| json!({ "since": it.at, "to_version": it.words })),
            "held": held.iter().map(|(case, held)| json!({
                "case": case, "what": held,
            })).collect::<Vec<_>>(),
            "agreed_to_training_since": consent,
        });
        let files = [
            ("README.txt", README.to_owned()),
            ("stories.md", stories(&texts)),
            ("data.json", format!("{data:#}\n")),
        ];
        let bytes = archive(&files).map_err(|error| {
            ChatError::refused(format!("the archive could not be written: {error}"))
        })?;
        Ok(FileOut { name: "my-data.zip".to_owned(), bytes })
    }

    /// Deletes what a person said in a guild and who they are, from the tables and from the
    /// caches of workers: of this process at once, of others as soon as they hear of it
    /// ([`run_forgetting`](super::run_forgetting)). The turns of others stay as they are.
    ///
    /// # Errors
    /// There is no such person, or the database fails.
    pub async fn forget_person(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Forgotten, ChatError> {
        self.erase(guild, person, Some(person)).await
    }

    /// The same by somebody, or by the service itself.
    pub(super) async fn erase(
        &self,
        guild: GuildId,
        person: PersonId,
        by: Option<PersonId>,
    ) -> Result<Forgotten, ChatError> {
        let erased = self.store.erase_person(guild, person).await?;
        for scene in &erased.scenes {
            self.stop_reply(*scene);
        }
        // The others hear of it; here it is done before somebody is told so.
        let mut num_not_reached = 0;
        for scene in &erased.scenes {
            num_not_reached += usize::from(!self.forget_cache(*scene).await);
        }
        for scene in &erased.scenes {
            self.ask_show(guild, *scene).await?;
        }
        let detail = json!({ "person": person, "turns": erased.num_turns });
        self.store.insert_audit(guild, by, "person.erase", &detail).await?;
        Ok(Forgotten { num_turns: erased.num_turns, messages: erased.messages, num_not_reached })
    }

    /// Has a person heard in no scene, by their own wish, or heard again: where the guild
    /// asks, once they agree anew. Replies in the making that have read their words are begun
    /// anew. Says whether that is new.
    ///
    /// # Errors
    /// There is no such person, or the database fails.
    pub async fn opt_out(
        &self,
        guild: GuildId,
        person: PersonId,
        out: bool,
    ) -> Result<bool, ChatError> {
        let is_new = self.store.set_person_opted_out(guild, person, out).await?;
        if is_new {
            if out {
                self.store.heed_absence(guild, Some(person)).await?;
            }
            let action = if out { "person.opt_out" } else { "person.opt_in" };
            self.store.insert_audit(guild, Some(person), action, &json!({})).await?;
        }
        Ok(is_new)
    }
}

const README: &str = "What is kept of you on one server.\n\n\
    stories.md  what you said, scene by scene, with earlier versions of what you changed\n\
    data.json   the same for programs, with personas, lines, veils, cases, what moderators held\n\
    \x20           and what you agreed to\n\n\
    What others said and what characters replied is theirs and is not in here.\n";

fn text_json(text: &PersonText) -> Value {
    json!({
        "scene": text.title, "as": text.name, "text": text.text, "stands": text.stands,
        "at": text.at,
    })
}

fn stories(texts: &[PersonText]) -> String {
    let mut story = String::new();
    let mut scene = None;
    for text in texts {
        if scene != Some(text.scene) {
            scene = Some(text.scene);
            story.push_str(&format!("# {}\n\n", text.title));
        }
        let note = if text.stands { "" } else { " (replaced or taken out)" };
        let at = text.at.format("%Y-%m-%d %H:%M UTC");
        story.push_str(&format!("**{}**, {at}{note}\n\n{}\n\n", text.name, text.text));
    }
    story
}
