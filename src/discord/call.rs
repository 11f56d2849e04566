//! One use of a command, a button or a form while it is answered: who asks, where,
//! and what they are told.

use std::sync::Arc;

use serenity::model::id::{ChannelId, GuildId};

use super::api::{ApiError, File};
use super::bot::{Author, Bot, Place};
use super::controls::Button;
use super::custom_id::CustomId;
use super::interaction::{Asker, Handle, Interaction};
use super::locale::Locale;
use super::permissions::{self, Deed, Part, Who, Whose};
use crate::chat::{Arrival, ChatError};
use crate::domain::{self, Character, Person, Scene, SceneId, Turn, TurnId};
use crate::moderation::{Arrivals, Whoever};
use crate::store::{GuildSettings, StoreError};

/// Who asks, and where.
pub(super) struct Call {
    pub(super) bot: Arc<Bot>,
    pub(super) handle: Handle,
    pub(super) guild: domain::GuildId,
    pub(super) guild_id: GuildId,
    pub(super) channel: ChannelId,
    pub(super) who: Asker,
    pub(super) locale: Locale,
}

/// What somebody is told, and only they.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) rows: Vec<Vec<Button>>,
    pub(super) files: Vec<File>,
    /// A thread that goes to the archive once the answer is there: nothing in it can
    /// be changed then.
    pub(super) then_archive: Option<ChannelId>,
}

impl Answer {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Nothing is said: what was asked for is seen in the channel.
    pub(super) fn silent() -> Self {
        Self::default()
    }

    pub(super) fn is_silent(&self) -> bool {
        self.text.is_empty() && self.rows.is_empty() && self.files.is_empty()
    }
}

/// A form about to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormSheet {
    /// What comes back with it.
    pub(super) id: CustomId,
    /// At most 45 characters.
    pub(super) title: String,
    /// One to five.
    pub(super) fields: Vec<Field>,
}

/// The most that a field of a form can hold, by Discord's documentation.
pub(super) const MAX_FIELD: usize = 4_000;

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    /// What it holds at first.
    pub(super) value: String,
    pub(super) max: usize,
    pub(super) is_long: bool,
    pub(super) is_required: bool,
}

impl Field {
    /// A field of one line.
    pub(super) fn line(id: &'static str, label: &'static str, value: &str, max: usize) -> Self {
        Self { id, label, value: value.to_owned(), max, is_long: false, is_required: false }
    }

    /// A field of many lines, as long as a field can be.
    pub(super) fn long(id: &'static str, label: &'static str, value: &str) -> Self {
        Self { is_long: true, ..Self::line(id, label, value, MAX_FIELD) }
    }

    pub(super) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Whether what it is to hold at first fits.
    pub(super) fn fits(&self) -> bool {
        super::names::length(&self.value) <= self.max
    }
}

/// A wish that is not granted, and why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// In words for the person.
    #[error("{0}")]
    Plain(String),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Chat(error.into())
    }
}

impl Refusal {
    pub(super) fn plain(reason: impl Into<String>) -> Self {
        Self::Plain(reason.into())
    }

    /// What the person is told.
    pub(super) fn notice(&self) -> String {
        let words = match self {
            Self::Plain(reason) => reason.clone(),
            Self::Chat(error) => error.notice(),
            Self::Api(error) => error.to_string(),
        };
        sentence(&words)
    }

    /// A stable label for the log.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Plain(_) => "refused",
            Self::Chat(error) => error.kind(),
            Self::Api(error) => error.kind(),
        }
    }

    /// Whether it is the service's trouble and not the person's.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Plain(_)
            | Self::Chat(
                ChatError::Refused(_)
                | ChatError::MustAgree
                | ChatError::Held { .. }
                | ChatError::Format(_)
                | ChatError::Preset { .. },
            ) => false,
            Self::Chat(ChatError::Store(
                StoreError::NotFound(_) | StoreError::Taken(_) | StoreError::Full(_),
            )) => false,
            Self::Chat(_) | Self::Api(_) => true,
        }
    }
}

