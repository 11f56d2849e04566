//! What is done with what the shards hear.

use std::sync::Arc;

use super::bot::Bot;
use super::gateway::{Heard, Hearer};
use super::{dispatch, scenes};

/// Puts everything that is heard where somebody works on it.
pub(super) struct Ears {
    bot: Arc<Bot>,
}

impl Ears {
    pub(super) fn new(bot: Arc<Bot>) -> Self {
        Self { bot }
    }

    /// Takes what is held in hand, and waits for it.
    pub(super) async fn stop(&self) {}
}

impl Hearer for Ears {
    async fn hear(&self, _shard: u32, heard: Heard) {
        let bot = self.bot.clone();
        match heard {
            Heard::Interaction(raw) => {
                tokio::spawn(dispatch::interaction(bot, raw));
            }
            Heard::ThreadCreated { guild, thread, is_new: true } => {
                tokio::spawn(scenes::forum_post(bot, guild, *thread));
            }
            _ => {}
        }
    }
}
