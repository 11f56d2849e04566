//! What each path of the REST API does, one file per resource. Handlers are plain
//! functions on the world: rate limits, faults and authorisation come before them.

pub(crate) mod channels;
pub(crate) mod commands;
pub(crate) mod emojis;
pub(crate) mod guilds;
pub(crate) mod interactions;
pub(crate) mod messages;
pub(crate) mod threads;
pub(crate) mod webhooks;
