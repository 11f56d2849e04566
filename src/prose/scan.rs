//! One pass over a text: where its last sentence ended, and what is still open.
//!
//! Quotation marks and emphasis belong to their paragraph, as a speech that goes on in the
//! next one is left open by custom; a code block belongs to the whole text. Apostrophes are
//! letters. A full stop in a number or behind a title ends nothing.

use super::punctuation::{is_abbreviation, is_closer, is_terminator, is_wide_terminator};

const FENCE: &str = "```";

/// What a text looks like at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Where the last sentence or paragraph ended that something follows already, in
    /// bytes, with nothing left open there; what follows is white space or, where a script
    /// has none between sentences, the next one.
    pub last_end: Option<usize>,
    /// Whether the text stands at an end, with nothing left open. An empty text does not.
    pub is_at_end: bool,
    /// Whether the last sentence has ended, though a quotation or the like may be open.
    pub is_sentence_ended: bool,
    /// What would close everything that is open, innermost first.
    pub closers: String,
}

/// What is open within a paragraph, outermost first.
#[derive(Debug, Default)]
struct Open(Vec<char>);

impl Open {
    fn toggle(&mut self, closer: char) {
        match self.0.iter().rposition(|&open| open == closer) {
            // What was opened within it and forgotten is closed with it.
            Some(at) => self.0.truncate(at),
            None => self.0.push(closer),
        }
    }

    fn close(&mut self, closer: char) {
        if let Some(at) = self.0.iter().rposition(|&open| open == closer) {
            self.0.truncate(at);
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    open: Open,
    in_fence: bool,
    /// Behind a sentence's end and its closers.
    is_ended: bool,
    /// The last character that could end one.
    terminator: char,
    /// Behind a code block that was closed, or emphasis that began where a sentence may, such
    /// as `*nods*`: either ends a line.
    closed: bool,
    /// Where a sentence may begin.
    may_begin: bool,
    /// Whether the emphasis began there.
    is_action: bool,
    last_end: Option<usize>,
}

impl Scan {
    /// Reads a text from its beginning.
    pub fn of(text: &str) -> Self {
        let mut scanner = Scanner {
            text,
            open: Open::default(),
            in_fence: false,
            is_ended: false,
            terminator: ' ',
            closed: false,
            may_begin: true,
            is_action: false,
            last_end: None,
        };
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            at += scanner.read(at, c);
        }
        scanner.finish()
    }
}

impl Scanner<'_> {
    /// Takes in the character at byte `at`, or what begins there; returns how many bytes.
    fn read(&mut self, at: usize, c: char) -> usize {
        let rest = &self.text[at..];
        if c == '`' && rest.starts_with(FENCE) {
            self.in_fence = !self.in_fence;
            (self.is_ended, self.closed) = (false, !self.in_fence);
            self.open.0.clear();
            return rest.len() - rest.trim_start_matches('`').len();
        }
        if self.in_fence {
            return c.len_utf8();
        }
        if c.is_whitespace() {
            self.read_space(at, c);
            return c.len_utf8();
        }
        let len = match c {
            '*' => rest.len() - rest.trim_start_matches('*').len(),
            '`' => rest.len() - rest.trim_start_matches('`').len(),
            _ => c.len_utf8(),
        };
        let was_ended = self.is_ended;
        let goes_on = is_closer(c) || is_terminator(c);
        if was_ended && is_wide_terminator(self.terminator) && !goes_on && self.is_clear() {
            self.last_end = Some(at);
        }
        if is_terminator(c) {
            let is_title = c == '.' && !was_ended && is_abbreviation(&self.text[..at]);
            self.is_ended = !is_title;
            self.terminator = c;
        } else if !(was_ended && is_closer(c)) {
            self.is_ended = false;
        }
        self.closed &= is_closer(c);
        self.read_mark(at, c, len);
        self.may_begin &= !c.is_alphanumeric();
        len
    }

    fn read_space(&mut self, at: usize, c: char) {
        let is_paragraph = c == '\n'
            && self.text[at + 1..].trim_start_matches([' ', '\t', '\r']).starts_with('\n');
        let ends = self.is_ended || (c == '\n' && self.closed) || is_paragraph;
        let has_words = at > 0 && !self.text[..at].ends_with(char::is_whitespace);
        if ends && has_words && self.is_clear() {
            self.last_end = Some(at);
        }
        self.may_begin |= self.is_ended || self.closed || c == '\n';
        self.is_ended = false;
        if c == '\n' {
            self.closed = false;
        }
        if is_paragraph {
            self.open.0.clear();
        }
    }

    fn read_mark(&mut self, at: usize, c: char, len: usize) {
        match c {
            '"' => self.open.toggle('"'),
            '`' => self.open.toggle('`'),
            '*' => {
                let spaced_before =
                    self.text[..at].chars().next_back().is_none_or(char::is_whitespace);
                let next = self.text[at + len..].chars().next();
                // A bullet, or a product.
                if spaced_before && next.is_some_and(char::is_whitespace) {
                    return;
                }
                let was_open = self.open.0.contains(&'*');
                self.open.toggle('*');
                if !was_open {
                    self.is_action = self.may_begin;
                }
                self.closed = was_open && self.is_action;
            }
            '“' if self.open.0.contains(&'“') => self.open.close('“'),
            '“' => self.open.0.push('”'),
            '„' => self.open.0.push('“'),
            '«' if self.open.0.contains(&'«') => self.open.close('«'),
            '«' => self.open.0.push('»'),
            '»' if !self.open.0.contains(&'»') => self.open.0.push('«'),
            '「' => self.open.0.push('」'),
            '『' => self.open.0.push('』'),
            '”' | '»' | '」' | '』' => self.open.close(c),
            _ => {}
        }
    }

