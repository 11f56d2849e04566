//! Templates of other software: SillyTavern's instruct templates, context templates and
//! system prompts, one by one or together in one file (“master export”).
//!
//! A [`TemplateFile`] is the document and stays it: what is changed is set, everything
//! else keeps its spelling. Older spellings are read and left as they are.

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::fields::Object;
use super::{FormatError, Limits};
use crate::domain::{InstructSequences, InstructTemplate, NamesBehavior};

/// What a template file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateKind {
    /// What stands around the turns.
    Instruct,
    /// What stands before them.
    Context,
    /// What the model is told to do.
    SystemPrompt,
    /// Several of these under their names.
    Master,
}

impl TemplateKind {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instruct => "instruct template",
            Self::Context => "context template",
            Self::SystemPrompt => "system prompt",
            Self::Master => "template export",
        }
    }
}

/// A template of other software.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateFile {
    kind: TemplateKind,
    root: Object,
}

/// The parts of a master export, by their keys.
const INSTRUCT: &str = "instruct";
const CONTEXT: &str = "context";
const SYSTEM_PROMPT: &str = "sysprompt";

impl TemplateFile {
    /// Reads a template of any kind from JSON.
    ///
    /// # Errors
    /// `TooBig` beyond the limits, `Json` and `Type` where it is no JSON object, `Unknown`
    /// where the object is no template of these.
    pub fn read_json(text: &str, limits: &Limits) -> Result<Self, FormatError> {
        let root = Object::read(text, limits)?;
        let holds = |key| matches!(root.object(key), Ok(Some(_)));
        let kind = if [INSTRUCT, CONTEXT, SYSTEM_PROMPT].into_iter().any(holds) {
            TemplateKind::Master
        } else if root.has("input_sequence") || root.has("output_sequence") {
            TemplateKind::Instruct
        } else if root.has("story_string") {
            TemplateKind::Context
        } else if root.has("content") {
            TemplateKind::SystemPrompt
        } else {
            let what = "the object has none of `input_sequence`, `story_string`, `content` and \
                        `instruct`; export the template as JSON";
            return Err(FormatError::Unknown { wanted: "template", what: what.to_owned() });
        };
        Ok(Self { kind, root })
    }

    /// A master export of this template.
    pub fn from_template(template: &InstructTemplate) -> Self {
        let mut root = Object::new("");
        for key in [INSTRUCT, CONTEXT, SYSTEM_PROMPT] {
            let mut part = Object::new(key);
            part.set("name", &template.name);
            root.set_object(key, &part);
        }
        let file = Self { kind: TemplateKind::Master, root };
        let written = file.write(template, Written::Everything);
        written.expect("its own parts are objects")
    }

    /// What it holds.
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The document.
    pub fn root(&self) -> &Object {
        &self.root
    }

    /// The document as JSON: whatever was not changed is spelled as it was.
    pub fn to_json(&self) -> String {
        self.root.to_json()
    }

    /// The template, with the defaults for parts that are not in the file.
    ///
    /// # Errors
    /// `Type` where a known key holds a value that cannot be meant.
    pub fn to_template(&self) -> Result<InstructTemplate, FormatError> {
        let mut template = InstructTemplate::default();
        self.apply_to(&mut template)?;
        Ok(template)
    }

    /// Puts what the file holds in place of the same parts of a template: people keep
    /// instruct and context in two files.
    ///
    /// # Errors
    /// `Type` where a known key holds a value that cannot be meant.
    pub fn apply_to(&self, template: &mut InstructTemplate) -> Result<(), FormatError> {
        let mut names = Vec::new();
        if let Some(part) = self.part(TemplateKind::Instruct)? {
            names.push(part.text("name")?);
            template.instruct = read_instruct(&part)?;
            // Once the system prompt was a part of the instruct template.
            if let Some(content) = part.text("system_prompt")?.filter(|text| !text.is_empty()) {
                template.system_prompt.content = content;
            }
        }
        if let Some(part) = self.part(TemplateKind::Context)? {
            names.push(part.text("name")?);
            template.context = read_part(&part)?;
        }
        if let Some(part) = self.part(TemplateKind::SystemPrompt)? {
            names.push(part.text("name")?);
            template.system_prompt = read_part(&part)?;
        }
        if let Some(name) = names.into_iter().flatten().find(|name| !name.is_empty()) {
            template.name = name;
        }
        Ok(())
    }

