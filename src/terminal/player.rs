//! One person's evening: enter a scene, read lines, show what comes of them.

use std::io;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::chat::{Chat, ChatError};
use crate::domain::{Character, Guild, Length, Participant, Person, Scene, SceneId, Turn, TurnId};
use crate::store::{JobState, Line, StoreError};

use super::commands::Command;
use super::completion::Names;
use super::input::{Answer, Input};
use super::scenes::{self, Entrance};
use super::screen::Screen;
use super::stage::{StageEvent, StageEvents};
use super::{render, style};

/// How many turns are shown of a scene that goes on.
const RECENT_TURNS: u32 = 4;

/// How long a screen waits for words before it looks whether any will come.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How somebody wants to play.
#[derive(Debug, Clone, Default)]
pub struct PlayOptions {
    /// The name that the person goes by.
    pub user: String,
    /// With whom; `None` goes on with the scene played last.
    pub character: Option<String>,
    /// The length to choose; `Some(None)` leaves it to the model.
    pub length: Option<Option<Length>>,
    /// Begin anew even if a scene waits; the old one is kept, ended.
    pub new_scene: bool,
    /// Whether a person sits at the keyboard.
    pub interactive: bool,
    /// Whether colour is wanted.
    pub colour: bool,
    /// The width of the screen.
    pub columns: usize,
}

