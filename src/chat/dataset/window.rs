//! A scene as samples: as many whole turns as fit, one window after the other.

use serde::Serialize;

use crate::domain::Length;
use crate::prompt::Lesson;
use crate::tokenizer::Tokenizer;

/// The fewest responses that a sample teaches.
pub(super) const MIN_RESPONSES: usize = 2;

/// What a trainer's tokenizer reads as the beginning and the end of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    /// Empty where the model wants none.
    pub(super) bos: String,
    pub(super) eos: String,
}

/// A piece of a sample, in the form of Axolotl's `input_output`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Segment {
    /// Whether the model is taught to write it.
    pub(super) label: bool,
    pub(super) text: String,
}

/// One line of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Sample {
    pub(super) segments: Vec<Segment>,
    #[serde(skip)]
    pub(super) num_tokens: usize,
    #[serde(skip)]
    pub(super) num_turns: usize,
    /// The lengths of the responses that it teaches.
    #[serde(skip)]
    pub(super) lengths: Vec<Length>,
}

/// What came of a scene.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) samples: Vec<Sample>,
    /// Turns that are in no sample.
    pub(super) num_left_over: usize,
}

/// Cuts a scene into samples. `is_taught` tells of each turn whether the model learns to
/// write it.
pub(super) fn windows(
    lesson: &Lesson,
    is_taught: &[bool],
    marks: &Marks,
    tokenizer: &Tokenizer,
    max_tokens: usize,
) -> Windows {
    let mut cut = Windows::default();
    let costs = Costs::new(lesson, marks, tokenizer);
    let mut start = 0;
    while start < lesson.turns.len() {
        let mut ends: Vec<usize> =
            costs.ends(start, max_tokens).filter(|end| is_taught[end - 1]).collect();
        // What was counted turn by turn is counted once more as a whole.
        let sample = std::iter::from_fn(|| ends.pop())
            .map(|end| (end, sample(lesson, is_taught, start..end, marks, tokenizer)))
            .find(|(_, sample)| sample.num_tokens <= max_tokens);
        match sample {
            Some((end, sample)) if sample.lengths.len() >= MIN_RESPONSES => {
                cut.samples.push(sample);
                start = end;
            }
            // What is too long goes turn by turn, oldest first.
            _ => {
                cut.num_left_over += 1;
                start += 1;
            }
        }
    }
    cut
}

/// What the parts of a scene take.
struct Costs {
    opening: usize,
    turns: Vec<usize>,
}

impl Costs {
    fn new(lesson: &Lesson, marks: &Marks, tokenizer: &Tokenizer) -> Self {
        let opening = tokenizer.count(&lesson.opening) + usize::from(!marks.bos.is_empty());
        let turns = lesson.turns.iter().map(|turn| {
            tokenizer.count(&turn.header)
                + tokenizer.count(&turn.text)
                + usize::from(turn.length.is_some())
        });
        Self { opening, turns: turns.collect() }
    }

    /// Where a window may end that begins there, the next one first.
    fn ends(&self, start: usize, max_tokens: usize) -> impl Iterator<Item = usize> {
        let sums = self.turns[start..].iter().scan(self.opening, |sum, cost| {
            *sum += cost;
            Some(*sum)
        });
        let fitting = sums.take_while(move |sum| *sum <= max_tokens);
        fitting.enumerate().map(move |(i, _)| start + i + 1)
    }
}

/// One window as a sample. Tokens are counted as Axolotl makes them: each segment is a
/// text of its own.
fn sample(
    lesson: &Lesson,
    is_taught: &[bool],
    turns: std::ops::Range<usize>,
    marks: &Marks,
    tokenizer: &Tokenizer,
) -> Sample {
    let mut writer = Writer::new(tokenizer);
    let mut lengths = Vec::new();
    writer.mark(&marks.bos);
    writer.text.push_str(&lesson.opening);
    for i in turns.clone() {
        let turn = &lesson.turns[i];
        let is_taught = is_taught[i] && turn.length.is_some();
        writer.text.push_str(&turn.header);
        if is_taught {
            writer.close(false);
            lengths.extend(turn.length);
        }
        writer.text.push_str(&turn.text);
        if turn.length.is_some() {
            writer.mark(&marks.eos);
        }
        if is_taught {
            writer.close(true);
        }
    }
    let Writer { segments, num_tokens, .. } = writer;
    Sample { segments, num_tokens, num_turns: turns.len(), lengths }
}

/// Joins parts to segments and counts them.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    segments: Vec<Segment>,
    num_tokens: usize,
    /// The next segment so far.
    text: String,
    /// How much of it is counted.
    counted: usize,
}

impl<'a> Writer<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, segments: Vec::new(), num_tokens: 0, text: String::new(), counted: 0 }
    }

    /// A mark is one token, and what stands before and after it is text by itself.
    fn mark(&mut self, mark: &str) {
        if !mark.is_empty() {
            self.count();
            self.text.push_str(mark);
            self.num_tokens += 1;
            self.counted = self.text.len();
        }
    }

    fn count(&mut self) {
        self.num_tokens += self.tokenizer.encode_start(&self.text[self.counted..]).len();
        self.counted = self.text.len();
    }

    fn close(&mut self, label: bool) {
        self.count();
        self.segments.push(Segment { label, text: std::mem::take(&mut self.text) });
        self.counted = 0;
    }
}
