//! `/note`: a reminder to the model, between the turns.

use super::super::call::{Answer, Call, Field, FormSheet, Refusal};
use super::super::custom_id::{CustomId, Form};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use crate::domain::Note;

/// The most turns that may stand after it.
const MAX_DEPTH: usize = 100;

pub(super) async fn set(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ChangeScene).await?;
    let depth = options.integer("depth").and_then(|depth| usize::try_from(depth).ok());
    let note = match options.text("text") {
        _ if options.boolean("clear") == Some(true) => None,
        Some(text) => {
            Some(Note { text: text.to_owned(), depth: depth.unwrap_or(Note::DEFAULT_DEPTH) })
        }
        None => None,
    };
    put(call, place.scene, note).await
}

/// Puts the note where it belongs, or takes it away.
async fn put(
    call: &Call,
    scene: crate::domain::SceneId,
    note: Option<Note>,
) -> Result<Answer, Refusal> {
    let note = note.map(|note| Note { depth: note.depth.min(MAX_DEPTH), ..note });
    let scene = call.bot.chat.set_note(call.guild, scene, note).await?;
    Ok(Answer::text(match scene.note {
        Some(note) => format!("The model is reminded, {}.", depth_words(note.depth)),
        None => "There is no note now.".to_owned(),
    }))
}

fn depth_words(depth: usize) -> String {
    match depth {
        0 => "right before each reply".to_owned(),
        1 => "one turn before the end".to_owned(),
        depth => format!("{depth} turns before the end"),
    }
}

pub(super) async fn form(call: &Call, options: &Options) -> Result<FormSheet, Refusal> {
    let scene = call.scene().await?;
    call.may(Deed::ChangeScene).await?;
    let (text, depth) = match &scene.note {
        Some(note) => (note.text.as_str(), note.depth),
        None => ("", Note::DEFAULT_DEPTH),
    };
    let depth = options.integer("depth").map_or(depth.to_string(), |depth| depth.to_string());
    let text = Field::long("text", "What it says; empty takes it away", text);
    if !text.fits() {
        return Err(Refusal::plain(
            "the note is longer than a form can hold; /note text: replaces it",
        ));
    }
    Ok(FormSheet {
        id: CustomId::Form(Form::Note),
        title: "A reminder to the model".to_owned(),
        fields: vec![text, Field::line("depth", "How many turns stand after it", &depth, 3)],
    })
}

/// The form comes back.
pub(in super::super) async fn submit(
    call: &Call,
    fields: &super::super::interaction::Fields,
) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ChangeScene).await?;
    let text = fields.get("text").unwrap_or_default();
    let depth = match fields.get("depth") {
        None | Some("") => Note::DEFAULT_DEPTH,
        Some(word) => word.parse().map_err(|_| {
            Refusal::plain(format!("“{word}” is no number of turns; the note was not changed"))
        })?,
    };
    let note = (!text.is_empty()).then(|| Note { text: text.to_owned(), depth });
    put(call, place.scene, note).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_said_in_words() {
        assert_eq!(depth_words(0), "right before each reply");
        assert_eq!(depth_words(1), "one turn before the end");
        assert_eq!(depth_words(2), "2 turns before the end");
    }
}
