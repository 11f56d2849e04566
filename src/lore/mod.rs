//! Which lore is told: lorebook entries against the newest turns.
//!
//! Pure: no I/O, no clock, no randomness but the seed it is given. It decides what fires,
//! in which order and why not; where it stands in the prompt is the prompt room's.
//!
//! [`Lore`] makes books ready once; [`Lore::activate`] asks them. The rules are
//! SillyTavern's world info and the decorators of character card V3. Books are written
//! by anyone: whatever they hold, an activation ends in bounded time.

mod activation;
mod admit;
mod automaton;
mod backtrack;
mod check;
mod compiled;
mod decorators;
mod escapes;
mod groups;
mod inputs;
mod javascript;
mod keys;
mod outcome;
mod pattern;
mod problem;
mod regex_key;
mod run;
mod scan;
mod search;
mod source;
#[cfg(test)]
mod tests;
mod timed;

pub use activation::{Activation, Cause, FiredEntry, LorePlace, NotFired, SilentEntry, UiPrompt};
pub use compiled::Lore;
pub use inputs::{LoreInputs, LoreMessage, LoreSettings};
pub use javascript::RegexError;
pub use problem::{Finding, LoreProblem};
pub use regex_key::{check_regex, parse_slashes};
pub use source::{LoreScope, LoreSource};
pub use timed::{TimedEffects, TimedSpan};
