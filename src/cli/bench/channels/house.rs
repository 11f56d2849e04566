//! The service under measurement: a house of its own, with a scene in each channel.
//!
//! Settings are the configured ones, but for the data directory, which is gone
//! afterwards, and for the length of replies, which is exact.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::super::super::Session;
use super::prose::Prose;
use super::stage::{Events, WatchStage};
use crate::chat::{Chat, Opening};
use crate::config::{Config, DatabaseUrl};
use crate::domain::{Character, CharacterSheet, Guild, Participant, Scene, Speaker, SwipeOrigin};
use crate::sampling::SamplerParams;
use crate::service::{Ground, Service};
use crate::store::{Consent, NewTurn, Preset};
use crate::tokenizer::Tokenizer;

const PRESET: &str = "bench";
const PERSON: &str = "Ash";
const NAMES: [&str; 8] = ["Wren", "Ivo", "Tansy", "Marlow", "Sabine", "Odd", "Petra", "Lucan"];
/// Tokens of a turn in a history.
const PAST_TURN_TOKENS: usize = 96;

/// Where the service keeps its data and how it is set up, through every restart.
pub(in crate::cli::bench) struct House {
    config: Config,
    model_path: PathBuf,
    ground: Ground,
    /// Removed when the house is.
    _dir: tempfile::TempDir,
}

/// The service, running.
pub(in crate::cli::bench) struct Running {
    service: Service,
    pub(super) events: Events,
}

/// One channel with its scene.
pub(in crate::cli::bench) struct Channel {
    pub(in crate::cli::bench) scene: Scene,
    pub(in crate::cli::bench) author: Participant,
    pub(super) prose: Prose,
}

impl House {
    /// A house beside the configured data, on the same disk, so that its database is
    /// as fast.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub(in crate::cli::bench) fn build(
        session: &Session,
        model_path: PathBuf,
        reply_tokens: usize,
    ) -> anyhow::Result<Self> {
        let beside = &session.config.data_dir;
        let dir = private_dir(beside).with_context(|| {
            format!(
                "cannot make a directory in {}; --data-dir names another place",
                beside.display()
            )
        })?;
        let mut config = session.config.clone();
        config.data_dir = dir.path().to_owned();
        config.database.url = DatabaseUrl::Embedded;
        // However many channels there are, all of them are answered.
        config.chat.max_waiting_per_guild = u32::MAX;
        config.chat.max_waiting = u32::MAX;
        config.generation.max_tokens.values_mut().for_each(|tokens| *tokens = reply_tokens);
        // Each reply is as much work as every other.
        config.generation.keep_lengths = false;
        config.generation.repetition.replies = 0;
        Ok(Self { config, model_path, ground: session.ground(), _dir: dir })
    }

    /// The model that it runs.
    pub(in crate::cli::bench) fn model_path(&self) -> &Path {
        &self.model_path
    }

    /// Starts the service.
    ///
    /// # Errors
    /// As any start of it.
    pub(in crate::cli::bench) async fn start(&self) -> anyhow::Result<Running> {
        let (stage, events) = WatchStage::new();
        let model_path = self.model_path.clone();
        let service =
            Service::start(&self.config, Some(model_path), |_| stage, &self.ground).await?;
        Ok(Running { service, events })
    }
}

/// The database server's user, who is not root, must get through it too.
fn private_dir(beside: &Path) -> std::io::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(beside)?;
    let passable = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().prefix("bench-").permissions(passable).tempdir_in(beside)
}

impl Running {
    pub(in crate::cli::bench) fn chat(&self) -> &Arc<Chat> {
        &self.service.chat
    }

    /// Stops the service; what it has stored stays for the next start.
    pub(in crate::cli::bench) async fn stop(self) {
        self.service.stop().await;
    }

    /// Opens a scene in each of so many channels, with a history behind it.
    ///
    /// # Errors
    /// The database fails.
    pub(in crate::cli::bench) async fn furnish(
        &self,
        num_channels: usize,
        history_tokens: usize,
    ) -> anyhow::Result<Vec<Channel>> {
        let store = self.chat().store();
        let guild = store.upsert_guild("bench", "bench", "bench").await?;
        store.set_guild_consent(guild.id, Consent::Assumed).await?;
        let params = serde_json::to_value(exact_length(&self.chat().pool().tokenizer()))?;
        store
            .upsert_preset(guild.id, &Preset { name: PRESET.into(), params, source: None })
            .await?;
        let mut channels = Vec::new();
        for number in 0..num_channels {
            channels.push(self.open(&guild, number, history_tokens).await?);
        }
        Ok(channels)
    }

