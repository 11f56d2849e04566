//! Replies as they appear in a channel.
