//! What waits for a moderator's word, each with its case.
//!
//! It waits while the case is open. Approving it puts it where it belongs and closes the
//! case, as one transaction; a case that is closed otherwise rejects it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::instrument;

use super::character_file::Place;
use super::guard::GuildTx;
use super::live::mark_stale;
use super::moves::{NewTurn, append, select};
use super::text::{clean, clean_option};
use super::{
    Accepted, CharacterFile, NewBook, NewCase, NewMessage, NewSwipe, Noun, Store, StoreError,
    Target, Work, case, character, character_file, inbound, lane, lorebook, swipe,
};
use crate::domain::{
    CharacterId, CharacterSheet, GuildId, LorebookId, PersonId, SceneId, SwipeOrigin, TurnId,
};

/// What is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Held {
    /// A person's words on their way into a scene.
    Message {
        /// The platform's id of it.
        external_id: String,
        /// The name that heads the turn.
        name: String,
        /// What it says.
        text: String,
        /// What it asks for.
        work: Option<Work>,
    },
    /// Another text of a turn, by a person's hand.
    Edit {
        /// The turn.
        turn: TurnId,
        /// What it is to say.
        text: String,
    },
    /// What the model wrote.
    Reply {
        /// Where it belongs.
        target: Target,
        /// The name that heads it.
        name: String,
        /// What it says.
        text: String,
        /// How it came about.
        origin: SwipeOrigin,
        /// How it was made.
        receipt: Option<Value>,
    },
    /// A character that came, or a change of one.
    Character {
        /// The archived one that holds what came; a change of the sheet alone needs none.
        came: Option<CharacterId>,
        /// The one in whose place it is to come.
        replaces: Option<CharacterId>,
        /// What is to be known of it.
        sheet: Box<CharacterSheet>,
        /// Its own lore. On no list before it is approved, so that no scene uses it.
        book: Option<NewBook>,
    },
    /// A lorebook that came, or a change of one.
    Lorebook {
        /// What it is called.
        name: String,
        /// The one in whose place it is to come, at that revision.
        replaces: Option<(LorebookId, i64)>,
        /// The text of its file.
        body: String,
    },
}

impl Held {
    /// The word by which people know what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Edit { .. } => "edit",
            Self::Reply { .. } => "reply",
            Self::Character { .. } => "character",
            Self::Lorebook { .. } => "lorebook",
        }
    }

    /// Its words, where it is of words alone.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Message { text, .. } | Self::Edit { text, .. } | Self::Reply { text, .. } => {
                Some(text)
            }
            Self::Character { .. } | Self::Lorebook { .. } => None,
        }
    }
}

/// Something about to be held.
#[derive(Debug, Clone, PartialEq)]
pub struct NewHeld {
    /// What.
    pub held: Held,
    /// What it came from; held once, however often it comes.
    pub source: Option<String>,
    /// The platform's id of the place where the person is told what became of it.
    pub place: Option<String>,
    /// Whose it is.
    pub person: Option<PersonId>,
    /// Where it belongs.
    pub scene: Option<SceneId>,
    /// Why it is held.
    pub reason: String,
    /// What the case rests on.
    pub evidence: Value,
}

/// Something held, with its case.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldCase {
    /// What.
    pub held: Held,
    /// Where the person is told what became of it.
    pub place: Option<String>,
    /// Whether it is where it belongs.
    pub is_approved: bool,
}

/// What an approval puts where it belongs.
#[derive(Debug, Clone)]
pub enum Approval {
    /// A person's words, as if they came now.
    Message(SceneId, NewMessage),
    /// A text of a turn that is there.
    Edit(SceneId, TurnId, String),
    /// What the model wrote: a turn at the scene's head, or a text of one that is there.
    Reply(SceneId, Target, NewSwipe),
    /// An archived character is offered, with its own lore.
    Character(CharacterId, Option<NewBook>),
    /// A character's sheet.
    Sheet(CharacterId, Box<CharacterSheet>),
    /// What a character's file holds comes in its place.
    File(CharacterId, Box<CharacterFile>),
    /// A lorebook: a new one of that name, or in the place of one at its revision.
    Lorebook(Option<(LorebookId, i64)>, NewBook),
}

impl Store {
    /// Holds something and gives the number of its case; of the case that there is, where
    /// the same source was held before.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.held.insert", skip(self, new), err(level = "debug"))]
    pub async fn insert_held(&self, guild: GuildId, new: &NewHeld) -> Result<i64, StoreError> {
        let mut tx = self.begin(guild).await?;
        let number = hold(&mut tx, guild, new).await?;
        tx.commit().await?;
        Ok(number)
    }