    /// The document with this template: what of its parts reads differently is set,
    /// everything else stays as it was spelled.
    ///
    /// # Errors
    /// `Type` where a known key holds a value that cannot be meant.
    pub fn with_template(&self, template: &InstructTemplate) -> Result<Self, FormatError> {
        self.write(template, Written::Changes)
    }

    fn write(&self, template: &InstructTemplate, which: Written) -> Result<Self, FormatError> {
        let old = self.to_template()?;
        let mut file = self.clone();
        if let Some(mut part) = self.part(TemplateKind::Instruct)? {
            write_part(&mut part, &old.instruct, &template.instruct, which);
            if part.has("system_prompt") && old.system_prompt != template.system_prompt {
                part.set("system_prompt", &template.system_prompt.content);
            }
            file.set_part(INSTRUCT, part, &old, template);
        }
        if let Some(mut part) = self.part(TemplateKind::Context)? {
            write_part(&mut part, &old.context, &template.context, which);
            file.set_part(CONTEXT, part, &old, template);
        }
        if let Some(mut part) = self.part(TemplateKind::SystemPrompt)? {
            write_part(&mut part, &old.system_prompt, &template.system_prompt, which);
            file.set_part(SYSTEM_PROMPT, part, &old, template);
        }
        Ok(file)
    }

    fn part(&self, kind: TemplateKind) -> Result<Option<Object>, FormatError> {
        match self.kind {
            TemplateKind::Master => self.root.object(match kind {
                TemplateKind::Context => CONTEXT,
                TemplateKind::SystemPrompt => SYSTEM_PROMPT,
                TemplateKind::Instruct | TemplateKind::Master => INSTRUCT,
            }),
            own if own == kind => Ok(Some(self.root.clone())),
            _ => Ok(None),
        }
    }

    fn set_part(
        &mut self,
        key: &str,
        mut part: Object,
        old: &InstructTemplate,
        template: &InstructTemplate,
    ) {
        if old.name != template.name {
            part.set("name", &template.name);
        }
        if self.kind != TemplateKind::Master {
            self.root = part;
        } else if !matches!(self.root.object(key), Ok(Some(before)) if before == part) {
            // A part of which nothing changed keeps even a key that it has twice.
            self.root.set_object(key, &part);
        }
    }
}

/// Which fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Changes,
    Everything,
}

fn as_map<T: Serialize>(part: &T) -> Map<String, Value> {
    match serde_json::to_value(part) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("a part is a struct of texts and flags"),
    }
}

/// The fields of `T` that the object has, under the same names; the defaults of the
/// others.
fn read_part<T: Serialize + DeserializeOwned + Default>(part: &Object) -> Result<T, FormatError> {
    let mut map = as_map(&T::default());
    for (key, value) in &mut map {
        let read = match value {
            Value::Bool(_) => part.flag(key)?.map(Value::Bool),
            _ => part.text(key)?.map(Value::String),
        };
        if let Some(read) = read {
            *value = read;
        }
    }
    serde_json::from_value(Value::Object(map)).map_err(|_| FormatError::Type {
        path: part.path_of("names_behavior"),
        wanted: "none, force or always",
        found: "another word",
    })
}

/// The same with the spellings of older versions.
fn read_instruct(part: &Object) -> Result<InstructSequences, FormatError> {
    let mut sequences: InstructSequences = read_part(part)?;
    let older = |new: &str, old: &str| {
        if part.has(new) { Ok(None) } else { part.text(old) }
    };
    for (text, new, old) in [
        (&mut sequences.output_suffix, "output_suffix", "separator_sequence"),
        (&mut sequences.story_string_prefix, "story_string_prefix", "system_sequence_prefix"),
        (&mut sequences.story_string_suffix, "story_string_suffix", "system_sequence_suffix"),
    ] {
        if let Some(spelled) = older(new, old)? {
            *text = spelled;
        }
    }
    if !part.has("names_behavior")
        && let Some(names) = part.flag("names")?
    {
        let in_groups = part.flag("names_force_groups")?.unwrap_or(false);
        sequences.names_behavior = match (names, in_groups) {
            (true, _) => NamesBehavior::Always,
            (false, true) => NamesBehavior::Force,
            (false, false) => NamesBehavior::None,
        };
    }
    Ok(sequences)
}

fn write_part<T: Serialize>(part: &mut Object, old: &T, new: &T, which: Written) {
    let (old, new) = (as_map(old), as_map(new));
    for (key, value) in &new {
        if which == Written::Everything || old.get(key) != Some(value) {
            part.set(key, value);
        }
    }
}
