//! Whether one entry would fire, check by check.

use super::activation::{Cause, NotFired};
use super::keys::Key;
use super::run::{Round, Run, level};
use super::scan::How;
use super::source::LoreScope;
use crate::domain::{CharacterFilter, SecondaryLogic};

impl Run<'_> {
    /// What bars an entry for the whole activation.
    pub(super) fn barred(&self, at: usize) -> Option<NotFired> {
        let (entry, compiled) = (self.written(at), self.compiled(at));
        if !entry.enabled {
            return Some(NotFired::Disabled);
        }
        let scope = &self.lore.sources()[compiled.source].scope;
        let is_anothers =
            matches!(scope, LoreScope::Character { name } if !same(name, self.inputs.character));
        if is_anothers || entry.character_filter.as_ref().is_some_and(|by| self.filters(by)) {
            return Some(NotFired::CharacterFilter);
        }
        let is_triggered = |trigger: &String| same(trigger, self.inputs.trigger);
        if !entry.triggers.is_empty() && !entry.triggers.iter().any(is_triggered) {
            return Some(NotFired::Trigger);
        }
        let turns_left = entry.delay.saturating_sub(self.inputs.num_turns);
        if turns_left > 0 {
            return Some(NotFired::Delay { turns_left });
        }
        let rests_for = self.active.rests_for(at, &compiled.effect_key);
        rests_for
            .filter(|_| !self.active.is_sticky(at))
            .map(|turns_left| NotFired::Cooldown { turns_left })
    }

    /// Whether a filter leaves out the character that answers. Names and tags must both
    /// let it through, where there are any.
    fn filters(&self, filter: &CharacterFilter) -> bool {
        let named = filter.names.iter().any(|name| same(name, self.inputs.character));
        let tagged =
            filter.tags.iter().any(|tag| self.inputs.tags.iter().any(|own| same(tag, own)));
        let bars = |list: &[String], is_in: bool| !list.is_empty() && is_in == filter.is_exclude;
        bars(&filter.names, named) || bars(&filter.tags, tagged)
    }

    /// Whether an entry that is not barred would fire in this round, and why.
    pub(super) fn check(&mut self, at: usize) -> Result<Cause, NotFired> {
        let entry = self.written(at);
        let is_sticky = self.active.is_sticky(at);
        let in_recursion = self.round == Round::Recursion;
        if let Some(level) = level(entry).filter(|_| !is_sticky) {
            let is_open = in_recursion && level <= self.open_level && self.is_recursive(at);
            if !is_open {
                return Err(NotFired::RecursionOnly { level });
            }
        }
        let cause = self.fires(at, is_sticky)?;
        if in_recursion && entry.exclude_recursion && !is_sticky && self.is_recursive(at) {
            return Err(NotFired::ExcludedFromRecursion);
        }
        Ok(cause)
    }

    fn fires(&mut self, at: usize, is_sticky: bool) -> Result<Cause, NotFired> {
        let (entry, compiled) = (self.written(at), self.compiled(at));
        let said = &compiled.decorators;
        if said.activate {
            return Ok(Cause::Decorator("activate"));
        }
        if said.dont_activate {
            return Err(NotFired::Decorator("dont_activate"));
        }
        if let Some(name) = self.held_back(at) {
            return Err(NotFired::Decorator(name));
        }
        if said.keep_activate_after_match && self.active.fired_before(&compiled.effect_key) {
            return Ok(Cause::Decorator("keep_activate_after_match"));
        }
        // V3: an entry whose keys are regular expressions is not constant.
        if entry.constant && (!entry.use_regex || compiled.keys.is_empty()) {
            return Ok(Cause::Constant);
        }
        if is_sticky {
            return Ok(Cause::Sticky);
        }
        self.key_fires(at)
    }

    /// The decorator that holds an entry back, if one does.
    fn held_back(&mut self, at: usize) -> Option<&'static str> {
        let compiled = self.compiled(at);
        let (said, inputs) = (&compiled.decorators, &self.inputs);
        let replies = inputs.num_replies;
        if said.activate_only_after.is_some_and(|count| replies < count) {
            return Some("activate_only_after");
        }
        if said.activate_only_every.is_some_and(|count| replies % count != 0) {
            return Some("activate_only_every");
        }
        let is_other = |wanted: usize| inputs.greeting.is_some_and(|active| active != wanted);
        if said.is_greeting.is_some_and(is_other) {
            return Some("is_greeting");
        }
        let is_other = |wanted: &String| inputs.user_icon.is_some_and(|icon| icon != wanted);
        if said.is_user_icon.as_ref().is_some_and(is_other) {
            return Some("is_user_icon");
        }
        if said.ignore_on_max_context && inputs.is_context_full {
            return Some("ignore_on_max_context");
        }
        if said.dont_activate_after_match && self.active.fired_before(&compiled.effect_key) {
            return Some("dont_activate_after_match");
        }
        let how = self.how(at);
        if !compiled.additional.is_empty() && self.first_found(&compiled.additional, how).is_none()
        {
            return Some("additional_keys");
        }
        self.first_found(&compiled.exclude, how).map(|_| "exclude_keys")
    }

    fn key_fires(&mut self, at: usize) -> Result<Cause, NotFired> {
        let (entry, compiled) = (self.written(at), self.compiled(at));
        if compiled.keys.is_empty() {
            return Err(NotFired::Keyless);
        }
        let num_never = compiled.keys.iter().filter(|key| self.scanner.is_never(**key)).count();
        // V3: where all keys are regular expressions, one that is invalid spoils the entry.
        if num_never == compiled.keys.len() || (entry.use_regex && num_never > 0) {
            return Err(NotFired::InvalidRegex);
        }
        let how = self.how(at);
        let found = self.first_found(&compiled.keys, how).ok_or(NotFired::NoKey)?;
        let key = entry.keys[found].clone();
        if compiled.secondary.is_empty() {
            return Ok(Cause::Key { key, secondary: None });
        }
        let logic = entry.logic;
        match self.secondary_holds(&compiled.secondary, logic, how) {
            None => Err(NotFired::Secondary { key, logic }),
            Some(found) => {
                let secondary = found.map(|found| entry.secondary_keys[found].clone());
                Ok(Cause::Key { key, secondary })
            }
        }
    }

    /// Whether the secondary keys let an entry fire, and by which of them if one had to
    /// be there.
    fn secondary_holds(
        &mut self,
        keys: &[Key],
        logic: SecondaryLogic,
        how: How,
    ) -> Option<Option<usize>> {
        let found = self.first_found(keys, how);
        let mut all_found = || keys.iter().all(|key| self.scanner.finds(*key, how));
        match logic {
            SecondaryLogic::AndAny => found.map(Some),
            SecondaryLogic::NotAny => found.is_none().then_some(None),
            SecondaryLogic::AndAll => all_found().then_some(found),
            SecondaryLogic::NotAll => (!all_found()).then_some(None),
        }
    }

    fn first_found(&mut self, keys: &[Key], how: How) -> Option<usize> {
        keys.iter().position(|key| self.scanner.finds(*key, how))
    }

    /// How many of an entry's keys are found. Secondary keys count where they must be
    /// there, and only together where all of them must.
    pub(super) fn score(&mut self, at: usize) -> usize {
        let (entry, compiled, how) = (self.written(at), self.compiled(at), self.how(at));
        if compiled.keys.is_empty() {
            return 0;
        }
        let mut count =
            |keys: &[Key]| keys.iter().filter(|key| self.scanner.finds(**key, how)).count();
        let (primary, secondary) = (count(&compiled.keys), count(&compiled.secondary));
        match entry.logic {
            SecondaryLogic::AndAny => primary + secondary,
            SecondaryLogic::AndAll if secondary == compiled.secondary.len() => primary + secondary,
            _ => primary,
        }
    }

    /// How an entry looks for its keys in this round.
    fn how(&self, at: usize) -> How {
        let (entry, compiled, settings) = (self.written(at), self.compiled(at), self.settings());
        let book = &self.lore.sources()[compiled.source].book;
        let own = compiled.decorators.scan_depth.or(entry.scan_depth).or(book.scan_depth);
        How {
            depth: own.unwrap_or(settings.scan_depth.saturating_add(self.more_depth)),
            with_recursion: self.round != Round::Deeper && self.is_recursive(at),
            case_sensitive: entry.case_sensitive.unwrap_or(settings.case_sensitive),
            whole_words: entry.match_whole_words.unwrap_or(settings.match_whole_words),
        }
    }
}

/// Whether two names are one, in any letter case.
fn same(a: &str, b: &str) -> bool {
    a == b || a.trim().to_lowercase() == b.trim().to_lowercase()
}
