//! What was had within the last hour, counted in what is there anyway.
//!
//! Each question looks no further back than to its limit: to the last turn or reply that
//! would still leave room. What is put in at the same moment may go over a limit by as much.
//! What would have been over one is found in the same rows ([`Had`]).

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tracing::instrument;

use super::{Store, StoreError};
use crate::domain::{GuildId, PersonId, SceneId, TurnId};

/// How much may be had within an hour; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HourlyLimits {
    /// How many turns of one person.
    pub turns_per_person: Option<u32>,
    /// How many replies that one person asked for.
    pub replies_per_person: Option<u32>,
    /// How many replies in a guild.
    pub replies_per_guild: Option<u32>,
}

impl HourlyLimits {
    /// As much as anybody likes.
    pub const NONE: Self =
        Self { turns_per_person: None, replies_per_person: None, replies_per_guild: None };
}

/// What there was enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HourlyLimit {
    /// One person's turns.
    PersonTurns,
    /// Replies that one person asked for.
    PersonReplies,
    /// A guild's replies.
    GuildReplies,
}

impl HourlyLimit {
    /// A stable label for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PersonTurns => "person_turns",
            Self::PersonReplies => "person_replies",
            Self::GuildReplies => "guild_replies",
        }
    }
}

/// An hour's limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Which.
    pub limit: HourlyLimit,
    /// How many may be had within an hour.
    pub most: u32,
    /// How long until there is room for one more.
    pub ends_in: Duration,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |word: &str, words: &str| match self.most {
            1 => format!("1 {word}"),
            most => format!("{most} {words}"),
        };
        match self.limit {
            HourlyLimit::PersonTurns => {
                let turns = many("message", "messages");
                write!(f, "{turns} an hour may be taken of one person here")?;
            }
            HourlyLimit::PersonReplies => {
                let replies = many("reply", "replies");
                write!(f, "{replies} an hour may be asked for by one person here")?;
            }
            HourlyLimit::GuildReplies => {
                let replies = many("reply", "replies");
                write!(f, "{replies} an hour may be had in this community")?;
            }
        }
        match self.ends_in.as_secs().div_ceil(60) {
            0 | 1 => f.write_str("; there is room for one more in a minute"),
            minutes => write!(f, "; there is room for one more in {minutes} minutes"),
        }
    }
}

/// Something that counts for the limits of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    /// Who said it or asked for it, where somebody did.
    pub person: Option<PersonId>,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether it is of the stretch that was asked about; what is not came before it, or in
    /// another scene of the guild.
    pub is_here: bool,
}

impl Had {
    fn of(person: Option<i64>, at: DateTime<Utc>, is_here: bool) -> Self {
        Self { person: person.map(PersonId), at, is_here }
    }
}

impl Store {
    /// What people of a guild said since an hour before a turn of a scene, the newest so
    /// many, oldest first; what was said in the scene since that turn is *here*.
    #[instrument(name = "db.turn.list_had", skip(self), err(level = "debug"))]
    pub async fn list_turns_had(
        &self,
        guild: GuildId,
        scene: SceneId,
        since: TurnId,
        limit: u32,
    ) -> Result<Vec<Had>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT turn.person_id, turn.created_at,
                      turn.scene_id = $2 AND turn.created_at >= first.created_at AS "is_here!"
               FROM turn AS first
               JOIN turn ON turn.guild_id = first.guild_id
                        AND turn.created_at > first.created_at - interval '1 hour'
               JOIN inbound
                 ON inbound.guild_id = turn.guild_id AND inbound.turn_id = turn.id
               WHERE first.guild_id = $1 AND first.scene_id = $2 AND first.id = $3
                 AND turn.person_id IS NOT NULL AND turn.removed_at IS NULL
               ORDER BY turn.created_at DESC, turn.id DESC LIMIT $4"#,
            guild.0,
            scene.0,
            since.0,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?;
        let rows = rows.into_iter().rev();
        Ok(rows.map(|row| Had::of(row.person_id, row.created_at, row.is_here)).collect())
    }

    /// The same of replies that were asked for. A message and the reply that it asks for are
    /// of one moment.
    #[instrument(name = "db.job.list_had", skip(self), err(level = "debug"))]
    pub async fn list_replies_had(
        &self,
        guild: GuildId,
        scene: SceneId,
        since: TurnId,
        limit: u32,
    ) -> Result<Vec<Had>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT job.person_id, job.created_at,
                      job.scene_id = $2 AND job.created_at >= first.created_at AS "is_here!"
               FROM turn AS first
               JOIN job ON job.guild_id = first.guild_id
                       AND job.created_at > first.created_at - interval '1 hour'
               WHERE first.guild_id = $1 AND first.scene_id = $2 AND first.id = $3
                 AND job.work ->> 'kind' <> 'show'
                 AND (job.state NOT IN ('failed', 'cancelled')
                      OR job.state = 'cancelled' AND job.claimed_at IS NOT NULL)
               ORDER BY job.created_at DESC, job.id DESC LIMIT $4"#,
            guild.0,
            scene.0,
            since.0,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?;
        let rows = rows.into_iter().rev();
        Ok(rows.map(|row| Had::of(row.person_id, row.created_at, row.is_here)).collect())
    }
}

