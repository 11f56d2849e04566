//! The webhook by which characters speak in a channel.
