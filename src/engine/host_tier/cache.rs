//! Blocks in host memory, by name, within a budget of bytes.
//!
//! Invariant: the parent of every block is here. So what is here of a text is its beginning,
//! and whoever forgets a block finds all that continues it. Of the blocks that nothing here
//! continues, the least recently used is the first to go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::engine::block_log::StoredBlock;
use crate::engine::label::{ChainHash, Scope};

#[derive(Debug)]
struct Entry {
    block: Arc<StoredBlock>,
    /// Blocks here that continue it.
    num_children: usize,
    /// The tick of its last use.
    used_at: u64,
}

#[derive(Debug)]
pub(super) struct HostCache {
    capacity_bytes: u64,
    /// Of all payloads.
    num_bytes: u64,
    entries: HashMap<ChainHash, Entry>,
    /// Blocks without children, by the tick of their last use.
    leaves: BTreeMap<u64, ChainHash>,
    next_tick: u64,
}

impl HostCache {
    /// An empty cache of payloads of so many bytes together.
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self {
            capacity_bytes,
            num_bytes: 0,
            entries: HashMap::new(),
            leaves: BTreeMap::new(),
            next_tick: 0,
        }
    }

    pub(super) fn num_blocks(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    pub(super) fn contains(&self, hash: ChainHash) -> bool {
        self.entries.contains_key(&hash)
    }

    pub(super) fn get(&self, hash: ChainHash) -> Option<&Arc<StoredBlock>> {
        self.entries.get(&hash).map(|entry| &entry.block)
    }

    /// Takes a block in, as the most recently used; others go where there is no room. False
    /// if it is here, or its parent is not, or all that could go is what it continues.
    pub(super) fn insert(&mut self, block: StoredBlock) -> bool {
        let (hash, parent) = (block.label.hash, block.label.parent);
        if self.contains(hash) || parent.is_some_and(|parent| !self.contains(parent)) {
            return false;
        }
        // Before room is made, so that it does not go itself.
        parent.into_iter().for_each(|parent| self.adopt(parent));
        let num_bytes = num_bytes(&block);
        if !self.make_room(num_bytes) {
            parent.into_iter().for_each(|parent| self.disown(parent));
            return false;
        }
        let used_at = self.tick();
        self.num_bytes += num_bytes;
        self.leaves.insert(used_at, hash);
        self.entries.insert(hash, Entry { block: Arc::new(block), num_children: 0, used_at });
        true
    }

    /// Notes that a chain was used, its beginning last.
    pub(super) fn touch(&mut self, chain: &[ChainHash]) {
        for hash in chain.iter().rev() {
            let tick = self.tick();
            let Some(entry) = self.entries.get_mut(hash) else { continue };
            let used_at = std::mem::replace(&mut entry.used_at, tick);
            if self.leaves.remove(&used_at).is_some() {
                self.leaves.insert(tick, *hash);
            }
        }
    }

    /// Drops what a scope covers, and what continues it.
    pub(super) fn forget(&mut self, scope: Scope) {
        let labels = self.entries.values().map(|entry| &entry.block.label);
        let gone = scope.reach(labels.map(|l| (l.hash, l.parent, (l.salt, l.owner))));
        gone.into_iter().for_each(|hash| self.remove(hash));
    }

    /// Checks that the counts agree and that every parent is here.
    pub(super) fn check_integrity(&self) -> Result<(), String> {
        let mut num_children: HashMap<ChainHash, usize> = HashMap::new();
        let mut num_bytes_here = 0;
        for Entry { block, .. } in self.entries.values() {
            num_bytes_here += num_bytes(block);
            let Some(parent) = block.label.parent else { continue };
            *num_children.entry(parent).or_default() += 1;
            if !self.contains(parent) {
                return Err("a block in host memory has lost its parent".into());
            }
        }
        if num_bytes_here != self.num_bytes || num_bytes_here > self.capacity_bytes {
            return Err(format!("{num_bytes_here} bytes of host memory, not {}", self.num_bytes));
        }
        for (hash, entry) in &self.entries {
            if num_children.get(hash).copied().unwrap_or(0) != entry.num_children {
                return Err("a block in host memory miscounts its children".into());
            }
            let is_leaf = self.leaves.get(&entry.used_at) == Some(hash);
            if is_leaf != (entry.num_children == 0) {
                return Err("a block in host memory is wrongly listed as a leaf".into());
            }
        }
        let num_leaves = self.entries.values().filter(|entry| entry.num_children == 0).count();
        match num_leaves == self.leaves.len() {
            true => Ok(()),
            false => Err(format!("{num_leaves} leaves but {} listed", self.leaves.len())),
        }
    }

    fn make_room(&mut self, num_bytes: u64) -> bool {
        while self.num_bytes.saturating_add(num_bytes) > self.capacity_bytes {
            let Some((_, &leaf)) = self.leaves.first_key_value() else { return false };
            self.remove(leaf);
        }
        true
    }

    fn remove(&mut self, hash: ChainHash) {
        let Some(Entry { block, num_children, used_at }) = self.entries.remove(&hash) else {
            return;
        };
        self.num_bytes -= num_bytes(&block);
        if num_children == 0 {
            self.leaves.remove(&used_at);
        }
        block.label.parent.into_iter().for_each(|parent| self.disown(parent));
    }

    /// One more block continues this one.
    fn adopt(&mut self, parent: ChainHash) {
        let Some(entry) = self.entries.get_mut(&parent) else { return };
        entry.num_children += 1;
        self.leaves.remove(&entry.used_at);
    }

    /// One block less continues this one, if it is here still.
    fn disown(&mut self, parent: ChainHash) {
        let Some(entry) = self.entries.get_mut(&parent) else { return };
        entry.num_children -= 1;
        if entry.num_children == 0 {
            self.leaves.insert(entry.used_at, parent);
        }
    }

    fn tick(&mut self) -> u64 {
        let tick = self.next_tick;
        self.next_tick += 1;
        tick
    }
}

