//! Which lore is told: lorebook entries against the newest turns.
//!
//! Pure: no I/O, no clock, no randomness but the seed it is given. It decides what fires,
//! in which order and why not; where it stands in the prompt is the prompt room's.
