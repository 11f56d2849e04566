//! The `play` front end: one person at a terminal, or a script at a pipe.

mod commands;
mod completion;
mod input;
mod wrap;
