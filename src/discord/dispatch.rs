//! From an interaction to the command that it means.
