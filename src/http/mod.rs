//! The worker's front end: our engine over the OpenAI-compatible completions protocol.
//!
//! Read `completions.rs` for the one thing it is for, `routes.rs` for the rest. The engine
//! is reached through the pool, in `backend.rs` alone; who connects, for how long, and how
//! a stop goes is `server.rs`'s. Nothing here knows scenes, people or a database.
//!
//! Invariants: every answer that is no success is OpenAI's error object; what clients
//! write is never logged; a client that goes away takes its generation along.

mod auth;
mod backend;
mod body;
mod completions;
mod error;
mod log;
mod refusal;
mod routes;
mod salts;
mod server;
mod shared;
mod status;
mod stream;
mod tokens;
mod work;

pub use error::HttpError;
pub use server::{Server, ServerOptions};
