//! `dramatis worker` as a child process, over HTTP, with the small real model.

mod clients;
mod completions;
mod home;
mod refusals;
mod sharing;
mod stopping;
