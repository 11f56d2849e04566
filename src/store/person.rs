//! People, as one guild knows them.

use tracing::instrument;

use super::text::clean;
use super::{Store, StoreError};
use crate::domain::{GuildId, Person, PersonId};

impl Store {
    /// The person with that id on the guild's platform, made known if new and
    /// renamed if the platform shows another name by now.
    #[instrument(name = "db.person.upsert", skip_all, fields(%guild), err(level = "debug"))]
    pub async fn upsert_person(
        &self,
        guild: GuildId,
        external_id: &str,
        display_name: &str,
    ) -> Result<Person, StoreError> {
        let mut tx = self.begin(guild).await?;
        let (external_id, display_name) = (clean(external_id), clean(display_name));
        let id = sqlx::query_scalar!(
            "INSERT INTO person (guild_id, external_id, display_name, blocked_at)
             VALUES ($1, $2, $3, (
                SELECT created_at FROM erased_block
                WHERE guild_id = $1
                  AND digest = sha256(convert_to($1::bigint || ':' || $2::text, 'UTF8'))))
             ON CONFLICT (guild_id, external_id) DO UPDATE
             SET display_name = excluded.display_name, left_at = NULL
             RETURNING id",
            guild.0,
            &external_id,
            &display_name,
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Person {
            id: PersonId(id),
            guild_id: guild,
            external_id: external_id.into_owned(),
            display_name: display_name.into_owned(),
        })
    }

    /// The person with that id on the guild's platform.
    #[instrument(name = "db.person.get_by_external", skip_all, fields(%guild), err(level = "debug"))]
    pub async fn get_person_by_external(
        &self,
        guild: GuildId,
        external_id: &str,
    ) -> Result<Option<Person>, StoreError> {
        let mut conn = self.read(guild).await?;
        let external_id = clean(external_id);
        let row = sqlx::query!(
            "SELECT id, display_name FROM person WHERE guild_id = $1 AND external_id = $2",
            guild.0,
            &external_id,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(row.map(|row| Person {
            id: PersonId(row.id),
            guild_id: guild,
            external_id: external_id.into_owned(),
            display_name: row.display_name,
        }))
    }

    /// A person by their key.
    #[instrument(name = "db.person.get", skip(self), err(level = "debug"))]
    pub async fn get_person(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Option<Person>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = sqlx::query!(
            "SELECT external_id, display_name FROM person WHERE guild_id = $1 AND id = $2",
            guild.0,
            person.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(row.map(|row| Person {
            id: person,
            guild_id: guild,
            external_id: row.external_id,
            display_name: row.display_name,
        }))
    }
}
