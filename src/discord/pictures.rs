//! Characters' pictures, where Discord can fetch them.
//!
//! A webhook's message takes the address of a picture, not the picture. So that nobody
//! has to run a file server, pictures become emojis of our application: those have
//! addresses that stay and that everybody can open. One for each picture, named by its
//! digest, so that every process and every guild finds the same; the oldest make room.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serenity::model::id::{ApplicationId, EmojiId};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::api::{Api, ApiError};
use crate::chat::Chat;
use crate::domain::{CharacterId, GuildId};

/// What the names of ours begin with.
const PREFIX: &str = "face_";
/// How many an application may have, less some for the operator's own
/// (<https://discord.com/developers/docs/resources/emoji>).
const MAX_EMOJIS: usize = 1_900;
/// How long a reply waits for its picture.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it is believed that Discord takes no picture.
const BELIEVED_FOR: Duration = Duration::from_secs(600);
/// The same after trouble that may be over soon.
const DOUBTED_FOR: Duration = Duration::from_secs(30);
/// The most pictures that are remembered as useless.
const MAX_USELESS: usize = 1_000;
/// Discord: the application has as many emojis as it may have.
const TOO_MANY_EMOJIS: u32 = 30_008;

/// The pictures that Discord has.
pub(super) struct Pictures {
    application: ApplicationId,
    /// Those that were asked for already, so that nobody waits for them.
    shown: std::sync::Mutex<HashMap<String, EmojiId>>,
    /// Held while one is made, so that no picture is made twice.
    known: Arc<Mutex<Known>>,
    /// The one that is being made takes longer than anybody waits.
    is_late: AtomicBool,
}

#[derive(Default)]
struct Known {
    /// By name; `None` until Discord was asked.
    emojis: Option<HashMap<String, EmojiId>>,
    /// None is made until then.
    refused_until: Option<Instant>,
    /// Names of pictures that cannot be shown.
    useless: Vec<String>,
}

impl Pictures {
    /// Knows none yet.
    pub(super) fn new(application: ApplicationId) -> Self {
        let shown = std::sync::Mutex::default();
        Self { application, shown, known: Arc::default(), is_late: AtomicBool::new(false) }
    }

    /// Where a character's own picture can be fetched; `None` where it has none, or
    /// where it is not there in time. What takes longer goes on, and serves the next.
    pub(super) async fn url(
        &self,
        api: &Api,
        chat: &Arc<Chat>,
        guild: GuildId,
        character: CharacterId,
    ) -> Option<String> {
        let sum = match chat.store().get_picture_sum(guild, character).await {
            Ok(sum) => sum?,
            Err(error) => {
                tracing::warn!(error.kind = error.kind(), "discord.picture.not_read");
                return None;
            }
        };
        let name = name(sum);
        if let Some(emoji) = self.shown.lock().expect("nothing panics here").get(&name) {
            return Some(address(*emoji));
        }
        // One reply waited in vain already: the others go on without.
        let is_busy = self.known.try_lock().is_err();
        if is_busy && self.is_late.load(Ordering::Relaxed) {
            return None;
        }
        let (known, api, chat, application, wanted) =
            (self.known.clone(), api.clone(), chat.clone(), self.application, name.clone());
        let made = tokio::spawn(async move {
            let mut known = known.lock_owned().await;
            known.find_or_make(&api, application, &chat, guild, sum, &wanted).await
        });
        let made = timeout(PATIENCE, made).await;
        self.is_late.store(made.is_err(), Ordering::Relaxed);
        let emoji = made.ok()?.ok()??;
        let mut shown = self.shown.lock().expect("nothing panics here");
        if shown.len() >= MAX_EMOJIS {
            shown.clear();
        }
        shown.insert(name, emoji);
        Some(address(emoji))
    }
}

fn address(emoji: EmojiId) -> String {
    format!("https://cdn.discordapp.com/emojis/{emoji}.png?size=128")
}

