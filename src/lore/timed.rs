//! What lasts from turn to turn: entries that stay, rest, or have fired before.
//!
//! Spans are counted in turns. What was set at a turn that is no longer there is undone,
//! so that a swipe or an undo sees the line as it was.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// What lasts from turn to turn, by the key of an entry: its source's id, a dot, and
/// its uid. The caller keeps it with the line of turns and gives it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimedEffects {
    /// Entries that stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sticky: BTreeMap<String, TimedSpan>,
    /// Entries that rest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cooldown: BTreeMap<String, TimedSpan>,
    /// When entries that remember it first fired, in turns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub matched: BTreeMap<String, usize>,
}

/// From when to when something lasts, as numbers of turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedSpan {
    /// How many turns there were when it was set.
    pub start: usize,
    /// It is over once there are as many turns.
    pub end: usize,
    /// Whether it stands although the line did not grow since it was set: a rest that
    /// follows on a stay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
}

/// An entry as timed effects see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing<'a> {
    pub(super) key: &'a str,
    /// For how many turns it stays, and then rests; 0 is not at all.
    pub(super) sticky: usize,
    pub(super) cooldown: usize,
}

/// What lasts at this turn.
#[derive(Debug)]
pub(super) struct Active {
    num_turns: usize,
    effects: TimedEffects,
    /// The entries, by their place in the list, that stay and that rest.
    sticky: Vec<bool>,
    resting: Vec<bool>,
}

