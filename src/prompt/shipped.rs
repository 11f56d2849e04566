//! The templates that ship: data in `config/templates`, and LimaRP, which is built in.
//!
//! Each is checked against what its family of models publishes; where a template of
//! theirs has no room for notes or a greeting, the file says what is made of it.

use super::instruct::handlebars;
use crate::domain::{InstructTemplate, Template};

/// Name and text of every file.
const FILES: [(&str, &str); 9] = [
    ("alpaca", include_str!("../../config/templates/alpaca.toml")),
    ("alpaca-names", include_str!("../../config/templates/alpaca-names.toml")),
    ("chatml", include_str!("../../config/templates/chatml.toml")),
    ("llama-2-chat", include_str!("../../config/templates/llama-2-chat.toml")),
    ("llama-3-instruct", include_str!("../../config/templates/llama-3-instruct.toml")),
    ("mistral-instruct-v1", include_str!("../../config/templates/mistral-instruct-v1.toml")),
    ("mistral-instruct-v3", include_str!("../../config/templates/mistral-instruct-v3.toml")),
    ("plain", include_str!("../../config/templates/plain.toml")),
    ("vicuna-1.1", include_str!("../../config/templates/vicuna-1.1.toml")),
];

/// The names that [`shipped_template`] knows; the first is the one to start with.
pub fn shipped_templates() -> impl Iterator<Item = &'static str> {
    std::iter::once("limarp").chain(FILES.iter().map(|(name, _)| *name))
}

/// A shipped template by name; `None` if there is no such template.
pub fn shipped_template(name: &str) -> Option<Template> {
    if name == "limarp" {
        return Some(Template::Limarp);
    }
    let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
    let template: InstructTemplate =
        toml::from_str(text).expect("a shipped template is a template; a test reads each");
    Some(Template::Instruct(Box::new(template)))
}

/// Whether prompts can be made by a template from elsewhere.
///
/// # Errors
/// Its story string is damaged.
pub fn check_template(template: &Template) -> Result<(), handlebars::StoryStringError> {
    match template {
        Template::Limarp => Ok(()),
        Template::Instruct(template) => handlebars::parse(&template.context.story_string).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_the_template_of_its_name() {
        for name in shipped_templates() {
            let template = shipped_template(name).unwrap();
            assert_eq!(template.name(), name);
            assert_eq!(check_template(&template), Ok(()), "{name}");
            let json = serde_json::to_string(&template).unwrap();
            assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), template);
        }
        assert_eq!(shipped_template("nothing"), None);
        assert_eq!(shipped_templates().next(), Some(Template::default().name()));
    }
}
