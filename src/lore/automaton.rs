//! All plain keys in one automaton (Aho and Corasick, "Efficient string matching: an aid
//! to bibliographic search", 1975), which finds them in one pass over a text.
//!
//! It differs from the well-known crate in two ways that keep a hostile book cheap. A
//! state links to the next shorter key that ends there instead of holding a copy of the
//! list, so that the automaton is as large as the keys and no larger. And a search may
//! mark a state as settled, so that a thousand keys within one another are not gone
//! through at every place of a text.

/// No state or no pattern.
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;
/// A node with more children than this is searched by halving.
const FEW_CHILDREN: usize = 8;

/// An automaton over patterns that are numbered from 0.
#[derive(Debug, Clone)]
pub(super) struct Automaton {
    states: Vec<State>,
    /// The bytes and targets of all edges, those of one state together and in order.
    labels: Vec<u8>,
    targets: Vec<u32>,
    /// The root's edges, for every byte.
    root: Box<[u32; 256]>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Where its edges begin, and how many there are.
    first_edge: u32,
    num_edges: u16,
    /// The state of the longest proper suffix.
    fail: u32,
    /// The pattern that ends here.
    pattern: u32,
    /// The nearest state on the way of `fail` at which a pattern ends, this one included.
    output: u32,
}

/// What a search remembers between texts: the states that need not be looked at again.
#[derive(Debug, Clone)]
pub(super) struct Settled(Vec<u8>);

