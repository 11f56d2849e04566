//! Prose as readers see it: where sentences end, what is left open, what was said before.
//!
//! Works on text alone and knows no tokens, models or speakers. Invariant: every
//! position handed out is a character boundary.

mod punctuation;
mod repeats;
mod scan;

pub use punctuation::{begins_word, ends_sentence};
pub use repeats::{Repeats, Repetition, Tail};
pub use scan::Scan;
