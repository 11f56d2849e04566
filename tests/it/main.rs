//! Tests of whole rooms together, in one binary so that they link once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adapter;
mod bench;
mod chat;
mod classifier;
mod cli;
mod discord;
mod double;
mod engine;
mod fetch;
mod files;
mod floors;
mod model;
mod play;
mod recipes;
mod store;
mod support;
mod tokenizer;
mod worker;