impl Automaton {
    /// Builds it. Empty patterns are never found; of equal ones the first is.
    pub(super) fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let mut children: Vec<Vec<(u8, u32)>> = vec![Vec::new()];
        let mut ends = vec![NONE];
        for (pattern, text) in (0..).zip(patterns) {
            let mut state = ROOT;
            for byte in text.bytes() {
                let next = u32::try_from(children.len()).unwrap_or(NONE);
                let edges = &mut children[state as usize];
                state = match edges.binary_search_by_key(&byte, |edge| edge.0) {
                    Ok(at) => edges[at].1,
                    Err(at) => {
                        edges.insert(at, (byte, next));
                        children.push(Vec::new());
                        ends.push(NONE);
                        next
                    }
                };
            }
            if state != ROOT && ends[state as usize] == NONE {
                ends[state as usize] = pattern;
            }
        }
        Self::linked(&children, &ends)
    }

    /// Lays the trie out and links every state to its longest proper suffix, those of
    /// shorter words first.
    fn linked(children: &[Vec<(u8, u32)>], ends: &[u32]) -> Self {
        let mut automaton = Self {
            states: Vec::with_capacity(children.len()),
            labels: Vec::with_capacity(children.len()),
            targets: Vec::with_capacity(children.len()),
            root: Box::new([ROOT; 256]),
        };
        for (edges, end) in children.iter().zip(ends) {
            automaton.states.push(State {
                first_edge: u32::try_from(automaton.labels.len()).unwrap_or(NONE),
                num_edges: u16::try_from(edges.len()).unwrap_or(0),
                fail: ROOT,
                pattern: *end,
                output: NONE,
            });
            automaton.labels.extend(edges.iter().map(|edge| edge.0));
            automaton.targets.extend(edges.iter().map(|edge| edge.1));
        }
        for &(byte, target) in &children[0] {
            automaton.root[usize::from(byte)] = target;
        }
        let mut queue = std::collections::VecDeque::from([ROOT]);
        while let Some(state) = queue.pop_front() {
            let State { fail, pattern, .. } = automaton.states[state as usize];
            let inherited = automaton.states[fail as usize].output;
            automaton.states[state as usize].output =
                if pattern == NONE { inherited } else { state };
            for &(byte, target) in &children[state as usize] {
                if state != ROOT {
                    automaton.states[target as usize].fail = automaton.next(fail, byte);
                }
                queue.push_back(target);
            }
        }
        automaton
    }

    fn edge(&self, state: u32, byte: u8) -> Option<u32> {
        let State { first_edge, num_edges, .. } = self.states[state as usize];
        let edges = first_edge as usize..first_edge as usize + usize::from(num_edges);
        let labels = &self.labels[edges.clone()];
        let at = if labels.len() <= FEW_CHILDREN {
            labels.iter().position(|label| *label == byte)?
        } else {
            labels.binary_search(&byte).ok()?
        };
        Some(self.targets[edges.start + at])
    }

    fn next(&self, mut state: u32, byte: u8) -> u32 {
        while state != ROOT {
            if let Some(target) = self.edge(state, byte) {
                return target;
            }
            state = self.states[state as usize].fail;
        }
        self.root[usize::from(byte)]
    }

    /// A memory for a search.
    pub(super) fn unsettled(&self) -> Settled {
        Settled(vec![0; self.states.len()])
    }

    /// Goes through a text. `found` is told the pattern and the byte at which it ends,
    /// and says whether that pattern is settled for searches with this `mark`, a single
    /// bit: then it may not be told again.
    pub(super) fn search(
        &self,
        text: &str,
        settled: &mut Settled,
        mark: u8,
        mut found: impl FnMut(u32, usize) -> bool,
    ) {
        let mut state = ROOT;
        for (at, byte) in text.bytes().enumerate() {
            state = self.next(state, byte);
            let first = self.states[state as usize].output;
            if first == NONE || settled.0[first as usize] & mark != 0 {
                continue;
            }
            let (mut output, mut is_settled) = (first, true);
            while output != NONE && settled.0[output as usize] & mark == 0 {
                let State { pattern, fail, .. } = self.states[output as usize];
                is_settled &= found(pattern, at + 1);
                output = self.states[fail as usize].output;
            }
            if is_settled {
                self.settle(first, settled, mark);
            }
        }
    }

    /// Marks a state and all that it links to.
    fn settle(&self, mut output: u32, settled: &mut Settled, mark: u8) {
        while output != NONE && settled.0[output as usize] & mark == 0 {
            settled.0[output as usize] |= mark;
            output = self.states[self.states[output as usize].fail as usize].output;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&str], text: &str) -> Vec<(u32, usize)> {
        let automaton = Automaton::new(patterns.iter().copied());
        let mut all = Vec::new();
        automaton.search(text, &mut automaton.unsettled(), 1, |pattern, end| {
            all.push((pattern, end));
            false
        });
        all.sort_unstable();
        all
    }

    #[test]
    fn overlapping_patterns_are_all_found() {
        assert_eq!(found(&["he", "she", "his", "hers"], "ushers"), [(0, 4), (1, 4), (3, 6)]);
        assert_eq!(found(&["a", "aa"], "aaa"), [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]);
    }

    #[test]
    fn the_empty_and_the_doubled_are_not_found() {
        assert_eq!(found(&["", "a", "a"], "a"), [(1, 1)]);
        assert_eq!(found(&[], "a"), []);
    }

    #[test]
    fn what_is_settled_is_not_told_again_under_that_mark() {
        let automaton = Automaton::new(["a", "ba"]);
        let mut settled = automaton.unsettled();
        let mut told = |mark, text: &str| {
            let mut all = Vec::new();
            automaton.search(text, &mut settled, mark, |pattern, _| {
                all.push(pattern);
                true
            });
            all
        };
        assert_eq!(told(1, "ba ba a"), [1, 0]);
        assert!(told(1, "ba a").is_empty());
        assert_eq!(told(2, "a"), [0]);
    }

    #[test]
    fn keys_within_one_another_take_linear_room_and_time() {
        let keys: Vec<String> = (1..2_000).map(|len| "a".repeat(len)).collect();
        let automaton = Automaton::new(keys.iter().map(String::as_str));
        assert_eq!(automaton.states.len(), 2_000);
        let mut told = 0;
        automaton.search(&"a".repeat(100_000), &mut automaton.unsettled(), 1, |_, _| {
            told += 1;
            true
        });
        assert_eq!(told, 1_999);
    }
}
