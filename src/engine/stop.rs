//! Where a reply ends: stop strings, found as soon as they are complete.
//!
//! Works on text alone; tokens and their borders are unknown here, so the outcome
//! cannot depend on them.

/// The strings that end a reply.
#[derive(Debug, Clone, Default)]
pub(super) struct StopStrings {
    strings: Vec<String>,
    /// Length of the longest, in bytes.
    max_bytes: usize,
}

/// A complete stop string in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StopMatch {
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Which of the stop strings it is.
    pub(super) index: usize,
}

impl StopStrings {
    /// None of `strings` is empty.
    pub(super) fn new(strings: Vec<String>) -> Self {
        debug_assert!(strings.iter().all(|s| !s.is_empty()), "requests are validated");
        let max_bytes = strings.iter().map(String::len).max().unwrap_or(0);
        Self { strings, max_bytes }
    }

    pub(super) fn get(&self, index: usize) -> &str {
        &self.strings[index]
    }

    /// The stop that is complete first, the longest of those that end together.
    ///
    /// The first `searched` bytes are known to hold none.
    pub(super) fn find(&self, text: &str, searched: usize) -> Option<StopMatch> {
        let from = text.floor_char_boundary((searched + 1).saturating_sub(self.max_bytes));
        let find = |(index, stop): (usize, &String)| {
            let start = from + text[from..].find(stop)?;
            Some((start + stop.len(), StopMatch { start, index }))
        };
        let matches = self.strings.iter().enumerate().filter_map(find);
        matches.min_by_key(|(end, found)| (*end, found.start)).map(|(_, found)| found)
    }

    /// Where the longest end of `text` begins that could still become a stop string;
    /// the text's length if none could. Nothing from there on may be shown yet.
    pub(super) fn held_from(&self, text: &str) -> usize {
        self.open_starts(text).next().unwrap_or(text.len())
    }

    /// Where the beginning of a stop string was left over at the end of a reply that
    /// reached no stop; the text's length if there is none.
    ///
    /// White space alone is innocent. In a text that was `cut_short` any other
    /// beginning counts: its next token would have decided. A text that the model
    /// ended itself keeps its last words unless they are a line that is the larger
    /// part of a stop, or such a line's mere punctuation (`\n###`).
    pub(super) fn left_over_from(&self, text: &str, cut_short: bool) -> usize {
        let is_left_over = |rest: &str| {
            let mut begun = self.strings.iter().filter(|stop| stop.starts_with(rest));
            !rest.trim().is_empty() && begun.any(|stop| cut_short || is_begun_line(stop, rest))
        };
        self.open_starts(text).find(|&at| is_left_over(&text[at..])).unwrap_or(text.len())
    }

    /// Every position from which the rest of `text` is the beginning of a stop.
    fn open_starts(&self, text: &str) -> impl Iterator<Item = usize> {
        let from = text.floor_char_boundary((text.len() + 1).saturating_sub(self.max_bytes));
        let starts = (from..text.len()).filter(|&at| text.is_char_boundary(at));
        starts.filter(|&at| self.strings.iter().any(|stop| stop.starts_with(&text[at..])))
    }
}

fn is_begun_line(stop: &str, begun: &str) -> bool {
    let is_punctuation = !begun.contains(char::is_alphanumeric);
    stop.starts_with('\n') && (is_punctuation || begun.len() * 2 > stop.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(strings: &[&str]) -> StopStrings {
        StopStrings::new(strings.iter().map(|&s| s.to_owned()).collect())
    }

    #[test]
    fn the_stop_that_is_complete_first_wins() {
        let stops = stops(&["abcd", "bc", "ZZ"]);
        assert_eq!(stops.find("xabcdZZ", 0), Some(StopMatch { start: 2, index: 1 }));
        assert_eq!(stops.find("xabZ", 0), None);
    }

    #[test]
    fn of_stops_that_end_together_the_longest_wins() {
        let stops = stops(&["nput", "\n### Input"]);
        assert_eq!(stops.find("Hi.\n### Input:", 0), Some(StopMatch { start: 3, index: 1 }));
    }

    #[test]
    fn a_stop_across_the_searched_border_is_found() {
        let stops = stops(&["→→"]);
        // The first arrow was searched before: it ends in the middle of the match.
        assert_eq!(stops.find("é→→", 5), Some(StopMatch { start: 2, index: 0 }));
    }

    #[test]
    fn the_longest_possible_beginning_is_held() {
        let stops = stops(&["\n\nBob:", "\nBobby:"]);
        assert_eq!(stops.held_from("Hi\n\nBob"), 2);
        assert_eq!(stops.held_from("Hi\n\nBobb"), 3);
        assert_eq!(stops.held_from("Hi\n\nBoo"), 7);
        assert_eq!(stops.held_from("Hi\n"), 2);
        assert_eq!(stops.held_from(""), 0);
    }

    #[test]
    fn no_stops_hold_nothing() {
        let stops = stops(&[]);
        assert_eq!(stops.held_from("Hi\n"), 3);
        assert_eq!(stops.find("Hi\n", 0), None);
        assert_eq!(stops.left_over_from("Hi\n", true), 3);
    }

    #[test]
    fn a_begun_stop_is_left_over_but_white_space_is_not() {
        let stops = stops(&["\n### Input", "\nYesenia:"]);
        for (text, cut_short, kept) in [
            ("Hi.\n### Inp", true, "Hi."),
            ("Hi.\n### Inp", false, "Hi."),
            ("Hi.\n\n###", false, "Hi.\n"),
            ("Hi.\n", true, "Hi.\n"),
            ("Hi.\nYes", true, "Hi."),
            // The model meant to end with this word.
            ("Hi.\nYes", false, "Hi.\nYes"),
            ("Hi.\nYesenia", false, "Hi."),
            ("Yes", false, "Yes"),
        ] {
            let end = stops.left_over_from(text, cut_short);
            assert_eq!(&text[..end], kept, "{text:?}, cut short: {cut_short}");
        }
    }
}
