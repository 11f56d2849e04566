//! The prompts that replies were made from.

use sqlx::PgConnection;
use tracing::instrument;

use super::{Store, StoreError};
use crate::domain::{GuildId, SwipeId, TurnId};

impl Store {
    /// The prompt that a swipe was made from, as token ids; `None` where no model
    /// made it.
    #[instrument(name = "db.reply_prompt.get", skip(self), err(level = "debug"))]
    pub async fn get_prompt_ids(
        &self,
        guild: GuildId,
        turn: TurnId,
        swipe: SwipeId,
    ) -> Result<Option<Vec<u32>>, StoreError> {
        let mut conn = self.read(guild).await?;
        let ids = sqlx::query_scalar!(
            "SELECT token_ids FROM reply_prompt
             WHERE guild_id = $1 AND turn_id = $2 AND swipe_id = $3",
            guild.0,
            turn.0,
            swipe.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(ids.map(|ids| ids.into_iter().map(i32::cast_unsigned).collect()))
    }
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    guild: GuildId,
    turn: TurnId,
    swipe: SwipeId,
    token_ids: &[u32],
) -> Result<(), StoreError> {
    // Ids stand bit for bit in the database's signed integers.
    let token_ids: Vec<i32> = token_ids.iter().map(|id| id.cast_signed()).collect();
    sqlx::query!(
        "INSERT INTO reply_prompt (guild_id, turn_id, swipe_id, token_ids)
         VALUES ($1, $2, $3, $4)",
        guild.0,
        turn.0,
        swipe.0,
        &token_ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}
