//! The Discord front end: scenes in channels, threads and forum posts.
//!
//! The only room that knows Discord, and serenity with it. It knows the chat room
//! and what lies below it. Everything that it asks of Discord goes through `api`,
//! everything that it hears comes through `gateway`.

mod answering;
mod api;
mod bot;
mod call;
mod case_log;
mod cases;
mod catch_up;
mod check;
mod comings;
mod commands;
mod components;
mod connection;
mod consent;
mod controls;
mod custom_id;
mod decisions;
mod dispatch;
mod gateway;
mod hearing;
mod intake;
mod interaction;
mod locale;
mod marks;
mod membership;
mod menus;
mod modals;
mod names;
mod permissions;
mod pictures;
mod pluralkit;
mod posting;
mod proxies;
mod render;
mod reports;
mod scenes;
mod shown;
mod split;
mod stage;
mod webhooks;

pub use check::{Found, Verdict, check};
pub use connection::{Connection, Discord, DiscordError, Farewell};
pub use locale::{definitions, definitions_hash};
pub use stage::DiscordStage;
