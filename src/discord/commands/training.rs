//! `/training`: whether scenes may be used to train the model.

use super::super::call::{Answer, Call, Refusal};
use super::super::permissions::Deed;
use crate::chat::CONSENT_WORDS;

/// Everybody's own word; nobody gives another's.
pub(super) async fn agree(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let is_new = call.bot.chat.library().agree_to_training(call.guild, person.id).await?;
    let begin = if is_new { "You agree." } else { "You agreed already." };
    Ok(Answer::text(format!(
        "{begin} {CONSENT_WORDS}\n\nThis is for this server alone. /training withdraw takes it \
         back at any time."
    )))
}

pub(super) async fn withdraw(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let had = call.bot.chat.library().withdraw_from_training(call.guild, person.id).await?;
    Ok(Answer::text(if had {
        "You agree no more: nothing of yours is in any export from now on, nor is any scene in \
         which you speak. What was exported or trained before stays where it is; ask the operator \
         of this bot about it."
    } else {
        "You have not agreed, so nothing of yours is used."
    }))
}

pub(super) async fn status(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let library = call.bot.chat.library();
    let mine = match library.training_consent(call.guild, person.id).await? {
        Some(since) => {
            format!("You agreed <t:{}:D>; /training withdraw takes it back.", since.timestamp())
        }
        None => format!(
            "You have not agreed, and nothing of yours is used. {CONSENT_WORDS} /training agree \
             says yes."
        ),
    };
    let place = call.bot.place(call.guild_id, call.channel).await?;
    Ok(Answer::text(match place {
        Some(place) => {
            let scene = library.training_scene(place.guild, place.scene).await?;
            format!("{mine}\n\n{scene}")
        }
        None => mine,
    }))
}

pub(super) async fn approve(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ApproveTraining).await?;
    let moderator = call.person().await?.id;
    let library = call.bot.chat.library();
    let scene = library.approve_training(place.guild, place.scene, moderator).await?;
    Ok(Answer::text(format!(
        "Approved as it stands. What is said or changed from now on waits for another \
         /training approve.\n\n{scene}"
    )))
}

pub(super) async fn unapprove(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ApproveTraining).await?;
    let moderator = call.person().await?.id;
    let library = call.bot.chat.library();
    let had = library.unapprove_training(place.guild, place.scene, moderator).await?;
    Ok(Answer::text(if had {
        "This scene is approved no more: no export from now on holds any of it."
    } else {
        "This scene was not approved."
    }))
}
