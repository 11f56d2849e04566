//! What moderators decide upon a report or a hold, and what follows from it.

use serde_json::json;

use crate::domain::{GuildId, PersonId, SceneId, SceneState};
use crate::moderation::Door;
use crate::store::{
    Accepted, Approval, Case, CharacterFile, Held, HeldCase, NewBook, NewCase, NewMessage,
    NewSwipe, Noun, StoreError,
};

use super::{Chat, ChatError};

/// What a moderator does to whoever or whatever a case is about, besides deciding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upon {
    /// Keeps a warning of the person.
    Warn,
    /// Has the person not heard in any scene.
    Block,
    /// Freezes the scene.
    Freeze,
}

/// A case that was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The case, as it was before.
    pub case: Case,
    /// What it held.
    pub held: Option<HeldCase>,
    /// What became of a message that it held.
    pub accepted: Option<Accepted>,
}

impl Chat {
    /// Lets stand what a case is about: what is held comes where it belongs, what was
    /// reported stays. `text` takes the place of its words, where it is of words.
    ///
    /// # Errors
    /// The case is closed, what it is about cannot stand whoever says so or is not there any
    /// more, or the database fails; nothing was changed then.
    pub async fn approve_case(
        &self,
        guild: GuildId,
        number: i64,
        moderator: PersonId,
        text: Option<&str>,
    ) -> Result<Decided, ChatError> {
        let case = self.open_case_of(guild, number).await?;
        let decision = if text.is_some() { "approved, edited" } else { "approved" };
        if case.kind != "hold" {
            if let (Some(text), Some(scene), Some(turn)) = (text, case.scene, case.turn) {
                self.edit_turn(guild, scene, turn, text).await?;
                self.ask_show(guild, scene).await?;
            }
            self.decide_case(guild, number, moderator, decision).await?;
            return Ok(Decided { case, held: None, accepted: None });
        }
        let found = self.store.get_held(guild, number).await?;
        let found = found.ok_or_else(|| {
            ChatError::refused(format!("what case {number} held is gone: its person left"))
        })?;
        if found.is_approved {
            return Err(ChatError::refused(
                "that was approved before; /mod decide closes the case",
            ));
        }
        let approval = self.approval(guild, &case, &found.held, text).await?;
        let done = self.store.approve_held(guild, number, moderator, decision, &approval).await;
        let accepted = match done {
            // Somebody else was first, and put it there.
            Err(_) if self.known_case(guild, number).await?.decision.is_some() => {
                return Err(closed(number));
            }
            Err(StoreError::NotFound(Noun::Lorebook)) => {
                return Err(ChatError::refused(
                    "that lorebook was changed since; reject this, and have it brought again",
                ));
            }
            done => done?.ok_or_else(|| closed(number))?,
        };
        let detail = json!({ "case": number });
        self.store.insert_audit(guild, Some(moderator), "case.approve", &detail).await?;
        match &approval {
            Approval::Edit(scene, ..) | Approval::Reply(scene, ..) => {
                self.ask_show(guild, *scene).await?;
            }
            Approval::Character(id, _) | Approval::File(id, _) => {
                if let Some(person) = case.person {
                    self.library.note_own_lore(guild, person, *id).await?;
                }
            }
            Approval::Lorebook(replaces, NewBook { name, .. }) => {
                let kept = self.store.get_lorebook_by_name(guild, name).await?;
                if let (Some(person), Some(kept)) = (case.person, kept) {
                    let is_new = replaces.is_none();
                    self.library.note_kept(guild, person, kept.id, is_new).await?;
                }
            }
            Approval::Message(..) | Approval::Sheet(..) => {}
        }
        Ok(Decided { case, held: Some(found), accepted })
    }

    /// Lets what a case is about not stand: what is held is not taken, what was reported
    /// goes from the story.
    ///
    /// # Errors
    /// The case is closed, or the database fails.
    pub async fn reject_case(
        &self,
        guild: GuildId,
        number: i64,
        moderator: PersonId,
        decision: &str,
    ) -> Result<Decided, ChatError> {
        let case = self.open_case_of(guild, number).await?;
        let held = self.store.get_held(guild, number).await?;
        if held.is_none()
            && let (Some(scene), Some(turn)) = (case.scene, case.turn)
            && self.take_out(guild, scene, turn).await?
        {
            self.ask_show(guild, scene).await?;
        }
        self.decide_case(guild, number, moderator, decision).await?;
        Ok(Decided { case, held, accepted: None })
    }

    /// Does something to whoever or whatever a case is about; the case stays as it is.
    /// Gives the number of the case of that.
    ///
    /// # Errors
    /// It is about nobody, or no scene; that was done before; or the database fails.
    pub async fn act_upon_case(
        &self,
        guild: GuildId,
        number: i64,
        upon: Upon,
        moderator: PersonId,
    ) -> Result<i64, ChatError> {
        let case = self.known_case(guild, number).await?;
        let person = case.person.ok_or_else(|| ChatError::refused("that case is about nobody"));
        let follows = Some(number);
        match upon {
            Upon::Warn => {
                let done = self.store.list_following_cases(guild, number).await?;
                if let Some(warned) = done.iter().find(|case| case.kind == "warn") {
                    return Err(ChatError::refused(format!(
                        "they were warned already: case {}",
                        warned.number
                    )));
                }
                let (scene, turn) = (case.scene, case.turn);
                let person = Some(person?);
                let case =
                    NewCase { kind: "warn", person, scene, turn, follows, ..NewCase::default() };
                self.open_case(guild, moderator, case, "").await
            }
            Upon::Block => {
                let blocked = self.block(guild, person?, true, moderator, "", follows).await?;
                blocked.ok_or_else(|| ChatError::refused("they are blocked already"))
            }
            Upon::Freeze => {
                let scene = case.scene;
                let scene = scene.ok_or_else(|| ChatError::refused("that case is about no scene"));
                self.freeze(guild, scene?, moderator, "", follows).await
            }
        }
    }

