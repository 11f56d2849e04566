//! The calls over a way to Discord that is made up, and over real connections.

mod fake;
mod secrets;
mod sending;
mod server;
mod webhooks;
mod wire;