impl Active {
    /// Brings the effects to a line of `num_turns`: what is over goes, what was set at
    /// turns that are no longer there is undone, and a stay that ends begins a rest.
    pub(super) fn new(effects: &TimedEffects, num_turns: usize, entries: &[Timing<'_>]) -> Self {
        let place: HashMap<&str, usize> =
            entries.iter().enumerate().map(|(at, entry)| (entry.key, at)).collect();
        let none = vec![false; entries.len()];
        let effects = effects.clone();
        let mut active = Self { num_turns, effects, sticky: none.clone(), resting: none };
        active.effects.matched.retain(|_, turn| *turn < num_turns);

        let sticky = std::mem::take(&mut active.effects.sticky);
        for (key, span) in sticky {
            let at = place.get(key.as_str()).copied();
            match state_of(span, num_turns, at.map(|at| entries[at].sticky)) {
                State::Lasts => {
                    active.sticky[at.unwrap_or_default()] |= at.is_some();
                    active.effects.sticky.insert(key, span);
                }
                State::Waits => _ = active.effects.sticky.insert(key, span),
                State::Gone => {}
                State::Ended => {
                    let cooldown = at.map_or(0, |at| entries[at].cooldown);
                    if cooldown > 0 {
                        let span = active.span(cooldown, true);
                        active.effects.cooldown.insert(key, span);
                    }
                }
            }
        }
        let cooldown = std::mem::take(&mut active.effects.cooldown);
        for (key, span) in cooldown {
            let at = place.get(key.as_str()).copied();
            match state_of(span, num_turns, at.map(|at| entries[at].cooldown)) {
                State::Lasts => {
                    active.resting[at.unwrap_or_default()] |= at.is_some();
                    active.effects.cooldown.insert(key, span);
                }
                State::Waits => _ = active.effects.cooldown.insert(key, span),
                State::Gone | State::Ended => {}
            }
        }
        active
    }

    fn span(&self, len: usize, protected: bool) -> TimedSpan {
        let end = self.num_turns.saturating_add(len);
        TimedSpan { start: self.num_turns, end, protected }
    }

    /// Whether an entry stays.
    pub(super) fn is_sticky(&self, at: usize) -> bool {
        self.sticky[at]
    }

    /// For how many more turns an entry rests, if it does.
    pub(super) fn rests_for(&self, at: usize, key: &str) -> Option<usize> {
        let end = self.effects.cooldown.get(key).map_or(self.num_turns, |span| span.end);
        self.resting[at].then(|| end.saturating_sub(self.num_turns))
    }

    /// Whether an entry that remembers it fired before.
    pub(super) fn fired_before(&self, key: &str) -> bool {
        self.effects.matched.contains_key(key)
    }

    /// Notes that an entry fired now. What lasts already is not made longer.
    pub(super) fn fired(&mut self, entry: Timing<'_>, remembers: bool) {
        let (sticky, cooldown) = (self.span(entry.sticky, false), self.span(entry.cooldown, false));
        let effects = &mut self.effects;
        if entry.sticky > 0 {
            effects.sticky.entry(entry.key.to_owned()).or_insert(sticky);
        }
        if entry.cooldown > 0 {
            effects.cooldown.entry(entry.key.to_owned()).or_insert(cooldown);
        }
        if remembers {
            effects.matched.entry(entry.key.to_owned()).or_insert(self.num_turns);
        }
    }

    /// What the next activation must be given.
    pub(super) fn into_effects(self) -> TimedEffects {
        self.effects
    }
}

/// What became of a span.
enum State {
    /// It was undone, or its entry does not want it any more.
    Gone,
    /// Its entry is not among the books now; it may come back.
    Waits,
    Lasts,
    Ended,
}

/// What became of a span at this turn; `len` is what its entry says, if it is there.
fn state_of(span: TimedSpan, num_turns: usize, len: Option<usize>) -> State {
    if num_turns <= span.start && !span.protected {
        return State::Gone;
    }
    match len {
        None if num_turns >= span.end => State::Gone,
        None => State::Waits,
        Some(0) => State::Gone,
        Some(_) if num_turns >= span.end => State::Ended,
        Some(_) => State::Lasts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Timing<'static> = Timing { key: "book.1", sticky: 2, cooldown: 3 };

    fn at(effects: &TimedEffects, num_turns: usize) -> Active {
        Active::new(effects, num_turns, &[ENTRY])
    }

    fn fired_at(num_turns: usize) -> TimedEffects {
        let mut active = at(&TimedEffects::default(), num_turns);
        active.fired(ENTRY, true);
        active.into_effects()
    }

    #[test]
    fn it_stays_for_its_turns_and_rests_after() {
        let mut effects = fired_at(10);
        let mut seen = Vec::new();
        for num_turns in 11..17 {
            let active = at(&effects, num_turns);
            seen.push((active.is_sticky(0), active.rests_for(0, ENTRY.key)));
            effects = active.into_effects();
        }
        let (rests, free) = (|left| (false, Some(left)), (false, None));
        assert_eq!(
            seen,
            [(true, Some(2)), rests(3), rests(2), rests(1), free, free],
            "one turn of two is over when the next is scanned"
        );
        assert!(effects.cooldown.is_empty() && effects.sticky.is_empty());
    }

    #[test]
    fn a_line_that_did_not_grow_undoes_it() {
        let effects = fired_at(10);
        for num_turns in [9, 10] {
            let active = at(&effects, num_turns);
            assert!(!active.is_sticky(0) && active.rests_for(0, ENTRY.key).is_none());
            assert_eq!(active.fired_before(ENTRY.key), false);
            assert_eq!(active.into_effects(), TimedEffects::default());
        }
        assert!(at(&effects, 11).fired_before(ENTRY.key));
    }

    #[test]
    fn a_rest_after_a_stay_survives_a_swipe() {
        let effects = at(&fired_at(10), 12).into_effects();
        assert_eq!(at(&effects, 12).rests_for(0, ENTRY.key), Some(3));
    }

    #[test]
    fn what_lasts_is_not_made_longer() {
        let mut active = at(&fired_at(10), 11);
        active.fired(ENTRY, true);
        assert_eq!(active.into_effects(), fired_at(10));
    }

    #[test]
    fn entries_that_are_away_keep_their_spans_until_the_end() {
        let effects = fired_at(10);
        let away = |num_turns| Active::new(&effects, num_turns, &[]).into_effects();
        assert_eq!(away(11), effects);
        assert_eq!(away(12).sticky.len(), 0);
        assert_eq!(away(13).cooldown.len(), 0);
    }

    #[test]
    fn an_entry_that_no_longer_lasts_loses_its_spans() {
        let now = Timing { sticky: 0, cooldown: 0, ..ENTRY };
        let active = Active::new(&fired_at(10), 11, &[now]);
        assert!(!active.is_sticky(0));
        assert!(active.into_effects().sticky.is_empty());
    }

    #[test]
    fn it_is_kept_as_json() {
        let effects = fired_at(10);
        let json = serde_json::to_string(&effects).unwrap();
        assert_eq!(serde_json::from_str::<TimedEffects>(&json).unwrap(), effects);
        assert_eq!(serde_json::from_str::<TimedEffects>("{}").unwrap(), TimedEffects::default());
        assert_eq!(serde_json::to_string(&TimedEffects::default()).unwrap(), "{}");
    }
}