    /// Each channel has a character of its own, so that no two prompts begin alike.
    async fn open(
        &self,
        guild: &Guild,
        number: usize,
        history_tokens: usize,
    ) -> anyhow::Result<Channel> {
        let (chat, store) = (self.chat(), self.chat().store());
        let person = store.upsert_person(guild.id, &format!("person-{number}"), PERSON).await?;
        let sheet = CharacterSheet {
            name: character_name(number),
            description: "A voice of few words, who has seen a great deal of weather.".into(),
            ..CharacterSheet::default()
        };
        let character = store.insert_character(guild.id, &sheet).await?;
        let opening = Opening {
            preset: Some(PRESET.into()),
            ..Opening::new(
                guild.id,
                format!("channel-{number}"),
                std::slice::from_ref(&character),
                PERSON,
            )
        };
        let scene = chat.open_scene(opening).await?;
        store.insert_participant(guild.id, scene.id, person.id).await?;
        let author = Participant { person, persona: None };
        let mut channel = Channel { scene, author, prose: Prose::of_channel(number) };
        self.fill(&mut channel, &character, history_tokens).await?;
        Ok(channel)
    }

    /// A history of so many tokens: both in turn, the character last.
    async fn fill(
        &self,
        channel: &mut Channel,
        character: &Character,
        history_tokens: usize,
    ) -> anyhow::Result<()> {
        let (chat, scene) = (self.chat(), &channel.scene);
        let num_turns = history_tokens.div_ceil(PAST_TURN_TOKENS);
        for left in (0..num_turns).rev() {
            let said_already = (num_turns - 1 - left) * PAST_TURN_TOKENS;
            let num_tokens = PAST_TURN_TOKENS.min(history_tokens - said_already);
            let speaker = match left % 2 {
                0 => Speaker::Character {
                    id: character.id,
                    name: character.sheet.stage_name().to_owned(),
                },
                _ => Speaker::Person { id: channel.author.person.id, name: PERSON.to_owned() },
            };
            let turn = NewTurn {
                speaker,
                text: channel.prose.of_tokens(num_tokens, &chat.pool().tokenizer()),
                origin: SwipeOrigin::Written,
                receipt: None,
                alternates: Vec::new(),
            };
            chat.store().append_turn(scene.guild_id, scene.id, &turn).await?;
        }
        Ok(())
    }
}

fn character_name(number: usize) -> String {
    let name = NAMES[number % NAMES.len()];
    match number / NAMES.len() {
        0 => name.to_owned(),
        cycle => format!("{name} the {}th", cycle + 1),
    }
}

/// The shipped preset, without what could end a reply early: no end of text, and no
/// line break, with which every stop begins. By biases, since these cost a sampler
/// nothing, and bans a look at every token.
fn exact_length(tokenizer: &Tokenizer) -> SamplerParams {
    const NEVER: f32 = -100.0;
    let ids = 0..u32::try_from(tokenizer.vocab_size()).unwrap_or(u32::MAX);
    let breaks = ids.filter(|&id| tokenizer.token_bytes(id).contains(&b'\n'));
    let ends = tokenizer.eos_ids().iter().copied();
    let logit_bias = ends.chain(breaks).map(|id| (id, NEVER)).collect();
    let preset = SamplerParams::preset(SamplerParams::PRESETS[0]).unwrap_or_default();
    SamplerParams { logit_bias, ..preset }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_ends_a_reply_early() {
        let params = exact_length(&Tokenizer::bytes());
        params.validate().unwrap();
        assert!(params.logit_bias.into_keys().eq([u32::from(b'\n'), 257]));
    }

    #[test]
    fn no_two_characters_have_one_name() {
        let names: BTreeSet<_> = (0..40).map(character_name).collect();
        assert_eq!(names.len(), 40);
    }
}
