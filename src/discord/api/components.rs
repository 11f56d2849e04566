//! Buttons, choices and forms, as Discord's JSON has them.

use serde_json::{Value, json};

use super::error::ApiError;

/// The most characters of a `custom_id`.
const MAX_CUSTOM_ID: usize = 100;
/// The most characters on a button.
const MAX_LABEL: usize = 80;
/// The most rows of a message, and buttons of a row.
const MAX_ROWS: usize = 5;

/// One row under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// Up to five buttons.
    Buttons(Vec<Button>),
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    /// What comes back when it is pressed.
    pub(crate) custom_id: String,
    /// Its words; may be empty if there is an emoji.
    pub(crate) label: String,
    /// A Unicode emoji before the words.
    pub(crate) emoji: Option<String>,
    /// Its colour.
    pub(crate) style: ButtonStyle,
    /// Whether it is greyed out.
    pub(crate) disabled: bool,
}

/// A button's colour, by Discord's names and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ButtonStyle {
    /// Grey.
    Secondary = 2,
    /// Red.
    Danger = 4,
}

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Modal {
    /// What comes back, beside what was filled in.
    pub(crate) custom_id: String,
    /// Its headline, up to 45 characters.
    pub(crate) title: String,
    /// Its fields, one to five.
    pub(crate) inputs: Vec<TextInput>,
}

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TextInput {
    /// By which its text comes back.
    pub(crate) custom_id: String,
    /// What stands above it, up to 45 characters.
    pub(crate) label: String,
    /// Whether it has many lines.
    pub(crate) is_paragraph: bool,
    /// What it is filled with from the start.
    pub(crate) value: Option<String>,
    /// What stands in it while it is empty.
    pub(crate) placeholder: Option<String>,
    /// Whether it has to be filled in.
    pub(crate) required: bool,
    /// The fewest characters.
    pub(crate) min_length: Option<u16>,
    /// The most characters, up to 4,000.
    pub(crate) max_length: Option<u16>,
}

/// All rows of a message.
pub(super) fn rows_json(rows: &[Row]) -> Result<Value, ApiError> {
    check(rows.len() <= MAX_ROWS, "a message has at most five rows of buttons")?;
    let rows: Result<Vec<Value>, ApiError> = rows.iter().map(Row::json).collect();
    Ok(Value::Array(rows?))
}

impl Row {
    fn json(&self) -> Result<Value, ApiError> {
        let Self::Buttons(buttons) = self;
        let fits = (1..=MAX_ROWS).contains(&buttons.len());
        check(fits, "a row has one to five buttons")?;
        let components: Result<Vec<Value>, ApiError> = buttons.iter().map(Button::json).collect();
        Ok(json!({ "type": 1, "components": components? }))
    }
}

impl Button {
    fn json(&self) -> Result<Value, ApiError> {
        check_custom_id(&self.custom_id)?;
        check_length("a button's label", &self.label, MAX_LABEL)?;
        let has_face = !self.label.is_empty() || self.emoji.is_some();
        check(has_face, "a button has a label or an emoji")?;
        let mut json = json!({
            "type": 2,
            "style": self.style as u8,
            "custom_id": self.custom_id,
            "disabled": self.disabled,
        });
        if !self.label.is_empty() {
            json["label"] = self.label.as_str().into();
        }
        if let Some(emoji) = &self.emoji {
            json["emoji"] = json!({ "name": emoji });
        }
        Ok(json)
    }
}

impl Modal {
    pub(super) fn json(&self) -> Result<Value, ApiError> {
        check_custom_id(&self.custom_id)?;
        check(!self.title.is_empty(), "a form has a title")?;
        check_length("a form's title", &self.title, 45)?;
        check((1..=MAX_ROWS).contains(&self.inputs.len()), "a form has one to five fields")?;
        let rows: Result<Vec<Value>, ApiError> = self.inputs.iter().map(TextInput::row).collect();
        Ok(json!({ "custom_id": self.custom_id, "title": self.title, "components": rows? }))
    }
}

impl TextInput {
    fn row(&self) -> Result<Value, ApiError> {
        check_custom_id(&self.custom_id)?;
        check(!self.label.is_empty(), "a field has a label")?;
        check_length("a field's label", &self.label, 45)?;
        let mut json = json!({
            "type": 4,
            "custom_id": self.custom_id,
            "label": self.label,
            "style": if self.is_paragraph { 2 } else { 1 },
            "required": self.required,
        });
        if let Some(value) = &self.value {
            check_length("a field's text", value, self.max_length.unwrap_or(4_000).into())?;
            json["value"] = value.as_str().into();
        }
        if let Some(placeholder) = &self.placeholder {
            check_length("a field's hint", placeholder, 100)?;
            json["placeholder"] = placeholder.as_str().into();
        }
        for (name, length) in [("min_length", self.min_length), ("max_length", self.max_length)] {
            if let Some(length) = length {
                json[name] = length.into();
            }
        }
        Ok(json!({ "type": 1, "components": [json] }))
    }
}

fn check_custom_id(id: &str) -> Result<(), ApiError> {
    check(!id.is_empty(), "a custom_id is empty")?;
    check_length("a custom_id", id, MAX_CUSTOM_ID)
}

fn check(holds: bool, rule: &str) -> Result<(), ApiError> {
    if holds { Ok(()) } else { Err(ApiError::invalid(rule)) }
}

/// Discord counts code points.
pub(super) fn check_length(what: &str, text: &str, most: usize) -> Result<(), ApiError> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(ApiError::invalid(format!("{what} has {length} characters, but may have {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn button(label: &str) -> Button {
        Button {
            custom_id: "d1:x".into(),
            label: label.into(),
            emoji: None,
            style: ButtonStyle::Secondary,
            disabled: false,
        }
    }

    #[test]
    fn a_form_is_rows_of_one_field() {
        let name = TextInput {
            custom_id: "name".into(),
            label: "Name".into(),
            value: Some("Ada".into()),
            required: true,
            max_length: Some(80),
            ..TextInput::default()
        };
        let modal = Modal { custom_id: "m".into(), title: "Who?".into(), inputs: vec![name] };
        insta::assert_json_snapshot!(modal.json().unwrap());
    }

    #[test]
    fn what_discord_would_refuse_is_refused_here() {
        let refused = |buttons| rows_json(&[Row::Buttons(buttons)]).unwrap_err().to_string();
        assert_eq!(refused(vec![button("")]), "a button has a label or an emoji");
        let long = "a button's label has 81 characters, but may have 80";
        assert_eq!(refused(vec![button(&"x".repeat(81))]), long);
        assert_eq!(refused(vec![button("x"); 6]), "a row has one to five buttons");
        assert_eq!(refused(vec![]), "a row has one to five buttons");
        let rows = vec![Row::Buttons(vec![button("x")]); 6];
        assert!(rows_json(&rows).is_err());
    }
}
