//! Answers, in the shapes that Discord takes.

use super::api::{ApiError, File, Mentions, Modal, Payload, Response, TextInput};
use super::bot::Bot;
use super::call::{Answer, FormSheet};
use super::controls;
use super::interaction::Handle;
use super::split;

/// The most messages that one answer becomes; a longer one becomes a file.
const MAX_PARTS: usize = 4;
/// What a message holds.
const MAX_CONTENT: usize = 2_000;

/// Discord: the token is no longer good, or what it stands for is gone.
const GONE: [u32; 3] = [10_008, 10_015, 10_062];

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In place of the acknowledgement, or of the message whose button was pressed.
    Replace,
    /// Beside it, for the person alone.
    Beside,
}

/// A form as Discord takes it.
pub(super) fn modal(sheet: &FormSheet) -> Response {
    let inputs = sheet.fields.iter().map(|field| TextInput {
        custom_id: field.id.to_owned(),
        label: field.label.to_owned(),
        is_paragraph: field.is_long,
        value: (!field.value.is_empty()).then(|| field.value.clone()),
        required: field.is_required,
        max_length: u16::try_from(field.max).ok(),
        ..TextInput::default()
    });
    Response::Modal(Modal {
        custom_id: sheet.id.encode(),
        title: sheet.title.clone(),
        inputs: inputs.collect(),
    })
}

/// Words as the whole answer, for the person alone.
pub(super) fn message(words: &str) -> Response {
    let words: String = words.chars().take(MAX_CONTENT).collect();
    let payload = Payload::new(words, Mentions::NONE).expect("it is cut to what fits");
    Response::Message(payload.ephemeral())
}

/// Delivers an answer; what cannot be delivered is logged and dropped.
pub(super) async fn deliver(bot: &Bot, handle: &Handle, answer: Answer, way: Way) {
    if let Err(error) = try_to(bot, handle, answer, way).await {
        let is_gone = error.code().is_some_and(|code| GONE.contains(&code));
        if is_gone {
            tracing::info!(error.kind = error.kind(), "discord.answer.too_late");
        } else {
            tracing::warn!(error.kind = error.kind(), "discord.answer.lost");
        }
    }
}

async fn try_to(bot: &Bot, handle: &Handle, answer: Answer, way: Way) -> Result<(), ApiError> {
    let application = bot.application.id;
    let mut payloads = payloads(answer)?.into_iter();
    if way == Way::Replace
        && let Some(first) = payloads.next()
    {
        bot.api.edit_original(application, &handle.token, &first).await?;
    }
    for payload in payloads {
        bot.api.follow_up(application, &handle.token, &payload, true).await?;
    }
    Ok(())
}

/// The messages of an answer: one mostly, some where it is long, a file where it is
/// longer.
fn payloads(answer: Answer) -> Result<Vec<Payload>, ApiError> {
    let mut parts = split::split(&answer.text, MAX_CONTENT);
    let mut files = answer.files;
    if parts.len() > MAX_PARTS {
        files.push(File { name: "answer.md".to_owned(), bytes: answer.text.into_bytes() });
        parts.truncate(1);
    }
    if parts.is_empty() {
        parts.push(String::new());
    }
    let last = parts.len() - 1;
    let mut payloads = Vec::with_capacity(parts.len());
    for (number, part) in parts.into_iter().enumerate() {
        let mut payload = Payload::new(part, Mentions::NONE)?.without_embeds();
        if number == last {
            payload = payload.with_rows(controls::rows(answer.rows.clone()));
            for file in files.drain(..) {
                payload = payload.with_file(file);
            }
        }
        payloads.push(payload);
    }
    Ok(payloads)
}

#[cfg(test)]
mod tests {
    use super::super::call::Field;
    use super::super::custom_id::{Confirm, CustomId, Form};
    use super::super::{controls, locale::Locale};
    use super::*;
    use crate::domain::SceneId;

    #[test]
    fn a_short_answer_is_one_message_with_its_buttons() {
        let rows = controls::confirm_rows(Confirm::EndScene(SceneId(1)), Locale::default());
        let answer = Answer { text: "Really?".into(), rows, ..Answer::default() };
        let payloads = payloads(answer).expect("it fits");
        assert_eq!(payloads.len(), 1);
        assert_eq!(payloads[0].content(), Some("Really?"));
    }

    #[test]
    fn a_long_answer_becomes_messages_and_a_longer_one_a_file() {
        let answer = |num_words| Answer::text("A sentence. ".repeat(num_words));
        let long = payloads(answer(400)).expect("it fits");
        assert!((2..=MAX_PARTS).contains(&long.len()));
        assert_eq!(payloads(answer(2_000)).expect("it fits").len(), 1);
    }

    #[test]
    fn a_form_holds_what_there_is() {
        let sheet = FormSheet {
            id: CustomId::Form(Form::Note),
            title: "A note".into(),
            fields: vec![
                Field::long("text", "Text", "It rains.").required(),
                Field::line("depth", "Depth", "", 3),
            ],
        };
        let Response::Modal(modal) = modal(&sheet) else { panic!("a form") };
        assert_eq!(modal.custom_id, "d1:form:note");
        assert_eq!(modal.inputs[0].value.as_deref(), Some("It rains."));
        assert!(modal.inputs[0].required && modal.inputs[0].is_paragraph);
        assert_eq!((modal.inputs[1].value.as_deref(), modal.inputs[1].max_length), (None, Some(3)));
    }
}
