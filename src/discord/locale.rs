//! The commands as Discord is told of them, in every language that we have.
