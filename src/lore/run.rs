//! One activation: rounds over all entries until none of them brings up another.

use std::collections::HashMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::activation::{Activation, Cause, NotFired};
use super::compiled::{Compiled, Lore};
use super::inputs::{LoreInputs, LoreSettings};
use super::keys::{Key, KeyTable};
use super::scan::{MAX_SCAN_DEPTH, Scanner};
use super::timed::{Active, Timing};
use crate::domain::LoreEntry;

/// Entries are gone through no more often than this.
const MAX_ROUNDS: usize = 1_000;

/// Why a round is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// It is the first.
    First,
    /// Something fired that others may find their keys in, or a level opened.
    Recursion,
    /// Too little fired: one more message is scanned.
    Deeper,
}

/// Where an entry stands so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// It may still fire; this is what was against it last.
    Open(NotFired),
    /// It is out, whatever comes.
    Out(NotFired),
    /// It fired.
    Fired(Told),
}

/// An entry that fired, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) content: String,
    pub(super) num_tokens: usize,
    pub(super) cause: Cause,
    pub(super) level: usize,
    /// Another entry that said the same before.
    pub(super) same_as: Option<usize>,
}

/// An entry that would fire in this round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) at: usize,
    pub(super) cause: Cause,
}

/// One activation under way.
pub(super) struct Run<'r> {
    pub(super) lore: &'r Lore,
    pub(super) inputs: LoreInputs<'r>,
    pub(super) scanner: Scanner<'r>,
    pub(super) active: Active,
    pub(super) rng: ChaCha8Rng,
    pub(super) standings: Vec<Standing>,
    /// What fired, in that order.
    pub(super) fired: Vec<usize>,
    /// Who says what, to find those that say the same.
    pub(super) said: HashMap<String, usize>,
    pub(super) num_tokens: usize,
    pub(super) book_tokens: Vec<usize>,
    pub(super) budget_tokens: usize,
    pub(super) is_over_budget: bool,
    pub(super) round: Round,
    /// How many rounds there were, and how many of them for recursion.
    pub(super) num_rounds: usize,
    pub(super) level: usize,
    /// By how many messages the house's scan depth has grown.
    pub(super) more_depth: usize,
    /// The level up to which entries that wait for recursion may fire, and those above
    /// it, the nearest last.
    pub(super) open_level: u32,
    levels: Vec<u32>,
}

impl Lore {
    /// Decides which entries fire.
    ///
    /// The rules are SillyTavern's; where a book speaks for itself, with its own scan
    /// depth, budget or recursion, or with decorators, V2 and V3 of the character card
    /// specification hold. The order of the checks is the order of [`NotFired`].
    pub fn activate<'l>(&'l self, inputs: &LoreInputs<'_>) -> Activation<'l> {
        let mut now = KeyTable::default();
        let expanded: Vec<Key> = self
            .keys
            .unexpanded()
            .map(|(key, use_regex)| {
                now.add_expanded(&(inputs.expand)(key), use_regex).unwrap_or(Key::Never)
            })
            .collect();
        Run::new(self, inputs, &now, expanded).finish_with(self)
    }
}

impl<'r> Run<'r> {
    fn new(lore: &'r Lore, inputs: &LoreInputs<'r>, now: &'r KeyTable, expanded: Vec<Key>) -> Self {
        let written = || lore.entries.iter().map(|entry| lore.written(entry));
        let default_case = inputs.settings.case_sensitive;
        let needs_exact = written().any(|entry| entry.case_sensitive.unwrap_or(default_case));
        let timings: Vec<_> = lore.entries.iter().map(|entry| timing(lore, entry)).collect();
        let mut levels: Vec<u32> = written().filter_map(level).collect();
        levels.sort_unstable_by(|a, b| b.cmp(a));
        levels.dedup();
        let open_level = levels.pop().unwrap_or(0);
        let mut run = Self {
            lore,
            inputs: *inputs,
            scanner: Scanner::new(inputs, &lore.keys, now, expanded, needs_exact),
            active: Active::new(inputs.effects, inputs.num_turns, &timings),
            rng: ChaCha8Rng::seed_from_u64(inputs.seed),
            standings: Vec::new(),
            fired: Vec::new(),
            said: HashMap::new(),
            num_tokens: 0,
            book_tokens: vec![0; lore.sources().len()],
            budget_tokens: inputs.settings.budget_tokens(inputs.context_tokens),
            is_over_budget: false,
            round: Round::First,
            num_rounds: 0,
            level: 0,
            more_depth: 0,
            open_level,
            levels,
        };
        run.standings = (0..lore.entries.len())
            .map(|at| run.barred(at).map_or(Standing::Open(NotFired::NoKey), Standing::Out))
            .collect();
        run
    }

