//! The tokens that are still possible, and their logits.
//!
//! Every processor narrows or changes this list. Sorting 128,000 entries for
//! each token would cost more than the rest of sampling together, so the list
//! is sorted only as far as someone looks: a head in descending order, then a
//! rest of which nothing is above the head.
//!
//! Invariant: every logit is finite, each id stands once, and no processor
//! leaves the list empty that was not empty before.

use std::cmp::Ordering;

use super::exp::exp;

/// Logits are held within ± this bound, so that no arithmetic overflows.
const LOGIT_BOUND: f32 = 1e30;

/// A logit that is not above this is masked: −∞, NaN, and the lowest `f32`, with
/// which some software masks.
const MASKED: f32 = -1e31;

/// The smallest head worth sorting.
const MIN_HEAD: usize = 64;

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

/// The candidates of one step. Probabilities are those of the softmax over the
/// list as it stands, computed in `f64`.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    entries: Vec<Candidate>,
    num_sorted: usize,
    /// Whether `entries` are still in the order of their ids.
    by_id: bool,
}

impl Candidates {
    /// Starts a step: every token that is not masked.
    pub(super) fn load(&mut self, logits: &[f32]) {
        self.entries.clear();
        self.entries.extend(
            (0..)
                .zip(logits)
                .filter(|&(_, &logit)| logit > MASKED)
                .map(|(id, &logit)| Candidate { id, logit: within_bound(logit) }),
        );
        self.num_sorted = 0;
        self.by_id = true;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, in no promised order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Candidate> {
        self.entries.iter().copied()
    }

    /// The highest logit; −∞ if there is no candidate.
    pub(super) fn max_logit(&self) -> f32 {
        match self.num_sorted {
            0 => self.entries.iter().map(|entry| entry.logit).fold(f32::NEG_INFINITY, f32::max),
            _ => self.entries[0].logit,
        }
    }

    /// The softmax's normaliser and the logit it is taken against.
    pub(super) fn softmax(&self) -> Softmax {
        let max_logit = f64::from(self.max_logit());
        let mass = self.entries.iter().map(|entry| exp(f64::from(entry.logit) - max_logit));
        Softmax { max_logit, mass: mass.sum() }
    }

    /// The entropy in nats.
    pub(super) fn entropy(&self, softmax: Softmax) -> f64 {
        let terms = self.iter().map(|candidate| {
            softmax.probability(candidate.logit) * softmax.surprise(candidate.logit)
        });
        terms.sum()
    }

    /// At least the `n` likeliest, or all, in descending order.
    pub(super) fn head(&mut self, n: usize) -> &[Candidate] {
        let n = n.min(self.entries.len());
        if n > self.num_sorted {
            let rest = &mut self.entries[self.num_sorted..];
            let wanted = n - self.num_sorted;
            if wanted < rest.len() {
                rest.select_nth_unstable_by(wanted - 1, Candidate::rank);
            }
            rest[..wanted].sort_unstable_by(Candidate::rank);
            self.num_sorted = n;
            self.by_id = false;
        }
        &self.entries[..self.num_sorted]
    }

    /// The candidate at `place` in descending order; `None` past the last.
    pub(super) fn nth(&mut self, place: usize) -> Option<Candidate> {
        if place >= self.num_sorted {
            self.head(MIN_HEAD.max(4 * place));
        }
        self.entries[..self.num_sorted].get(place).copied()
    }

    /// Keeps the `n` likeliest, one at least.
    pub(super) fn keep_first(&mut self, n: usize) {
        let n = n.max(1);
        self.head(n);
        self.entries.truncate(n);
        self.num_sorted = self.num_sorted.min(n);
    }

    /// Drops the `n` likeliest, but never the last one.
    pub(super) fn drop_first(&mut self, n: usize) {
        let n = n.min(self.entries.len().saturating_sub(1));
        self.head(n);
        self.entries.drain(..n);
        self.num_sorted -= n;
    }

    /// Keeps those with logit − highest logit ≥ `bound`, and the likeliest.
    pub(super) fn keep_above(&mut self, bound: f64) {
        let (max_logit, bound) = (f64::from(self.max_logit()), bound.min(0.0));
        self.entries.retain(|entry| f64::from(entry.logit) - max_logit >= bound);
        self.num_sorted = self.num_sorted.min(self.entries.len());
    }

    /// Keeps the likeliest alone; of equals, the lowest id.
    pub(super) fn keep_best(&mut self) {
        let best = self.entries.iter().copied().min_by(Candidate::rank);
        self.entries.clear();
        self.entries.extend(best);
        self.num_sorted = self.entries.len();
    }

    /// Puts these in place of all. They must come from the list.
    pub(super) fn replace(&mut self, kept: impl IntoIterator<Item = Candidate>) {
        self.entries.clear();
        self.entries.extend(kept);
        self.num_sorted = 0;
        self.by_id = false;
    }

    /// Drops the ids that `banned` names.
    pub(super) fn ban(&mut self, banned: impl Fn(u32) -> bool) {
        debug_assert_eq!(self.num_sorted, 0, "bans come before any stage");
        self.entries.retain(|entry| !banned(entry.id));
    }

    /// Changes every logit alike.
    pub(super) fn scale(&mut self, change: impl Fn(f32) -> f32) {
        for entry in &mut self.entries {
            entry.logit = within_bound(change(entry.logit));
        }
        self.num_sorted = 0;
    }

    /// Changes the logits of some tokens. `edits` are in ascending order of
    /// their ids; an id that is no candidate is passed over.
    pub(super) fn edit<T>(&mut self, edits: &[(u32, T)], change: impl Fn(f32, &T) -> f32) {
        let change = |logit, edit| within_bound(change(logit, edit));
        if edits.is_empty() {
            return;
        }
        if self.by_id {
            for (id, edit) in edits {
                if let Ok(at) = self.entries.binary_search_by_key(id, |entry| entry.id) {
                    self.entries[at].logit = change(self.entries[at].logit, edit);
                }
            }
        } else {
            for entry in &mut self.entries {
                if let Ok(at) = edits.binary_search_by_key(&entry.id, |&(id, _)| id) {
                    entry.logit = change(entry.logit, &edits[at].1);
                }
            }
        }
        self.num_sorted = 0;
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
}

/// The likeliest token of a row, the lowest id of equals, without a list of all;
/// `None` where only a list tells: if all are masked, or some beyond the bound.
pub(super) fn best(logits: &[f32]) -> Option<u32> {
    const LANES: usize = 16;
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let higher = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = higher(*lane, logit);
        }
    }
    let highest = lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, higher);
    let is_plain = highest > MASKED && highest < LOGIT_BOUND;
    let at = logits.iter().position(|&logit| is_plain && logit == highest)?;
    u32::try_from(at).ok()
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

    /// −ln of the probability, exact where the probability itself underflows.
    pub(super) fn surprise(&self, logit: f32) -> f64 {
        self.mass.ln() - (f64::from(logit) - self.max_logit)
    }
}
