//! `/context` and `/why`: what the model sees, and how the latest reply was made.

use super::super::call::{Answer, Call, Refusal};
use super::super::render;
use crate::chat::ReplyReceipt;
use crate::domain::{Turn, TurnId};

pub(super) async fn context(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let preview = call.bot.chat.preview_prompt(place.guild, place.scene).await?;
    let context = render::context(&preview.prompt.receipt, preview.reply_tokens, None);
    Ok(Answer::text(context + &render::lore(&preview.lore)))
}

pub(super) async fn why(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    let latest = call.bot.chat.latest_reply(place.guild, place.scene).await?;
    let turn = latest.ok_or_else(|| Refusal::plain("nobody has answered yet"))?;
    Ok(Answer::text(render::why(&receipt(&turn)?)))
}

/// What the model saw when it wrote the text that stands for a turn.
pub(in super::super) async fn seen(call: &Call, turn: TurnId) -> Result<Answer, Refusal> {
    let turn = call.turn_here(turn).await?;
    let receipt = receipt(&turn)?;
    let context = render::context(
        &receipt.prompt,
        receipt.max_tokens,
        Some(receipt.timings.num_cached_tokens),
    );
    let lore = render::lore(&receipt.lore);
    Ok(Answer::text(format!("{context}{lore}\n{}", render::why(&receipt))))
}

/// How the text that stands was made.
pub(in super::super) fn receipt(turn: &Turn) -> Result<ReplyReceipt, Refusal> {
    let receipt = turn.swipe.receipt.clone().and_then(|it| serde_json::from_value(it).ok());
    receipt.ok_or_else(|| Refusal::plain("no model wrote that text"))
}
