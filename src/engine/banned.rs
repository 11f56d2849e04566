//! Strings that a reply must not contain, whatever their case.
//!
//! Only finds them; going back is [`super::rewind`]'s part.

use std::ops::Range;

/// Banned strings, folded to lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct BannedStrings {
    strings: Vec<Vec<char>>,
}

/// One character after folding, and the bytes of the text that it came from.
struct Folded {
    character: char,
    bytes: Range<usize>,
}

impl BannedStrings {
    /// None of `strings` is empty.
    pub(super) fn new(strings: &[String]) -> Self {
        let fold = |string: &String| string.chars().flat_map(char::to_lowercase).collect();
        Self { strings: strings.iter().map(fold).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    /// The banned string in `text[from..]` that is complete first, as a range of bytes.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        if self.is_empty() {
            return None;
        }
        let folded = fold(text, from);
        (1..=folded.len()).find_map(|end| {
            let ends_here = |s: &&Vec<char>| is_equal_tail(&folded[..end], s);
            // Of those that end together the longest, so that none is left behind.
            let longest = self.strings.iter().filter(ends_here).map(Vec::len).max()?;
            Some(folded[end - longest].bytes.start..folded[end - 1].bytes.end)
        })
    }

    /// Where the longest end of `text[from..]` begins that could still become a banned
    /// string; the text's length if none could.
    pub(super) fn held_from(&self, text: &str, from: usize) -> usize {
        if self.is_empty() {
            return text.len();
        }
        let folded = fold(text, from);
        let is_open = |rest: &[Folded]| {
            let rest = || rest.iter().map(|f| f.character);
            self.strings
                .iter()
                .any(|s| s.len() > rest().len() && rest().eq(s[..rest().len()].iter().copied()))
        };
        let open = (0..folded.len()).find(|&at| is_open(&folded[at..]));
        open.map_or(text.len(), |at| folded[at].bytes.start)
    }
}

fn is_equal_tail(folded: &[Folded], string: &[char]) -> bool {
    folded.len() >= string.len()
        && folded[folded.len() - string.len()..]
            .iter()
            .map(|f| f.character)
            .eq(string.iter().copied())
}

fn fold(text: &str, from: usize) -> Vec<Folded> {
    let fold = |(at, original): (usize, char)| {
        let bytes = from + at..from + at + original.len_utf8();
        original.to_lowercase().map(move |character| Folded { character, bytes: bytes.clone() })
    };
    text[from..].char_indices().flat_map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(strings: &[&str]) -> BannedStrings {
        BannedStrings::new(&strings.iter().map(|&s| s.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!(banned(&["Shivers Down"]).find("…sHIVERS dOWN my", 0), Some(3..15));
        assert_eq!(banned(&["ÄRGER"]).find("kein ärger", 0), Some(5..11));
    }

    #[test]
    fn a_character_that_folds_to_two_is_covered_whole() {
        // İ folds to i and a combining dot.
        assert_eq!(banned(&["xi"]).find("xİ", 0), Some(0..3));
        assert_eq!(banned(&["i"]).find("İ", 0), Some(0..2));
    }

    #[test]
    fn the_search_begins_where_it_is_told() {
        assert_eq!(banned(&["ab"]).find("ab ab", 1), Some(3..5));
        assert_eq!(banned(&["ab"]).find("ab", 2), None);
    }

    #[test]
    fn what_may_become_a_banned_string_is_held() {
        let banned = banned(&["a testament to"]);
        assert_eq!(banned.held_from("It was A Testa", 0), 7);
        assert_eq!(banned.held_from("It was A Test!", 0), 14);
        // Nothing of what stands before the start of the search is held.
        assert_eq!(banned.held_from("It was a", 8), 8);
    }

    #[test]
    fn without_banned_strings_nothing_is_held() {
        assert_eq!(banned(&[]).held_from("anything", 0), 8);
        assert_eq!(banned(&[]).find("anything", 0), None);
    }
}
