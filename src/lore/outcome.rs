//! What an activation comes to, put together in the order of the prompt.

use super::activation::{Activation, FiredEntry, LorePlace, NotFired, SilentEntry};
use super::compiled::Lore;
use super::decorators::NamedPosition;
use super::run::{Run, Standing, Told};
use crate::domain::{LorePosition, PromptRole};

impl Run<'_> {
    /// Ends the activation. Entries stand in ascending order; of equals the one that
    /// fired last stands first, as in SillyTavern.
    pub(super) fn into_activation(mut self, lore: &Lore) -> Activation<'_> {
        let mut told = std::mem::take(&mut self.fired);
        told.sort_by_key(|at| std::cmp::Reverse(self.written(*at).order));
        told.reverse();
        let mut disabled_prompts: Vec<_> =
            told.iter().filter_map(|at| self.compiled(*at).decorators.disable_ui_prompt).collect();
        disabled_prompts.sort_unstable();
        disabled_prompts.dedup();

        let places: Vec<LorePlace> = told.iter().map(|at| self.place(*at)).collect();
        let mut fired = Vec::new();
        for (at, place) in told.into_iter().zip(places) {
            let Standing::Fired(told) = &self.standings[at] else { continue };
            match self.untold(told) {
                Some(reason) => self.standings[at] = Standing::Out(reason),
                None => fired.push(fired_entry(lore, at, place, told.clone())),
            }
        }
        let not_fired = self.standings.into_iter().enumerate().filter_map(|(at, standing)| {
            let (Standing::Open(reason) | Standing::Out(reason)) = standing else { return None };
            let compiled = &lore.entries[at];
            let source = &lore.sources()[compiled.source];
            Some(SilentEntry { source, entry: lore.written(compiled), reason })
        });
        Activation {
            fired,
            not_fired: not_fired.collect(),
            effects: self.active.into_effects(),
            disabled_prompts,
            num_tokens: self.num_tokens,
            budget_tokens: self.budget_tokens,
            is_over_budget: self.is_over_budget,
            num_rounds: self.num_rounds,
            num_regexes_given_up: self.scanner.num_given_up(),
        }
    }

    /// Why an entry that fired is not told all the same.
    fn untold(&self, told: &Told) -> Option<NotFired> {
        if told.content.trim().is_empty() {
            return Some(NotFired::Empty);
        }
        told.same_as.map(|other| NotFired::Duplicate { of: self.name(other) })
    }

    /// Where an entry stands: `@@position` counts before `@@depth`, and that before
    /// `@@reverse_depth`.
    fn place(&self, at: usize) -> LorePlace {
        let (said, position) = (&self.compiled(at).decorators, self.written(at).position);
        let own_role = match position {
            LorePosition::AtDepth { role, .. } => role,
            _ => PromptRole::System,
        };
        let role = said.role.unwrap_or(own_role);
        let from_start = |turns: usize| self.inputs.num_turns.saturating_sub(turns);
        let depth = said.depth.or(said.reverse_depth.map(from_start));
        match (said.position, depth, position) {
            (Some(NamedPosition::BeforeDescription), ..) => LorePlace::BeforeDescription,
            (Some(NamedPosition::AfterDescription), ..) => LorePlace::AfterDescription,
            (Some(NamedPosition::Personality), ..) => LorePlace::Personality,
            (Some(NamedPosition::Scenario), ..) => LorePlace::Scenario,
            (None, Some(depth), _) | (None, None, LorePosition::AtDepth { depth, .. }) => {
                LorePlace::Position(LorePosition::AtDepth { depth, role })
            }
            (None, None, position) => LorePlace::Position(position),
        }
    }
}

fn fired_entry(lore: &Lore, at: usize, place: LorePlace, told: Told) -> FiredEntry<'_> {
    let compiled = &lore.entries[at];
    FiredEntry {
        source: &lore.sources()[compiled.source],
        entry: lore.written(compiled),
        content: told.content,
        place,
        num_tokens: told.num_tokens,
        cause: told.cause,
        level: told.level,
        is_expendable: compiled.decorators.ignore_on_max_context,
    }
}
