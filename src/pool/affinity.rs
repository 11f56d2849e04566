//! Where scenes were served last: bounded, and forgetful of the oldest.

use std::collections::HashMap;

/// Scenes of one generation; twice as many are remembered at most.
const GENERATION: usize = 1 << 14;

/// Whose cached keys and values: a request's `cache_salt` and `cache_owner`.
pub(super) type Owner = (u64, u64);

/// The worker that served each owner last. Two generations: when the young one is full
/// the old one goes, so that memory is bounded and whoever comes regularly stays.
#[derive(Debug, Default)]
pub(super) struct Affinity {
    young: HashMap<Owner, usize>,
    old: HashMap<Owner, usize>,
}

impl Affinity {
    /// The slot that served the owner last. Owner 0 is nobody.
    pub(super) fn get(&self, owner: Owner) -> Option<usize> {
        self.young.get(&owner).or_else(|| self.old.get(&owner)).copied()
    }

    pub(super) fn set(&mut self, owner: Owner, slot: usize) {
        if owner.1 == 0 {
            return;
        }
        if self.young.len() >= GENERATION && !self.young.contains_key(&owner) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(owner, slot);
    }

    /// The owner is better served elsewhere.
    pub(super) fn forget(&mut self, owner: Owner) {
        self.young.remove(&owner);
        self.old.remove(&owner);
    }

    /// A slot's cache is gone.
    pub(super) fn forget_slot(&mut self, slot: usize) {
        self.young.retain(|_, served| *served != slot);
        self.old.retain(|_, served| *served != slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_worker_is_remembered_and_nobody_is_not() {
        let mut affinity = Affinity::default();
        affinity.set((1, 7), 0);
        affinity.set((1, 7), 2);
        affinity.set((2, 7), 1);
        affinity.set((1, 0), 3);
        assert_eq!(affinity.get((1, 7)), Some(2));
        assert_eq!(affinity.get((2, 7)), Some(1));
        assert_eq!(affinity.get((1, 0)), None);
        affinity.forget_slot(2);
        assert_eq!(affinity.get((1, 7)), None);
    }

    #[test]
    fn memory_is_bounded_and_regulars_stay() {
        let mut affinity = Affinity::default();
        for scene in 1..=4 * GENERATION as u64 {
            affinity.set((0, scene), 0);
            affinity.set((9, 9), 1);
        }
        assert!(affinity.young.len() + affinity.old.len() <= 2 * GENERATION);
        assert_eq!(affinity.get((9, 9)), Some(1));
        assert_eq!(affinity.get((0, 1)), None);
    }
}
