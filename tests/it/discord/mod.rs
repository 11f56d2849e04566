//! Discord, from the outside: the real binary, real Postgres and the small real
//! model, against the double; a part of it against a double that we did not write.

mod chats;
mod check;
mod commands;
mod consent;
mod crossing;
mod custom_id;
mod definitions;
mod evening;
mod faults;
mod files;
mod hearing;
mod held;
mod limits;
mod lore;
mod many;
mod matrix;
mod moderation;
mod pictures;
mod policy;
mod privacy;
mod processes;
mod queue;
mod roll;
mod scene;
mod serve;
mod training;
mod twin;
mod wirings;
