//! What each command does.

use crate::chat::{
    self, CONSENT_WORDS, Message, PersonaScope, ReplyReceipt, SwipeTo, Undone, unanswered,
};
use crate::domain::{Note, Turn};
use crate::store::{Accepted, Line};

use super::commands::{CastChange, Command, EditTarget, NoteChange, SwipeChoice, TrainingChange};
use super::input::Answer;
use super::player::{Next, PlayError, Player};
use super::{render, scenes};

impl Player {
    pub(super) async fn perform(&mut self, command: Command) -> Result<Next, PlayError> {
        match command {
            Command::Say(text) => self.say(&text).await?,
            Command::OutOfCharacter => {}
            Command::Length(choice) => self.length(choice).await?,
            Command::Swipe(choice) => self.swipe(choice).await?,
            Command::Continue => self.go_on().await?,
            Command::Reply(name) => self.reply(name).await?,
            Command::Undo => self.undo().await?,
            Command::Redo => self.redo().await?,
            Command::Edit(target, text) => self.edit(target, text).await?,
            Command::Context { full } => self.context(full).await?,
            Command::Why => self.why().await?,
            Command::History => self.history().await?,
            Command::Scenario(text) => self.scenario(text).await?,
            Command::Persona(persona) => self.persona(persona).await?,
            Command::Note(change) => self.note(change).await?,
            Command::Cast(change) => self.cast(change).await?,
            Command::Preset(name) => self.preset(name).await?,
            Command::Lore(text) => self.lore(text.as_deref()).await?,
            Command::Training(change) => self.training(change).await?,
            Command::Roll { dice, reason } => self.roll(&dice, reason.as_deref()).await?,
            Command::Help(command) => {
                let help = render::help(command.as_deref(), self.screen.style);
                self.screen.print(&help)?;
            }
            Command::Quit => return Ok(Next::Leave),
        }
        Ok(Next::Stay)
    }

    async fn say(&mut self, text: &str) -> Result<(), PlayError> {
        let message = Message {
            guild: self.guild.id,
            scene: self.scene,
            external_id: self.message_id(),
            author: &self.me.clone(),
            text,
            answer: None,
        };
        if let Accepted::New { refused: Some(full), .. } = self.chat.accept_turn(message).await? {
            return Err(PlayError::Script(unanswered(full)));
        }
        self.screen.print("\n")?;
        self.show_replies().await
    }

    async fn roll(&mut self, dice: &str, reason: Option<&str>) -> Result<(), PlayError> {
        let rolled = chat::roll(dice, reason)?;
        let (guild, me, id) = (self.guild.id, self.me.clone(), self.message_id());
        self.chat.accept_roll(guild, self.scene, &me, id, &rolled).await?;
        Ok(self.screen.print(&format!("{} {}\n", me.name(), rolled.text))?)
    }

    async fn length(
        &mut self,
        choice: Option<Option<crate::domain::Length>>,
    ) -> Result<(), PlayError> {
        let length = match choice {
            Some(length) => self.chat.set_length(self.guild.id, self.scene, length).await?.length,
            None => self.chat.scene(self.guild.id, self.scene).await?.length,
        };
        let length = length.map_or("auto: the model chooses", |length| length.as_str());
        Ok(self.screen.aside(&format!("length: {length}"))?)
    }

    async fn swipe(&mut self, choice: SwipeChoice) -> Result<(), PlayError> {
        let turn = self.latest_reply().await?;
        let to = match choice {
            SwipeChoice::Previous => Some(SwipeTo::Previous),
            SwipeChoice::Next => Some(SwipeTo::Next),
            SwipeChoice::Number(number) => Some(SwipeTo::Number(number)),
            // A greeting has its alternatives ready; a reply gets a new one.
            SwipeChoice::New if turn.parent.is_none() => Some(SwipeTo::Next),
            SwipeChoice::New => None,
        };
        if let Some(to) = to
            && let Some(turn) =
                self.chat.choose_swipe(self.guild.id, self.scene, turn.id, to).await?
        {
            return Ok(self.screen.turn(&turn)?);
        }
        let (guild, person) = (self.guild.id, self.person.id);
        self.chat.ask_swipe(guild, self.scene, person, turn.id, None).await?;
        self.show_replies().await
    }

    async fn go_on(&mut self) -> Result<(), PlayError> {
        let turn = self.latest_reply().await?;
        self.chat.ask_continue(self.guild.id, self.scene, self.person.id, turn.id).await?;
        self.show_replies().await
    }

