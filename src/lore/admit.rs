//! Luck and budget: which of a round's candidates are told.

use std::collections::HashSet;

use super::activation::NotFired;
use super::run::{Candidate, Round, Run, Standing, Told, timing};

/// A candidate that luck let through, and what it would say.
struct Ready {
    candidate: Candidate,
    content: String,
    num_tokens: usize,
}

impl Run<'_> {
    /// Lets candidates fire, as luck and budgets allow, and returns those that did.
    pub(super) fn admit(&mut self, candidates: Vec<Candidate>) -> Vec<usize> {
        let lucky = candidates.into_iter().filter(|candidate| self.is_lucky(candidate.at));
        let lucky: Vec<Candidate> = lucky.collect();
        let ready = self.ready(lucky);
        let ready = self.within_books(ready);
        self.within_budget(ready)
    }

    /// Draws an entry's lot; one that lost takes no part any more.
    fn is_lucky(&mut self, at: usize) -> bool {
        let percent = self.written(at).probability;
        if percent >= 100.0 || self.active.is_sticky(at) {
            return true;
        }
        let rolled = self.draw() * 100.0;
        let is_lucky = rolled <= f64::from(percent);
        if !is_lucky {
            self.standings[at] = Standing::Out(NotFired::Probability { percent, rolled });
        }
        is_lucky
    }

    /// Replaces placeholders and counts. What was said before takes no more room.
    fn ready(&mut self, candidates: Vec<Candidate>) -> Vec<Ready> {
        let expand = self.inputs.expand;
        let ready = |candidate: Candidate| {
            let content = expand(&self.compiled(candidate.at).content);
            let num_tokens = match self.is_silent(&content) {
                true => 0,
                false => (self.inputs.count_tokens)(&format!("{content}\n")),
            };
            Ready { candidate, content, num_tokens }
        };
        candidates.into_iter().map(ready).collect()
    }

    /// Whether a content is not told, since it is empty or was said before.
    fn is_silent(&self, content: &str) -> bool {
        content.trim().is_empty() || self.said.contains_key(content)
    }

    /// Where a book's own budget is short, its entries of the lowest priority go (V2).
    fn within_books(&mut self, ready: Vec<Ready>) -> Vec<Ready> {
        let mut places: Vec<usize> = (0..ready.len()).collect();
        places.sort_by_key(|place| {
            let entry = self.written(ready[*place].candidate.at);
            std::cmp::Reverse(entry.priority.unwrap_or(entry.order))
        });
        let mut over = HashSet::new();
        let mut full = HashSet::new();
        for place in places {
            let (at, needed) = (ready[place].candidate.at, ready[place].num_tokens);
            let source = self.compiled(at).source;
            let budget = self.lore.sources()[source].book.token_budget;
            let Some(budget) = budget.filter(|_| !self.written(at).ignore_budget) else {
                continue;
            };
            if self.book_tokens[source] + needed > budget || full.contains(&source) {
                full.insert(source);
                over.insert(place);
                self.standings[at] = Standing::Open(NotFired::BookBudget { needed, budget });
            } else {
                self.book_tokens[source] += needed;
            }
        }
        let is_in = |(place, ready): (usize, Ready)| (!over.contains(&place)).then_some(ready);
        ready.into_iter().enumerate().filter_map(is_in).collect()
    }

    /// The first that does not fit ends the search; only what ignores the budget still
    /// fires.
    fn within_budget(&mut self, ready: Vec<Ready>) -> Vec<usize> {
        let mut new = Vec::new();
        for Ready { candidate, content, num_tokens } in ready {
            let at = candidate.at;
            let num_tokens = if self.is_silent(&content) { 0 } else { num_tokens };
            let left = self.budget_tokens.saturating_sub(self.num_tokens);
            if !self.written(at).ignore_budget && (self.is_over_budget || num_tokens >= left) {
                self.is_over_budget = true;
                let reason = NotFired::Budget { needed: num_tokens, left };
                self.standings[at] = Standing::Open(reason);
                continue;
            }
            self.num_tokens += num_tokens;
            let same_as = self.said.get(&content).copied();
            self.said.entry(content.clone()).or_insert(at);
            let level = if self.round == Round::Recursion { self.level } else { 0 };
            let told = Told { content, num_tokens, cause: candidate.cause, level, same_as };
            self.standings[at] = Standing::Fired(told);
            self.fired.push(at);
            new.push(at);
            let decorators = &self.compiled(at).decorators;
            let remembers =
                decorators.keep_activate_after_match || decorators.dont_activate_after_match;
            self.active.fired(timing(self.lore, self.compiled(at)), remembers);
        }
        new
    }
}
