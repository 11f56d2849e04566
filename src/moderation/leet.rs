//! Digits and signs that stand for letters within words.
//!
//! Only words that hold a letter are read so: numbers, prices and hours stay what they are.
//! Invariant: a reading has as many glyphs as the text, at the same places.

use super::fold::{Glyph, Kind};

/// The ways to read the text's digits and signs as letters, where there is anything to read:
/// one, and another where a sign may be an `i` or an `l`.
pub(super) fn readings(glyphs: &[Glyph]) -> Vec<Vec<Glyph>> {
    let Some(first) = read(glyphs, 'i') else { return Vec::new() };
    match glyphs.iter().any(|glyph| matches!(glyph.ch, '1' | '|')) {
        true => [Some(first), read(glyphs, 'l')].into_iter().flatten().collect(),
        false => vec![first],
    }
}

fn read(glyphs: &[Glyph], bar: char) -> Option<Vec<Glyph>> {
    let mut all: Option<Vec<Glyph>> = None;
    let mut start = 0;
    for word in glyphs.chunk_by(|a, b| (a.kind == Kind::Space) == (b.kind == Kind::Space)) {
        let end = start + word.len();
        let is_candidate = word.iter().any(|glyph| letter(glyph.ch, bar).is_some());
        if is_candidate && may_be_word(glyphs, start, end) {
            for at in start..end {
                let Some(ch) = letter(glyphs[at].ch, bar) else { continue };
                if is_within(glyphs, at, bar) {
                    let all = all.get_or_insert_with(|| glyphs.to_vec());
                    (all[at].ch, all[at].kind) = (ch, Kind::Letter);
                }
            }
        }
        start = end;
    }
    all
}

/// Whether these glyphs hold a letter, or are one sign among letters that stand alone.
fn may_be_word(glyphs: &[Glyph], start: usize, end: usize) -> bool {
    let is_letter = |at: usize| glyphs.get(at).is_some_and(|glyph| glyph.kind == Kind::Letter);
    let is_blank = |at: usize| glyphs.get(at).is_none_or(|glyph| glyph.kind == Kind::Space);
    if (start..end).any(is_letter) {
        return true;
    }
    let before = start >= 2 && is_letter(start - 2) && (start == 2 || is_blank(start - 3));
    let after = is_letter(end + 1) && is_blank(end + 2);
    end - start == 1 && (before || after)
}

/// Whether a sign stands where a letter would: digits anywhere, an exclamation mark only
/// before a letter, others beside one.
fn is_within(glyphs: &[Glyph], at: usize, bar: char) -> bool {
    let is_like = |at: usize| {
        glyphs.get(at).is_some_and(|glyph| glyph.is_word() || letter(glyph.ch, bar).is_some())
    };
    let stands_alone = glyphs.get(at + 1).is_none_or(|next| next.kind == Kind::Space)
        && (at == 0 || glyphs[at - 1].kind == Kind::Space);
    let before = at > 0 && is_like(at - 1);
    match glyphs[at].ch {
        '0'..='9' => true,
        '!' => is_like(at + 1) || stands_alone,
        '+' => before || stands_alone,
        _ => before || is_like(at + 1) || stands_alone || has_marks_around(glyphs, at),
    }
}

fn has_marks_around(glyphs: &[Glyph], at: usize) -> bool {
    let is_mark = |at: usize| glyphs.get(at).is_some_and(|glyph| glyph.kind == Kind::Mark);
    is_mark(at + 1) || (at > 0 && is_mark(at - 1))
}

fn letter(sign: char, bar: char) -> Option<char> {
    Some(match sign {
        '0' => 'o',
        '1' | '|' => bar,
        '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '6' | '9' => 'g',
        '7' | '+' => 't',
        '8' => 'b',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    fn read_all(text: &str) -> Vec<String> {
        let all = readings(&fold(text));
        all.iter().map(|read| read.iter().map(|glyph| glyph.ch).collect()).collect()
    }

    #[test]
    fn words_are_read_and_numbers_are_not() {
        assert_eq!(read_all("h4rb0ur"), ["harbour"]);
        assert_eq!(read_all("s@1|$"), ["saiis", "salls"]);
        assert_eq!(read_all("s 4 i l"), ["s a i l"]);
        assert_eq!(read_all("in 1455 at 7:30, for 20 crowns"), [""; 0]);
        assert_eq!(read_all("Sail!"), [""; 0]);
        assert_eq!(read_all("sa!l"), ["sail"]);
    }
}
