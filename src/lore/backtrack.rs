//! Programs for the engine that looks around and refers back.
//!
//! A tree is laid out as operations, what looks behind back to front; repetitions are
//! written out, which the limit on a pattern's size keeps short.

use super::javascript::Flags;
use super::pattern::{Class, Item, Node};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) classes: Vec<CompiledClass>,
    pub(super) num_slots: usize,
    pub(super) num_groups: usize,
    pub(super) flags: Flags,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Op {
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

/// A set of characters, ready to be asked.
#[derive(Debug, Clone)]
pub(super) struct CompiledClass {
    pub(super) class: Class,
    /// The properties of Unicode in it, each as what one character is tested with.
    pub(super) properties: Vec<regex::Regex>,
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
