//! Cases: deeds of moderators, and what waits for their word.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use tracing::instrument;

use super::guard::GuildTx;
use super::seal::GuildSeal;
use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId, ReportId, SceneId, TurnId};

/// The most cases that are listed at once, the newest of them.
const MAX_LISTED: i64 = 50;

/// What a case may be that waits for a decision from the start.
const WAITING: [&str; 2] = ["report", "hold"];

/// A case as it is opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewCase {
    /// What it is: `report`, `block`, `freeze`, …
    pub kind: &'static str,
    /// Whom it is about, if it is about somebody.
    pub person: Option<PersonId>,
    /// Where it happened.
    pub scene: Option<SceneId>,
    /// What it is about.
    pub turn: Option<TurnId>,
    /// The report that it is about. It has one case: the next changes the reason alone.
    pub report: Option<ReportId>,
    /// The report or hold upon which a moderator did it.
    pub follows: Option<i64>,
    /// Who did it, or reported it; `None` for the service itself.
    pub opened_by: Option<PersonId>,
    /// Why; may be empty.
    pub reason: String,
    /// What it rests on, as it was then.
    pub evidence: Option<Value>,
}

/// A case as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// From 1 in each guild.
    pub number: i64,
    /// What it is.
    pub kind: String,
    /// Whom it is about.
    pub person: Option<PersonId>,
    /// Where it happened.
    pub scene: Option<SceneId>,
    /// What it is about.
    pub turn: Option<TurnId>,
    /// Who did it, or reported it.
    pub opened_by: Option<PersonId>,
    /// Why.
    pub reason: String,
    /// What it rests on.
    pub evidence: Option<Value>,
    /// What the person says to it.
    pub appeal: Option<String>,
    /// What came of it.
    pub decision: Option<String>,
    /// Who said so.
    pub decided_by: Option<PersonId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

struct CaseRow {
    number: i64,
    kind: String,
    person_id: Option<i64>,
    scene_id: Option<i64>,
    turn_id: Option<i64>,
    opened_by: Option<i64>,
    reason: String,
    evidence: Option<Value>,
    appeal: Option<String>,
    decision: Option<String>,
    decided_by: Option<i64>,
    created_at: DateTime<Utc>,
}

/// A query that yields cases; given is what follows the columns.
macro_rules! select_case {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            CaseRow,
            "SELECT number, kind, person_id, scene_id, turn_id, opened_by, reason, evidence,
                    appeal, decision, decided_by, created_at
             FROM moderation_case " + $tail
            $(, $argument)*
        )
    };
}

impl CaseRow {
    fn open(self, seal: &GuildSeal) -> Result<Case, StoreError> {
        let row = self;
        Ok(Case {
            number: row.number,
            kind: row.kind,
            person: row.person_id.map(PersonId),
            scene: row.scene_id.map(SceneId),
            turn: row.turn_id.map(TurnId),
            opened_by: row.opened_by.map(PersonId),
            reason: seal.open(row.reason)?,
            evidence: row.evidence.map(|evidence| seal.open_json(evidence)).transpose()?,
            appeal: seal.open_option(row.appeal)?,
            decision: seal.open_option(row.decision)?,
            decided_by: row.decided_by.map(PersonId),
            created_at: row.created_at,
        })
    }
}

impl Store {
    /// Opens a case and gives its number.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.case.insert", skip(self, case), err(level = "debug"))]
    pub async fn insert_case(&self, guild: GuildId, case: &NewCase) -> Result<i64, StoreError> {
        let mut tx = self.begin(guild).await?;
        lock(&mut tx, guild).await?;
        let number = insert(&mut tx, guild, case).await?;
        tx.commit().await?;
        Ok(number)
    }

