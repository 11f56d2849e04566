//! What was found lately, by digests of the texts: many a text passes more than one door.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::moderation::Categories;

/// The most texts that are remembered.
const MAX_KNOWN: usize = 4_096;

/// What tells texts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// The latest answers.
#[derive(Debug, Default)]
pub(super) struct Known {
    found: HashMap<Digest, Categories>,
    /// The oldest first.
    order: VecDeque<Digest>,
}

impl Known {
    pub(super) fn get(&self, digest: &Digest) -> Option<Categories> {
        self.found.get(digest).cloned()
    }

    pub(super) fn insert(&mut self, digest: Digest, categories: Categories) {
        if self.found.insert(digest, categories).is_none() {
            self.order.push_back(digest);
        }
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.found.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut known = Known::default();
        let digest = |number: usize| Digest::of(&number.to_string());
        for number in 0..=MAX_KNOWN {
            known.insert(digest(number), Categories::new());
            known.insert(digest(number), Categories::new());
        }
        assert_eq!(known.get(&digest(0)), None);
        assert_eq!(known.get(&digest(1)), Some(Categories::new()));
        assert_eq!(known.found.len(), MAX_KNOWN);
    }
}
