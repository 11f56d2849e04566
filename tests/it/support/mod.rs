//! What several tests need.

pub(crate) mod hub;
pub(crate) mod models;
pub(crate) mod postgres;
pub(crate) mod wheel;
