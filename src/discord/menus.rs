//! The message menu: what can be done with any turn.

use serenity::model::id::MessageId;

use super::bot::Place;
use super::call::{Answer, Call, Field, FormSheet, Refusal};
use super::custom_id::{CustomId, Form};
use super::permissions::{Deed, Whose};
use super::{commands, components, scenes};
use crate::domain::{Speaker, Turn};

/// What the menu offers, by the names that Discord was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Again,
    Continue,
    Edit,
    Rewind,
    Branch,
    Report,
    Seen,
}

impl Entry {
    /// What a name means; Discord sends the English one whatever people read.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "Again" => Self::Again,
            "Continue" => Self::Continue,
            "Edit" => Self::Edit,
            "Rewind to here" => Self::Rewind,
            "Branch here" => Self::Branch,
            "Report" => Self::Report,
            "What did it see" => Self::Seen,
            _ => return None,
        })
    }

    pub(super) fn opens_form(self) -> bool {
        matches!(self, Self::Edit | Self::Report)
    }
}

/// The turn that a message shows, of a scene that is or was played here.
async fn target(call: &Call, message: MessageId) -> Result<Turn, Refusal> {
    let store = call.bot.chat.store();
    let found = store.get_turn_by_message(call.guild, &message.to_string()).await?;
    let Some((turn, _)) = found else {
        // Where nothing is played that is what there is to be told.
        call.place().await?;
        return Err(Refusal::plain("that message is no turn of the scene"));
    };
    call.turn_here(turn.id).await
}

/// The place of a turn, if its scene is the one that is played here now.
async fn playing(call: &Call, turn: &Turn) -> Result<Place, Refusal> {
    let place = call.place().await?;
    call.turn(place.scene, turn.id).await?;
    Ok(place)
}

/// The form that an entry opens.
pub(super) async fn form(
    call: &Call,
    name: &str,
    message: MessageId,
) -> Result<FormSheet, Refusal> {
    let turn = target(call, message).await?;
    match Entry::of(name) {
        Some(Entry::Report) => components::report_form(call, turn.id).await,
        Some(Entry::Edit) => {
            let place = playing(call, &turn).await?;
            may_edit(call, &turn).await?;
            // Moderators are told as well before they fill in what is not taken.
            call.bot.chat.heed_freeze(place.guild, place.scene).await?;
            let text = Field::long("text", "What is said", &turn.swipe.text).required();
            if !text.fits() {
                return Err(Refusal::plain("that turn is longer than a form can hold"));
            }
            Ok(FormSheet {
                id: CustomId::Form(Form::EditTurn(turn.id)),
                title: "Change this turn".to_owned(),
                fields: vec![text],
            })
        }
        _ => Err(Refusal::plain("that opens no form")),
    }
}

/// Asks whether they may change what a turn says.
pub(super) async fn may_edit(call: &Call, turn: &Turn) -> Result<(), Refusal> {
    let whose = match turn.speaker {
        Speaker::Character { .. } => Whose::Character,
        Speaker::Person { id, .. } if id == call.person().await?.id => Whose::Own,
        Speaker::Person { .. } => Whose::Others,
    };
    call.may(Deed::EditTurn(whose)).await
}

/// Does what an entry asks for.
pub(super) async fn run(call: &Call, name: &str, message: MessageId) -> Result<Answer, Refusal> {
    let turn = target(call, message).await?;
    if Entry::of(name) == Some(Entry::Seen) {
        return commands::seen(call, turn.id).await;
    }
    let place = playing(call, &turn).await?;
    match Entry::of(name) {
        Some(Entry::Again) => {
            components::again(call, &turn, None).await?;
            Ok(Answer::text(format!("{} tells it another way.", turn.speaker.name())))
        }
        Some(Entry::Continue) => {
            components::go_on(call, &turn).await?;
            Ok(Answer::text(format!("{} goes on.", turn.speaker.name())))
        }
        Some(Entry::Rewind) => {
            call.may(Deed::Rewind).await?;
            call.bot.chat.rewind(place.guild, place.scene, Some(turn.id)).await?;
            call.show(place.scene).await?;
            Ok(Answer::text("The story is back at that turn; /undo takes this back."))
        }
        Some(Entry::Branch) => scenes::branch(call, Some(turn.id), None).await,
        Some(Entry::Seen | Entry::Edit | Entry::Report) | None => {
            Err(Refusal::plain("that does nothing"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::locale;
    use super::*;

    #[test]
    fn every_entry_that_people_see_does_something() {
        let names = locale::definitions()
            .iter()
            .filter(|command| command["type"] == 3)
            .map(|command| command["name"].as_str().expect("a name"));
        let mut seen = Vec::new();
        for name in names {
            let entry = Entry::of(name);
            assert!(entry.is_some(), "{name}");
            assert!(!seen.contains(&entry));
            seen.push(entry);
        }
        assert_eq!(seen.len(), 7);
    }
}
