//! A guild's log: what waits for its moderators, with buttons, and what became of it.
//!
//! One task for each process writes what the store says is not told yet, and changes what
//! was told, so that nothing depends on the process that held something.

use std::sync::Arc;
use std::time::Duration;

use serenity::model::id::{ChannelId, MessageId};
use tokio::sync::watch;
use tokio::time::sleep;

use super::api::{ApiError, Mentions, Payload};
use super::bot::{Bot, PLATFORM};
use super::call::Refusal;
use super::{cases, controls, split};
use crate::store::Unlogged;

/// How often it is looked what is not told yet, if nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The most cases of one look.
const MAX_AT_ONCE: u32 = 16;
/// What a message holds.
const MAX_CONTENT: usize = 2_000;

/// Writes until everything stops.
pub(super) async fn keep(bot: Arc<Bot>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|&stop| stop) => return,
            () = bot.case_bell.notified() => {}
            () = sleep(LOOK_EVERY) => {}
        }
        match bot.chat.store().claim_unlogged(PLATFORM, MAX_AT_ONCE).await {
            Ok(unlogged) => {
                for case in &unlogged {
                    tell(&bot, case).await;
                }
            }
            Err(error) => tracing::warn!(error.kind = error.kind(), "discord.log.not_known"),
        }
    }
}

async fn tell(bot: &Bot, case: &Unlogged) {
    let told = match write(bot, case).await {
        Ok(told) => told,
        // It is tried again once nobody is left with it.
        Err(error) => {
            tracing::warn!(error.kind = error.kind(), case = case.number, "discord.log.untold");
            return;
        }
    };
    let store = bot.chat.store();
    if let Err(error) =
        store.set_logged(case.guild, case.number, case.revision, told.as_ref()).await
    {
        tracing::warn!(error.kind = error.kind(), "discord.log.not_noted");
    }
}

/// Tells of a case, or changes what was told. Gives where it is told now.
async fn write(bot: &Bot, unlogged: &Unlogged) -> Result<Option<(String, String)>, Refusal> {
    let Unlogged { guild, number, revision, channel, told } = unlogged;
    let case = bot.chat.known_case(*guild, *number).await?;
    let locale = bot.locale(*guild).await?;
    let (text, rows) = cases::shown(bot, *guild, &case, locale).await?;
    let payload = Payload::new(split::preview(&text, MAX_CONTENT), Mentions::NONE)?;
    let payload = payload.without_embeds().with_rows(controls::rows(rows));
    if let Some((channel, message)) = told
        && let (Some(channel), Some(message)) = (id(channel), id(message))
    {
        let (channel, message) = (ChannelId::new(channel), MessageId::new(message));
        match bot.api.edit_message(channel, message, &payload).await {
            Err(ApiError::NotFound { .. }) => {}
            done => return Ok(done.map(|()| told.clone())?),
        }
    }
    let Some(channel) = id(channel).filter(|_| case.decision.is_none()) else { return Ok(None) };
    let channel = ChannelId::new(channel);
    let nonce = format!("case:{guild}:{number}:{revision}");
    let nonce: String = nonce.chars().take(25).collect();
    let message = bot.api.create_message(channel, &payload, Some(&nonce)).await?;
    Ok(Some((channel.to_string(), message.id.to_string())))
}

fn id(text: &str) -> Option<u64> {
    text.parse().ok().filter(|id| *id != 0)
}
