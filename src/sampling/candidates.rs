//! The tokens that are still possible, and their logits.
//!
//! Every processor narrows or changes them. Sorting a vocabulary for each token, or even
//! listing it, would cost more than the rest of sampling together. So all of them stay a row
//! of logits by id, which is read in long strides, until a stage leaves few; and they are
//! sorted only as far as someone looks: a head in descending order, then a rest of which
//! nothing is above the head.
//!
//! Invariant: every candidate's logit is finite, each id stands once, and no processor
//! leaves none that did not find none.

use std::cmp::Ordering;

use crate::kernels::{ExpSums, exp, exp_sums};

/// Logits are held within ± this bound, so that no arithmetic overflows.
const LOGIT_BOUND: f32 = 1e30;

/// A logit that is not above this is masked: −∞, NaN, and the lowest `f32`, with
/// which some software masks.
const MASKED: f32 = -1e31;

/// The smallest head worth sorting.
const MIN_HEAD: usize = 64;

/// Logits that are looked at together.
const STRIDE: usize = 16;

/// A token and its logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    pub(super) logit: f32,
}

impl Candidate {
    /// The likelier first; of equals, the lower id. A total order, as logits
    /// are finite and ids distinct: results do not depend on how it is sorted.
    pub(super) fn rank(&self, other: &Self) -> Ordering {
        other.logit.total_cmp(&self.logit).then(self.id.cmp(&other.id))
    }
}

/// The candidates of one step. Probabilities are those of the softmax over all that
/// stand, computed in `f64`.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Logits by id, −∞ where an id is none of them; empty once they are a list.
    row: Vec<f32>,
    /// How many stand in the row.
    num_in_row: usize,
    /// How many ids the step began with.
    num_ids: usize,
    /// The list of all; beside a row, the sorted head alone, as a copy.
    list: Vec<Candidate>,
    num_sorted: usize,
    /// How far below the highest logit the last head went: where the next look begins.
    depth: f32,
}

impl Candidates {
    /// Starts a step: every token that is not masked.
    pub(super) fn load(&mut self, logits: &[f32]) {
        let loaded = |&logit: &f32| match logit > MASKED {
            true => within_bound(logit),
            false => f32::NEG_INFINITY,
        };
        self.row.clear();
        self.row.extend(logits.iter().map(loaded));
        self.num_in_row = count_from(&self.row, -LOGIT_BOUND);
        self.num_ids = logits.len();
        self.num_sorted = 0;
        self.list.clear();
    }

