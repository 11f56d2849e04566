//! Posting once, whatever happens in between.
