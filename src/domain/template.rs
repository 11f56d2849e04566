//! How a model wants its prompt laid out: plain data in SillyTavern's terms.
//!
//! What the fields do is the prompt room's business; how files spell them, the formats
//! room's. Sequences are the template's own words: they are structure, and the same
//! words in people's text are not.

use serde::{Deserialize, Serialize};

/// The layout of prompts for one family of models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Template {
    /// LimaRP's extended Alpaca, which is built in.
    #[default]
    Limarp,
    /// Anything that sequences around the turns and a story string can say.
    Instruct(Box<InstructTemplate>),
}

impl Template {
    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Limarp => "limarp",
            Self::Instruct(template) => &template.name,
        }
    }
}

/// A layout that is given by data: SillyTavern's instruct template, context template
/// and system prompt together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstructTemplate {
    /// What people call it; may be empty.
    pub name: String,
    /// What stands around the turns.
    pub instruct: InstructSequences,
    /// What stands before them.
    pub context: ContextLayout,
    /// What the model is told to do.
    pub system_prompt: SystemPrompt,
}

/// What stands before and after each turn. `{{name}}` in a sequence is the speaker,
/// `{{length}}` (or the word of a written `(length = medium)`) the length asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstructSequences {
    /// Before a person's turn.
    pub input_sequence: String,
    /// After a person's turn.
    pub input_suffix: String,
    /// Before a character's turn.
    pub output_sequence: String,
    /// After a character's turn.
    pub output_suffix: String,
    /// Before a note between the turns.
    pub system_sequence: String,
    /// After a note between the turns.
    pub system_suffix: String,
    /// In place of `input_sequence` before the first block of a prompt; empty is none.
    pub first_input_sequence: String,
    /// In place of `input_sequence` before a person's last turn; empty is none.
    pub last_input_sequence: String,
    /// In place of `output_sequence` before the first block of a prompt; empty is none.
    pub first_output_sequence: String,
    /// In place of `output_sequence` before the reply; empty is none.
    pub last_output_sequence: String,
    /// Before a note that the reply follows at once; empty is none.
    pub last_system_sequence: String,
    /// Before the story string (older files: `system_sequence_prefix`).
    pub story_string_prefix: String,
    /// After the story string (older files: `system_sequence_suffix`).
    pub story_string_suffix: String,
    /// Ends the reply; empty is none.
    pub stop_sequence: String,
    /// Whether the sequences end replies, too.
    pub sequences_as_stop_strings: bool,
    /// Whether a line break follows each sequence, and each text without a suffix.
    pub wrap: bool,
    /// Whether macros in the sequences are expanded.
    #[serde(rename = "macro")]
    pub expands_macros: bool,
    /// When turns begin with their speaker's name.
    pub names_behavior: NamesBehavior,
    /// Which models it is for, as a regular expression on their names; may be empty.
    pub activation_regex: String,
    /// Whether example dialogue stays text rather than becoming turns.
    pub skip_examples: bool,
    /// Whether notes stand between a person's sequences.
    pub system_same_as_user: bool,
    /// Said by the person before a history that a character begins; empty is none.
    pub user_alignment_message: String,
}

impl Default for InstructSequences {
    fn default() -> Self {
        Self {
            input_sequence: String::new(),
            input_suffix: String::new(),
            output_sequence: String::new(),
            output_suffix: String::new(),
            system_sequence: String::new(),
            system_suffix: String::new(),
            first_input_sequence: String::new(),
            last_input_sequence: String::new(),
            first_output_sequence: String::new(),
            last_output_sequence: String::new(),
            last_system_sequence: String::new(),
            story_string_prefix: String::new(),
            story_string_suffix: String::new(),
            stop_sequence: String::new(),
            sequences_as_stop_strings: true,
            wrap: true,
            expands_macros: true,
            names_behavior: NamesBehavior::Force,
            activation_regex: String::new(),
            skip_examples: false,
            system_same_as_user: false,
            user_alignment_message: String::new(),
        }
    }
}

/// When turns begin with their speaker's name and a colon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamesBehavior {
    /// Never.
    None,
    /// Where more than two speak.
    #[default]
    Force,
    /// Always.
    Always,
}

/// What stands before the turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContextLayout {
    /// Everything that is told before the story, in a part of Handlebars' language.
    pub story_string: String,
    /// A line before each example dialogue; empty is none.
    pub example_separator: String,
    /// A line before the first turn; empty is none.
    pub chat_start: String,
    /// Whether those two lines end replies, too.
    pub use_stop_strings: bool,
    /// Whether the others' names end replies.
    pub names_as_stop_strings: bool,
    /// Whether a reply that was cut is to end with its last whole sentence.
    pub trim_sentences: bool,
    /// Whether a reply is one line.
    pub single_line: bool,
}

impl Default for ContextLayout {
    fn default() -> Self {
        Self {
            story_string: String::new(),
            example_separator: String::new(),
            chat_start: String::new(),
            use_stop_strings: false,
            names_as_stop_strings: true,
            trim_sentences: false,
            single_line: false,
        }
    }
}

/// What the model is told to do, where a character does not say it in other words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemPrompt {
    /// Stands for `{{system}}` in the story string; empty takes LimaRP's role line.
    pub content: String,
    /// An instruction right before the reply; may be empty.
    pub post_history: String,
}