    /// A case of the guild.
    ///
    /// # Errors
    /// There is none of that number, or the database fails.
    pub async fn known_case(&self, guild: GuildId, number: i64) -> Result<Case, ChatError> {
        self.store.get_case(guild, number).await?.ok_or_else(|| {
            ChatError::refused(format!("there is no case {number}; /mod history lists them"))
        })
    }

    async fn open_case_of(&self, guild: GuildId, number: i64) -> Result<Case, ChatError> {
        let case = self.known_case(guild, number).await?;
        match case.kind.as_str() {
            "report" | "hold" if case.decision.is_none() => Ok(case),
            "report" | "hold" => Err(closed(number)),
            _ => Err(ChatError::refused(format!("in case {number} nothing waits"))),
        }
    }

    /// What is put where it belongs, as it may stand now.
    async fn approval(
        &self,
        guild: GuildId,
        case: &Case,
        held: &Held,
        edited: Option<&str>,
    ) -> Result<Approval, ChatError> {
        let edited = edited.map(|text| self.clean_turn(text)).transpose()?;
        let wording = |text: &String| edited.clone().unwrap_or_else(|| text.clone());
        match held {
            Held::Message { external_id, name, text, work } => {
                let person = case.person.ok_or(StoreError::NotFound(Noun::Person))?;
                if !self.store.list_absent(guild, &[person]).await?.is_empty() {
                    return Err(ChatError::refused(
                        "its person is not heard now: they are blocked, or wanted so themselves",
                    ));
                }
                let (scene, state) = self.scene_for(guild, case).await?;
                let text = self.seen(guild, scene, Door::Message, &wording(text)).await?;
                let message = NewMessage {
                    external_id: external_id.clone(),
                    person,
                    name: name.clone(),
                    text,
                    work: work.clone().filter(|_| state == SceneState::Active),
                    limits: self.settings.limits,
                };
                Ok(Approval::Message(scene, message))
            }
            Held::Edit { turn, text } => {
                let (scene, _) = self.scene_for(guild, case).await?;
                let text = self.seen(guild, scene, Door::Message, &wording(text)).await?;
                Ok(Approval::Edit(scene, *turn, text))
            }
            Held::Reply { target, text, origin, receipt, .. } => {
                let (scene, _) = self.scene_for(guild, case).await?;
                let text = self.seen(guild, scene, Door::Reply, &wording(text)).await?;
                let new = NewSwipe { text, origin: *origin, receipt: receipt.clone() };
                Ok(Approval::Reply(scene, target.clone(), new))
            }
            Held::Character { came, replaces, sheet, book } => {
                if edited.is_some() {
                    return Err(ChatError::refused(
                        "a character is not edited here; approve it, then /character edit",
                    ));
                }
                self.library.check_seen_sheet(guild, sheet).await?;
                if let Some(book) = book {
                    self.library.check_seen_book(guild, &book.body).await?;
                }
                Ok(match (*came, *replaces) {
                    (None, None) => return Err(StoreError::NotFound(Noun::Character).into()),
                    (None, Some(id)) => Approval::Sheet(id, sheet.clone()),
                    (Some(id), None) => Approval::Character(id, book.clone()),
                    (Some(came), Some(id)) => {
                        let card = self.store.get_card(guild, came).await?;
                        let file = CharacterFile {
                            sheet: (**sheet).clone(),
                            card: card.ok_or(StoreError::NotFound(Noun::Character))?,
                            assets: self.store.list_character_assets(guild, came).await?,
                            book: book.clone(),
                        };
                        Approval::File(id, Box::new(file))
                    }
                })
            }
            Held::Lorebook { name, replaces, body } => {
                if edited.is_some() {
                    return Err(ChatError::refused(
                        "a lorebook is not edited here; approve it, then /lore edit",
                    ));
                }
                self.library.check_seen_book(guild, body).await?;
                let book = NewBook { name: name.clone(), body: body.clone() };
                Ok(Approval::Lorebook(*replaces, book))
            }
        }
    }

    async fn seen(
        &self,
        guild: GuildId,
        scene: SceneId,
        door: Door,
        text: &str,
    ) -> Result<String, ChatError> {
        self.library.rules(guild, Some(scene)).await?.pass_seen(door, text).await
    }

    /// The scene that a case is about, if it takes anything now.
    async fn scene_for(
        &self,
        guild: GuildId,
        case: &Case,
    ) -> Result<(SceneId, SceneState), ChatError> {
        let scene = case.scene.ok_or(StoreError::NotFound(Noun::Scene))?;
        if self.store.is_frozen(guild, scene).await? {
            return Err(ChatError::refused("its scene is frozen, or everything here is"));
        }
        match self.scene(guild, scene).await?.state {
            SceneState::Ended => Err(ChatError::refused("its scene is over")),
            state => Ok((scene, state)),
        }
    }
}

fn closed(number: i64) -> ChatError {
    ChatError::refused(format!("case {number} is closed already"))
}