    async fn reply(&mut self, name: Option<String>) -> Result<(), PlayError> {
        let character = match name {
            Some(name) => Some(scenes::find(&self.library, &name)?.id),
            None => None,
        };
        let (guild, person) = (self.guild.id, self.person.id);
        self.chat.ask_reply(guild, self.scene, person, character, None).await?;
        self.show_replies().await
    }

    async fn undo(&mut self) -> Result<(), PlayError> {
        match self.chat.undo(self.guild.id, self.scene).await? {
            None => Ok(self.screen.aside("there is nothing to take back")?),
            Some(undone) => self.show_move(undone, "taken back; /redo brings it again").await,
        }
    }

    async fn redo(&mut self) -> Result<(), PlayError> {
        match self.chat.redo(self.guild.id, self.scene).await? {
            None => Ok(self.screen.aside("there is nothing to bring again")?),
            Some(undone) => self.show_move(undone, "brought again").await,
        }
    }

    async fn show_move(&mut self, moved: Undone, what: &str) -> Result<(), PlayError> {
        let subject = match moved {
            Undone::Turns(1) => "one turn".to_owned(),
            Undone::Turns(num_turns) => format!("{num_turns} turns"),
            Undone::Choice(_) => "the choice of a text".to_owned(),
        };
        self.screen.aside(&format!("{subject} {what}"))?;
        let changed = match moved {
            Undone::Choice(turn) => self.chat.store().get_turn(self.guild.id, turn).await?,
            Undone::Turns(_) => self.latest().await?,
        };
        match changed {
            Some(turn) => Ok(self.screen.turn(&turn)?),
            None => Ok(self.screen.aside("the scene has no turns now")?),
        }
    }

    async fn edit(&mut self, target: EditTarget, text: Option<String>) -> Result<(), PlayError> {
        let turn = match target {
            EditTarget::Latest => self.latest().await?,
            EditTarget::Mine => {
                let line = Line { limit: Some(50), ..Line::default() };
                let line = self.chat.store().list_line(self.guild.id, self.scene, line).await?;
                line.into_iter().rev().find(|turn| !turn.speaker.is_character())
            }
        };
        let turn = turn.ok_or_else(|| PlayError::Script("there is no turn to edit yet".into()))?;
        let text = match text {
            Some(text) => text,
            None => match self.input.ask("edit ▸ ", &turn.swipe.text.replace('\n', " ")).await? {
                Answer::Line(text) if !text.trim().is_empty() => text,
                _ => return Ok(self.screen.aside("nothing was changed")?),
            },
        };
        let turn = self.chat.edit_turn(self.guild.id, self.scene, turn.id, &text).await?;
        Ok(self.screen.turn(&turn)?)
    }

    async fn context(&mut self, full: bool) -> Result<(), PlayError> {
        let preview = self.chat.preview_prompt(self.guild.id, self.scene).await?;
        if full {
            self.screen.print(&format!("{}\n\n", preview.prompt.text))?;
        }
        let style = self.screen.style;
        let table = render::context(&preview.prompt.receipt, preview.reply_tokens, style);
        self.screen.print(&table)?;
        Ok(self.screen.print(&render::lore(&preview.lore, style))?)
    }

    async fn why(&mut self) -> Result<(), PlayError> {
        let turn = self.latest_reply().await?;
        let receipt = turn.swipe.receipt.and_then(|it| serde_json::from_value(it).ok());
        let receipt: ReplyReceipt =
            receipt.ok_or_else(|| PlayError::Script("no model wrote the latest turn".into()))?;
        let table = render::why(&receipt, self.screen.style);
        self.screen.print(&table)?;
        Ok(self.screen.print(&render::lore(&receipt.lore, self.screen.style))?)
    }

    async fn lore(&mut self, text: Option<&str>) -> Result<(), PlayError> {
        let (guild, scene, style) = (self.guild.id, self.scene, self.screen.style);
        let Some(text) = text else {
            let books = self.chat.library().lorebooks(guild).await?;
            let used = self.chat.store().list_lore_uses(guild, scene).await?;
            return Ok(self.screen.print(&render::lorebooks(&books, &used, style))?);
        };
        let report = self.chat.test_lore(guild, Some(scene), None, text).await?;
        Ok(self.screen.print(&render::lore_test(&report, style))?)
    }

    async fn history(&mut self) -> Result<(), PlayError> {
        let line = self.chat.store().list_line(self.guild.id, self.scene, Line::default()).await?;
        for turn in line {
            self.screen.turn(&turn)?;
        }
        Ok(())
    }