    fn is_clear(&self) -> bool {
        self.open.0.is_empty() && !self.in_fence
    }

    fn finish(self) -> Scan {
        let mut closers: String = self.open.0.iter().rev().collect();
        if self.in_fence {
            closers = format!("{}{FENCE}", if self.text.ends_with('\n') { "" } else { "\n" });
        }
        let trimmed = self.text.trim_end();
        let stands = match trimmed.len() == self.text.len() {
            true => self.is_ended || self.closed,
            false => self.last_end == Some(trimmed.len()) || self.closed,
        };
        let is_clear = self.is_clear();
        let is_sentence_ended = stands || {
            let words = trimmed.trim_end_matches(is_closer);
            words.ends_with(is_terminator) && !self.in_fence && !trimmed.is_empty()
        };
        Scan { last_end: self.last_end, is_at_end: stands && is_clear, is_sentence_ended, closers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Option<&str> {
        Scan::of(text).last_end.map(|end| &text[..end])
    }

    #[test]
    fn a_sentence_ends_where_a_space_follows() {
        assert_eq!(end("The rain stopped. She"), Some("The rain stopped."));
        assert_eq!(end("The rain stopped."), None);
        assert_eq!(end("“Go!” he said"), Some("“Go!”"));
        assert_eq!(end("It cost 3.50 in Mr. Holt's shop"), None);
        assert_eq!(end("J. R. Hale came in"), None);
        assert_eq!(end("“No.” He left"), Some("“No.”"));
        assert_eq!(end("雨が止んだ。彼女は"), Some("雨が止んだ。"));
        assert_eq!(end("One. Two? Thr"), Some("One. Two?"));
    }

    #[test]
    fn nothing_ends_within_a_quotation_or_emphasis() {
        assert_eq!(end("She said \"Stop. Now"), None);
        assert_eq!(end("Yes. \"Stop. Now"), Some("Yes."));
        assert_eq!(end("*She nods. He waits"), None);
        assert_eq!(end("*She nods.* He waits"), Some("*She nods.*"));
        assert_eq!(end("*nods*\nHe"), Some("*nods*"));
        assert_eq!(end("I *really*\nHe"), None);
        assert_eq!(end("```\nlet x. y\n```\nThen"), Some("```\nlet x. y\n```"));
        assert_eq!(end("```HP: 10. MP: 3```\nThen"), Some("```HP: 10. MP: 3```"));
        assert_eq!(end("Look: ```rust\nx. y"), None);
    }

    #[test]
    fn a_paragraph_ends_and_forgets_what_was_open() {
        assert_eq!(end("- a rope\n- a lamp\n\nThe"), Some("- a rope\n- a lamp"));
        assert_eq!(
            end("\"It began so,\n\nand went on. She"),
            Some("\"It began so,\n\nand went on.")
        );
    }

    #[test]
    fn the_end_of_a_text_is_judged_without_what_follows() {
        for whole in
            ["Done.", "“Go!”", "*nods*", "*She nods.*", "Well…", "好。", "x\n```\ny\n```", "Yes! "]
        {
            assert!(Scan::of(whole).is_at_end, "{whole}");
        }
        for broken in
            ["", "She went", "I *really*", "“Go!", "*nods", "\"Well. ", "```\ny", "Mr.", "so,"]
        {
            assert!(!Scan::of(broken).is_at_end, "{broken}");
        }
    }

    #[test]
    fn closers_close_the_innermost_first() {
        for (open, closed) in [
            ("\"I said *no", "\"I said *no*\""),
            ("„Geh", "„Geh“"),
            ("»Geh", "»Geh«"),
            ("«Va", "«Va»"),
            ("```rust\nfn", "```rust\nfn\n```"),
            ("2 * 3 and `x", "2 * 3 and `x`"),
            ("done.", "done."),
            ("Here: ```rust", "Here: ```rust\n```"),
        ] {
            assert_eq!(format!("{open}{}", Scan::of(open).closers), closed);
        }
    }

    #[test]
    fn a_sentence_may_have_ended_within_a_quotation() {
        let scan = Scan::of("\"Stop.");
        assert!(scan.is_sentence_ended && !scan.is_at_end);
        assert!(!Scan::of("\"Stop").is_sentence_ended);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_and_can_be_closed(text in "[a-z .!?\"*`\n“”«»„「」。]{0,60}") {
            let scan = Scan::of(&text);
            if let Some(end) = scan.last_end {
                proptest::prop_assert!(text.is_char_boundary(end) && end <= text.len());
            }
            // Two marks side by side are one.
            if !text.ends_with(['*', '`']) {
                let closed = format!("{text}{}", scan.closers);
                proptest::prop_assert_eq!(Scan::of(&closed).closers, "");
            }
        }
    }
}
