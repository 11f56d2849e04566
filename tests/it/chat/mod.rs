//! The chat room on real Postgres and real models: from a message to a reply that
//! is stored and shown, and whatever may come between.

mod casts;
mod evenings;
mod failures;
mod fairness;
mod house;
mod long_scene;
mod models;
mod replies;
mod reproduction;
mod resume;
mod settings;
mod stage;
mod swipes;
mod undo;
