//! Discord over REST: typed calls, each through the queue of its bucket.
//!
//! A call becomes a request (`endpoint` says where to, `payload`, `components` and
//! `response` what with) that the `sender` takes to Discord: it stands in the queue
//! of its bucket (`queue`), heeds the global limit (`limiter`), stops when too much
//! is refused (`breaker`, `refusals`), and goes by one of two ways (`wiring`). `model`
//! is what comes back, `error` why it does not.

mod attachments;
mod breaker;
mod calls;
mod components;
mod emojis;
mod endpoint;
mod error;
mod guilds;
mod interactions;
mod lenient;
mod limiter;
mod messages;
mod model;
mod payload;
mod pressure;
mod queue;
mod refusals;
mod response;
mod sender;
mod transport;
mod wiring;

#[cfg(test)]
mod tests;

pub(crate) use attachments::Attachment;
pub(crate) use calls::{Api, ApiOptions};
pub(crate) use components::{Button, ButtonStyle, Modal, Row, TextInput};
pub(crate) use error::{ApiError, TOO_MANY_WEBHOOKS};
pub(crate) use guilds::ThreadEdit;
pub(crate) use messages::Speaker;
pub(crate) use model::{
    Application, Channel, ChannelWebhook, Guild, Message, MyGuild, Role, Webhook,
};
pub(crate) use payload::{File, MAX_FILE_BYTES, Mentions, Payload};
pub(crate) use response::{Choice, Response};
