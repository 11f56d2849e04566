//! The engine for what looks around or refers back. It tries one way after another, as
//! JavaScript's does, and counts its steps: it gives up exactly where it is told to.

use super::backtrack::{CompiledClass, Op, Program};
use super::pattern::{Item, LINE_ENDS, WORD};

/// So many ways left open are too many, for the room that they take.
const MAX_OPEN: usize = 1 << 20;
/// A capture or mark that is not set.
const UNSET: usize = usize::MAX;

impl Program {
    /// Whether it matches anywhere, in at most so many steps, which are counted down;
    /// `None` if they do not suffice.
    pub(super) fn is_match(&self, text: &str, steps_left: &mut u64) -> Option<bool> {
        let slots = vec![UNSET; self.num_slots];
        let mut search = Search { program: self, text, steps_left, slots, open: Vec::new() };
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for start in starts {
            search.slots[..(self.num_groups + 1) * 2].fill(UNSET);
            search.open.clear();
            if search.run(0, start)?.is_some() {
                return Some(true);
            }
            if self.flags.sticky {
                break;
            }
        }
        Some(false)
    }
}

/// What to come back to.
enum Open {
    /// A way that was not tried, from an operation and a place on.
    Way { op: usize, at: usize },
    /// What a slot held before.
    Slot { slot: usize, held: usize },
}

struct Search<'a> {
    program: &'a Program,
    text: &'a str,
    steps_left: &'a mut u64,
    slots: Vec<usize>,
    open: Vec<Open>,
}

