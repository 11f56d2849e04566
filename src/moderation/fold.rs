//! A text as plain glyphs: each character folded to the plainest one it could be taken for.
//!
//! Compatibility forms, confusables, case, marks and what nobody sees; no guess is made here
//! at digits that stand for letters or at blanks within words. Invariant: every glyph knows
//! which bytes of the text it came from, and glyphs stand in the text's order.

use std::iter::once;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

use super::lookalikes::{flipped, is_invisible, is_pause, lookalike};

/// What a glyph does between its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a word.
    Letter,
    /// Part of a word or of a number.
    Digit,
    /// An apostrophe.
    Apostrophe,
    /// What may be put between the letters of a word without ending it.
    Mark,
    /// What parts clauses and sentences.
    Pause,
    /// White space.
    Space,
}

/// A folded character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    /// What it looks like, in lower case.
    pub(super) ch: char,
    pub(super) kind: Kind,
    /// Whether it is a letter that stands on its head.
    pub(super) is_flipped: bool,
    /// The bytes it came from.
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Glyph {
    /// Whether it is part of a word.
    pub(super) fn is_word(self) -> bool {
        matches!(self.kind, Kind::Letter | Kind::Digit)
    }
}

/// Folds a text; what is invisible leaves no glyph.
pub(super) fn fold(text: &str) -> Vec<Glyph> {
    let mut glyphs = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let from = glyphs.len();
        if c.is_ascii() {
            push(c.to_ascii_lowercase(), &mut glyphs);
        } else {
            fold_wide(c, &mut glyphs);
        }
        for glyph in &mut glyphs[from..] {
            (glyph.start, glyph.end) = (at as u32, (at + c.len_utf8()) as u32);
        }
    }
    glyphs
}

fn fold_wide(c: char, glyphs: &mut Vec<Glyph>) {
    if is_invisible(c) {
        return;
    }
    if let Some(letter) = flipped(c) {
        glyphs.push(Glyph { is_flipped: true, ..glyph(letter) });
    } else if let Some(plain) = lookalike(c) {
        plain.chars().for_each(|plain| push(plain, glyphs));
    } else if is_pause(c) {
        push(c, glyphs);
    } else {
        once(c).nfkd().for_each(|part| fold_part(part, glyphs));
    }
}

/// Folds what a character is made of.
fn fold_part(c: char, glyphs: &mut Vec<Glyph>) {
    if c.is_ascii() {
        push(c.to_ascii_lowercase(), glyphs);
    } else if is_combining_mark(c) || is_invisible(c) {
    } else if let Some(plain) = lookalike(c) {
        plain.chars().for_each(|plain| push(plain, glyphs));
    } else {
        let looks = prototype(c);
        looks.chars().for_each(|c| push(c, glyphs));
    }
}

/// What a character looks like by the tables of confusables, in lower case.
fn prototype(c: char) -> String {
    let looks: String = skeleton(c.encode_utf8(&mut [0; 4])).collect();
    match looks.as_str() {
        // The tables take one for the other, which word lists must not.
        "l" if c.is_uppercase() => return "i".to_owned(),
        "rn" => return "m".to_owned(),
        "O" | "0" => return "o".to_owned(),
        _ => {}
    }
    let mut plain = String::new();
    for part in looks.chars().filter(|part| !is_combining_mark(*part)) {
        match lookalike(part) {
            Some(known) => plain.push_str(known),
            None => plain.extend(part.to_lowercase()),
        }
    }
    plain
}

fn push(c: char, glyphs: &mut Vec<Glyph>) {
    glyphs.push(glyph(c));
}

fn glyph(ch: char) -> Glyph {
    Glyph { ch, kind: kind(ch), is_flipped: false, start: 0, end: 0 }
}

fn kind(c: char) -> Kind {
    match c {
        'a'..='z' => Kind::Letter,
        '0'..='9' => Kind::Digit,
        '\'' | '`' => Kind::Apostrophe,
        c if c.is_whitespace() => Kind::Space,
        c if is_pause(c) => Kind::Pause,
        c if c.is_alphabetic() => Kind::Letter,
        c if c.is_numeric() => Kind::Digit,
        _ => Kind::Mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        fold(text).iter().map(|glyph| glyph.ch).collect()
    }

    #[test]
    fn disguises_look_like_what_they_hide() {
        for disguised in [
            "Sail",
            "SAIL",
            "ｓａｉｌ",
            "𝓼𝓪𝓲𝓵",
            "ⓢⓐⓘⓛ",
            "ꜱᴀɪʟ",
            "s\u{301}ail",
            "ѕаіl",
            "🆂🅰🅸🅻",
            "s\u{200b}a\u{ad}i\u{202e}l",
            "ＳＡＩＬ",
            "ЅАІL",
            "🇸🇦🇮🇱",
            "sαιl",
        ] {
            assert_eq!(folded(disguised), "sail", "{disguised}");
        }
        assert_eq!(folded("Mοοn, РΗ"), "moon, ph");
        assert_eq!(folded("Größe"), "grosse");
    }

    #[test]
    fn every_glyph_knows_its_bytes() {
        let text = "é ﬁ 𝓼\u{200b}t";
        for glyph in fold(text) {
            let from = &text[glyph.start as usize..glyph.end as usize];
            assert_eq!(from.chars().count(), 1);
        }
        let glyphs = fold(text);
        assert_eq!((glyphs[2].ch, glyphs[3].ch), ('f', 'i'));
        assert_eq!(glyphs[2].start, glyphs[3].start);
    }
}
