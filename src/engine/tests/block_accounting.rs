//! Block manager and prefix cache against a naive model that keeps whole prefixes.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::engine::block_manager::{BlockManager, BlockTable};

const BLOCK_SIZE: usize = 2;
const NUM_BLOCKS: usize = 8;

/// A text under a salt, as far as it is whole blocks.
type Prefix = (u64, Vec<u32>);

#[derive(Debug, Clone)]
enum Op {
    /// Hold a text: attach its cached prefix and grow.
    Hold { salt: u64, tokens: Vec<u32> },
    /// File the blocks of the n-th held text.
    Register(usize),
    /// Release the n-th held text.
    Release(usize),
}

fn op() -> impl Strategy<Value = Op> {
    // Two tokens and two salts, so that prefixes are shared often.
    let hold = (0..2u64, vec(0..2u32, 1..10)).prop_map(|(salt, tokens)| Op::Hold { salt, tokens });
    prop_oneof![hold, (0..4usize).prop_map(Op::Register), (0..4usize).prop_map(Op::Release)]
}

/// A held text, in the manager and in the model.
struct Held {
    table: BlockTable,
    salt: u64,
    tokens: Vec<u32>,
    /// Whole blocks that are filed.
    num_filed: usize,
}

/// What the cache should hold, without hashes or block ids.
#[derive(Default)]
struct Naive {
    held: BTreeMap<Prefix, usize>,
    /// Oldest use first.
    idle: Vec<Prefix>,
    /// Held blocks that are not filed.
    num_private: usize,
}

impl Naive {
    fn num_available(&self) -> usize {
        NUM_BLOCKS - self.held.len() - self.num_private
    }

    fn contains(&self, prefix: &Prefix) -> bool {
        self.held.contains_key(prefix) || self.idle.contains(prefix)
    }

    fn hold(&mut self, prefix: Prefix) {
        self.idle.retain(|idle| *idle != prefix);
        *self.held.entry(prefix).or_default() += 1;
    }

    /// The cached whole blocks at the beginning of a text.
    fn attach(&mut self, salt: u64, tokens: &[u32]) -> usize {
        let mut num_filed = 0;
        while (num_filed + 1) * BLOCK_SIZE <= tokens.len() {
            let prefix = prefix(salt, tokens, num_filed + 1);
            if !self.contains(&prefix) {
                break;
            }
            self.hold(prefix);
            num_filed += 1;
        }
        num_filed
    }

    fn grow(&mut self, num_new: usize) -> bool {
        if num_new > self.num_available() {
            return false;
        }
        let num_free = self.num_available() - self.idle.len();
        self.idle.drain(..num_new.saturating_sub(num_free));
        self.num_private += num_new;
        true
    }

    fn register(&mut self, held: &mut Held) {
        while (held.num_filed + 1) * BLOCK_SIZE <= held.tokens.len() {
            held.num_filed += 1;
            self.num_private -= 1;
            self.hold(prefix(held.salt, &held.tokens, held.num_filed));
        }
    }

    fn release(&mut self, held: &Held, num_blocks: usize) {
        self.num_private -= num_blocks - held.num_filed;
        for num_filed in (1..=held.num_filed).rev() {
            let prefix = prefix(held.salt, &held.tokens, num_filed);
            let count = self.held.get_mut(&prefix).unwrap();
            *count -= 1;
            if *count == 0 {
                self.held.remove(&prefix);
                self.idle.push(prefix);
            }
        }
    }
}

fn prefix(salt: u64, tokens: &[u32], num_blocks: usize) -> Prefix {
    (salt, tokens[..num_blocks * BLOCK_SIZE].to_vec())
}

/// Applies one operation to both and compares what they found.
fn apply(op: Op, blocks: &mut BlockManager, naive: &mut Naive, all: &mut Vec<Held>) {
    match op {
        Op::Hold { salt, tokens } => {
            let num_filed = naive.attach(salt, &tokens);
            let (mut table, num_cached_tokens) = blocks.attach_prefix(salt, 1, &tokens);
            assert_eq!(num_cached_tokens, num_filed * BLOCK_SIZE);
            let num_new = tokens.len().div_ceil(BLOCK_SIZE) - num_filed;
            let fits = naive.grow(num_new);
            assert_eq!(blocks.grow(&mut table, tokens.len()), fits);
            let held = Held { table, salt, tokens, num_filed };
            if fits {
                all.push(held);
            } else {
                naive.release(&held, num_filed);
                blocks.release(held.table);
            }
        }
        Op::Register(n) if n < all.len() => {
            let held = &mut all[n];
            blocks.register(&mut held.table, &held.tokens);
            naive.register(held);
        }
        Op::Release(n) if n < all.len() => {
            let held = all.remove(n);
            naive.release(&held, held.table.blocks().len());
            blocks.release(held.table);
        }
        Op::Register(_) | Op::Release(_) => {}
    }
}

proptest! {
    #[test]
    fn the_manager_agrees_with_the_naive_model(ops in vec(op(), 0..60)) {
        let mut blocks = BlockManager::new(NUM_BLOCKS, BLOCK_SIZE, [7; 16]);
        let (mut naive, mut all) = (Naive::default(), Vec::new());
        for op in ops {
            apply(op, &mut blocks, &mut naive, &mut all);
            blocks.check_integrity(all.iter().map(|held| &held.table)).unwrap();
            prop_assert_eq!(blocks.num_available(), naive.num_available());
            prop_assert_eq!(blocks.num_cached(), naive.held.len() + naive.idle.len());
        }
    }
}

#[test]
fn the_integrity_check_sees_a_leak_and_a_forgery() {
    let mut blocks = BlockManager::new(4, 2, [0; 16]);
    let (mut table, _) = blocks.attach_prefix(0, 0, &[]);
    assert!(blocks.grow(&mut table, 3));
    assert!(blocks.check_integrity([&table]).is_ok());
    let leak = blocks.check_integrity([]).unwrap_err();
    assert!(leak.to_string().contains("counts 1 holders but has 0"), "{leak}");
    let forgery = blocks.check_integrity([&table, &table]).unwrap_err();
    assert!(forgery.to_string().contains("counts 1 holders but has 2"), "{forgery}");
}

#[test]
fn the_least_recently_used_text_is_evicted_from_its_end() {
    let mut blocks = BlockManager::new(4, 2, [0; 16]);
    let hold = |blocks: &mut BlockManager, tokens: &[u32]| {
        let (mut table, num_cached) = blocks.attach_prefix(0, 0, tokens);
        assert!(blocks.grow(&mut table, tokens.len()));
        blocks.register(&mut table, tokens);
        blocks.release(table);
        num_cached
    };
    hold(&mut blocks, &[1, 1, 1, 1]);
    hold(&mut blocks, &[2, 2, 2, 2]);
    assert_eq!(hold(&mut blocks, &[1, 1]), 2, "used again: now the newest");
    hold(&mut blocks, &[3, 3]);
    // The end of the first text was oldest; the second is whole.
    assert_eq!(hold(&mut blocks, &[2, 2, 2, 2]), 4);
    assert_eq!(hold(&mut blocks, &[1, 1, 1, 1]), 2);
}