    pub(super) fn len(&self) -> usize {
        if self.is_row() { self.num_in_row } else { self.list.len() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ids there are, with those that are no candidates.
    pub(super) fn num_ids(&self) -> usize {
        self.num_ids
    }

    /// All of them, in no promised order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Candidate> {
        let row = (0..).zip(&self.row).map(|(id, &logit)| Candidate { id, logit });
        let list = if self.is_row() { &[][..] } else { &self.list };
        row.filter(|candidate| candidate.logit >= -LOGIT_BOUND).chain(list.iter().copied())
    }

    /// The highest logit; −∞ if there is no candidate.
    pub(super) fn max_logit(&self) -> f32 {
        match self.num_sorted {
            0 if self.is_row() => highest(&self.row),
            0 => self.list.iter().map(|entry| entry.logit).fold(f32::NEG_INFINITY, f32::max),
            _ => self.list[0].logit,
        }
    }

    /// The softmax's normaliser and the logit it is taken against.
    pub(super) fn softmax(&self) -> Softmax {
        let max_logit = self.max_logit();
        Softmax { max_logit: f64::from(max_logit), mass: self.exp_sums(max_logit).mass }
    }

    /// The softmax, and its entropy in nats: ln Σw − Σ w · ln w / Σw for weights
    /// w = exp(logit − highest logit).
    pub(super) fn entropy(&self) -> (Softmax, f64) {
        let max_logit = self.max_logit();
        let ExpSums { mass, moment } = self.exp_sums(max_logit);
        (Softmax { max_logit: f64::from(max_logit), mass }, mass.ln() - moment / mass)
    }

    fn exp_sums(&self, max_logit: f32) -> ExpSums {
        if self.is_row() {
            return exp_sums(&self.row, max_logit);
        }
        self.list.iter().fold(ExpSums { mass: 0.0, moment: 0.0 }, |sums, entry| {
            let below = f64::from(entry.logit) - f64::from(max_logit);
            let weight = exp(below);
            ExpSums { mass: sums.mass + weight, moment: sums.moment + below * weight }
        })
    }

    /// At least the `n` likeliest, or all, in descending order.
    pub(super) fn head(&mut self, n: usize) -> &[Candidate] {
        let n = n.min(self.len());
        if n > self.num_sorted {
            if self.is_row() {
                self.list_likeliest(n);
            }
            let rest = &mut self.list[self.num_sorted..];
            let wanted = n - self.num_sorted;
            if wanted < rest.len() {
                rest.select_nth_unstable_by(wanted - 1, Candidate::rank);
            }
            rest[..wanted].sort_unstable_by(Candidate::rank);
            self.num_sorted = n;
            if self.is_row() {
                self.list.truncate(n);
            }
        }
        &self.list[..self.num_sorted]
    }

    /// Lists the `n` likeliest of the row and some more: those that are no further below the
    /// highest than the last head went, or else than is needed.
    fn list_likeliest(&mut self, n: usize) {
        const MANY: usize = 3;
        let max_logit = self.max_logit();
        self.list_from(max_logit - self.depth);
        if (n..=MANY * n).contains(&self.list.len()) {
            return;
        }
        let holds = |depth: f32| count_from(&self.row, max_logit - depth) >= n;
        let (mut depth, mut step) = (self.depth, 0.5);
        if self.list.len() < n {
            while !holds(depth) {
                depth += step;
                step *= 2.0;
            }
        } else {
            while depth > step && holds(depth - step) {
                depth -= step;
                step *= 2.0;
            }
        }
        self.depth = depth;
        self.list_from(max_logit - depth);
    }

    /// Lists those of the row with this logit or a higher one, by id.
    fn list_from(&mut self, bound: f32) {
        let bound = bound.max(-LOGIT_BOUND);
        self.num_sorted = 0;
        self.list.clear();
        for (at, stride) in self.row.chunks(STRIDE).enumerate() {
            if stride.iter().fold(false, |any, &logit| any | (logit >= bound)) {
                let ids = (at * STRIDE) as u32..;
                let candidates = ids.zip(stride).map(|(id, &logit)| Candidate { id, logit });
                self.list.extend(candidates.filter(|candidate| candidate.logit >= bound));
            }
        }
    }

    /// The candidate at `place` in descending order; `None` past the last.
    pub(super) fn nth(&mut self, place: usize) -> Option<Candidate> {
        if place >= self.num_sorted {
            self.head(MIN_HEAD.max(4 * place));
        }
        self.list[..self.num_sorted].get(place).copied()
    }

    /// Keeps the `n` likeliest, one at least.
    pub(super) fn keep_first(&mut self, n: usize) {
        let n = n.max(1);
        self.head(n);
        self.row.clear();
        self.list.truncate(n);
        self.num_sorted = self.num_sorted.min(n);
    }

    /// Drops the `n` likeliest, but never the last one.
    pub(super) fn drop_first(&mut self, n: usize) {
        let n = n.min(self.len().saturating_sub(1));
        self.head(n);
        for dropped in self.list.drain(..n) {
            if let Some(logit) = self.row.get_mut(dropped.id as usize) {
                *logit = f32::NEG_INFINITY;
                self.num_in_row -= 1;
            }
        }
        self.num_sorted -= n;
    }

    /// Keeps those with logit − highest logit ≥ `bound`, and the likeliest.
    pub(super) fn keep_above(&mut self, bound: f64) {
        let (max_logit, bound) = (f64::from(self.max_logit()), bound.min(0.0));
        if self.is_row() {
            // Rounding to an `f32` moves it by less than a step.
            self.list_from(((max_logit + bound) as f32).next_down());
            self.row.clear();
        }
        self.list.retain(|entry| f64::from(entry.logit) - max_logit >= bound);
        self.num_sorted = self.num_sorted.min(self.list.len());
    }

    /// Keeps the likeliest alone; of equals, the lowest id.
    pub(super) fn keep_best(&mut self) {
        self.keep_first(1);
    }

    /// Puts these in place of all. They must come from among them.
    pub(super) fn replace(&mut self, kept: impl IntoIterator<Item = Candidate>) {
        self.row.clear();
        self.list.clear();
        self.list.extend(kept);
        self.forget_order();
    }

    /// Drops these ids, before any stage.
    pub(super) fn ban<'a>(&mut self, banned: impl IntoIterator<Item = &'a u32>) {
        debug_assert!(self.is_row() || self.is_empty(), "bans come before any stage");
        for &id in banned {
            if let Some(logit) = self.row.get_mut(id as usize)
                && *logit >= -LOGIT_BOUND
            {
                *logit = f32::NEG_INFINITY;
                self.num_in_row -= 1;
            }
        }
        self.forget_order();
    }

