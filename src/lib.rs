//! Dramatis: people write stories together with characters.
//!
//! A message becomes a *turn* of a *scene*; a job in the scene's lane makes the
//! reply. To see where, read [`chat::reply`]: it loads the scene from [`store`],
//! asks [`prompt`] for a LimaRP transcript that fits the context window to the
//! token, hands it to the [`pool`] of workers whose [`engine`] decodes many
//! sequences at once on a [`model`], and writes the text back before anyone is
//! shown it as final.
//!
//! Rooms stand on floors; a file imports only lower floors or its own room
//! (`tests/it/floors.rs` holds that). Listed here from the ground up.
//!
//! Invariants:
//! - Nothing lives only in memory: a restart claims the unfinished jobs again.
//! - People's text is data: no text can become structure of a prompt or a query.
//! - Every row that a command can name is keyed by its guild.
//! - The inference rooms (`kernels`, `gpu`, `tokenizer`, `sampling`, `model`, `prose`, `engine`,
//!   `completions`) import nothing of the bot.

// Floor 0: nouns and ground.
pub mod clock;
pub mod config;
pub mod domain;
pub mod fetch;
pub mod gpu;
mod kernels;
pub mod telemetry;

// Floor 1: one craft each.
pub mod formats;
pub mod lore;
pub mod model;
pub mod moderation;
pub mod prompt;
pub mod prose;
pub mod sampling;
pub mod store;
pub mod tokenizer;

// Floor 2: many sequences on one device; the words in which workers are asked; whoever is
// asked what a text is.
pub mod classifier;
pub mod completions;
pub mod engine;

// Floor 3: many workers.
pub mod pool;

// Floor 4: what the service does; knows no platform.
pub mod chat;

// Floor 5: front ends.
pub mod discord;
pub mod http;
pub mod terminal;

// Floor 6: composition.
pub mod cli;
pub mod service;
