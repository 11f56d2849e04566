//! What is done with what the shards hear.

use std::sync::Arc;

use super::bot::Bot;
use super::catch_up::CatchUp;
use super::gateway::{Heard, Hearer};
use super::intake::Intake;
use super::{comings, dispatch, scenes};

/// Puts everything that is heard where somebody works on it.
pub(super) struct Ears {
    bot: Arc<Bot>,
    intake: Arc<Intake>,
    catch_up: CatchUp,
}

impl Ears {
    pub(super) fn new(bot: Arc<Bot>) -> Self {
        let intake = Arc::new(Intake::new(bot.clone()));
        let catch_up = CatchUp::new(bot.clone(), intake.clone());
        Self { bot, intake, catch_up }
    }

    /// Takes what is held in hand, and waits for it.
    pub(super) async fn stop(&self) {
        self.catch_up.stop().await;
        self.intake.stop().await;
    }
}

impl Hearer for Ears {
    async fn hear(&self, _shard: u32, heard: Heard) {
        let bot = self.bot.clone();
        match heard {
            Heard::Ready(ready) => self.catch_up.ready(&ready),
            Heard::Resumed | Heard::GuildUnavailable => {}
            Heard::Message { guild, message } => self.intake.message(guild, *message).await,
            Heard::MessageEdited(edited) => self.intake.edited(edited).await,
            Heard::MessagesDeleted { guild, channel, messages } => {
                self.intake.deleted(guild, channel, messages).await;
            }
            Heard::Interaction(raw) => {
                tokio::spawn(dispatch::interaction(bot, raw));
            }
            Heard::ThreadCreated { guild, thread, is_new: true } => {
                tokio::spawn(scenes::forum_post(bot, guild, *thread));
            }
            Heard::ThreadCreated { guild, thread, is_new: false }
            | Heard::ThreadUpdated { guild, thread } => {
                bot.api.forgive(thread.id);
                self.catch_up.threads(guild, vec![*thread]).await;
            }
            Heard::ThreadsListed { guild, threads } => {
                self.catch_up.threads(guild, threads).await;
            }
            Heard::ThreadDeleted(gone) | Heard::ChannelDeleted(gone) => {
                comings::channel_gone(&bot, gone.guild, gone.id).await;
            }
            Heard::ChannelUpdated(channel) => {
                bot.api.forgive(channel.id);
                bot.webhooks.forget(channel.id);
            }
            Heard::RightsChanged => {
                bot.api.forgive_all();
                bot.webhooks.forget_refused();
            }
            Heard::GuildSeen(guild) => self.catch_up.guild(*guild),
            Heard::GuildLeft(guild) => comings::guild_left(&bot, guild).await,
            Heard::WebhooksChanged { guild, channel } => {
                bot.api.forgive(channel);
                bot.webhooks.forget(channel);
                let intake = self.intake.clone();
                tokio::spawn(async move { intake.webhooks_changed(guild, channel).await });
            }
        }
    }
}