    /// Keeps a character that nobody is offered and holds it, as one transaction; in place
    /// of `replaces`, once it is approved. Gives its key and the number of its case.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.held.insert_character", skip_all, fields(%guild), err(level = "debug"))]
    pub async fn insert_held_character(
        &self,
        guild: GuildId,
        file: &CharacterFile,
        replaces: Option<CharacterId>,
        new: impl FnOnce(Held) -> NewHeld,
    ) -> Result<(CharacterId, i64), StoreError> {
        let mut tx = self.begin(guild).await?;
        let bare = CharacterFile { book: None, ..file.clone() };
        let came = character_file::put(&mut tx, guild, &bare, Place::Archived).await?;
        let held = Held::Character {
            came: Some(came),
            replaces,
            sheet: Box::new(bare.sheet),
            book: file.book.clone(),
        };
        let number = hold(&mut tx, guild, &new(held)).await?;
        tx.commit().await?;
        Ok((came, number))
    }

    /// What a case holds.
    #[instrument(name = "db.held.get", skip(self), err(level = "debug"))]
    pub async fn get_held(
        &self,
        guild: GuildId,
        number: i64,
    ) -> Result<Option<HeldCase>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = sqlx::query!(
            r#"SELECT body, place, approved_at IS NOT NULL AS "is_approved!"
               FROM held WHERE guild_id = $1 AND case_number = $2"#,
            guild.0,
            number,
        )
        .fetch_optional(&mut *conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let held = serde_json::from_value(conn.seal.open_json(row.body)?).map_err(|error| {
            StoreError::Unreadable { noun: Noun::Case, reason: error.to_string() }
        })?;
        Ok(Some(HeldCase { held, place: row.place, is_approved: row.is_approved }))
    }

    /// What was held of a person, each after the number of its case, in order.
    #[instrument(name = "db.held.list_person", skip(self), err(level = "debug"))]
    pub async fn list_person_held(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Vec<(i64, Value)>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT held.case_number, held.body
             FROM held JOIN moderation_case AS theirs
               ON theirs.guild_id = held.guild_id AND theirs.number = held.case_number
             WHERE held.guild_id = $1 AND theirs.person_id = $2 ORDER BY held.case_number",
            guild.0,
            person.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter().map(|row| Ok((row.case_number, conn.seal.open_json(row.body)?))).collect()
    }

