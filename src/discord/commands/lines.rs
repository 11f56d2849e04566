//! `/lines`: what never happens in a scene, and what happens out of sight alone.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::render;
use super::required;
use crate::domain::{BoundaryId, BoundaryKind, BoundaryOf};

pub(super) async fn show(call: &Call) -> Result<Answer, Refusal> {
    let chat = &call.bot.chat;
    let own = BoundaryOf::Person(call.person().await?.id);
    let mut shown = chat.boundaries_of(call.guild, own).await?;
    if let Some(place) = call.bot.place(call.guild_id, call.channel).await? {
        let here = chat.boundaries_in(place.guild, place.scene).await?;
        shown.extend(here.into_iter().filter(|it| it.of != own));
    }
    Ok(Answer::text(render::boundaries(&shown, own)))
}

pub(super) async fn add(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let kind = required(options, "kind")?;
    let kind = BoundaryKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| Refusal::plain("there are lines and veils; choose one of the two"))?;
    let person = call.person().await?.id;
    let of = match options.text("for") {
        Some("scene") => scene(call).await?,
        _ => BoundaryOf::Person(person),
    };
    let text = required(options, "text")?;
    let drawn = call.bot.chat.add_boundary(call.guild, person, of, kind, text).await?;
    let whose = match of {
        BoundaryOf::Person(_) => {
            "It holds in every scene here in which you take part, and nobody is told whose it is."
        }
        BoundaryOf::Scene(_) => "It holds in this scene, whoever plays.",
    };
    let how = match kind {
        BoundaryKind::Line => {
            "The model is told, and a reply that has these words, or words of the theme that they \
             name, is written anew before anybody sees it."
        }
        BoundaryKind::Veil => {
            "The model is told to fade to black. Where it names a theme of /policy, a reply with \
             explicit words of it is written anew; otherwise nobody checks."
        }
    };
    Ok(Answer::text(format!("{whose} {how} /lines remove number:{} takes it away.", drawn.id)))
}

pub(super) async fn remove(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let number = options
        .integer("number")
        .ok_or_else(|| Refusal::plain("say which number you mean; /lines show numbers them"))?;
    let (id, person) = (BoundaryId(number), call.person().await?.id);
    let chat = &call.bot.chat;
    let own = BoundaryOf::Person(person);
    let is_own = chat.boundaries_of(call.guild, own).await?.iter().any(|known| known.id == id);
    let of = if is_own { own } else { scene(call).await? };
    chat.remove_boundary(call.guild, person, of, id).await?;
    Ok(Answer::text("It is gone, from the next reply on."))
}

/// The scene that is played here, for those who may change it.
async fn scene(call: &Call) -> Result<BoundaryOf, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ChangeScene).await?;
    Ok(BoundaryOf::Scene(place.scene))
}
