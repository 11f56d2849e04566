//! What can go wrong with the database, told so that somebody can act on it.

use std::fmt;

use super::Full;
use super::embedded::EmbeddedError;

/// What a row was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the domain's own words")]
pub enum Noun {
    Guild,
    Person,
    Persona,
    Character,
    Scene,
    CastMember,
    Turn,
    Swipe,
    Job,
    Lorebook,
    Preset,
    ChannelSettings,
    Outbox,
    Report,
    AuditEntry,
    Boundary,
    Case,
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guild => "guild",
            Self::Person => "person",
            Self::Persona => "persona",
            Self::Character => "character",
            Self::Scene => "scene",
            Self::CastMember => "cast member",
            Self::Turn => "turn",
            Self::Swipe => "swipe",
            Self::Job => "job",
            Self::Lorebook => "lorebook",
            Self::Preset => "preset",
            Self::ChannelSettings => "channel setup",
            Self::Outbox => "message to post",
            Self::Report => "report",
            Self::AuditEntry => "row of the audit",
            Self::Boundary => "line or veil",
            Self::Case => "case",
        })
    }
}

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `database.url` cannot be read.
    #[error(
        "`database.url` is not a database address ({reason}); write \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE, or `embedded` for a private server"
    )]
    Address {
        /// What is wrong with it, without the address: it may hold a password.
        reason: String,
    },
    /// Nothing answers there.
    #[error(
        "cannot reach the database at {target}: {source}; check that Postgres runs there and \
         that `database.url` is right"
    )]
    Unreachable {
        /// Where, without the password.
        target: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A text is sealed, and the key is not at hand.
    #[error(
        "a text is sealed with the key “{key}”, which is not in `privacy.key_file` or is another \
         by now; put the key back that it was sealed with"
    )]
    Sealed {
        /// What the key is called.
        key: String,
    },
    /// The server does not let us in.
    #[error(
        "the database at {target} refused the login: {source}; check the user, the password and \
         the server's pg_hba.conf"
    )]
    Refused {
        /// Where, without the password.
        target: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The server has no database of that name.
    #[error(
        "{target} does not exist; create it with `createdb`, or name another in `database.url`"
    )]
    NoDatabase {
        /// Where, without the password.
        target: String,
    },
    /// Something answers there that is not Postgres, or not as we know it.
    #[error("what answers at {target} does not speak as Postgres does: {source}")]
    NotPostgres {
        /// Where, without the password.
        target: String,
        /// What it said.
        source: sqlx::Error,
    },
    /// The private server does not run.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The tables could not be brought up to date.
    #[error("cannot bring the tables of {target} up to date: {source}")]
    Migrate {
        /// Where, without the password.
        target: String,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
    /// The login cannot act for one guild alone.
    #[error(
        "cannot act as the role that sees one guild alone in {target}: {source}; as an \
         administrator of the server run `CREATE ROLE dramatis_guild NOLOGIN` where it is \
         missing (a restored dump brings no roles; `GRANT` it its rights anew by restoring \
         once more), and `GRANT dramatis_guild TO` the user"
    )]
    GuildRole {
        /// Where, without the password.
        target: String,
        /// Why.
        source: sqlx::Error,
    },
    /// All connections were taken for too long, or the server went away.
    #[error("the database is too busy or not answering; try again in a moment")]
    Busy,
    /// The guild has no such row.
    #[error("there is no such {0} here")]
    NotFound(Noun),
    /// Something of that name, or in that place, is there already.
    #[error("{}", taken(*.0))]
    Taken(Noun),
    /// A limit is reached; nothing was put in.
    #[error("{full}{advice}", full = .0, advice = .0.advice())]
    Full(Full),
    /// The lane was claimed by another worker since, or its job was cancelled.
    #[error("the claim on the scene is no longer held; nothing was written")]
    Fenced,
    /// A job was asked to do a step that does not follow from its state.
    #[error("the job is {state}; that step does not follow")]
    OutOfStep {
        /// The state it is in.
        state: String,
    },
    /// A row does not say what we would have written.
    #[error("the database holds a {noun} that cannot be read ({reason})")]
    Unreadable {
        /// Which kind of row.
        noun: Noun,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else that the database says.
    #[error("the database reports: {0}")]
    Database(#[source] sqlx::Error),
}

fn taken(noun: Noun) -> String {
    match noun {
        Noun::Scene => "a scene is being played here already; end it first".into(),
        noun => format!("there is a {noun} of that name already; choose another name"),
    }
}

impl StoreError {
    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::NoDatabase { .. } => "no_database",
            Self::NotPostgres { .. } => "not_postgres",
            Self::Embedded(_) => "embedded",
            Self::Migrate { .. } => "migrate",
            Self::GuildRole { .. } => "guild_role",
            Self::Sealed { .. } => "sealed",
            Self::Busy => "busy",
            Self::NotFound(_) => "not_found",
            Self::Taken(_) => "taken",
            Self::Full(_) => "full",
            Self::Fenced => "fenced",
            Self::OutOfStep { .. } => "out_of_step",
            Self::Unreadable { .. } => "unreadable",
            Self::Database(_) => "database",
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::Unreachable { .. } => true,
            Self::Database(error) => is_outage(error),
            _ => false,
        }
    }
}

/// Whether the server went away, is starting up or shutting down, or two
/// transactions met head-on: SQLSTATE classes 08, 40, 53, 57P.
pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57P"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

impl From<Full> for StoreError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some(name) if name.ends_with("_key") => taken_by(name).map(Self::Taken),
            Some(name) if name.ends_with("_fkey") => missing_from(name).map(Self::NotFound),
            _ if matches!(error, sqlx::Error::PoolTimedOut) => Some(Self::Busy),
            _ => None,
        }
        .unwrap_or(Self::Database(error))
    }
}

fn taken_by(constraint: &str) -> Option<Noun> {
    match constraint {
        "character_name_key" => Some(Noun::Character),
        "lorebook_name_key" => Some(Noun::Lorebook),
        "persona_name_key" => Some(Noun::Persona),
        "scene_channel_key" => Some(Noun::Scene),
        _ => None,
    }
}

fn missing_from(constraint: &str) -> Option<Noun> {
    match constraint.strip_suffix("_fkey")?.rsplit('_').next()? {
        "guild" => Some(Noun::Guild),
        "person" | "owner" => Some(Noun::Person),
        "persona" => Some(Noun::Persona),
        "character" => Some(Noun::Character),
        "scene" | "lane" => Some(Noun::Scene),
        "turn" | "parent" | "head" | "anchor" => Some(Noun::Turn),
        "swipe" => Some(Noun::Swipe),
        "job" => Some(Noun::Job),
        "lorebook" => Some(Noun::Lorebook),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraint_names_tell_what_was_meant() {
        assert_eq!(missing_from("cast_member_character_fkey"), Some(Noun::Character));
        assert_eq!(missing_from("job_lane_fkey"), Some(Noun::Scene));
        assert_eq!(missing_from("scene_anchor_fkey"), Some(Noun::Turn));
        assert_eq!(taken_by("scene_channel_key"), Some(Noun::Scene));
        assert_eq!(taken_by("turn_scene_key"), None);
    }
}
