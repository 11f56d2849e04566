//! How much of a text was said before.
//!
//! Words are compared without case and punctuation. Two measures, as either alone is
//! blind: the share of the text's 4-grams that stand in an earlier text (many small
//! borrowings), and the longest run of words in common (one large one).

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation as _;

/// Words of one n-gram.
const N: usize = 4;

/// How much of a text was said before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Repetition {
    /// The share of the text's 4-grams of words that stand in an earlier text, 0 to 1; 0
    /// for a text of fewer than four words.
    pub overlap: f64,
    /// The longest run of words that stands in an earlier text.
    pub longest_run: usize,
}

/// How a growing text stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Where the run of words begins, in bytes, with which it ends and which stands in an
    /// earlier text; without a run, where its last word begins, as that may be still
    /// growing.
    pub from: usize,
    /// The words of that run, the text's last word left out.
    pub run: usize,
    /// As [`Repetition::overlap`].
    pub overlap: f64,
}

/// A word by number; `None` is one that no earlier text has.
type Word = Option<u32>;

/// Earlier texts, ready to be compared with.
#[derive(Debug, Clone, Default)]
pub struct Repeats {
    numbers: HashMap<String, u32>,
    texts: Vec<Vec<Word>>,
    grams: HashSet<[Word; N]>,
}

impl Repeats {
    /// Reads the earlier texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut numbers = HashMap::new();
        let mut number = |word: &str| {
            let next = u32::try_from(numbers.len()).ok()?;
            Some(*numbers.entry(word.to_lowercase()).or_insert(next))
        };
        let read = |text: &'a str| text.unicode_words().map(&mut number).collect();
        let texts: Vec<Vec<Word>> = texts.into_iter().map(read).collect();
        let grams = texts.iter().flat_map(|words| grams(words)).collect();
        Self { numbers, texts, grams }
    }

    /// Whether there is nothing to compare with.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// How much of `text` was said before.
    pub fn compare(&self, text: &str) -> Repetition {
        let words = self.words(text).map(|(_, word)| word).collect::<Vec<_>>();
        let runs = self.texts.iter().map(|earlier| longest_run(&words, earlier));
        Repetition { overlap: self.overlap(&words), longest_run: runs.max().unwrap_or(0) }
    }

    /// How `text` stands, of which more may follow.
    pub fn tail(&self, text: &str) -> Tail {
        let (starts, mut words): (Vec<_>, Vec<_>) = self.words(text).unzip();
        words.pop();
        let run_to = |earlier: &[Word]| {
            let pairs = words.iter().rev().zip(earlier.iter().rev());
            pairs.take_while(|(a, b)| a.is_some() && a == b).count()
        };
        let runs =
            self.texts.iter().flat_map(|text| (1..=text.len()).map(|end| run_to(&text[..end])));
        let run = runs.max().unwrap_or(0);
        let from = starts.get(words.len() - run).copied().unwrap_or(text.len());
        Tail { from, run, overlap: self.overlap(&words) }
    }

    /// The words of a text with where they begin.
    fn words(&self, text: &str) -> impl Iterator<Item = (usize, Word)> {
        let number = |word: &str| self.numbers.get(&word.to_lowercase()).copied();
        text.unicode_word_indices().map(move |(at, word)| (at, number(word)))
    }

    fn overlap(&self, words: &[Word]) -> f64 {
        let known = grams(words).filter(|gram| self.grams.contains(gram)).count();
        known as f64 / grams(words).count().max(1) as f64
    }
}

fn grams(words: &[Word]) -> impl Iterator<Item = [Word; N]> {
    words.windows(N).map(|gram| gram.try_into().expect("a window has N words"))
}

/// The longest run of words that both have, in words.
fn longest_run(a: &[Word], b: &[Word]) -> usize {
    let mut longest = 0;
    // The run that ends at each word of `b`, for the words of `a` so far.
    let mut runs = vec![0; b.len() + 1];
    for word in a {
        for at in (0..b.len()).rev() {
            runs[at + 1] = if word.is_some() && *word == b[at] { runs[at] + 1 } else { 0 };
            longest = longest.max(runs[at + 1]);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Maren wipes the counter and looks at the grey sea beyond the window.";

    #[test]
    fn the_same_text_is_all_repetition() {
        let again = "MAREN wipes the counter, and looks at the grey sea beyond the window!";
        let same = Repeats::of([BEFORE]).compare(again);
        assert_eq!(same, Repetition { overlap: 1.0, longest_run: 13 });
    }

    #[test]
    fn fresh_words_are_none() {
        let repeats = Repeats::of([BEFORE]);
        assert_eq!(repeats.compare("A gull cries."), Repetition::default());
        assert_eq!(repeats.compare(""), Repetition::default());
        assert_eq!(Repeats::default().compare(BEFORE), Repetition::default());
        assert!(Repeats::of(["", "…"]).is_empty());
    }

    #[test]
    fn runs_are_found_in_any_of_the_texts() {
        let repeats = Repeats::of(["nothing", BEFORE, "else"]);
        let part = repeats.compare("He stops. She looks at the grey sea again.");
        assert_eq!(part.longest_run, 5);
        assert!((part.overlap - 2.0 / 6.0).abs() < 1e-9, "{part:?}");
    }

    #[test]
    fn a_tail_that_was_said_before_is_told_from_its_first_word() {
        let repeats = Repeats::of([BEFORE]);
        let text = "A gull. Maren wipes the counter and l";
        let tail = repeats.tail(text);
        assert_eq!((&text[tail.from..], tail.run), ("Maren wipes the counter and l", 5));
        let fresh = "Maren wipes the counter and hums softly";
        assert_eq!(&fresh[repeats.tail(fresh).from..], "softly");
        assert_eq!(repeats.tail("").from, 0);
    }
}
