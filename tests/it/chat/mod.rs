//! The chat room on real Postgres and real models: from a message to a reply that
//! is stored and shown, and whatever may come between.

mod boundaries;
mod cards;
mod casts;
mod chats;
mod consent;
mod curtains;
mod evenings;
mod exports;
mod failures;
mod fairness;
mod held;
mod house;
mod injection;
mod library;
mod lines;
mod long_scene;
mod lore;
mod models;
mod moderation;
mod privacy;
mod processes;
mod proofreading;
mod queue;
mod remote;
mod replies;
mod reproduction;
mod resume;
mod retention;
mod rules;
mod sealing;
mod settings;
mod stage;
mod swipes;
mod training;
mod undo;
