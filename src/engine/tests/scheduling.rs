//! The scheduler with plain integers: no model, no text.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::engine::block_manager::BlockManager;
use crate::engine::scheduler::{Schedule, Scheduler, SchedulerLimits};
use crate::engine::sequence::{Sequence, SequenceId};

/// A scheduler whose sequences want so many tokens each.
struct Simulation {
    scheduler: Scheduler,
    /// Tokens each sequence has yet to generate.
    wanted: BTreeMap<SequenceId, usize>,
}

impl Simulation {
    fn new(num_blocks: usize, max_batch_sequences: usize, max_batch_tokens: usize) -> Self {
        let limits = SchedulerLimits { max_batch_sequences, max_batch_tokens };
        let blocks = BlockManager::new(num_blocks, 4, [0; 16]);
        Self { scheduler: Scheduler::new(limits, blocks), wanted: BTreeMap::new() }
    }

    /// Prompts have nothing in common, so that nothing is cached.
    fn push(&mut self, id: u64, num_prompt_tokens: usize, num_wanted: usize) {
        let id = SequenceId(id);
        let prompt = vec![id.0 as u32; num_prompt_tokens];
        self.scheduler.push(Sequence::new(id, prompt, id.0));
        self.wanted.insert(id, num_wanted);
    }

    /// One step, in which the "model" always answers 0.
    fn step(&mut self) -> Schedule {
        let schedule = self.scheduler.schedule(usize::MAX, false);
        for item in &schedule.batch {
            self.scheduler.commit(item.id, item.num_tokens);
            if !item.samples {
                continue;
            }
            self.scheduler.running_mut(item.id).unwrap().tokens.push(0);
            let wanted = self.wanted.get_mut(&item.id).unwrap();
            *wanted -= 1;
            if *wanted == 0 {
                self.scheduler.remove(item.id).unwrap();
            }
        }
        self.scheduler.check_integrity().unwrap();
        schedule
    }

    fn batch(&mut self) -> Vec<(u64, usize)> {
        self.step().batch.iter().map(|item| (item.id.0, item.num_tokens)).collect()
    }
}

#[test]
fn decodes_come_first_and_prefill_takes_what_is_left() {
    let mut simulation = Simulation::new(100, 4, 8);
    simulation.push(1, 3, 10);
    simulation.push(2, 20, 10);
    simulation.push(3, 2, 10);
    assert_eq!(simulation.batch(), [(1, 3), (2, 5)]);
    assert_eq!(simulation.batch(), [(1, 1), (2, 7)]);
    assert_eq!(simulation.batch(), [(1, 1), (2, 7)]);
    assert_eq!(simulation.batch(), [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(simulation.batch(), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn nobody_overtakes_the_head_of_the_queue() {
    let mut simulation = Simulation::new(6, 4, 100);
    simulation.push(1, 8, 4);
    simulation.push(2, 20, 1);
    simulation.push(3, 1, 1);
    assert_eq!(simulation.batch(), [(1, 8)]);
    // Five blocks for sequence 2 are not there; sequence 3 would fit, but waits.
    assert_eq!(simulation.batch(), [(1, 1)]);
    assert_eq!(simulation.batch(), [(1, 1)]);
    assert_eq!(simulation.batch(), [(1, 1)]);
    assert_eq!(simulation.batch(), [(2, 20)]);
    assert_eq!(simulation.batch(), [(3, 1)]);
}

#[test]
fn the_youngest_is_preempted_and_comes_back_before_later_ones() {
    let mut simulation = Simulation::new(5, 4, 100);
    simulation.push(1, 7, 6);
    simulation.push(2, 6, 6);
    simulation.push(3, 1, 1);
    assert_eq!(simulation.batch(), [(1, 7), (2, 6)]);
    assert_eq!(simulation.batch(), [(1, 1), (2, 1)]);
    // Sequence 1 takes the fifth block; sequence 2 finds none for its ninth token.
    let schedules: Vec<_> = (0..3).map(|_| simulation.step()).collect();
    let preempted: Vec<_> = schedules.iter().flat_map(|s| &s.preempted).map(|id| id.0).collect();
    assert_eq!(preempted, [2]);
    let mut order = Vec::new();
    while !simulation.wanted.values().all(|&wanted| wanted == 0) {
        order.extend(simulation.step().admitted.iter().map(|admitted| admitted.id.0));
    }
    assert_eq!(order, [2, 3]);
}

proptest! {
    #[test]
    fn everyone_is_served_in_order_and_nobody_starves(
        requests in vec((1..30usize, 1..20usize), 1..12),
        max_batch_sequences in 1..5usize,
        extra_tokens in 0..20usize,
        // Enough for the longest alone: 29 + 19 tokens in blocks of 4.
        num_blocks in 12..30usize,
    ) {
        let max_batch_tokens = max_batch_sequences + extra_tokens;
        let mut simulation = Simulation::new(num_blocks, max_batch_sequences, max_batch_tokens);
        for (id, &(num_prompt_tokens, num_wanted)) in (0..).zip(&requests) {
            simulation.push(id, num_prompt_tokens, num_wanted);
        }
        let mut first_admissions = Vec::new();
        // Alone, one after the other, nobody would need more steps than tokens.
        let total: usize = requests.iter().map(|(prompt, wanted)| prompt + wanted).sum();
        let mut num_steps = 0;
        while simulation.wanted.values().any(|&wanted| wanted > 0) {
            let oldest = simulation.wanted.iter().find(|(_, wanted)| **wanted > 0);
            let oldest = *oldest.unwrap().0;
            let decoding: Vec<_> = simulation.wanted.keys().copied()
                .filter(|&id| simulation.scheduler.running(id).is_some_and(Sequence::is_decoding))
                .collect();
            let schedule = simulation.step();
            for admitted in &schedule.admitted {
                if !first_admissions.contains(&admitted.id) {
                    first_admissions.push(admitted.id);
                }
            }
            let num_tokens: usize = schedule.batch.iter().map(|item| item.num_tokens).sum();
            prop_assert!(num_tokens <= max_batch_tokens);
            prop_assert!(schedule.batch.len() <= max_batch_sequences);
            prop_assert!(!schedule.preempted.contains(&oldest));
            // Whoever decodes gets its token in every step, or lost its blocks.
            for id in decoding {
                let is_served = schedule.batch.iter().any(|item| item.id == id && item.samples);
                prop_assert!(is_served || schedule.preempted.contains(&id));
            }
            num_steps += 1;
            prop_assert!(num_steps <= total, "someone starves");
        }
        prop_assert!(first_admissions.is_sorted());
    }
}