/// Twelve bytes tell pictures apart, and a name holds 32 characters.
fn name(sum: [u8; 32]) -> String {
    let digest: String = sum[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{digest}")
}

impl Known {
    async fn find_or_make(
        &mut self,
        api: &Api,
        application: ApplicationId,
        chat: &Chat,
        guild: GuildId,
        sum: [u8; 32],
        name: &str,
    ) -> Option<EmojiId> {
        if let Some(emoji) = self.emojis.as_ref().and_then(|emojis| emojis.get(name)) {
            return Some(*emoji);
        }
        let is_refused = self.refused_until.is_some_and(|until| Instant::now() < until);
        if is_refused || self.useless.iter().any(|useless| useless == name) {
            return None;
        }
        let error = match self.make(api, application, chat, guild, sum, name).await {
            Ok(made) => return made,
            Err(error) => error,
        };
        tracing::warn!(error.kind = error.kind(), "discord.picture.not_made");
        // It may be there all the same: another process made it, or the answer was lost.
        self.emojis = None;
        if let Ok(emojis) = self.listed(api, application).await
            && let Some(emoji) = emojis.get(name)
        {
            return Some(*emoji);
        }
        match error {
            ApiError::Rejected { code, .. } if code != TOO_MANY_EMOJIS => self.give_up(name),
            error => {
                let wait = if error.is_retryable() { DOUBTED_FOR } else { BELIEVED_FOR };
                self.refused_until = Some(Instant::now() + wait);
            }
        }
        None
    }

    /// Those that Discord has, by name.
    async fn listed(
        &mut self,
        api: &Api,
        application: ApplicationId,
    ) -> Result<&mut HashMap<String, EmojiId>, ApiError> {
        if self.emojis.is_none() {
            let all = api.emojis(application).await?.into_iter();
            let ours = all.filter(|emoji| emoji.name.starts_with(PREFIX));
            self.emojis = Some(ours.map(|emoji| (emoji.name, emoji.id)).collect());
        }
        Ok(self.emojis.get_or_insert_default())
    }

    /// A picture that cannot be shown, whenever it is tried.
    fn give_up(&mut self, name: &str) {
        if self.useless.len() >= MAX_USELESS {
            self.useless.clear();
        }
        self.useless.push(name.to_owned());
    }

    async fn make(
        &mut self,
        api: &Api,
        application: ApplicationId,
        chat: &Chat,
        guild: GuildId,
        sum: [u8; 32],
        name: &str,
    ) -> Result<Option<EmojiId>, ApiError> {
        if let Some(emoji) = self.listed(api, application).await?.get(name) {
            return Ok(Some(*emoji));
        }
        let image = match chat.library().small_picture(guild, sum).await {
            Ok(Some(image)) => image,
            Ok(None) => {
                self.give_up(name);
                return Ok(None);
            }
            // The database's trouble, and not the picture's.
            Err(error) => {
                tracing::warn!(error.kind = error.kind(), "discord.picture.not_read");
                return Ok(None);
            }
        };
        let uri = format!("data:image/png;base64,{}", STANDARD.encode(image));
        let emojis = self.listed(api, application).await?;
        if emojis.len() >= MAX_EMOJIS {
            make_room(api, application, emojis).await?;
        }
        let made = match api.create_emoji(application, name, &uri).await {
            // The operator has more of their own than we left room for.
            Err(error) if error.code() == Some(TOO_MANY_EMOJIS) && !emojis.is_empty() => {
                make_room(api, application, emojis).await?;
                api.create_emoji(application, name, &uri).await?
            }
            made => made?,
        };
        emojis.insert(name.to_owned(), made.id);
        Ok(Some(made.id))
    }
}

/// Takes the oldest of ours away.
async fn make_room(
    api: &Api,
    application: ApplicationId,
    emojis: &mut HashMap<String, EmojiId>,
) -> Result<(), ApiError> {
    if let Some((oldest, id)) = emojis.iter().min_by_key(|(_, id)| **id) {
        let (oldest, id) = (oldest.clone(), *id);
        api.delete_emoji(application, id).await?;
        emojis.remove(&oldest);
    }
    Ok(())
}
