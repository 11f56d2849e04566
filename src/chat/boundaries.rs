//! Lines and veils: people draw them for themselves, or for a scene.
//!
//! What was drawn stands in the prompts of the scenes where it holds, and replies that cross
//! it are written anew. Nothing here asks whether somebody may.

use serde_json::json;

use crate::domain::{Boundary, BoundaryId, BoundaryKind, BoundaryOf, GuildId, PersonId, SceneId};
use crate::moderation::{LONGEST_TERM, line_rule};

use super::library::refused_line;
use super::{Chat, ChatError};

/// The most lines and veils of one person, and of one scene: they stand in every prompt.
const MAX_BOUNDARIES: usize = 10;

impl Chat {
    /// Draws a line or a veil. It holds from the next reply on.
    ///
    /// # Errors
    /// There is nothing in it to look for, there are too many, whoever draws it is not
    /// heard, or the database fails.
    pub async fn add_boundary(
        &self,
        guild: GuildId,
        by: PersonId,
        of: BoundaryOf,
        kind: BoundaryKind,
        text: &str,
    ) -> Result<Boundary, ChatError> {
        self.heed_standing(guild, by).await?;
        let text = self.clean_text(text)?.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() || text.chars().count() > LONGEST_TERM {
            return Err(ChatError::refused(format!(
                "a {} has 1 to {LONGEST_TERM} characters; name it in a few words",
                kind.as_str()
            )));
        }
        if kind == BoundaryKind::Line {
            line_rule(&text).map_err(refused_line)?;
        }
        // It would stand in prompts, and what it names is forbidden everywhere already.
        if self.library.rules(guild, None).await?.pass_prompt(&text).is_err() {
            return Err(ChatError::refused(
                "that is refused everywhere already, so it needs no line",
            ));
        }
        let known = self.boundaries_of(guild, of).await?;
        if let Some(same) = known.iter().find(|known| known.kind == kind && known.text == text) {
            return Ok(same.clone());
        }
        if known.len() >= MAX_BOUNDARIES {
            return Err(ChatError::refused(format!(
                "there are {MAX_BOUNDARIES} already; remove one first, or join some with commas"
            )));
        }
        let drawn = self.store.insert_boundary(guild, of, kind, &text).await?;
        self.note_boundary(guild, by, "boundary.add", drawn.id, of).await?;
        Ok(drawn)
    }

    /// Takes a line or a veil away.
    ///
    /// # Errors
    /// It is not there or somebody else's, or the database fails.
    pub async fn remove_boundary(
        &self,
        guild: GuildId,
        by: PersonId,
        of: BoundaryOf,
        id: BoundaryId,
    ) -> Result<(), ChatError> {
        if !self.store.delete_boundary(guild, of, id).await? {
            return Err(ChatError::refused(format!(
                "there is no line or veil {id} that you can take away; /lines show numbers them"
            )));
        }
        self.note_boundary(guild, by, "boundary.remove", id, of).await
    }

    /// The lines and veils of a person, or of a scene.
    ///
    /// # Errors
    /// The database fails.
    pub async fn boundaries_of(
        &self,
        guild: GuildId,
        of: BoundaryOf,
    ) -> Result<Vec<Boundary>, ChatError> {
        Ok(self.store.list_boundaries(guild, of).await?)
    }

    /// The lines and veils that hold in a scene: its own, and those of everybody in it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn boundaries_in(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<Boundary>, ChatError> {
        Ok(self.store.list_boundaries_in(guild, scene).await?)
    }

    /// Keeps who changed what; what a person's own is about is kept nowhere else.
    async fn note_boundary(
        &self,
        guild: GuildId,
        by: PersonId,
        action: &str,
        id: BoundaryId,
        of: BoundaryOf,
    ) -> Result<(), ChatError> {
        let scene = match of {
            BoundaryOf::Person(_) => None,
            BoundaryOf::Scene(scene) => Some(scene),
        };
        let detail = json!({ "boundary": id, "scene": scene });
        Ok(self.store.insert_audit(guild, Some(by), action, &detail).await?)
    }
}
