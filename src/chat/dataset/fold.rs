//! A text in which spellings of one name look alike: compatibility forms, case, accents
//! and what nobody sees are gone. For comparing only.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// A folded text with the way back.
pub(super) struct Folded {
    /// Lower case, single spaces.
    pub(super) text: String,
    /// For each byte of `text` where the character that it came from begins and ends.
    origins: Vec<(u32, u32)>,
}

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        let mut folded = Self { text: String::new(), origins: Vec::new() };
        for (at, c) in text.char_indices() {
            let origin = (at as u32, (at + c.len_utf8()) as u32);
            let before = folded.text.len();
            if c.is_ascii() {
                folded.push(c.to_ascii_lowercase());
            } else {
                let parts = std::iter::once(c).nfkd();
                parts.flat_map(char::to_lowercase).for_each(|c| folded.push(c));
            }
            match folded.text.len() - before {
                // What adds nothing belongs to what stands before it.
                0 => folded.extend_last(origin.1),
                added => folded.origins.extend(std::iter::repeat_n(origin, added)),
            }
        }
        folded
    }

    fn push(&mut self, c: char) {
        match c {
            c if c.is_whitespace() => {
                if !self.text.ends_with(' ') {
                    self.text.push(' ');
                }
            }
            c if is_unseen(c) || is_mark(c) => {}
            'ς' => self.text.push('σ'),
            '’' | '‘' | 'ʼ' | '＇' => self.text.push('\''),
            'ł' => self.text.push('l'),
            'ø' => self.text.push('o'),
            'đ' => self.text.push('d'),
            'ı' => self.text.push('i'),
            'ß' => self.text.push_str("ss"),
            c => self.text.push(c),
        }
    }

    fn extend_last(&mut self, end: u32) {
        let Some(&last) = self.origins.last() else { return };
        for origin in self.origins.iter_mut().rev().take_while(|origin| **origin == last) {
            origin.1 = end;
        }
    }

    /// The original's bytes that a range of the folded text came from.
    pub(super) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.origins[range.start].0 as usize;
        start..self.origins[range.end - 1].1 as usize
    }

    /// Whether a range stands by itself and is no part of a longer word.
    pub(super) fn is_word(&self, range: &Range<usize>) -> bool {
        let found = &self.text[range.clone()];
        let (first, last) = (found.chars().next(), found.chars().next_back());
        let before = self.text[..range.start].chars().next_back();
        let after = self.text[range.end..].chars().next();
        let joins =
            |a: Option<char>, b: Option<char>| a.is_some_and(in_word) && b.is_some_and(in_word);
        !joins(before, first) && !joins(last, after)
    }
}

/// The folded form alone, without space at its ends.
pub(super) fn folded(text: &str) -> String {
    Folded::new(text).text.trim().to_owned()
}

/// Letters and digits of scripts that put space between words.
fn in_word(c: char) -> bool {
    let has_no_spaces = matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}'
        | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !has_no_spaces
}

fn is_mark(c: char) -> bool {
    canonical_combining_class(c) != 0 || ('\u{20d0}'..='\u{20ff}').contains(&c)
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_fold_alike() {
        for spelling in ["José", "JOSE\u{301}", "Ｊｏｓé", "J\u{200b}osé", "jose\u{fe0f}"] {
            assert_eq!(folded(spelling), "jose", "{spelling:?}");
        }
        assert_eq!(folded(" Ann \u{a0}\t Lee "), "ann lee");
        assert_eq!(folded("\u{200b}"), "");
        assert_eq!(folded("O’Brien Łukasz Strauß"), folded("o'brien lukasz STRAUSS"));
        assert_eq!(folded("ΟΔΥΣΣΕΥΣ"), folded("οδυσσευς"));
    }

    #[test]
    fn a_range_leads_back_to_all_that_is_drawn_there() {
        let text = "to Jose\u{301}!";
        let folded = Folded::new(text);
        let at = folded.text.find("jose").expect("there");
        assert_eq!(&text[folded.origin(&(at..at + 4))], "Jose\u{301}");
    }

    #[test]
    fn words_end_where_letters_do() {
        let is_word = |text: &str, name: &str| {
            let folded = Folded::new(text);
            let at = folded.text.find(name).expect("there");
            folded.is_word(&(at..at + name.len()))
        };
        assert!(is_word("_Ann_ said", "ann") && is_word("Ann's", "ann") && is_word("(Ann)", "ann"));
        assert!(!is_word("Annabel", "ann") && !is_word("Joann", "ann") && !is_word("ann2", "ann"));
        assert!(is_word("田中さん", "田中") && is_word("x🦊y", "🦊"));
    }
}