fn num_bytes(block: &StoredBlock) -> u64 {
    block.payload.len() as u64
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::engine::label::BlockLabel;

    fn hash(n: u64) -> ChainHash {
        ChainHash(u128::from(n).to_le_bytes())
    }

    /// Block `n` of ten bytes, after another, under salt 0.
    fn block(n: u64, parent: Option<u64>, owner: u64) -> StoredBlock {
        let parent = parent.map(hash);
        let label = BlockLabel { hash: hash(n), parent, salt: 0, owner, tokens: Box::default() };
        StoredBlock { label, payload: vec![n as u8; 10] }
    }

    /// Takes in a text of blocks with these numbers, one after another; returns how many
    /// were taken.
    fn insert_text(cache: &mut HostCache, ns: std::ops::Range<u64>) -> usize {
        let first = ns.start;
        let taken = ns.filter(|&n| {
            let taken = cache.insert(block(n, n.checked_sub(1).filter(|&p| p >= first), 1));
            cache.check_integrity().unwrap();
            taken
        });
        taken.count()
    }

    fn numbers(cache: &HostCache) -> Vec<u64> {
        let mut numbers: Vec<_> = (0..1000).filter(|&n| cache.contains(hash(n))).collect();
        numbers.sort_unstable();
        numbers
    }

    fn chain(ns: std::ops::Range<u64>) -> Vec<ChainHash> {
        ns.map(hash).collect()
    }

    #[test]
    fn what_was_used_least_recently_goes_first_from_its_end() {
        let mut cache = HostCache::new(60);
        assert_eq!(insert_text(&mut cache, 0..3), 3);
        assert_eq!(insert_text(&mut cache, 10..13), 3);
        assert_eq!((cache.num_blocks(), cache.num_bytes()), (6, 60));
        cache.touch(&chain(0..3));
        assert_eq!(insert_text(&mut cache, 20..22), 2);
        assert_eq!(numbers(&cache), [0, 1, 2, 10, 20, 21]);
        assert_eq!(cache.get(hash(21)).unwrap().payload, [21; 10]);
    }

    #[test]
    fn of_a_text_too_long_its_beginning_stays() {
        let mut cache = HostCache::new(45);
        insert_text(&mut cache, 10..13);
        assert_eq!(insert_text(&mut cache, 0..9), 4);
        assert_eq!(numbers(&cache), [0, 1, 2, 3]);
        assert!(!HostCache::new(9).insert(block(0, None, 1)));
    }

    #[test]
    fn nothing_comes_twice_or_without_its_parent() {
        let mut cache = HostCache::new(100);
        assert!(!cache.insert(block(1, Some(0), 1)));
        assert!(cache.insert(block(0, None, 1)));
        assert!(cache.insert(block(1, Some(0), 1)));
        assert!(!cache.insert(block(1, Some(0), 2)));
        assert_eq!(cache.num_bytes(), 20);
        cache.check_integrity().unwrap();
    }

    #[test]
    fn what_continues_the_forgotten_goes_with_it() {
        let mut cache = HostCache::new(1000);
        for (n, parent, owner) in
            [(0, None, 1), (1, Some(0), 2), (2, Some(1), 3), (3, Some(0), 3), (4, None, 2)]
        {
            assert!(cache.insert(block(n, parent, owner)));
        }
        cache.forget(Scope::Owner(0));
        assert_eq!(numbers(&cache), [0, 1, 2, 3, 4]);
        cache.forget(Scope::Owner(2));
        cache.check_integrity().unwrap();
        assert_eq!(numbers(&cache), [0, 3]);
        assert_eq!(cache.num_bytes(), 20);
        cache.forget(Scope::Salt(0));
        cache.check_integrity().unwrap();
        assert_eq!((cache.num_blocks(), cache.num_bytes()), (0, 0));
    }

    #[test]
    fn whatever_is_done_the_budget_holds_and_every_parent_is_here() {
        let mut rng = StdRng::seed_from_u64(4);
        let mut cache = HostCache::new(200);
        let mut num_taken = 0;
        for _ in 0..5000 {
            // A tree: each block continues the one with half its number.
            let leaf = rng.random_range(1..64u64);
            let text = (0..6).rev().map(|shift| leaf >> shift).filter(|&n| n > 0);
            match rng.random_range(0..40) {
                0 => cache.forget(Scope::Owner(rng.random_range(1..9))),
                1..15 => cache.touch(&text.map(hash).collect::<Vec<_>>()),
                15..20 => assert!(!cache.insert(block(leaf + 1000, Some(leaf + 500), 1))),
                _ => {
                    let mut lacking = text.filter(|&n| !cache.contains(hash(n)));
                    let Some(n) = lacking.next() else { continue };
                    let parent = Some(n / 2).filter(|&parent| parent > 0);
                    num_taken += usize::from(cache.insert(block(n, parent, n % 9)));
                }
            }
            cache.check_integrity().unwrap();
        }
        assert!(num_taken > 500, "{num_taken}");
    }
}
