//! Discord, from the outside: the real binary, real Postgres and the small real
//! model, against the double.

mod commands;
mod evening;
mod faults;
mod scene;
mod serve;
