//! What a text looks like: each character folded to the plainest one that a
//! reader, or a model, could take it for.
//!
//! NFKC's compatibility forms, UTS 39's confusables, case, and a few lookalikes
//! that those tables leave out. For comparing only; the folded text is never
//! shown. Every folded byte knows where it came from.

use std::iter::once;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::clean::is_stacking_mark;

/// A folded text with the way back.
pub(super) struct Skeleton {
    /// Lower case, one space for each white-space character, `\n` for newlines.
    pub(super) text: String,
    /// For each byte of `text` the offset of the character it came from.
    origins: Vec<u32>,
}

/// Whether letters are lowered before or after they are compared by their looks:
/// `Ρ` looks like a P, but its lower case `ρ` does not look like the lower case
/// of the Cyrillic `Р`. Disguises are looked for in both forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// As written.
    AsWritten,
    /// In lower case.
    Lowered,
}

impl Skeleton {
    /// The forms to search; one suffices where all is ASCII.
    pub(super) fn forms(text: &str) -> Vec<Self> {
        let mut forms = vec![Self::new(text, Case::AsWritten)];
        if !text.is_ascii() {
            forms.push(Self::new(text, Case::Lowered));
        }
        forms
    }

    fn new(text: &str, case: Case) -> Self {
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            origins: Vec::with_capacity(text.len()),
        };
        for (at, c) in text.char_indices() {
            let start = folded.text.len();
            fold(c, case, &mut folded.text);
            let added = folded.text.len() - start;
            folded.origins.extend(std::iter::repeat_n(at as u32, added));
        }
        folded
    }

    /// The borders between the original's characters within this range of the
    /// skeleton, as offsets into the original.
    pub(super) fn borders(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let origins = &self.origins[range];
        origins.windows(2).filter(|pair| pair[0] != pair[1]).map(|pair| pair[1] as usize)
    }
}

impl Skeleton {
    /// The original's bytes that this range of the skeleton came from, but for the rest
    /// of its last character.
    pub(super) fn origins(&self, range: Range<usize>) -> Range<usize> {
        let origins = &self.origins[range];
        match (origins.first(), origins.last()) {
            (Some(first), Some(last)) => *first as usize..*last as usize,
            _ => 0..0,
        }
    }
}

fn fold(c: char, case: Case, out: &mut String) {
    if c.is_ascii() {
        return fold_ascii(c, out);
    }
    for part in once(c).nfkd() {
        match case {
            Case::AsWritten => fold_part(part, out),
            Case::Lowered => part.to_lowercase().for_each(|part| fold_part(part, out)),
        }
    }
}

fn fold_part(c: char, out: &mut String) {
    if c.is_ascii() {
        fold_ascii(c, out);
    } else if let Some(plain) = lookalike(c) {
        plain.chars().for_each(|c| fold_ascii(c, out));
    } else if c.is_whitespace() {
        out.push(' ');
    } else {
        for prototype in skeleton(c.encode_utf8(&mut [0; 4])) {
            if prototype.is_ascii() {
                fold_ascii(prototype, out);
            } else if let Some(plain) = lookalike(prototype) {
                plain.chars().for_each(|c| fold_ascii(c, out));
            } else if !is_stacking_mark(prototype) {
                out.extend(prototype.to_lowercase());
            }
        }
    }
}

/// ASCII has lookalikes of its own: `l`, `1` and `I`; `0` and `O`; `rn` and `m`.
fn fold_ascii(c: char, out: &mut String) {
    match c.to_ascii_lowercase() {
        '\n' => out.push('\n'),
        c if c.is_ascii_whitespace() => out.push(' '),
        'l' | '1' => out.push('i'),
        '0' => out.push('o'),
        'm' => out.push_str("rn"),
        c => out.push(c),
    }
}

/// Lookalikes that the Unicode tables do not know or fold another way: hashes,
/// brackets, bars, blanks, small capitals, boxed and circled letters.
fn lookalike(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{266f}' | '\u{2317}' | '\u{22d5}' | '\u{29e3}' | '\u{2a68}' | '\u{1fbaf}' => "#",
        '\u{2223}' | '\u{1c0}' | '\u{2502}' | '\u{2503}' | '\u{2758}' | '\u{a6}' | '\u{ffe8}' => {
            "|"
        }
        '\u{3008}' | '\u{27e8}' | '\u{2329}' => "<",
        '\u{3009}' | '\u{27e9}' | '\u{232a}' => ">",
        '\u{ab}' | '\u{226a}' | '\u{300a}' | '\u{27ea}' => "<<",
        '\u{bb}' | '\u{226b}' | '\u{300b}' | '\u{27eb}' => ">>",
        '\u{3010}' | '\u{3014}' | '\u{27e6}' | '\u{301a}' => "[",
        '\u{3011}' | '\u{3015}' | '\u{27e7}' | '\u{301b}' => "]",
        '\u{2581}' => "_",
        '\u{2800}' => " ",
        'ᴀ' => "a",
        'ʙ' => "b",
        'ᴅ' => "d",
        'ᴇ' => "e",
        'ꜰ' => "f",
        'ɢ' => "g",
        'ʜ' => "h",
        'ᴊ' => "j",
        'ĸ' | 'ᴋ' => "k",
        'ʟ' => "l",
        'ʍ' | 'ᴍ' => "m",
        'ɴ' | 'ᴎ' => "n",
        'ᴘ' => "p",
        'ǫ' => "q",
        'ʀ' => "r",
        'ᴛ' => "t",
        '\u{1f150}'..='\u{1f169}' => letter(c, '\u{1f150}'),
        '\u{1f170}'..='\u{1f189}' => letter(c, '\u{1f170}'),
        '\u{1f1e6}'..='\u{1f1ff}' => letter(c, '\u{1f1e6}'),
        _ => return None,
    })
}

fn letter(c: char, a: char) -> &'static str {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    let index = c as usize - a as usize;
    &LETTERS[index..=index]
}