/// Why playing ended before the person wanted.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// No character of that name.
    #[error("there is no character “{name}”; there are {known}")]
    NoSuchCharacter {
        /// The name asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// The person goes by the character's name.
    #[error("two called {0} in one scene cannot be told apart; choose another name with --as")]
    SameName(String),
    /// The library is empty.
    #[error("there is no character to play with")]
    NoCharacters,
    /// The screen or the keyboard fails.
    #[error("the terminal failed: {0}")]
    Terminal(#[from] io::Error),
    /// The chat room refuses or fails.
    #[error("{}", .0.notice())]
    Chat(#[from] ChatError),
    /// The jobs stopped.
    #[error("the service stopped while you were playing; nothing is lost, start it again")]
    Stopped,
    /// A piped line could not be obeyed; those before it were.
    #[error("a line could not be obeyed: {0}")]
    Script(String),
}

impl From<StoreError> for PlayError {
    fn from(error: StoreError) -> Self {
        Self::Chat(error.into())
    }
}

/// Whether the evening goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
}

pub(super) struct Player {
    pub(super) chat: Arc<Chat>,
    pub(super) guild: Guild,
    pub(super) person: Person,
    pub(super) me: Participant,
    pub(super) library: Vec<Character>,
    pub(super) scene: SceneId,
    pub(super) screen: Screen,
    pub(super) input: Input,
    names: Arc<RwLock<Names>>,
    events: StageEvents,
    interactive: bool,
    /// Makes the ids of this process's messages unlike any other's.
    session: String,
    num_messages: u64,
    /// The turn and swipe shown last, to know it again after a crash.
    last_shown: Option<(TurnId, u32)>,
}

/// Plays until the person leaves. Every turn is stored before it is answered, so
/// leaving in any way, or a crash, loses nothing.
///
/// # Errors
/// The scene cannot be entered, the terminal fails, or a piped line cannot be
/// obeyed.
pub async fn play(
    chat: Arc<Chat>,
    events: StageEvents,
    options: &PlayOptions,
) -> Result<(), PlayError> {
    let entrance = scenes::enter(&chat, options).await?;
    let (is_new, scene) = (entrance.is_new, entrance.scene.clone());
    let mut player = Player::new(chat, events, entrance, options).await?;
    player.learn_names().await?;
    player.set_the_stage(&scene, is_new).await?;
    loop {
        let prompt = player.prompt();
        match player.input.ask(&prompt, "").await? {
            Answer::Line(line) => {
                if player.obey(&line).await? == Next::Leave {
                    break;
                }
            }
            Answer::Interrupted => player.screen.aside("/quit leaves; the scene waits for you")?,
            Answer::End => break,
        }
    }
    if player.interactive {
        player.screen.aside("the scene waits for you here")?;
    }
    Ok(())
}

impl Player {
    async fn new(
        chat: Arc<Chat>,
        events: StageEvents,
        entrance: Entrance,
        options: &PlayOptions,
    ) -> Result<Self, PlayError> {
        let Entrance { guild, person, library, scene, .. } = entrance;
        let names = Arc::new(RwLock::new(Names::default()));
        let input =
            if options.interactive { Input::editor(names.clone())? } else { Input::pipe()? };
        let me = scenes::participant(&chat, &guild, scene.id, &person).await?;
        Ok(Self {
            session: format!("{}-{}", std::process::id(), chat.now().timestamp_micros()),
            scene: scene.id,
            screen: Screen::new(options.colour, options.columns),
            interactive: options.interactive,
            num_messages: 0,
            last_shown: None,
            chat,
            guild,
            person,
            me,
            library,
            input,
            names,
            events,
        })
    }

    fn prompt(&self) -> String {
        if self.interactive { format!("{} ▸ ", self.me.name()) } else { String::new() }
    }

    /// A message's id: unlike all others, in this run and the next.
    pub(super) fn message_id(&mut self) -> String {
        self.num_messages += 1;
        format!("{}-{}", self.session, self.num_messages)
    }

    /// Brings the names that complete up to date.
    pub(super) async fn learn_names(&mut self) -> Result<(), PlayError> {
        let cast = self.chat.store().list_cast(self.guild.id, self.scene).await?;
        let presets = self.chat.preset_names(self.guild.id).await?;
        let name = |character: &Character| character.sheet.name.clone();
        *self.names.write().expect("no reader of the names panics") = Names {
            library: self.library.iter().map(name).collect(),
            cast: cast.iter().map(|member| name(&member.character)).collect(),
            presets,
        };
        Ok(())
    }

    /// The first screen: where we are, what was said last, and a reply that was
    /// still being made when the last evening broke off.
    async fn set_the_stage(&mut self, scene: &Scene, is_new: bool) -> Result<(), PlayError> {
        let unfinished = self.chat.store().list_open_jobs(self.guild.id, self.scene).await?;
        if self.interactive {
            let title = self.screen.style.heading(&scene.title).to_string();
            let settings = style_settings(self.screen.style, scene);
            self.screen.print(&format!("{title}  {settings}\n\n"))?;
            if is_new && !scene.scenario.is_empty() {
                self.screen.aside(&self.expanded_scenario(scene).await?)?;
                self.screen.print("\n")?;
            }
            self.show_recent().await?;
        } else if is_new {
            self.show_recent().await?;
        }
        if !unfinished.is_empty() {
            if self.interactive {
                self.screen.aside("a reply was still being made; it is finished now …")?;
            }
            self.show_replies().await?;
        }
        Ok(())
    }

    async fn show_recent(&mut self) -> Result<(), PlayError> {
        let line = Line { limit: Some(RECENT_TURNS), ..Line::default() };
        for turn in self.chat.store().list_line(self.guild.id, self.scene, line).await? {
            self.screen.turn(&turn)?;
            self.last_shown = Some((turn.id, turn.swipe.ordinal + 1));
        }
        Ok(())
    }

    /// Does what a line says. In a script a line that cannot be obeyed ends it,
    /// so that nobody takes a broken script for a finished one.
    async fn obey(&mut self, line: &str) -> Result<Next, PlayError> {
        let done = match Command::parse(line) {
            Ok(None) => return Ok(Next::Stay),
            Ok(Some(command)) => self.perform(command).await,
            Err(error) => Err(PlayError::Script(error.to_string())),
        };
        match done {
            Err(PlayError::Script(notice)) if self.interactive => {
                self.screen.warn(&notice)?;
                Ok(Next::Stay)
            }
            Err(PlayError::Chat(error)) if self.interactive => {
                self.screen.warn(&error.notice())?;
                Ok(Next::Stay)
            }
            Err(error @ PlayError::NoSuchCharacter { .. }) if self.interactive => {
                self.screen.warn(&error.to_string())?;
                Ok(Next::Stay)
            }
            done => done,
        }
    }

    /// Shows replies until the scene's lane is empty. Ctrl-C ends the one that is
    /// being written; what is written stays.
    pub(super) async fn show_replies(&mut self) -> Result<(), PlayError> {
        loop {
            tokio::select! {
                event = self.events.next(self.scene) => {
                    let event = event.ok_or(PlayError::Stopped)?;
                    let ends = matches!(event, StageEvent::Finished(_) | StageEvent::Failed(_));
                    self.show(event)?;
                    if ends && self.is_quiet().await? {
                        return Ok(());
                    }
                }
                _ = tokio::signal::ctrl_c(), if self.interactive => {
                    self.chat.stop_reply(self.scene);
                }
                // Another process may have made the reply, or called it off.
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    if self.chat.store().list_open_jobs(self.guild.id, self.scene).await?.is_empty() {
                        return self.show_missed().await;
                    }
                }
            }
        }
    }

    /// Shows the newest turn if it is a reply that did not pass over this screen.
    async fn show_missed(&mut self) -> Result<(), PlayError> {
        while let Some(event) = self.events.try_next(self.scene) {
            self.show(event)?;
        }
        match self.latest().await? {
            Some(turn)
                if turn.speaker.is_character()
                    && self.last_shown != Some((turn.id, turn.swipe.ordinal + 1)) =>
            {
                self.screen.drop_words()?;
                self.last_shown = Some((turn.id, turn.swipe.ordinal + 1));
                Ok(self.screen.turn(&turn)?)
            }
            _ => Ok(()),
        }
    }

    async fn is_quiet(&self) -> Result<bool, PlayError> {
        let open = self.chat.store().list_open_jobs(self.guild.id, self.scene).await?;
        // The job whose reply was just shown leaves the lane a moment later.
        Ok(open.iter().all(|job| job.state == JobState::Sending))
    }

    fn show(&mut self, event: StageEvent) -> Result<(), PlayError> {
        match event {
            StageEvent::Begin { name, standing_text } => {
                self.screen.begin_words(&name)?;
                if !standing_text.is_empty() {
                    self.screen.words("…")?;
                }
            }
            StageEvent::Words(words) => self.screen.words(&words)?,
            StageEvent::Anew => self.screen.words(" … — no, anew:\n")?,
            StageEvent::Finished(reply) => {
                let shown = (reply.turn.id, reply.turn.swipe.ordinal + 1);
                // After a crash a stored reply comes without its words, and may
                // be on the screen already.
                if !self.screen.has_words() {
                    if self.last_shown == Some(shown) {
                        return Ok(());
                    }
                    self.screen.begin_words(reply.turn.speaker.name())?;
                    self.screen.words(&reply.turn.swipe.text)?;
                }
                self.screen.end_words()?;
                self.last_shown = Some(shown);
            }
            StageEvent::Failed(notice) => {
                if self.screen.has_words() {
                    self.screen.end_words()?;
                } else {
                    self.screen.drop_words()?;
                }
                if !self.interactive {
                    return Err(PlayError::Script(notice));
                }
                self.screen.warn(&notice)?;
            }
        }
        Ok(())
    }

    /// The newest turn of the line.
    pub(super) async fn latest(&self) -> Result<Option<Turn>, PlayError> {
        let line = Line { limit: Some(1), ..Line::default() };
        let mut line = self.chat.store().list_line(self.guild.id, self.scene, line).await?;
        Ok(line.pop())
    }

    async fn expanded_scenario(&self, scene: &Scene) -> Result<String, PlayError> {
        Ok(scene.scenario.replace("{{user}}", self.me.name()).replace("{{char}}", &scene.title))
    }
}

fn style_settings(style: style::Style, scene: &Scene) -> String {
    style.aside(render::settings(scene)).to_string()
}
