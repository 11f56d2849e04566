//! The `play` front end: one person at a terminal, or a script at a pipe.
//!
//! It knows the chat room and nothing below it but nouns. Invariant: only the
//! player prints, and never while a line is being edited.

mod commands;
mod completion;
mod input;
mod player;
mod render;
mod scenes;
mod screen;
mod stage;
mod style;
mod verbs;
mod wrap;

pub use player::{PlayError, PlayOptions, play};
pub use stage::{StageEvents, TerminalSink, TerminalStage, stage};