    /// A case by its number.
    #[instrument(name = "db.case.get", skip(self), err(level = "debug"))]
    pub async fn get_case(&self, guild: GuildId, number: i64) -> Result<Option<Case>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = select_case!("WHERE guild_id = $1 AND number = $2", guild.0, number)
            .fetch_optional(&mut *conn)
            .await?;
        row.map(|row| row.open(&conn.seal)).transpose()
    }

    /// A guild's newest cases, the newest first; those about one person if one is named.
    #[instrument(name = "db.case.list", skip(self), err(level = "debug"))]
    pub async fn list_cases(
        &self,
        guild: GuildId,
        person: Option<PersonId>,
    ) -> Result<Vec<Case>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = select_case!(
            "WHERE guild_id = $1 AND ($2::bigint IS NULL OR person_id = $2)
             ORDER BY number DESC LIMIT $3",
            guild.0,
            person.map(|id| id.0),
            MAX_LISTED,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter().map(|row| row.open(&conn.seal)).collect()
    }

    /// What waits for a moderator's word, the oldest first.
    #[instrument(name = "db.case.list_waiting", skip(self), err(level = "debug"))]
    pub async fn list_waiting_cases(&self, guild: GuildId) -> Result<Vec<Case>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = select_case!(
            "WHERE guild_id = $1 AND decision IS NULL AND (kind = ANY ($2) OR appeal IS NOT NULL)
             ORDER BY number LIMIT $3",
            guild.0,
            &waiting(),
            MAX_LISTED,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter().map(|row| row.open(&conn.seal)).collect()
    }

    /// What moderators did upon a report or hold, in order.
    #[instrument(name = "db.case.list_following", skip(self), err(level = "debug"))]
    pub async fn list_following_cases(
        &self,
        guild: GuildId,
        number: i64,
    ) -> Result<Vec<Case>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows =
            select_case!("WHERE guild_id = $1 AND follows = $2 ORDER BY number", guild.0, number,)
                .fetch_all(&mut *conn)
                .await?;
        rows.into_iter().map(|row| row.open(&conn.seal)).collect()
    }

    /// Decides a case, and settles the report that it is about; says whether it was open.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.case.decide", skip(self, decision), err(level = "debug"))]
    pub async fn decide_case(
        &self,
        guild: GuildId,
        number: i64,
        by: PersonId,
        decision: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let decided = sqlx::query!(
            "WITH decided AS (
                UPDATE moderation_case SET decision = $4, decided_by = $3, decided_at = now(), revision = revision + 1
                WHERE guild_id = $1 AND number = $2 AND decision IS NULL
                RETURNING report_id
             ), settled AS (
                UPDATE report SET resolved_at = now(), resolved_by = $3 FROM decided
                WHERE report.guild_id = $1 AND report.id = decided.report_id
                  AND report.resolved_at IS NULL
             )
             SELECT FROM decided",
            guild.0,
            number,
            by.0,
            tx.seal.seal(decision),
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(decided.is_some())
    }

    /// Keeps what a person says to a case about them, which is open again; says whether
    /// there is such a case.
    #[instrument(name = "db.case.appeal", skip(self, appeal), err(level = "debug"))]
    pub async fn appeal_case(
        &self,
        guild: GuildId,
        number: i64,
        person: PersonId,
        appeal: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let appealed = sqlx::query!(
            "UPDATE moderation_case
             SET appeal = $4, decision = NULL, decided_by = NULL, decided_at = NULL,
                 revision = revision + 1
             WHERE guild_id = $1 AND number = $2 AND person_id = $3 AND appeal IS NULL",
            guild.0,
            number,
            person.0,
            tx.seal.seal(appeal),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(appealed.rows_affected() > 0)
    }
}

pub(super) fn waiting() -> Vec<String> {
    WAITING.map(str::to_owned).to_vec()
}

/// One case after another, so that no number is given twice or left out.
pub(super) async fn lock(conn: &mut PgConnection, guild: GuildId) -> Result<(), StoreError> {
    sqlx::query!("SELECT id FROM guild WHERE id = $1 FOR NO KEY UPDATE", guild.0)
        .fetch_optional(conn)
        .await?
        .ok_or(StoreError::NotFound(Noun::Guild))?;
    Ok(())
}

/// Opens a case and gives its number; the guild is locked.
pub(super) async fn insert(
    conn: &mut GuildTx,
    guild: GuildId,
    case: &NewCase,
) -> Result<i64, StoreError> {
    let number = sqlx::query_scalar!(
        "WITH upon AS (
            UPDATE moderation_case SET revision = revision + 1
            WHERE guild_id = $1 AND number = $10
         )
         INSERT INTO moderation_case
            (guild_id, number, kind, person_id, scene_id, turn_id, opened_by, reason, evidence,
             report_id, follows)
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         FROM moderation_case WHERE guild_id = $1
         ON CONFLICT (guild_id, report_id) DO UPDATE
         SET reason = excluded.reason, revision = moderation_case.revision + 1
         RETURNING number",
        guild.0,
        case.kind,
        case.person.map(|id| id.0),
        case.scene.map(|id| id.0),
        case.turn.map(|id| id.0),
        case.opened_by.map(|id| id.0),
        conn.seal.seal(&case.reason),
        case.evidence.as_ref().map(|evidence| conn.seal.seal_json(evidence)),
        case.report.map(|id| id.0),
        case.follows,
    )
    .fetch_one(&mut **conn)
    .await?;
    Ok(number)
}