    async fn scenario(&mut self, text: Option<String>) -> Result<(), PlayError> {
        let scene = match text {
            Some(text) => self.chat.set_scenario(self.guild.id, self.scene, &text).await?,
            None => self.chat.scene(self.guild.id, self.scene).await?,
        };
        let scenario = if scene.scenario.is_empty() { "(none)" } else { &scene.scenario };
        Ok(self.screen.aside(&format!("scenario: {scenario}"))?)
    }

    async fn persona(&mut self, persona: Option<(String, String)>) -> Result<(), PlayError> {
        if let Some((name, description)) = persona {
            let (guild, person) = (self.guild.id, self.person.id);
            let scope = PersonaScope::Scene(self.scene);
            self.chat.set_persona(guild, scope, person, &name, &description).await?;
            self.me =
                scenes::participant(&self.chat, &self.guild, self.scene, &self.person).await?;
        }
        let people = render::cast(&[], std::slice::from_ref(&self.me), self.screen.style);
        Ok(self.screen.print(&people)?)
    }

    async fn note(&mut self, change: NoteChange) -> Result<(), PlayError> {
        let (guild, scene) = (self.guild.id, self.scene);
        let scene = match change {
            NoteChange::Show => self.chat.scene(guild, scene).await?,
            NoteChange::Clear => self.chat.set_note(guild, scene, None).await?,
            NoteChange::Set { depth, text } => {
                let note = Note { text, depth: depth.unwrap_or(Note::DEFAULT_DEPTH) };
                self.chat.set_note(guild, scene, Some(note)).await?
            }
        };
        let shown = match scene.note {
            Some(note) => format!("note, {} turns before the end: {}", note.depth, note.text),
            None => "no note".to_owned(),
        };
        Ok(self.screen.aside(&shown)?)
    }

    async fn cast(&mut self, change: CastChange) -> Result<(), PlayError> {
        let guild = self.guild.id;
        match change {
            CastChange::Show => {}
            CastChange::Add(name) => {
                let character = scenes::find(&self.library, &name)?;
                self.chat.add_to_cast(guild, self.scene, character).await?;
            }
            CastChange::Remove(name) => {
                let character = scenes::find(&self.library, &name)?.id;
                self.chat.remove_from_cast(guild, self.scene, character).await?;
            }
        }
        self.learn_names().await?;
        let view = self.chat.view(guild, self.scene, None).await?;
        let shown = render::cast(&view.cast, &view.people, self.screen.style);
        Ok(self.screen.print(&shown)?)
    }

    async fn preset(&mut self, name: Option<String>) -> Result<(), PlayError> {
        let guild = self.guild.id;
        let scene = match name {
            Some(name) => self.chat.set_preset(guild, self.scene, &name).await?,
            None => self.chat.scene(guild, self.scene).await?,
        };
        let known = self.chat.preset_names(guild).await?.join(", ");
        Ok(self.screen.aside(&format!("preset: {} (there are {known})", scene.preset))?)
    }

    /// Whoever sits at the keyboard looks after it as well.
    async fn training(&mut self, change: TrainingChange) -> Result<(), PlayError> {
        let (guild, scene, me) = (self.guild.id, self.scene, self.person.id);
        let library = self.chat.library();
        match change {
            TrainingChange::Show => {}
            TrainingChange::Agree => {
                library.agree_to_training(guild, me).await?;
            }
            TrainingChange::Withdraw => {
                library.withdraw_from_training(guild, me).await?;
            }
            TrainingChange::Approve => {
                library.approve_training(guild, scene, me).await?;
            }
            TrainingChange::Unapprove => {
                library.unapprove_training(guild, scene, me).await?;
            }
        }
        let mine = match library.training_consent(guild, me).await? {
            Some(_) => "you agreed; /training withdraw takes it back".to_owned(),
            None => format!("you have not agreed. {CONSENT_WORDS} /training agree says yes."),
        };
        let scene = library.training_scene(guild, scene).await?;
        Ok(self.screen.aside(&format!("training: {mine}\n{scene}"))?)
    }

    async fn latest_reply(&self) -> Result<Turn, PlayError> {
        match self.latest().await? {
            Some(turn) if turn.speaker.is_character() => Ok(turn),
            Some(_) => {
                Err(PlayError::Script("the latest turn is yours; /reply asks for one".into()))
            }
            None => Err(PlayError::Script("nothing has been said yet".into())),
        }
    }
}