    /// Changes every logit alike.
    pub(super) fn scale(&mut self, change: impl Fn(f32) -> f32) {
        for logit in &mut self.row {
            let changed = within_bound(change(*logit));
            *logit = if *logit >= -LOGIT_BOUND { changed } else { f32::NEG_INFINITY };
        }
        for entry in &mut self.list {
            entry.logit = within_bound(change(entry.logit));
        }
        self.forget_order();
    }

    /// Changes the logits of some tokens, each named once; an id that is no candidate is
    /// passed over. Leaves the edits in any order.
    pub(super) fn edit<T>(&mut self, edits: &mut [(u32, T)], change: impl Fn(f32, &T) -> f32) {
        if edits.is_empty() {
            return;
        }
        let change = |logit, edit| within_bound(change(logit, edit));
        if self.is_row() {
            for (id, edit) in edits {
                if let Some(logit) = self.row.get_mut(*id as usize)
                    && *logit >= -LOGIT_BOUND
                {
                    *logit = change(*logit, edit);
                }
            }
        } else {
            edits.sort_unstable_by_key(|&(id, _)| id);
            for entry in &mut self.list {
                if let Ok(at) = edits.binary_search_by_key(&entry.id, |&(id, _)| id) {
                    entry.logit = change(entry.logit, &edits[at].1);
                }
            }
        }
        self.forget_order();
    }

    /// Draws a candidate by `uniform`, a number in [0, 1): the first in
    /// descending order at which the cumulative probability exceeds it. Gives
    /// the id and its probability; `None` if there is no candidate.
    pub(super) fn draw(&mut self, uniform: f64) -> Option<(u32, f64)> {
        let softmax = self.softmax();
        let target = uniform * softmax.mass;
        let (mut cumulative, mut place, mut last) = (0.0, 0, None);
        while let Some(candidate) = self.nth(place) {
            let weight = softmax.weight(candidate.logit);
            // Rounding may leave the sum just short of the target: then it is
            // the last candidate that has any weight.
            if weight > 0.0 || last.is_none() {
                last = Some((candidate.id, weight / softmax.mass));
            }
            cumulative += weight;
            if cumulative > target {
                break;
            }
            place += 1;
        }
        last
    }

    fn is_row(&self) -> bool {
        !self.row.is_empty()
    }

    /// Some logits are others now.
    fn forget_order(&mut self) {
        self.num_sorted = 0;
        if self.is_row() {
            self.list.clear();
        }
    }
}

/// The likeliest token of a row, the lowest id of equals, without a list of all;
/// `None` where only a list tells: if all are masked, or some beyond the bound.
pub(super) fn best(logits: &[f32]) -> Option<u32> {
    let highest = highest(logits);
    let is_plain = highest > MASKED && highest < LOGIT_BOUND;
    if !is_plain {
        return None;
    }
    let holds = |stride: &[f32]| stride.iter().fold(false, |any, &logit| any | (logit == highest));
    let at = logits.chunks(STRIDE).position(holds)? * STRIDE;
    let at = at + logits[at..].iter().position(|&logit| logit == highest)?;
    u32::try_from(at).ok()
}

/// The highest; −∞ of none. What is no number is passed over.
fn highest(logits: &[f32]) -> f32 {
    let (strides, rest) = logits.as_chunks::<STRIDE>();
    let higher = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; STRIDE];
    for stride in strides {
        for (lane, &logit) in lanes.iter_mut().zip(stride) {
            *lane = higher(*lane, logit);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, higher)
}

/// How many are this or higher.
fn count_from(logits: &[f32], bound: f32) -> usize {
    // Within 32 bits, so that a compiler counts in lanes as wide as the logits.
    let count = logits.iter().map(|&logit| u32::from(logit >= bound)).sum::<u32>();
    count as usize
}