/// Whether a person may say one thing more. Turns that came with a branch were not said
/// again, and those that were taken out do not count.
pub(super) async fn check_turns(
    conn: &mut PgConnection,
    guild: GuildId,
    person: PersonId,
    limits: &HourlyLimits,
) -> Result<Result<(), Spent>, StoreError> {
    let Some(most) = limits.turns_per_person else { return Ok(Ok(())) };
    let ends_in = sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM turn.created_at + interval '1 hour' - now())::float8
               AS "ends_in!"
           FROM turn JOIN inbound
             ON inbound.guild_id = turn.guild_id AND inbound.turn_id = turn.id
           WHERE turn.guild_id = $1 AND turn.person_id = $2 AND turn.removed_at IS NULL
             AND turn.created_at > now() - interval '1 hour'
           ORDER BY turn.created_at DESC OFFSET $3 LIMIT 1"#,
        guild.0,
        person.0,
        offset(most),
    )
    .fetch_optional(conn)
    .await?;
    Ok(spent(HourlyLimit::PersonTurns, most, ends_in))
}

/// Whether one reply more may be asked for. Those that failed do not count, nor those that
/// were called off before anybody began them.
pub(super) async fn check_replies(
    conn: &mut PgConnection,
    guild: GuildId,
    person: Option<PersonId>,
    limits: &HourlyLimits,
) -> Result<Result<(), Spent>, StoreError> {
    let of_person = person.zip(limits.replies_per_person);
    let of_person =
        of_person.map(|(person, most)| (HourlyLimit::PersonReplies, Some(person), most));
    let of_guild = limits.replies_per_guild.map(|most| (HourlyLimit::GuildReplies, None, most));
    for (limit, person, most) in of_person.into_iter().chain(of_guild) {
        let ends_in = sqlx::query_scalar!(
            r#"SELECT extract(epoch FROM created_at + interval '1 hour' - now())::float8
                   AS "ends_in!"
               FROM job
               WHERE guild_id = $1 AND ($2::bigint IS NULL OR person_id = $2)
                 AND work ->> 'kind' <> 'show' AND created_at > now() - interval '1 hour'
                 AND (state NOT IN ('failed', 'cancelled')
                      OR state = 'cancelled' AND claimed_at IS NOT NULL)
               ORDER BY created_at DESC OFFSET $3 LIMIT 1"#,
            guild.0,
            person.map(|person: PersonId| person.0),
            offset(most),
        )
        .fetch_optional(&mut *conn)
        .await?;
        if let Err(spent) = spent(limit, most, ends_in) {
            return Ok(Err(spent));
        }
    }
    Ok(Ok(()))
}

/// How many that still leave room stand before the one that leaves none.
fn offset(most: u32) -> i64 {
    i64::from(most).saturating_sub(1).max(0)
}

fn spent(limit: HourlyLimit, most: u32, ends_in: Option<f64>) -> Result<(), Spent> {
    let Some(seconds) = ends_in else { return Ok(()) };
    let ends_in = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Err(Spent { limit, most, ends_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_how_many_there_are_and_when_there_is_room() {
        let said = |limit, most, seconds| {
            Spent { limit, most, ends_in: Duration::from_secs(seconds) }.to_string()
        };
        insta::assert_snapshot!(said(HourlyLimit::PersonTurns, 60, 601), @"60 messages an hour may be taken of one person here; there is room for one more in 11 minutes");
        insta::assert_snapshot!(said(HourlyLimit::PersonReplies, 1, 20), @"1 reply an hour may be asked for by one person here; there is room for one more in a minute");
        insta::assert_snapshot!(said(HourlyLimit::GuildReplies, 200, 3600), @"200 replies an hour may be had in this community; there is room for one more in 60 minutes");
    }
}
