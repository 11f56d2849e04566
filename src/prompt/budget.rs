//! Which turns stay when a scene outgrows its context; numbers only.
//!
//! Trimming is anchored: while the history that begins at the last prompt's
//! anchor fits, it begins there again, so that the model's cache of everything
//! before the newest turns stays good. On overflow whole turns go, oldest first,
//! until the rest takes [`TARGET_PERCENT`] of the room; then many turns fit before
//! the next trim. Turns are never cut, and what is dropped is always the oldest,
//! but for one *pinned* turn, a person's last, which stays however old it is.

/// How much of the room the history may take after a trim.
const TARGET_PERCENT: usize = 65;
/// Under this share the anchor is given up, so that turns come back when much of
/// the line was undone or the context has grown.
const FLOOR_PERCENT: usize = 40;

/// The history that competes for the room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// How many turns there are.
    pub(super) num_turns: usize,
    /// A turn that never falls out.
    pub(super) pinned: Option<usize>,
    /// Where the last prompt's history began, if it had been trimmed and the turn
    /// is still there.
    pub(super) anchor: Option<usize>,
}

/// What stays: the turns from `first` on, and the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// The oldest turn of the unbroken rest.
    pub(super) first: usize,
    /// What the kept turns add up to.
    pub(super) num_tokens: usize,
}

/// The turn that must stay but does not fit, and what room there was for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlong {
    /// Which turn.
    pub(super) turn: usize,
    /// The room it had.
    pub(super) available: usize,
}

/// Chooses what stays of `line` in `room` tokens. `cost` gives a turn's tokens; it
/// is not asked about turns that are too old to matter.
pub(super) fn trim(
    line: Line,
    room: usize,
    mut cost: impl FnMut(usize) -> usize,
) -> Result<Kept, Overlong> {
    let Some(latest) = line.num_turns.checked_sub(1) else {
        return Ok(Kept { first: 0, num_tokens: 0 });
    };
    let pinned_tokens = line.pinned.map_or(0, &mut cost);
    if let Some(turn) = line.pinned.filter(|_| pinned_tokens > room) {
        return Err(Overlong { turn, available: room });
    }
    if line.pinned != Some(latest) && cost(latest) > room - pinned_tokens {
        return Err(Overlong { turn: latest, available: room - pinned_tokens });
    }

    // The longest rest that begins no earlier than `oldest` and keeps to `limit`;
    // the latest turn at least.
    let mut rest = |oldest: usize, limit: usize| {
        let mut kept = Kept { first: latest + 1, num_tokens: pinned_tokens };
        for turn in (oldest..=latest).rev() {
            let tokens = if line.pinned == Some(turn) { 0 } else { cost(turn) };
            if turn < latest && kept.num_tokens + tokens > limit {
                break;
            }
            kept = Kept { first: turn, num_tokens: kept.num_tokens + tokens };
        }
        kept
    };
    if let Some(anchor) = line.anchor {
        let kept = rest(anchor, room);
        if kept.first == anchor && kept.num_tokens * 100 >= room * FLOOR_PERCENT {
            return Ok(kept);
        }
    }
    let whole = rest(0, room);
    if whole.first == 0 { Ok(whole) } else { Ok(rest(0, room * TARGET_PERCENT / 100)) }
}

/// How many of the examples, from the first, fit into what the history leaves.
/// The last goes first, so that the prefix before it stays.
pub(super) fn examples_that_fit(tokens: impl IntoIterator<Item = usize>, room: usize) -> usize {
    let within = |sum: &mut usize, tokens| {
        *sum += tokens;
        (*sum <= room).then_some(())
    };
    tokens.into_iter().scan(0, within).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(num_turns: usize, anchor: Option<usize>) -> Line {
        Line { num_turns, pinned: num_turns.checked_sub(1), anchor }
    }

    #[test]
    fn all_stays_while_it_fits() {
        assert_eq!(trim(line(0, None), 0, |_| 1), Ok(Kept { first: 0, num_tokens: 0 }));
        assert_eq!(trim(line(10, None), 100, |_| 10), Ok(Kept { first: 0, num_tokens: 100 }));
    }

    #[test]
    fn overflow_drops_the_oldest_down_to_the_target() {
        assert_eq!(trim(line(11, None), 100, |_| 10), Ok(Kept { first: 5, num_tokens: 60 }));
    }

    #[test]
    fn the_anchor_holds_until_the_next_overflow() {
        for (num_turns, first) in [(11, 5), (12, 5), (15, 5), (16, 10)] {
            assert_eq!(trim(line(num_turns, Some(5)), 100, |_| 10).unwrap().first, first);
        }
    }

    #[test]
    fn after_a_long_undo_old_turns_come_back() {
        assert_eq!(trim(line(9, Some(5)), 100, |_| 10).unwrap().first, 5, "40 % are enough");
        assert_eq!(trim(line(8, Some(5)), 100, |_| 10).unwrap().first, 0, "30 % are not");
    }

    #[test]
    fn a_trim_repeated_gives_the_same_anchor_even_under_the_floor() {
        let cost = |turn| [60, 70, 20][turn];
        let kept = trim(line(3, None), 100, cost).unwrap();
        assert_eq!(kept, Kept { first: 2, num_tokens: 20 });
        assert_eq!(trim(line(3, Some(2)), 100, cost), Ok(kept));
    }

    #[test]
    fn a_persons_last_turn_stays_behind_many_replies() {
        let line = Line { num_turns: 12, pinned: Some(1), anchor: None };
        let kept = trim(line, 100, |_| 10).unwrap();
        assert_eq!(kept, Kept { first: 7, num_tokens: 60 }, "five replies and the pinned turn");
    }

    #[test]
    fn what_must_stay_and_does_not_fit_is_named() {
        let cost = |turn| [10, 150][turn];
        assert_eq!(trim(line(2, None), 100, cost), Err(Overlong { turn: 1, available: 100 }));
        let reply_last = Line { num_turns: 2, pinned: Some(0), anchor: None };
        assert_eq!(trim(reply_last, 100, cost), Err(Overlong { turn: 1, available: 90 }));
    }

    #[test]
    fn old_turns_are_not_even_counted() {
        let mut asked = usize::MAX;
        let kept = trim(line(1000, Some(995)), 100, |turn| {
            asked = asked.min(turn);
            10
        });
        assert_eq!((kept.unwrap().first, asked), (995, 995));
    }

    #[test]
    fn the_last_examples_go_first() {
        assert_eq!(examples_that_fit([10, 20, 30], 60), 3);
        assert_eq!(examples_that_fit([10, 20, 30], 59), 2);
        assert_eq!(examples_that_fit([10, 20, 5], 15), 1, "no gap is filled");
        assert_eq!(examples_that_fit([], 0), 0);
    }
}
