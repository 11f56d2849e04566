//! What the service does, in the verbs of people's intent; knows no platform.

mod sink;
mod starters;
mod turn_order;

pub use sink::{FinishedReply, ReplySink, ReplyStart, SinkError, Stage};
pub use starters::starters;
