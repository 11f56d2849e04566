//! The engine for what looks around or refers back. It tries one way after another, as
//! JavaScript's does, and counts its steps: it gives up exactly where it is told to.

use super::javascript::Flags;
use super::pattern::{Class, Item, LINE_ENDS, Node, WORD};

/// So many ways left open are too many, for the room that they take.
const MAX_OPEN: usize = 1 << 20;
/// A capture or mark that is not set.
const UNSET: usize = usize::MAX;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Program {
    ops: Vec<Op>,
    classes: Vec<CompiledClass>,
    num_slots: usize,
    num_groups: usize,
    flags: Flags,
}

#[derive(Debug, Clone)]
enum Op {
    /// One character of a class, ahead or behind.
    Class {
        class: usize,
        behind: bool,
    },
    Start {
        multi_line: bool,
    },
    End {
        multi_line: bool,
    },
    Boundary {
        negated: bool,
    },
    /// Remembers the place in a slot.
    Save(usize),
    /// Forgets captures.
    Clear {
        first: usize,
        end: usize,
    },
    /// Goes on only if the place moved since it was saved in a slot.
    Moved(usize),
    /// Tries the first, and later the second.
    Fork {
        first: usize,
        second: usize,
    },
    Jump(usize),
    /// Tries what follows up to its `Done`, and goes on at `next` from here.
    Look {
        negated: bool,
        next: usize,
    },
    Reference {
        group: usize,
        behind: bool,
    },
    Done,
}

#[derive(Debug, Clone)]
struct CompiledClass {
    class: Class,
    /// The properties of Unicode in it, each as what one character is tested with.
    properties: Vec<regex::Regex>,
}

impl Program {
    /// Compiles a tree; `None` if it asks for a property that does not exist.
    pub(super) fn new(node: &Node, flags: Flags) -> Option<Self> {
        let num_groups = num_groups(node);
        let num_slots = (num_groups + 1) * 2;
        let mut program =
            Self { ops: Vec::new(), classes: Vec::new(), num_slots, num_groups, flags };
        program.add(node, false)?;
        program.ops.push(Op::Done);
        Some(program)
    }

    fn add(&mut self, node: &Node, behind: bool) -> Option<()> {
        match node {
            Node::Class(class) => {
                let class = self.class(class)?;
                self.ops.push(Op::Class { class, behind });
            }
            Node::Start { multi_line } => self.ops.push(Op::Start { multi_line: *multi_line }),
            Node::End { multi_line } => self.ops.push(Op::End { multi_line: *multi_line }),
            Node::Boundary { negated } => self.ops.push(Op::Boundary { negated: *negated }),
            Node::Sequence(nodes) if behind => {
                nodes.iter().rev().try_for_each(|node| self.add(node, true))?;
            }
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.add(node, false))?,
            Node::Either(nodes) => self.either(nodes, behind)?,
            Node::Group { inner, number: None } => self.add(inner, behind)?,
            Node::Group { inner, number: Some(number) } => {
                let (first, last) = (number * 2, number * 2 + 1);
                self.ops.push(Op::Save(if behind { last } else { first }));
                self.add(inner, behind)?;
                self.ops.push(Op::Save(if behind { first } else { last }));
            }
            Node::Repeat { inner, least, most, lazy } => {
                for _ in 0..*least {
                    self.add(inner, behind)?;
                }
                match most {
                    None => self.many(inner, *lazy, behind)?,
                    Some(most) => self.up_to(inner, most - least, *lazy, behind)?,
                }
            }
            Node::Look { inner, behind, negated } => {
                let at = self.ops.len();
                self.ops.push(Op::Look { negated: *negated, next: 0 });
                self.add(inner, *behind)?;
                self.ops.push(Op::Done);
                let next = self.ops.len();
                self.ops[at] = Op::Look { negated: *negated, next };
            }
            Node::Reference(group) => self.ops.push(Op::Reference { group: *group, behind }),
        }
        Some(())
    }

    fn class(&mut self, class: &Class) -> Option<usize> {
        let mut properties = Vec::new();
        for item in &class.items {
            if let Item::Property(name) = item {
                properties.push(regex::Regex::new(&format!(r"\A{name}\z")).ok()?);
            }
        }
        self.classes.push(CompiledClass { class: class.clone(), properties });
        Some(self.classes.len() - 1)
    }

    fn either(&mut self, nodes: &[Node], behind: bool) -> Option<()> {
        let mut jumps = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let fork = self.ops.len();
            let is_last = at + 1 == nodes.len();
            if !is_last {
                self.ops.push(Op::Jump(0));
            }
            self.add(node, behind)?;
            if !is_last {
                jumps.push(self.ops.len());
                self.ops.push(Op::Jump(0));
                self.ops[fork] = Op::Fork { first: fork + 1, second: self.ops.len() };
            }
        }
        let end = self.ops.len();
        jumps.into_iter().for_each(|jump| self.ops[jump] = Op::Jump(end));
        Some(())
    }

    /// Any number more.
    fn many(&mut self, inner: &Node, lazy: bool, behind: bool) -> Option<()> {
        let fork = self.ops.len();
        self.ops.push(Op::Jump(0));
        self.once(inner, behind)?;
        self.ops.push(Op::Jump(fork));
        self.fork(fork, lazy);
        Some(())
    }

    /// At most so many more.
    fn up_to(&mut self, inner: &Node, times: u64, lazy: bool, behind: bool) -> Option<()> {
        let mut forks = Vec::new();
        for _ in 0..times {
            forks.push(self.ops.len());
            self.ops.push(Op::Jump(0));
            self.once(inner, behind)?;
        }
        forks.into_iter().for_each(|fork| self.fork(fork, lazy));
        Some(())
    }

    /// One more; a way that does not move is none.
    fn once(&mut self, inner: &Node, behind: bool) -> Option<()> {
        let slot = self.num_slots;
        self.num_slots += 1;
        self.ops.push(Op::Save(slot));
        if let Some((first, end)) = captured(inner) {
            self.ops.push(Op::Clear { first: first * 2, end: end * 2 + 2 });
        }
        self.add(inner, behind)?;
        self.ops.push(Op::Moved(slot));
        Some(())
    }

    /// Makes the placeholder at `at` a fork between what follows it and what comes now.
    fn fork(&mut self, at: usize, lazy: bool) {
        let (inner, after) = (at + 1, self.ops.len());
        let (first, second) = if lazy { (after, inner) } else { (inner, after) };
        self.ops[at] = Op::Fork { first, second };
    }

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

/// The highest number of a group.
fn num_groups(node: &Node) -> usize {
    captured(node).map_or(0, |(_, last)| last)
}

/// The first and the last group that captures within.
fn captured(node: &Node) -> Option<(usize, usize)> {
    let join = |a: Option<(usize, usize)>, b: Option<(usize, usize)>| match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    };
    match node {
        Node::Sequence(nodes) | Node::Either(nodes) => nodes.iter().map(captured).fold(None, join),
        Node::Group { inner, number } => {
            join(number.map(|number| (number, number)), captured(inner))
        }
        Node::Repeat { inner, .. } | Node::Look { inner, .. } => captured(inner),
        _ => None,
    }
}
