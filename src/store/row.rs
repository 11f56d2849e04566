//! From what the database holds back to the domain's words.

use super::{Noun, StoreError};
use crate::domain::{Length, SceneState, SwipeOrigin};

pub(super) fn length(noun: Noun, word: Option<String>) -> Result<Option<Length>, StoreError> {
    word.map(|word| {
        word.parse().map_err(|error| StoreError::Unreadable { noun, reason: format!("{error}") })
    })
    .transpose()
}

pub(super) fn scene_state(word: &str) -> Result<SceneState, StoreError> {
    one_of(Noun::Scene, &SceneState::ALL, SceneState::as_str, word)
}

pub(super) fn swipe_origin(word: &str) -> Result<SwipeOrigin, StoreError> {
    one_of(Noun::Swipe, &SwipeOrigin::ALL, SwipeOrigin::as_str, word)
}

/// The value whose word this is.
pub(super) fn one_of<T: Copy>(
    noun: Noun,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
    word: &str,
) -> Result<T, StoreError> {
    all.iter().copied().find(|&value| as_str(value) == word).ok_or_else(|| StoreError::Unreadable {
        noun,
        reason: format!("“{word}” is not a word we know"),
    })
}

/// A count that the tables keep from being negative.
pub(super) fn count(value: i64) -> u32 {
    u32::try_from(value).expect("the tables hold no negative count, nor four thousand million")
}
