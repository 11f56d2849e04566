//! Discord, from the outside: the real binary, real Postgres and the small real
//! model, against the double; a part of it against a double that we did not write.

mod check;
mod commands;
mod definitions;
mod evening;
mod faults;
mod hearing;
mod many;
mod processes;
mod queue;
mod scene;
mod serve;
mod twin;
mod wirings;
