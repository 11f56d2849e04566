//! The first answer to an interaction.

use serde_json::{Value, json};

use super::components::{Modal, check_length};
use super::error::ApiError;
use super::payload::{EPHEMERAL, Payload};

/// The most suggestions while somebody types.
const MAX_CHOICES: usize = 25;

/// The first answer to an interaction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Response {
    /// We are there.
    Pong,
    /// A message comes later.
    Defer {
        /// Whether only the person who asked will see it.
        ephemeral: bool,
    },
    /// The message with the button will change later, or not at all.
    DeferUpdate,
    /// A message.
    Message(Payload),
    /// Suggestions while somebody types.
    Autocomplete(Vec<Choice>),
    /// A form.
    Modal(Modal),
}

/// A suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What people see.
    pub(crate) name: String,
    /// What comes back.
    pub(crate) value: String,
}

impl Response {
    pub(super) fn json(&self) -> Result<Value, ApiError> {
        Ok(match self {
            Self::Pong => json!({ "type": 1 }),
            Self::Message(payload) => json!({ "type": 4, "data": payload.create_json()? }),
            Self::Defer { ephemeral } => {
                let flags = if *ephemeral { EPHEMERAL } else { 0 };
                json!({ "type": 5, "data": { "flags": flags } })
            }
            Self::DeferUpdate => json!({ "type": 6 }),
            Self::Autocomplete(choices) => {
                let choices = choices.iter().take(MAX_CHOICES).map(Choice::json);
                let choices: Vec<Value> = choices.collect::<Result<_, _>>()?;
                json!({ "type": 8, "data": { "choices": choices } })
            }
            Self::Modal(modal) => json!({ "type": 9, "data": modal.json()? }),
        })
    }

    /// The message in it.
    pub(super) fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Message(payload) => Some(payload),
            _ => None,
        }
    }
}

impl Choice {
    fn json(&self) -> Result<Value, ApiError> {
        check_length("a suggestion", &self.name, 100)?;
        check_length("a suggestion's value", &self.value, 100)?;
        Ok(json!({ "name": self.name, "value": self.value }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::Mentions;
    use super::*;

    #[test]
    fn answers_are_as_discord_numbers_them() {
        let said = || Payload::new("Done.", Mentions::NONE).unwrap();
        let choices = (0..30).map(|n| Choice { name: format!("n{n}"), value: format!("v{n}") });
        let autocomplete = Response::Autocomplete(choices.collect()).json().unwrap();
        assert_eq!(autocomplete["data"]["choices"].as_array().unwrap().len(), 25);
        let answers = [
            Response::Pong,
            Response::Message(said().ephemeral()),
            Response::Defer { ephemeral: true },
            Response::DeferUpdate,
        ];
        let answers: Vec<Value> = answers.iter().map(|answer| answer.json().unwrap()).collect();
        insta::assert_json_snapshot!(answers);
    }
}