    /// Lets words that wait say something else: their person changed them. Says whether
    /// such words wait.
    #[instrument(name = "db.held.update", skip(self, text), err(level = "debug"))]
    pub async fn update_held_message(
        &self,
        guild: GuildId,
        source: &str,
        text: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let row = sqlx::query!(
            r#"SELECT held.case_number, held.body, waits.evidence
               FROM held JOIN moderation_case AS waits
                 ON waits.guild_id = held.guild_id AND waits.number = held.case_number
               WHERE held.guild_id = $1 AND held.source = $2 AND waits.decision IS NULL
               FOR UPDATE"#,
            guild.0,
            &clean(source),
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        // What is sealed is changed here: the database cannot.
        let with_text = |value: Value| {
            let mut value = tx.seal.open_json(value)?;
            value["text"] = text.into();
            Ok::<_, StoreError>(tx.seal.seal_json(&value))
        };
        let body = with_text(row.body)?;
        let evidence = row.evidence.map(with_text).transpose()?;
        sqlx::query!(
            "WITH changed AS (
                UPDATE held SET body = $3 WHERE guild_id = $1 AND case_number = $2
             )
             UPDATE moderation_case SET revision = revision + 1, evidence = $4
             WHERE guild_id = $1 AND number = $2",
            guild.0,
            row.case_number,
            body,
            evidence,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Closes the case of what came from there, unapproved: its person took it back. Says
    /// whether it waited.
    #[instrument(name = "db.held.withdraw", skip(self), err(level = "debug"))]
    pub async fn withdraw_held(&self, guild: GuildId, source: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE moderation_case
             SET decision = 'taken back', decided_at = now(), revision = revision + 1
             FROM held
             WHERE held.guild_id = $1 AND held.source = $2 AND moderation_case.guild_id = $1
               AND moderation_case.number = held.case_number AND decision IS NULL",
            guild.0,
            &clean(source),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Puts what a case holds where it belongs and closes the case. Gives what became of a
    /// message; `None` where somebody decided before, and then nothing is changed.
    ///
    /// # Errors
    /// What it belongs to is not there any more; `Taken` where a character's name is.
    #[instrument(name = "db.held.approve", skip(self, approval), err(level = "debug"))]
    pub async fn approve_held(
        &self,
        guild: GuildId,
        number: i64,
        by: PersonId,
        decision: &str,
        approval: &Approval,
    ) -> Result<Option<Option<Accepted>>, StoreError> {
        let mut tx = self.begin(guild).await?;
        let accepted = put(&mut tx, guild, approval).await?;
        let done = sqlx::query!(
            "WITH decided AS (
                UPDATE moderation_case
                SET decision = $4, decided_by = $3, decided_at = now(), revision = revision + 1
                WHERE guild_id = $1 AND number = $2 AND decision IS NULL
                RETURNING number
             )
             UPDATE held SET approved_at = now() FROM decided
             WHERE held.guild_id = $1 AND held.case_number = decided.number
               AND held.approved_at IS NULL",
            guild.0,
            number,
            by.0,
            tx.seal.seal(decision),
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        tx.commit().await?;
        if matches!(accepted, Some(Accepted::New { queued: Some(_), .. })) {
            self.bell.ring();
        }
        Ok(Some(accepted))
    }
}

async fn hold(conn: &mut GuildTx, guild: GuildId, new: &NewHeld) -> Result<i64, StoreError> {
    case::lock(conn, guild).await?;
    let source = clean_option(new.source.as_ref());
    let known = sqlx::query_scalar!(
        "SELECT case_number FROM held WHERE guild_id = $1 AND source = $2",
        guild.0,
        source,
    )
    .fetch_optional(&mut **conn)
    .await?;
    if let Some(number) = known {
        return Ok(number);
    }
    let turn = match new.held {
        Held::Edit { turn, .. } | Held::Reply { target: Target::Swipe(turn), .. } => Some(turn),
        _ => None,
    };
    let opened = NewCase {
        kind: "hold",
        person: new.person,
        scene: new.scene,
        turn,
        reason: new.reason.clone(),
        evidence: Some(new.evidence.clone()),
        ..NewCase::default()
    };
    let number = case::insert(conn, guild, &opened).await?;
    let body = serde_json::to_value(&new.held).expect("what is held is plain data");
    sqlx::query!(
        "INSERT INTO held (guild_id, case_number, source, place, body) VALUES ($1, $2, $3, $4, $5)",
        guild.0,
        number,
        source,
        clean_option(new.place.as_ref()),
        conn.seal.seal_json(&body),
    )
    .execute(&mut **conn)
    .await?;
    Ok(number)
}

async fn put(
    conn: &mut GuildTx,
    guild: GuildId,
    approval: &Approval,
) -> Result<Option<Accepted>, StoreError> {
    match approval {
        Approval::Message(scene, message) => {
            return inbound::take(conn, guild, *scene, message).await.map(Some);
        }
        Approval::Edit(scene, turn, text) => {
            lane::lock(conn, guild, *scene).await?;
            let new = NewSwipe { text: text.clone(), origin: SwipeOrigin::Edited, receipt: None };
            let swipe = swipe::insert(conn, guild, *scene, *turn, &new).await?;
            select(conn, guild, *scene, *turn, swipe).await?;
            mark_stale(conn, guild, *scene).await?;
        }
        Approval::Reply(scene, target, new) => {
            lane::lock(conn, guild, *scene).await?;
            match target {
                Target::Turn(speaker) => {
                    let NewSwipe { text, origin, receipt } = new.clone();
                    let speaker = speaker.clone();
                    let new = NewTurn { speaker, text, origin, receipt, alternates: Vec::new() };
                    append(conn, guild, *scene, &new, None).await?;
                }
                Target::Swipe(turn) => {
                    let swipe = swipe::insert(conn, guild, *scene, *turn, new).await?;
                    select(conn, guild, *scene, *turn, swipe).await?;
                }
            }
            mark_stale(conn, guild, *scene).await?;
        }
        Approval::Character(id, book) => {
            character::offer(conn, guild, *id).await?;
            character_file::put_book(conn, guild, *id, book.as_ref()).await?;
        }
        Approval::Lorebook(None, NewBook { name, body }) => {
            lorebook::insert(conn, guild, name, body).await.map(drop)?;
        }
        Approval::Lorebook(Some((id, revision)), NewBook { body, .. }) => {
            lorebook::update(conn, guild, *id, *revision, body).await.map(drop)?;
        }
        Approval::Sheet(id, sheet) => character::update(conn, guild, *id, sheet).await.map(drop)?,
        Approval::File(id, file) => {
            character_file::put(conn, guild, file, Place::Of(*id)).await.map(drop)?;
        }
    }
    Ok(None)
}
