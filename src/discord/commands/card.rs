//! `/character import`, `export` and `picture`: cards come in and go out.

use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::names;
use super::super::permissions::Deed;
use super::character::{may_change, waits};
use super::files::{attached, hand_out, remarks};
use super::required;
use crate::chat::Offered;
use crate::formats::card::{Container, Version};

/// How much of a name is shown.
const MAX_NAME: usize = 80;

pub(super) async fn import(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::CreateCharacter).await?;
    let chat = &call.bot.chat;
    let card = chat.library().read_card(attached(call, options).await?).await?;
    let namesake = chat.library().namesake(call.guild, &card).await?;
    let replaces = match (&namesake, options.boolean("replace")) {
        (Some(old), Some(true)) => {
            may_change(call, old.id).await?;
            Some(old.id)
        }
        (Some(old), _) => {
            return Err(Refusal::plain(format!(
                "there is a character {} already; replace: True puts this one in its place, in \
                 every scene",
                names::line(&old.sheet.name, MAX_NAME, "of that name")
            )));
        }
        (None, _) => None,
    };
    let findings = remarks(&card.findings);
    let name = names::line(card.name(), MAX_NAME, "the character");
    let offered =
        call.arrival(async |who| chat.offer_card(call.guild, who, card, replaces).await).await?;
    let imported = match offered {
        Offered::Kept(imported) => imported,
        Offered::Waits(case) => return Ok(Answer::text(waits(&name, case) + &findings)),
    };
    let lore = match imported.num_lore_entries {
        0 => String::new(),
        1 => " with one entry of lore".to_owned(),
        number => format!(" with {number} entries of lore"),
    };
    let what = if replaces.is_some() { "is changed" } else { "is known on this server now" };
    let name = names::line(imported.character.sheet.stage_name(), MAX_NAME, "The character");
    Ok(Answer::text(format!("{name} {what}{lore}. /scene start plays with them.{findings}")))
}

pub(super) async fn export(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let character = call.character(required(options, "character")?).await?;
    let (container, version) = match options.text("format") {
        Some("charx") => (Container::Charx, Version::V3),
        Some("json") => (Container::Json, Version::V3),
        Some("json-v2") => (Container::Json, Version::V2),
        _ => (Container::Png, Version::V3),
    };
    let chat = &call.bot.chat;
    let file =
        chat.library().export_character(call.guild, character.id, container, version).await?;
    let name = names::line(character.sheet.stage_name(), MAX_NAME, "The character");
    hand_out(format!("{name}, as a card."), file)
}

pub(super) async fn picture(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let character = call.character(required(options, "character")?).await?;
    may_change(call, character.id).await?;
    let person = call.person().await?;
    let wanted = options.text("picture");
    call.bot.chat.library().set_picture(call.guild, person.id, character.id, wanted).await?;
    let name = names::line(character.sheet.stage_name(), MAX_NAME, "The character");
    Ok(Answer::text(match (wanted, &character.sheet.avatar_url) {
        (_, Some(_)) => format!(
            "Noted; but {name} shows the picture at the address that /character edit part: gives \
             it, until that is emptied."
        ),
        (Some(picture), None) => format!("{name} shows {picture} from the next reply on."),
        (None, None) => format!("{name} shows its usual picture from the next reply on."),
    }))
}