    fn finish_with<'l>(mut self, lore: &'l Lore) -> Activation<'l> {
        let most = match self.settings().max_recursion_steps {
            0 => MAX_ROUNDS,
            most => most.min(MAX_ROUNDS),
        };
        while self.num_rounds < most {
            self.num_rounds += 1;
            let candidates = self.candidates();
            let candidates = self.decide_groups(candidates);
            let new = self.admit(candidates);
            let Some(next) = self.next_round(&new) else { break };
            self.round = next;
            self.level += usize::from(next == Round::Recursion);
        }
        self.into_activation(lore)
    }

    /// The entries that would fire now: those that stay first, and those that are to go
    /// first from a full context last.
    fn candidates(&mut self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for at in 0..self.standings.len() {
            let Standing::Open(before) = &self.standings[at] else { continue };
            let lost_group = matches!(before, NotFired::GroupLost { .. });
            match self.check(at) {
                Ok(cause) => candidates.push(Candidate { at, cause }),
                Err(NotFired::ExcludedFromRecursion) if lost_group => {}
                Err(reason) => self.standings[at] = Standing::Open(reason),
            }
        }
        candidates.sort_by_key(|candidate| {
            let is_expendable = self.lore.entries[candidate.at].decorators.ignore_on_max_context;
            (!self.active.is_sticky(candidate.at), is_expendable)
        });
        candidates
    }

    /// What follows on a round in which `new` fired.
    fn next_round(&mut self, new: &[usize]) -> Option<Round> {
        if self.is_over_budget {
            return None;
        }
        let telling: Vec<usize> =
            new.iter().copied().filter(|at| self.may_bring_up_others(*at)).collect();
        let next = if !telling.is_empty() || self.has_unseen_recursion() {
            Some(Round::Recursion)
        } else if self.wants_more() {
            self.more_depth += 1;
            Some(Round::Deeper)
        } else if let Some(level) = self.levels.pop().filter(|_| self.has_recursion()) {
            self.open_level = level;
            Some(Round::Recursion)
        } else {
            None
        };
        if next.is_some() {
            let texts: Vec<&str> =
                telling.iter().map(|at| self.told(*at).map_or("", |told| &told.content)).collect();
            let text = texts.join("\n");
            self.scanner.add_recursion(&text);
        }
        next
    }

    /// Whether older messages were scanned last, so that what fired before may now meet
    /// entries that it did not bring up alone.
    fn has_unseen_recursion(&self) -> bool {
        self.round == Round::Deeper && self.has_recursion() && self.scanner.has_recursion()
    }

    /// Whether too little fired and there are older messages.
    fn wants_more(&self) -> bool {
        let settings = self.settings();
        let depth = settings.scan_depth.saturating_add(self.more_depth);
        let furthest = self.inputs.messages.len().min(MAX_SCAN_DEPTH);
        let most = match settings.min_activations_max_depth {
            0 => furthest,
            most => most.min(furthest),
        };
        self.fired.len() < settings.min_activations && depth <= most
    }

    /// Whether any book lets entries bring up others.
    fn has_recursion(&self) -> bool {
        let default = self.settings().recursive;
        let books = self.lore.sources().iter().map(|source| source.book.recursive_scanning);
        books.into_iter().any(|recursive| recursive.unwrap_or(default))
    }

    fn may_bring_up_others(&self, at: usize) -> bool {
        self.is_recursive(at) && !self.written(at).prevent_recursion
    }

    /// Whether recursion counts for an entry: as its book says, or as the house does.
    pub(super) fn is_recursive(&self, at: usize) -> bool {
        let source = &self.lore.sources()[self.compiled(at).source];
        source.book.recursive_scanning.unwrap_or(self.settings().recursive)
    }

    pub(super) fn settings(&self) -> &'r LoreSettings {
        self.inputs.settings
    }

    pub(super) fn compiled(&self, at: usize) -> &'r Compiled {
        &self.lore.entries[at]
    }

    pub(super) fn written(&self, at: usize) -> &'r LoreEntry {
        self.lore.written(&self.lore.entries[at])
    }

    /// What people call an entry: its name, or its uid if it has none.
    pub(super) fn name(&self, at: usize) -> String {
        let entry = self.written(at);
        let name = if entry.name.is_empty() { &entry.uid } else { &entry.name };
        name.clone()
    }

    pub(super) fn told(&self, at: usize) -> Option<&Told> {
        match &self.standings[at] {
            Standing::Fired(told) => Some(told),
            _ => None,
        }
    }

    /// A lot in `0..1`.
    pub(super) fn draw(&mut self) -> f64 {
        self.rng.random()
    }
}

/// The recursion level that an entry waits for; 0 is not to wait.
pub(super) fn level(entry: &LoreEntry) -> Option<u32> {
    entry.delay_until_recursion.filter(|level| *level > 0)
}

/// An entry as timed effects see it.
pub(super) fn timing<'l>(lore: &'l Lore, compiled: &'l Compiled) -> Timing<'l> {
    let entry = lore.written(compiled);
    Timing { key: &compiled.effect_key, sticky: entry.sticky, cooldown: entry.cooldown }
}
