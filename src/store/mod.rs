//! Postgres: what the service knows, and the queue of what it has to do.
//!
//! One file for each aggregate; methods are concrete and named `get_` (absence
//! is `None`), `list_`, `insert_`, `update_`, `claim_`. No roleplay logic and no
//! platform. Everything that a command can name is asked for together with its
//! guild, here and in the keys of the tables, so that no guild sees another.
//!
//! What is done for a guild is done in a transaction of its own, `Store::begin` or
//! `Store::read`, under a role for which the tables' row-level security shows that
//! guild alone (`guard`). The pool itself, as the tables' owner, is for what is about
//! all guilds: claiming lanes and one's place among them ([`Store::queue_place`] counts
//! in front of it what other guilds have waiting, and gives numbers), the bell, shards,
//! lists of guilds and of their live scenes, and making a guild known.
//!
//! Whoever changes the turns of a scene locks the scene's lane first.

mod absence;
mod admission;
mod audit;
mod audit_chain;
mod bell;
mod boundary;
mod branch;
mod case;
mod case_log;
mod cast;
mod channel_settings;
mod character;
mod character_file;
mod connect;
mod consent;
pub mod embedded;
mod erasure;
mod error;
mod forgotten;
mod guard;
mod guild;
mod guild_settings;
mod held;
mod holder;
mod hourly;
mod import;
mod inbound;
mod job;
mod lane;
mod live;
mod lorebook;
mod moves;
mod outbox;
mod person;
mod person_data;
mod persona;
mod policy;
mod preset;
mod queue;
mod removal;
mod reply_prompt;
mod report;
mod reseal;
mod retention;
mod row;
mod rule_hit;
mod scene;
mod seal;
mod shard;
mod standing;
mod swipe;
mod text;
mod training;
mod tree;
mod turn;
mod unanswered;

use std::sync::Arc;

use sqlx::PgPool;

use bell::Bell;
use embedded::EmbeddedServer;
use holder::Holder;

pub use admission::{Full, Limit, QueueLimits};
pub use audit::AuditEntry;
pub use audit_chain::{AuditFault, AuditHead, AuditVerdict};
pub use bell::Stop;
pub use branch::NewBranch;
pub use case::{Case, NewCase};
pub use case_log::Unlogged;
pub use channel_settings::{ChannelSettings, SceneOpening};
pub use character_file::{CharacterAsset, CharacterFile, NewBook};
pub use connect::{Database, StoreOptions};
pub use consent::{Agreement, Consent};
pub use erasure::Erased;
pub use error::{Noun, StoreError};
pub use forgotten::ForgottenMark;
pub use guild_settings::GuildSettings;
pub use held::{Approval, Held, HeldCase, NewHeld};
pub use hourly::{Had, HourlyLimit, HourlyLimits, Spent};
pub use import::{ImportedMember, ImportedTurn, NewImport, SceneSource};
pub use inbound::{Accepted, NewMessage};
pub use job::{Job, JobState, Work};
pub use lane::{Claim, Generated, HEARTBEAT, LEASE, Queued, Target};
pub use live::LiveScene;
pub use lorebook::{ListedLorebook, LoreScope, LoreUse, Lorebook};
pub use moves::{Move, NewTurn};
pub use outbox::{NewPost, OutboxMessage, OutboxState, PostOwner, PostRoute};
pub use person_data::PersonText;
pub use policy::{PlacePolicy, SceneGround, Surroundings};
pub use preset::Preset;
pub use queue::{JobKey, QueuePlace, Standing, WaitingJob};
pub use removal::Removed;
pub use report::Report;
pub use reseal::Sealing;
pub use retention::SceneAge;
pub use rule_hit::RuleHits;
pub use scene::{NewScene, SceneUpdate};
pub use seal::{Keyring, KeyringError};
pub use shard::{IdentifyGrant, Shard};
pub use standing::PersonStanding;
pub use swipe::NewSwipe;
pub use text::name_key;
pub use training::{TrainingApproval, TrainingConsent};
pub use tree::TreeTurn;
pub use turn::{Line, MessageOrigin};

/// The database. Cheap to clone; clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    keyring: Arc<Keyring>,
    bell: Arc<Bell>,
    holder: Arc<Holder>,
    /// After the pool, so that it is stopped when nobody is connected any more.
    server: Option<Arc<EmbeddedServer>>,
}