/// Errors are written to be joined; said by themselves they are sentences.
pub(super) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if words.ends_with(['.', '!', '?', '…', ')']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

impl Call {
    /// Looks up what an interaction names.
    pub(super) async fn new(bot: Arc<Bot>, asked: &Interaction) -> Result<Self, Refusal> {
        let (Some(guild_id), Some(channel)) = (asked.guild, asked.channel) else {
            return Err(Refusal::plain(
                "scenes are played on servers; ask there, in a channel or a thread",
            ));
        };
        Ok(Self {
            guild: bot.guild(guild_id).await?.id,
            handle: asked.handle.clone(),
            guild_id,
            channel,
            who: asked.who.clone(),
            locale: Locale::of(&asked.locale),
            bot,
        })
    }

    /// How the store knows who asks.
    pub(super) fn author(&self) -> Author {
        Author { external_id: self.who.id.to_string(), display_name: self.who.name.clone() }
    }

    pub(super) async fn person(&self) -> Result<Person, Refusal> {
        Ok(self.bot.person(self.guild, &self.author()).await?)
    }

    /// The scene that is played here.
    pub(super) async fn place(&self) -> Result<Place, Refusal> {
        self.bot
            .place(self.guild_id, self.channel)
            .await?
            .ok_or_else(|| Refusal::plain("no scene is being played here; /scene start begins one"))
    }

    /// The same with its settings.
    pub(super) async fn scene(&self) -> Result<Scene, Refusal> {
        let place = self.place().await?;
        Ok(self.bot.chat.scene(place.guild, place.scene).await?)
    }

    pub(super) async fn settings(&self) -> Result<GuildSettings, Refusal> {
        Ok(self.bot.chat.store().get_guild_settings(self.guild).await?)
    }

    /// Asks whether they may.
    pub(super) async fn may(&self, deed: Deed<'_>) -> Result<(), Refusal> {
        let settings = self.settings().await?;
        let roles = self.roles();
        let who = Who {
            permissions: self.who.permissions,
            roles: &roles,
            moderator_roles: &settings.moderator_roles,
            part: self.part().await?,
        };
        let is_bound = !who.moderates();
        // A report is heard from everybody, whatever is stopped.
        if is_bound && deed != Deed::Report {
            self.heed_moderators().await?;
        } else if deed.brings_words() {
            let person = self.person().await?;
            self.bot.chat.heed_agreement(self.guild, person.id).await?;
        }
        permissions::may(&who, deed).map_err(|refused| Refusal::plain(refused.to_string()))?;
        if is_bound { self.heed_policy(deed).await } else { Ok(()) }
    }

    fn roles(&self) -> Vec<String> {
        self.who.roles.iter().map(ToString::to_string).collect()
    }

    /// Who brings a character, and where they are told what became of it.
    pub(super) async fn arrival<T>(
        &self,
        bring: impl AsyncFnOnce(Arrival<'_>) -> Result<T, ChatError>,
    ) -> Result<T, Refusal> {
        let (settings, roles, place) =
            (self.settings().await?, self.roles(), self.channel.to_string());
        let who = Who {
            permissions: self.who.permissions,
            roles: &roles,
            moderator_roles: &settings.moderator_roles,
            part: Part::Reader,
        };
        let person = self.person().await?.id;
        let by_moderator = who.moderates();
        let brought = bring(Arrival { person, by_moderator, place: &place }).await?;
        self.bot.case_bell.notify_one();
        Ok(brought)
    }

    /// Whether the policy here leaves something to others than moderators.
    async fn heed_policy(&self, deed: Deed<'_>) -> Result<(), Refusal> {
        let library = self.bot.chat.library();
        let whoever = match deed {
            Deed::StartScene(_) => {
                let around = self.bot.surroundings(self.channel, false).await?;
                let channel = self.channel.to_string();
                let policy = library.policy_at(self.guild, &around, &channel).await?;
                let person = self.person().await?.id;
                self.bot.chat.heed_scenes_begun(self.guild, &policy, person).await?;
                policy.starters
            }
            Deed::CreateCharacter | Deed::EditCharacter(_) => {
                match library.rules(self.guild, None).await?.policy.characters {
                    Arrivals::Everyone | Arrivals::Reviewed => Whoever::Everyone,
                    Arrivals::Moderators => Whoever::Moderators,
                }
            }
            _ => return Ok(()),
        };
        match whoever {
            Whoever::Everyone => Ok(()),
            Whoever::Moderators => {
                Err(Refusal::plain(permissions::Refusal::PolicySaysModerators.to_string()))
            }
        }
    }

    /// Whether moderators have stopped neither the one who asks nor what is played here.
    async fn heed_moderators(&self) -> Result<(), Refusal> {
        let person = self.person().await?;
        self.bot.chat.heed_standing(self.guild, person.id).await?;
        if let Some(place) = self.bot.place(self.guild_id, self.channel).await? {
            self.bot.chat.heed_freeze(place.guild, place.scene).await?;
        }
        Ok(())
    }

    /// Whose something is that lasts beyond scenes: theirs whose deed brought it.
    pub(super) async fn whose(
        &self,
        brought: &[&str],
        what: serde_json::Value,
    ) -> Result<Whose, Refusal> {
        let person = self.person().await?;
        let maker = self.bot.chat.store().get_audit_person(self.guild, brought, &what).await?;
        Ok(if maker == Some(person.id) { Whose::Own } else { Whose::Others })
    }

    /// What they are to the scene that is played here. Whoever begins one takes part
    /// in it before anybody else.
    async fn part(&self) -> Result<Part, Refusal> {
        let Some(place) = self.bot.place(self.guild_id, self.channel).await? else {
            return Ok(Part::Reader);
        };
        let people = self.bot.chat.store().list_participants(place.guild, place.scene).await?;
        let id = self.who.id.to_string();
        Ok(match people.iter().position(|other| other.person.external_id == id) {
            None => Part::Reader,
            Some(0) => Part::Opener,
            Some(_) => Part::Player,
        })
    }

    /// A character of the guild, by what somebody wrote.
    pub(super) async fn character(&self, name: &str) -> Result<Character, Refusal> {
        Ok(self.bot.chat.find_character(self.guild, name).await?)
    }

    /// A turn of a scene that is or was played here.
    pub(super) async fn turn_here(&self, turn: TurnId) -> Result<Turn, Refusal> {
        let store = self.bot.chat.store();
        let turn = store.get_turn(self.guild, turn).await?;
        let turn = turn.ok_or_else(|| Refusal::plain("that turn is not there any more"))?;
        let scene = store.get_scene(self.guild, turn.scene_id).await?;
        if scene.is_none_or(|scene| scene.channel != self.channel.to_string()) {
            return Err(Refusal::plain("that is no turn of a scene that is played here"));
        }
        Ok(turn)
    }

    /// A turn, if it is that scene's.
    pub(super) async fn turn(&self, scene: SceneId, turn: TurnId) -> Result<Turn, Refusal> {
        let found = self.bot.chat.store().get_turn(self.guild, turn).await?;
        found
            .filter(|turn| turn.scene_id == scene)
            .ok_or_else(|| Refusal::plain("that is no turn of the scene that is played here"))
    }

    /// Lets the channel show what stands now.
    pub(super) async fn show(&self, scene: SceneId) -> Result<(), Refusal> {
        self.bot.chat.ask_show(self.guild, scene).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sentences() {
        let said = |words: &str| Refusal::plain(words).notice();
        assert_eq!(said("there is no such scene here"), "There is no such scene here.");
        assert_eq!(said("élan?"), "Élan?");
        assert_eq!(said("“x” is not a length"), "“x” is not a length.");
        let chat = Refusal::Chat(ChatError::refused("say something first"));
        assert_eq!(chat.notice(), "Say something first.");
        assert!(!chat.is_ours());
    }

    #[test]
    fn a_field_knows_what_it_can_hold() {
        assert!(Field::long("text", "Text", &"é".repeat(MAX_FIELD)).fits());
        assert!(!Field::long("text", "Text", &"🦊".repeat(MAX_FIELD)).fits());
        assert!(!Field::line("name", "Name", "abc", 2).required().fits());
    }
}
