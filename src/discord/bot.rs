//! What every part of the front end shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serenity::model::id::{ChannelId, GuildId, UserId};
use tokio::sync::Notify;

use super::api::{Api, ApiError, Application, Speaker};
use super::dispatch::Desk;
use super::locale::Locale;
use super::names;
use super::pictures::Pictures;
use super::webhooks::Webhooks;
use crate::chat::{Chat, ChatError, clean_name};
use crate::config::DiscordConfig;
use crate::domain::{self, CharacterId, Participant, Person, PersonId, SceneId};
use crate::store::{StoreError, Surroundings};

/// How we call ourselves in the store.
pub(super) const PLATFORM: &str = "discord";

/// The most entries of a map from channels; beyond it begins anew. Everything in
/// one is found again by asking.
const MAX_CHANNELS: usize = 20_000;

/// How people are called whose name is not known yet.
const NAMELESS: &str = "Somebody";

/// The front end at work.
pub(super) struct Bot {
    pub(super) chat: Arc<Chat>,
    pub(super) api: Api,
    pub(super) webhooks: Webhooks,
    pub(super) pictures: Pictures,
    /// Who we are to Discord.
    pub(super) application: Application,
    pub(super) settings: DiscordConfig,
    /// The interactions that are being answered.
    pub(super) desk: Desk,
    /// Rung where a case is to be told in its guild's log.
    pub(super) case_bell: Notify,
    guilds: Mutex<HashMap<GuildId, domain::Guild>>,
    places: Mutex<HashMap<ChannelId, Option<Place>>>,
    /// How often a place was forgotten: what was looked up meanwhile may be wrong.
    forgotten: AtomicU64,
    venues: Mutex<HashMap<ChannelId, Venue>>,
    /// What is known of channels as stages, by themselves.
    stages: Mutex<HashMap<ChannelId, StageFacts>>,
}

/// A channel as what surrounds its scenes.
#[derive(Debug, Clone, Copy)]
struct StageFacts {
    category: Option<ChannelId>,
    age_restricted: bool,
}

/// Where a scene is played, by our keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) guild: domain::GuildId,
    pub(super) scene: SceneId,
}

/// Where a scene is played, by Discord's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Venue {
    /// Where messages go.
    pub(super) channel: ChannelId,
    /// The channel that owns the webhooks: a thread's parent, else itself.
    pub(super) stage: ChannelId,
}

impl Venue {
    /// The thread, for requests that name it beside a webhook.
    pub(super) fn thread(&self) -> Option<ChannelId> {
        (self.channel != self.stage).then_some(self.channel)
    }
}

/// Somebody who wrote or pressed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Author {
    /// Their id on Discord, or `proxy:…` for somebody who speaks through a proxy.
    pub(super) external_id: String,
    /// The name that people see.
    pub(super) display_name: String,
}

impl Bot {
    pub(super) fn new(
        chat: Arc<Chat>,
        api: Api,
        application: Application,
        settings: DiscordConfig,
    ) -> Self {
        Self {
            webhooks: Webhooks::new(application.id),
            pictures: Pictures::new(application.id),
            chat,
            api,
            application,
            settings,
            desk: Desk::default(),
            case_bell: Notify::new(),
            guilds: Mutex::default(),
            places: Mutex::default(),
            forgotten: AtomicU64::new(0),
            venues: Mutex::default(),
            stages: Mutex::default(),
        }
    }

    /// A guild as the store knows it; made known at the first call. Its characters
    /// are the shipped ones until somebody makes others.
    pub(super) async fn guild(&self, id: GuildId) -> Result<domain::Guild, ChatError> {
        if let Some(guild) = self.guilds.lock().expect("nothing panics here").get(&id) {
            return Ok(guild.clone());
        }
        let store = self.chat.store();
        let guild = match store.get_guild_by_external(PLATFORM, &id.to_string()).await? {
            Some(guild) => guild,
            None => {
                let guild = store.upsert_guild(PLATFORM, &id.to_string(), "").await?;
                self.chat.welcome(guild.id).await?;
                guild
            }
        };
        self.guilds.lock().expect("nothing panics here").insert(id, guild.clone());
        Ok(guild)
    }

    /// The live scene of a channel.
    pub(super) async fn place(
        &self,
        guild: GuildId,
        channel: ChannelId,
    ) -> Result<Option<Place>, ChatError> {
        if let Some(place) = self.places.lock().expect("nothing panics here").get(&channel) {
            return Ok(*place);
        }
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        let guild = self.guild(guild).await?.id;
        let scene = self.chat.store().get_scene_by_channel(guild, &channel.to_string()).await?;
        let place = scene.map(|scene| Place { guild, scene: scene.id });
        let mut places = self.places.lock().expect("nothing panics here");
        if places.len() >= MAX_CHANNELS {
            places.clear();
        }
        if self.forgotten.load(Ordering::SeqCst) == forgotten {
            places.insert(channel, place);
        }
        Ok(place)
    }

    /// To be called after a scene began or ended in a channel, and after the channel
    /// itself changed.
    pub(super) fn forget_channel(&self, channel: ChannelId) {
        let mut places = self.places.lock().expect("nothing panics here");
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        places.remove(&channel);
        drop(places);
        self.venues.lock().expect("nothing panics here").remove(&channel);
        self.stages.lock().expect("nothing panics here").remove(&channel);
    }