impl Search<'_> {
    /// Runs up to a `Done`: where that is, or `None` if no way leads there. The outer
    /// `None` is that the steps did not suffice.
    fn run(&mut self, mut op: usize, mut at: usize) -> Option<Option<usize>> {
        let floor = self.open.len();
        loop {
            *self.steps_left = self.steps_left.checked_sub(1)?;
            if self.open.len() > MAX_OPEN {
                return None;
            }
            let next = match self.program.ops[op] {
                Op::Done => return Some(Some(at)),
                Op::Jump(to) => Some((to, at)),
                Op::Fork { first, second } => {
                    self.open.push(Open::Way { op: second, at });
                    Some((first, at))
                }
                Op::Save(slot) => {
                    self.set(slot, at);
                    Some((op + 1, at))
                }
                Op::Clear { first, end } => {
                    *self.steps_left = self.steps_left.checked_sub((end - first) as u64)?;
                    (first..end).for_each(|slot| self.set(slot, UNSET));
                    Some((op + 1, at))
                }
                Op::Moved(slot) => (self.slots[slot] != at).then_some((op + 1, at)),
                Op::Look { negated, next } => {
                    let found = self.look(op + 1, at, negated)?;
                    (found != negated).then_some((next, at))
                }
                Op::Class { class, behind } => self.class(class, at, behind).map(|at| (op + 1, at)),
                Op::Reference { group, behind } => {
                    self.reference(group, at, behind)?.map(|at| (op + 1, at))
                }
                Op::Start { .. } | Op::End { .. } | Op::Boundary { .. } => {
                    self.holds(op, at).then_some((op + 1, at))
                }
            };
            match next.or_else(|| self.back(floor)) {
                Some(next) => (op, at) = next,
                None => return Some(None),
            }
        }
    }

    /// Whether what stands from `op` on is found; unless it is to be kept, nothing stays
    /// of the search.
    fn look(&mut self, op: usize, at: usize, negated: bool) -> Option<bool> {
        let floor = self.open.len();
        let found = self.run(op, at)?.is_some();
        if !found || negated {
            while self.open.len() > floor {
                self.undo();
            }
            return Some(found);
        }
        // Captures stay and can be undone; other ways through the look are not tried.
        let mut kept = floor;
        for place in floor..self.open.len() {
            if matches!(self.open[place], Open::Slot { .. }) {
                self.open.swap(kept, place);
                kept += 1;
            }
        }
        *self.steps_left = self.steps_left.checked_sub((self.open.len() - floor) as u64)?;
        self.open.truncate(kept);
        Some(true)
    }

    /// Goes back to the last way that was left open.
    fn back(&mut self, floor: usize) -> Option<(usize, usize)> {
        while self.open.len() > floor {
            if let Some(way) = self.undo() {
                return Some(way);
            }
        }
        None
    }

    fn undo(&mut self) -> Option<(usize, usize)> {
        match self.open.pop()? {
            Open::Way { op, at } => Some((op, at)),
            Open::Slot { slot, held } => {
                self.slots[slot] = held;
                None
            }
        }
    }

    fn set(&mut self, slot: usize, value: usize) {
        let held = std::mem::replace(&mut self.slots[slot], value);
        if held != value {
            self.open.push(Open::Slot { slot, held });
        }
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    fn after(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn class(&self, class: usize, at: usize, behind: bool) -> Option<usize> {
        let char = if behind { self.before(at) } else { self.after(at) }?;
        let is_in = self.program.classes[class].holds(char, self.program.flags.ignore_case);
        let len = char.len_utf8();
        is_in.then(|| if behind { at - len } else { at + len })
    }

    /// Where a repeated capture ends; a group that took no part is nothing.
    fn reference(&mut self, group: usize, at: usize, behind: bool) -> Option<Option<usize>> {
        let (start, end) = (self.slots[group * 2], self.slots[group * 2 + 1]);
        if start == UNSET || end == UNSET {
            return Some(Some(at));
        }
        let captured = &self.text[start..end];
        *self.steps_left = self.steps_left.checked_sub(captured.len() as u64)?;
        let ignore_case = self.program.flags.ignore_case;
        let same = |a: char, b: char| a == b || (ignore_case && upper(a) == upper(b));
        let mut moved = at;
        let mut holds = |char: char, other: Option<char>| {
            let other = other.filter(|other| same(char, *other));
            let len = other.map_or(0, char::len_utf8);
            moved = if behind { moved - len } else { moved + len };
            other.is_some()
        };
        let found = if behind {
            let mut others = self.text[..at].chars().rev();
            captured.chars().rev().all(|char| holds(char, others.next()))
        } else {
            let mut others = self.text[at..].chars();
            captured.chars().all(|char| holds(char, others.next()))
        };
        Some(found.then_some(moved))
    }

    fn holds(&self, op: usize, at: usize) -> bool {
        let is = |char: Option<char>, set| char.is_some_and(|char| in_ranges(char, set));
        match self.program.ops[op] {
            Op::Start { multi_line } => at == 0 || (multi_line && is(self.before(at), LINE_ENDS)),
            Op::End { multi_line } => {
                at == self.text.len() || (multi_line && is(self.after(at), LINE_ENDS))
            }
            Op::Boundary { negated } => {
                (is(self.before(at), WORD) != is(self.after(at), WORD)) != negated
            }
            _ => false,
        }
    }
}

impl CompiledClass {
    fn holds(&self, char: char, ignore_case: bool) -> bool {
        let is_in = |char: char| {
            let mut properties = self.properties.iter();
            self.class.items.iter().any(|item| match item {
                Item::Range(start, end) => (*start..=*end).contains(&char),
                Item::Ranges(ranges) => in_ranges(char, ranges),
                Item::Except(ranges) => !in_ranges(char, ranges),
                Item::Property(_) => properties
                    .next()
                    .is_some_and(|regex| regex.is_match(char.encode_utf8(&mut [0; 4]))),
            })
        };
        let found = is_in(char) || (ignore_case && (is_in(upper(char)) || is_in(lower(char))));
        found != self.class.negated
    }
}

fn in_ranges(char: char, ranges: &[(char, char)]) -> bool {
    ranges.iter().any(|(start, end)| (*start..=*end).contains(&char))
}

/// The upper-case letter, where it is one.
fn upper(char: char) -> char {
    only(char.to_uppercase()).unwrap_or(char)
}

/// The lower-case letter, where it is one.
fn lower(char: char) -> char {
    only(char.to_lowercase()).unwrap_or(char)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}
