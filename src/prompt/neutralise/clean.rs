//! Takes out what nobody can see: control and bidi characters, stray zero-width
//! characters, towers of combining marks; every line separator becomes `\n`.
//!
//! Joiners and selectors stay where they shape what is seen: in emoji and in the
//! scripts that need them. Nothing visible is removed. Cleaning twice changes
//! nothing.

use std::borrow::Cow;

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_security::skeleton;
use unicode_segmentation::UnicodeSegmentation;

/// Combining marks allowed in a row. Hebrew with vowels and cantillation stacks
/// five; text made to overflow its line stacks dozens.
const MAX_STACKED_MARKS: usize = 6;

/// Tags of the longest flag: country, three letters of a region, an end.
const MAX_FLAG_TAGS: usize = 6;

/// The text without what cannot be seen, borrowed where nothing had to go.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte == b'\n' || byte == b'\t' || (b' '..=b'~').contains(&byte);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut kept = Kept { text: String::with_capacity(text.len()), last: None, num_marks: 0 };
    for cluster in text.graphemes(true) {
        match cluster {
            "\r\n" => kept.push('\n'),
            _ => kept.push_cluster(cluster),
        }
    }
    if kept.text == text { Cow::Borrowed(text) } else { Cow::Owned(kept.text) }
}

/// The cleaned text so far. What is kept depends on the kept text before, not on
/// what was dropped, so that a second pass finds nothing more to do.
struct Kept {
    text: String,
    last: Option<char>,
    num_marks: usize,
}

impl Kept {
    fn push(&mut self, c: char) {
        self.num_marks = if is_stacking_mark(c) { self.num_marks + 1 } else { 0 };
        self.text.push(c);
        self.last = Some(c);
    }

    fn push_cluster(&mut self, cluster: &str) {
        for (at, c) in cluster.char_indices() {
            let rest = &cluster[at + c.len_utf8()..];
            match c {
                '\t' | '\n' => self.push(c),
                _ if is_line_separator(c) => self.push('\n'),
                _ if c.is_control() || is_bidi_control(c) => {}
                _ if is_stacking_mark(c) && self.num_marks >= MAX_STACKED_MARKS => {}
                _ if is_ignorable(c) && !self.is_shaped_by(c, rest) => {}
                _ => self.push(c),
            }
        }
    }

    /// Whether an invisible character changes how the text before it is drawn.
    fn is_shaped_by(&self, invisible: char, rest_of_cluster: &str) -> bool {
        let Some(last) = self.last else { return false };
        match invisible {
            // A flag's letters: a black flag, then tags.
            '\u{e0020}'..='\u{e007f}' => self.is_in_flag(),
            '\u{fe00}'..='\u{fe0f}' => !last.is_ascii_alphabetic() && is_visible(last),
            '\u{e0100}'..='\u{e01ef}' => is_joining_letter(last),
            // Within a cluster a joiner has something to join only in emoji and
            // Indic conjuncts.
            '\u{200d}'
                if rest_of_cluster.chars().any(|c| is_visible(c) && !is_stacking_mark(c)) =>
            {
                true
            }
            '\u{200c}' | '\u{200d}' | '\u{34f}' => is_joining_letter(last),
            '\u{180b}'..='\u{180f}' | '\u{17b4}' | '\u{17b5}' | '\u{115f}' | '\u{1160}' => {
                is_joining_letter(last)
            }
            _ => false,
        }
    }

    /// Whether the kept text ends in a black flag or in one with room for more tags.
    fn is_in_flag(&self) -> bool {
        let num_tags = self.text.chars().rev().take_while(|c| is_tag(*c)).count();
        let base = self.text.chars().rev().nth(num_tags);
        num_tags < MAX_FLAG_TAGS && base == Some('\u{1f3f4}')
    }
}

/// Characters at which some reader, not every one, begins a new line.
fn is_line_separator(c: char) -> bool {
    matches!(c, '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Default_Ignorable_Code_Point: the characters that UTS 39's skeleton drops.
fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && skeleton(c.encode_utf8(&mut [0; 4])).next().is_none()
}

fn is_tag(c: char) -> bool {
    ('\u{e0020}'..='\u{e007f}').contains(&c)
}

fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !is_ignorable(c)
}

/// Letters and marks of the scripts after Cyrillic, where joiners are spelling.
fn is_joining_letter(c: char) -> bool {
    c >= '\u{530}' && is_visible(c) && (c.is_alphabetic() || is_combining_mark(c))
}

/// Marks that pile up over or under a letter, enclosing ones included; the vowel
/// signs of Indic scripts do not count.
pub(super) fn is_stacking_mark(c: char) -> bool {
    canonical_combining_class(c) != 0 || ('\u{20d0}'..='\u{20ff}').contains(&c)
}