    /// To be called when we are in a guild no more: what is known of it may be deleted, and
    /// another row made when we come back.
    pub(super) fn forget_guild(&self, id: GuildId) {
        let known = self.guilds.lock().expect("nothing panics here").remove(&id);
        let Some(known) = known else { return };
        let mut places = self.places.lock().expect("nothing panics here");
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        places.retain(|_, place| place.is_some_and(|place| place.guild != known.id));
    }

    /// Where a channel's scene stands, asked anew if wanted.
    pub(super) async fn surroundings(
        &self,
        channel: ChannelId,
        anew: bool,
    ) -> Result<Surroundings, ApiError> {
        let stage = self.venue(channel).await?.stage;
        let known = self.stages.lock().expect("nothing panics here").get(&stage).copied();
        let facts = match known.filter(|_| !anew) {
            Some(facts) => facts,
            None => {
                let found = self.api.channel(stage).await?;
                let category = found.parent_id.filter(|_| !found.is_thread());
                let facts = StageFacts { category, age_restricted: found.nsfw };
                let mut stages = self.stages.lock().expect("nothing panics here");
                if stages.len() >= MAX_CHANNELS {
                    stages.clear();
                }
                stages.insert(stage, facts);
                facts
            }
        };
        let above = (stage != channel).then_some(stage);
        let places = facts.category.into_iter().chain(above);
        Ok(Surroundings {
            places: places.map(|place| place.to_string()).collect(),
            age_restricted: facts.age_restricted,
        })
    }

    /// Where messages of a scene go.
    pub(super) async fn venue(&self, channel: ChannelId) -> Result<Venue, ApiError> {
        if let Some(venue) = self.venues.lock().expect("nothing panics here").get(&channel) {
            return Ok(*venue);
        }
        let found = self.api.channel(channel).await?;
        let stage = if found.is_thread() { found.parent_id.unwrap_or(channel) } else { channel };
        let venue = Venue { channel, stage };
        let mut venues = self.venues.lock().expect("nothing panics here");
        if venues.len() >= MAX_CHANNELS {
            venues.clear();
        }
        venues.insert(channel, venue);
        Ok(venue)
    }

    /// A person, as the guild knows them from now on.
    pub(super) async fn person(
        &self,
        guild: domain::GuildId,
        who: &Author,
    ) -> Result<Person, ChatError> {
        let name = clean_name(&who.display_name).unwrap_or_else(|_| NAMELESS.to_owned());
        Ok(self.chat.store().upsert_person(guild, &who.external_id, &name).await?)
    }

    /// The person behind somebody who speaks: they themselves, or whoever has an account
    /// that speaks through a proxy. Their word on being heard holds for it from now on.
    pub(super) async fn owner(
        &self,
        person: &Person,
        account: UserId,
    ) -> Result<PersonId, ChatError> {
        let (guild, account) = (person.guild_id, account.to_string());
        if person.external_id == account {
            return Ok(person.id);
        }
        let store = self.chat.store();
        let owner = match store.get_person_by_external(guild, &account).await? {
            Some(owner) => owner,
            None => store.upsert_person(guild, &account, NAMELESS).await?,
        };
        store.set_proxy_owner(guild, person.id, owner.id).await?;
        Ok(owner.id)
    }

    /// A person in a scene, with whom they play there.
    pub(super) async fn participant(
        &self,
        guild: domain::GuildId,
        scene: SceneId,
        who: &Author,
    ) -> Result<Participant, ChatError> {
        let person = self.person(guild, who).await?;
        let store = self.chat.store();
        store.insert_participant(guild, scene, person.id).await?;
        let people = store.list_participants(guild, scene).await?;
        let found = people.into_iter().find(|participant| participant.person.id == person.id);
        Ok(found.unwrap_or(Participant { person, persona: None }))
    }

    /// The language that a guild chose for what everybody sees.
    pub(super) async fn locale(&self, guild: domain::GuildId) -> Result<Locale, StoreError> {
        let settings = self.chat.store().get_guild_settings(guild).await?;
        Ok(settings.locale.as_deref().map(Locale::of).unwrap_or_default())
    }

    /// How somebody appears in a channel.
    pub(super) async fn speaker(
        &self,
        guild: domain::GuildId,
        speaker: &domain::Speaker,
    ) -> Result<Speaker, StoreError> {
        let avatar_url = match speaker {
            domain::Speaker::Character { id, .. } => self.picture(guild, *id).await?,
            domain::Speaker::Person { .. } => None,
        };
        Ok(Speaker { name: names::webhook_name(speaker.name()), avatar_url })
    }

    /// Where a character's picture is: the address that its sheet gives, else the
    /// picture that came with its card.
    async fn picture(
        &self,
        guild: domain::GuildId,
        character: CharacterId,
    ) -> Result<Option<String>, StoreError> {
        let known = self.chat.store().get_character(guild, character).await?;
        match known.and_then(|character| character.sheet.avatar_url) {
            Some(url) => Ok(Some(url)),
            None => Ok(self.pictures.url(&self.api, &self.chat, guild, character).await),
        }
    }
}
