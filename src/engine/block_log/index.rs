//! Where each stored block lies, and which were used of late.
//!
//! Invariant: the catalogue, which other threads read, names the same blocks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::engine::label::{ChainHash, Scope};

/// The place of a record and what decides its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) parent: Option<ChainHash>,
    pub(super) salt: u64,
    pub(super) owner: u64,
    /// The tick of its last use; `None` since it was last written.
    pub(super) used_at: Option<u64>,
}

impl Location {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// The names of all stored blocks, for whoever asks from another thread.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Catalogue(Arc<RwLock<HashSet<ChainHash>>>);

impl Catalogue {
    /// Whether the log holds this block, or did a moment ago.
    pub(in crate::engine) fn contains(&self, hash: ChainHash) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<ChainHash>)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<ChainHash, Location>,
    pub(super) catalogue: Catalogue,
    next_tick: u64,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, hash: ChainHash) -> Option<Location> {
        self.entries.get(&hash).copied()
    }

    pub(super) fn insert(&mut self, hash: ChainHash, location: Location) {
        self.entries.insert(hash, location);
        self.catalogue.change(|names| _ = names.insert(hash));
    }

    pub(super) fn remove(&mut self, hash: ChainHash) {
        self.entries.remove(&hash);
        self.catalogue.change(|names| _ = names.remove(&hash));
    }

    /// Notes a use, if the block is here.
    pub(super) fn touch(&mut self, hash: ChainHash) {
        let tick = self.next_tick;
        if let Some(location) = self.entries.get_mut(&hash) {
            location.used_at = Some(tick);
            self.next_tick += 1;
        }
    }

    /// Takes out what `is_meant` of, and returns it.
    pub(super) fn take(
        &mut self,
        is_meant: impl Fn(&Location) -> bool,
    ) -> Vec<(ChainHash, Location)> {
        let taken: Vec<_> = self.entries.extract_if(|_, location| is_meant(location)).collect();
        self.catalogue.change(|names| {
            taken.iter().for_each(|(hash, _)| _ = names.remove(hash));
        });
        taken
    }

    /// Takes out what a scope covers and what continues it, in the order of
    /// [`Scope::reach`], and returns it.
    pub(super) fn take_scope(&mut self, scope: Scope) -> Vec<(ChainHash, Location)> {
        let entries = self.entries.iter();
        let gone = scope.reach(entries.map(|(&hash, l)| (hash, l.parent, (l.salt, l.owner))));
        self.catalogue.change(|names| gone.iter().for_each(|hash| _ = names.remove(hash)));
        gone.into_iter().filter_map(|hash| Some((hash, self.entries.remove(&hash)?))).collect()
    }

    /// The blocks of a segment that were used since they were written.
    pub(super) fn used_in(&self, segment: u64) -> Vec<(ChainHash, Location)> {
        let used = |l: &Location| l.segment == segment && l.used_at.is_some();
        let entries = self.entries.iter().filter(|(_, location)| used(location));
        entries.map(|(&hash, &location)| (hash, location)).collect()
    }

    /// Segments that hold a block.
    pub(super) fn live_segments(&self) -> HashSet<u64> {
        self.entries.values().map(|location| location.segment).collect()
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let names: HashSet<_> = self.entries.keys().copied().collect();
        assert_eq!(names, *self.catalogue.0.read().unwrap());
    }
}
