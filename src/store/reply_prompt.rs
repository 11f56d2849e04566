//! The prompts that replies were made from.

use tracing::instrument;

use super::guard::GuildTx;
use super::seal::GuildSeal;
use super::{Noun, Store, StoreError};
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
        let row = sqlx::query!(
            "SELECT token_ids, sealed FROM reply_prompt
             WHERE guild_id = $1 AND turn_id = $2 AND swipe_id = $3",
            guild.0,
            turn.0,
            swipe.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        row.map(|row| open(&conn.seal, row.token_ids, row.sealed)).transpose()
    }
}

/// The token ids of a row: they stand bit for bit in the database's signed integers, or
/// sealed in decimal.
pub(super) fn open(
    seal: &GuildSeal,
    token_ids: Vec<i32>,
    sealed: Option<String>,
) -> Result<Vec<u32>, StoreError> {
    let Some(sealed) = sealed else {
        return Ok(token_ids.into_iter().map(i32::cast_unsigned).collect());
    };
    let ids: Result<Vec<u32>, _> = seal.open(sealed)?.split_whitespace().map(str::parse).collect();
    ids.map_err(|_| StoreError::Unreadable {
        noun: Noun::Swipe,
        reason: "its prompt is no list of tokens".into(),
    })
}

/// The two columns of a prompt.
pub(super) fn columns(seal: &GuildSeal, token_ids: &[u32]) -> (Vec<i32>, Option<String>) {
    if seal.keyring.is_empty() {
        return (token_ids.iter().map(|id| id.cast_signed()).collect(), None);
    }
    let ids: Vec<String> = token_ids.iter().map(u32::to_string).collect();
    // Something is sealed also where there is no token.
    (Vec::new(), Some(seal.seal(&format!("{} ", ids.join(" ")))))
}

pub(super) async fn insert(
    conn: &mut GuildTx,
    guild: GuildId,
    turn: TurnId,
    swipe: SwipeId,
    token_ids: &[u32],
) -> Result<(), StoreError> {
    let (open, sealed) = columns(&conn.seal, token_ids);
    sqlx::query!(
        "INSERT INTO reply_prompt (guild_id, turn_id, swipe_id, token_ids, sealed)
         VALUES ($1, $2, $3, $4, $5)",
        guild.0,
        turn.0,
        swipe.0,
        &open,
        sealed,
    )
    .execute(&mut **conn)
    .await?;
    Ok(())
}
