//! Asking people before their words are taken, and what they answer.

use serenity::model::id::{ChannelId, MessageId, UserId};

use super::api::{ApiError, Mentions, Payload};
use super::bot::Bot;
use super::call::{Answer, Call, Refusal};
use super::controls;
use super::custom_id::Says;
use super::scenes;
use crate::chat::{self, AGREEMENT, Message, story_text};
use crate::domain::{GuildId, PersonId};
use crate::store::Accepted;

/// Asks somebody in a channel, where their message waits; nobody else is pinged.
pub(super) async fn ask(
    bot: &Bot,
    guild: GuildId,
    channel: ChannelId,
    who: UserId,
    person: PersonId,
    waiting: MessageId,
) -> Result<(), ApiError> {
    let locale = bot.locale(guild).await.unwrap_or_default();
    let rows = controls::consent_rows(person, waiting.get(), locale);
    let words = format!("<@{who}> {AGREEMENT}");
    let payload = Payload::new(words, Mentions::of(who))?.without_embeds();
    bot.api.create_message(channel, &payload.with_rows(controls::rows(rows)), None).await?;
    Ok(())
}

/// Asks whoever used a command; only they see it.
pub(super) async fn question(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?.id;
    let rows = controls::consent_rows(person, 0, call.locale);
    Ok(Answer { rows, ..Answer::text(AGREEMENT) })
}

/// Does what somebody says who was asked.
pub(super) async fn answer(call: &Call, person: PersonId, says: Says) -> Result<Answer, Refusal> {
    if call.person().await?.id != person {
        return Err(Refusal::plain("somebody else was asked that; /privacy optin asks you"));
    }
    let waiting = match says {
        Says::Decline => {
            call.bot.chat.opt_out(call.guild, person, true).await?;
            return Ok(Answer::text(
                "Then nothing that you say is taken, and nobody asks again. /privacy optin \
                 changes that.",
            ));
        }
        Says::Agree { waiting } => waiting,
    };
    call.bot.chat.agree(call.guild, person).await?;
    let became = match waiting {
        0 => "If you were asking for something, ask again.".to_owned(),
        // A post's own message has its thread's id.
        post if post == call.channel.get() => begin(call).await?,
        message => match take_in(call, MessageId::new(message)).await {
            Ok(became) => became,
            Err(refusal) if refusal.is_ours() => return Err(refusal),
            Err(refusal) => format!("What you said before was not taken: {}", refusal.notice()),
        },
    };
    Ok(Answer::text(format!(
        "You agree, and are heard from now on. {became} /privacy optout ends this at any time."
    )))
}

/// Takes in what somebody said before they agreed, if it can still be read.
async fn take_in(call: &Call, message: MessageId) -> Result<String, Refusal> {
    let again = || "What you said before cannot be read any more: please send it again.".to_owned();
    let Some(place) = call.bot.place(call.guild_id, call.channel).await? else {
        return Ok(again());
    };
    let Ok(said) = call.bot.api.message(call.channel, message).await else { return Ok(again()) };
    let Some(text) = story_text(&said.content).filter(|_| said.author.id == call.who.id) else {
        return Ok(again());
    };
    let author = call.bot.participant(place.guild, place.scene, &call.author()).await?;
    let message = Message {
        guild: place.guild,
        scene: place.scene,
        author: &author,
        external_id: message.to_string(),
        text: &text,
        answer: None,
    };
    Ok(match call.bot.chat.accept_turn(message).await? {
        Accepted::New { refused: Some(full), .. } => {
            Refusal::plain(chat::unanswered(full)).notice()
        }
        Accepted::New { .. } | Accepted::Duplicate { .. } => {
            "What you said is part of the scene now.".to_owned()
        }
    })
}

/// Begins the scene of a forum's post that waited.
async fn begin(call: &Call) -> Result<String, Refusal> {
    let post = call.bot.api.channel(call.channel).await?;
    scenes::forum_post(call.bot.clone(), call.guild_id, post).await;
    Ok("The scene of this post begins.".to_owned())
}