fn within_bound(logit: f32) -> f32 {
    logit.clamp(-LOGIT_BOUND, LOGIT_BOUND)
}

/// exp(logit − highest logit) over its sum is a token's probability.
#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax {
    pub(super) max_logit: f64,
    /// Σ exp(logit − highest logit); at least 1.
    pub(super) mass: f64,
}

impl Softmax {
    /// The probability times `mass`.
    pub(super) fn weight(&self, logit: f32) -> f64 {
        exp(f64::from(logit) - self.max_logit)
    }

    pub(super) fn probability(&self, logit: f32) -> f64 {
        self.weight(logit) / self.mass
    }

    /// The logit of a token whose surprise, −ln of its probability, is this.
    pub(super) fn logit_of(&self, surprise: f64) -> f64 {
        self.max_logit + self.mass.ln() - surprise
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A change to candidates.
    #[derive(Debug, Clone)]
    enum Change {
        Look(usize),
        KeepFirst(usize),
        DropFirst(usize),
        KeepAbove(f64),
        KeepBest,
        Scale(f32),
        Edit(Vec<(u32, f32)>),
        Replace(usize),
    }

    impl Change {
        fn apply(&self, candidates: &mut Candidates) {
            match self {
                Self::Look(n) => drop(candidates.head(*n).len()),
                Self::KeepFirst(n) => candidates.keep_first(*n),
                Self::DropFirst(n) => candidates.drop_first(*n),
                Self::KeepAbove(bound) => candidates.keep_above(*bound),
                Self::KeepBest => candidates.keep_best(),
                Self::Scale(by) => candidates.scale(|logit| logit * by),
                Self::Edit(edits) => {
                    candidates.edit(&mut edits.clone(), |logit, change| logit + change);
                }
                Self::Replace(n) => {
                    let kept = candidates.head(*n).to_vec();
                    candidates.replace(kept.into_iter().take(*n));
                }
            }
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let edits = prop::collection::btree_map(0u32..250, -9f32..9.0, 0..20);
        prop_oneof![
            (0usize..200).prop_map(Change::Look),
            (0usize..200).prop_map(Change::KeepFirst),
            (0usize..20).prop_map(Change::DropFirst),
            prop_oneof![-20f64..0.0, Just(f64::NEG_INFINITY)].prop_map(Change::KeepAbove),
            Just(Change::KeepBest),
            (0.1f32..9.0).prop_map(Change::Scale),
            edits.prop_map(|edits| Change::Edit(edits.into_iter().collect())),
            (1usize..200).prop_map(Change::Replace),
        ]
    }

    fn logits() -> impl Strategy<Value = Vec<f32>> {
        let logit = prop_oneof![
            6 => -20f32..20.0,
            2 => (-3i8..3).prop_map(f32::from),
            1 => Just(f32::NEG_INFINITY),
            1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(-1e30)],
        ];
        prop::collection::vec(logit, 0..200)
    }

    proptest! {
        #[test]
        fn a_row_is_what_a_list_of_the_same_would_be(
            rows in prop::collection::vec((logits(), prop::collection::vec(change(), 0..6)), 1..4),
        ) {
            // Used for one row after another, as by a sampler.
            let (mut row, mut list) = (Candidates::default(), Candidates::default());
            for (logits, changes) in rows {
                row.load(&logits);
                list.load(&logits);
                let mut all: Vec<_> = list.iter().collect();
                all.reverse();
                list.replace(all);
                for change in changes {
                    change.apply(&mut row);
                    change.apply(&mut list);
                    prop_assert_eq!(row.len(), list.len(), "{:?}", change);
                    prop_assert_eq!(row.iter().count(), row.len());
                    prop_assert_eq!(row.max_logit(), list.max_logit());
                    let (ours, theirs) = (row.entropy(), list.entropy());
                    prop_assert!((ours.0.mass - theirs.0.mass).abs() <= 1e-12 * ours.0.mass);
                    if !row.is_empty() {
                        prop_assert!((ours.1 - theirs.1).abs() <= 1e-9, "{:?} {:?}", ours, theirs);
                    }
                }
                let drawn = |from: &mut Candidates| from.draw(0.7123).map(|(id, _)| id);
                prop_assert_eq!(drawn(&mut row), drawn(&mut list));
                prop_assert_eq!(row.head(usize::MAX), list.head(usize::MAX));
            }
        }
    }
}
