//! Scenes as training data: those that everybody in them agreed to and a moderator
//! approved, under other names, in the format of LimaRP's samples.
//!
//! It needs the database and a tokenizer, no model. What a scene is asked, in order: is it
//! approved, as it stands; does everybody agree; can every name be replaced. The export
//! holds what passed, the data card counts the rest.

mod card;
mod fold;
mod lengths;
mod names;
mod reason;
mod scene;
mod scrub;
mod story;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use crate::domain::{Guild, GuildId, SceneId};
use crate::store::Store;
use crate::tokenizer::Tokenizer;

use super::ChatError;
use scene::{Recipe, allowed};
use window::Marks;

pub use card::{DataCard, LengthCount};
pub use lengths::{LengthRanges, ranges_of};
pub use reason::LeftOut;
pub use scrub::Replaced;
pub(super) use story::Story;

/// The most tokens of a sample, as in LimaRP's training.
pub const MAX_SAMPLE_TOKENS: usize = 9_000;

/// How an export is made.
#[derive(Debug, Clone)]
pub struct DatasetOptions {
    /// The most tokens of a sample.
    pub max_tokens: usize,
    /// Which length a response of so many tokens has.
    pub lengths: LengthRanges,
    /// Decides who is called what. Another salt for each export, and nobody is known
    /// again by their plain name.
    pub salt: Vec<u8>,
}

/// An export in the making, one scene after the other.
pub struct DatasetExport {
    store: Store,
    tokenizer: Arc<Tokenizer>,
    options: DatasetOptions,
    marks: Marks,
    scenes: std::vec::IntoIter<(GuildId, SceneId)>,
    card: DataCard,
}

impl DatasetExport {
    /// Looks for the scenes of one guild or of all.
    ///
    /// # Errors
    /// The tokenizer does not tell how it spells the end of a text, or the database fails.
    pub async fn open(
        store: Store,
        tokenizer: Arc<Tokenizer>,
        options: DatasetOptions,
        guild: Option<Guild>,
    ) -> Result<Self, ChatError> {
        let eos = tokenizer.eos_text().ok_or_else(|| {
            ChatError::refused("the tokenizer does not tell how it spells the end of a text")
        })?;
        let bos = tokenizer.bos_text().unwrap_or_default();
        let marks = Marks { bos: bos.to_owned(), eos: eos.to_owned() };
        let guilds = match guild {
            Some(guild) => vec![guild],
            None => store.list_guilds().await?,
        };
        let mut scenes = Vec::new();
        for guild in &guilds {
            let mut of_guild = store.list_scenes(guild.id, true, u32::MAX).await?;
            of_guild.sort_by_key(|scene| scene.id);
            scenes.extend(of_guild.into_iter().map(|scene| (guild.id, scene.id)));
        }
        let fingerprint = tokenizer.fingerprint();
        let mut card = DataCard::new(fingerprint, options.max_tokens, &options.lengths);
        card.guilds = guilds.len();
        card.scenes = scenes.len();
        (card.bos, card.eos) = (marks.bos.clone(), marks.eos.clone());
        Ok(Self { store, tokenizer, options, marks, scenes: scenes.into_iter(), card })
    }

    /// How many scenes are looked at.
    pub fn num_scenes(&self) -> usize {
        self.card.scenes
    }

    /// The lines of the next scene, none if it is left out; `None` after the last.
    ///
    /// # Errors
    /// The database fails.
    pub async fn next_scene(&mut self) -> Result<Option<Vec<String>>, ChatError> {
        let Some((guild, scene)) = self.scenes.next() else { return Ok(None) };
        let lines = self.lines_of(guild, scene).await?;
        Ok(Some(lines.unwrap_or_else(|reason| {
            self.card.leave_out(reason);
            Vec::new()
        })))
    }

    async fn lines_of(
        &mut self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Result<Vec<String>, LeftOut>, ChatError> {
        let Some(approval) = self.store.get_training_approval(guild, scene).await? else {
            return Ok(Err(LeftOut::NotApproved));
        };
        let story = Story::load(&self.store, guild, scene).await?;
        let allowed = match allowed(&self.store, &story, &approval).await? {
            Ok(allowed) => allowed,
            Err(reason) => return Ok(Err(reason)),
        };
        let people = story.people(&self.store).await?;
        let recipe = Recipe {
            tokenizer: &self.tokenizer,
            lengths: &self.options.lengths,
            marks: &self.marks,
            max_tokens: self.options.max_tokens,
            salt: &self.options.salt,
        };
        let cut = match recipe.samples(&story, &allowed, &people, &mut self.card.replaced) {
            Ok(cut) => cut,
            Err(reason) => return Ok(Err(reason)),
        };
        self.card.take(guild, &allowed.speakers, &cut.samples);
        self.card.turns_waiting += allowed.num_waiting;
        self.card.turns_imported += allowed.num_imported;
        self.card.turns_left_over += cut.num_left_over;
        let line = |sample| serde_json::to_string(sample).expect("plain data is writable");
        Ok(Ok(cut.samples.iter().map(line).collect()))
    }

    /// What came of it so far.
    pub fn card(&self) -> &DataCard {
        &self.card
    }
}
