//! What is done with what the shards hear.

use std::sync::Arc;

use super::bot::Bot;
use super::gateway::{Hearer, Heard};
use super::{dispatch, scenes};

/// Puts everything that is heard where somebody works on it.
pub(super) struct Ears {
    bot: Arc<Bot>,
}
