//! The views of a text that rules see: its words without what stands between their letters,
//! with repeats folded, digits read as letters, masks kept, and turned upright.
//!
//! Makes views and judges nothing. Invariant: a view's text is made of its glyphs' letters
//! alone, in order, and each of its bytes knows its glyph.

use std::borrow::Cow;

use super::fold::{Glyph, Kind, fold};
use super::leet;
use super::lookalikes::turned;

/// Stands for a letter that was masked with a sign used for nothing else.
pub(super) const STRONG_MASK: char = '*';
/// Stands for one masked with a sign that words hold for other reasons, such as a hyphen.
pub(super) const WEAK_MASK: char = '-';

/// How a view came about, and so which terms are looked for in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ViewKind {
    /// Letter for letter.
    Plain,
    /// Each run of one letter folded into one.
    Squeezed,
    /// Letter for letter, with masks among them.
    Masked,
}

/// One way to read a text.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) kind: ViewKind,
    pub(super) glyphs: Cow<'a, [Glyph]>,
    /// The letters and digits alone.
    pub(super) text: String,
    /// For each byte of the text its glyph.
    pub(super) at: Vec<u32>,
}

impl<'a> View<'a> {
    fn new(kind: ViewKind, glyphs: Cow<'a, [Glyph]>) -> Self {
        let mut text = String::with_capacity(glyphs.len());
        let mut at = Vec::with_capacity(glyphs.len());
        for (index, glyph) in glyphs.iter().enumerate().filter(|(_, glyph)| glyph.is_word()) {
            let repeats = index > 0 && glyphs[index - 1].ch == glyph.ch;
            if kind == ViewKind::Squeezed && repeats {
                continue;
            }
            text.push(glyph.ch);
            at.resize(text.len(), index as u32);
        }
        Self { kind, glyphs, text, at }
    }
}

/// A text that was folded once, for all rules.
#[derive(Debug)]
pub(super) struct Folded {
    glyphs: Vec<Glyph>,
}

impl Folded {
    /// Folds a text.
    pub(super) fn new(text: &str) -> Self {
        Self { glyphs: fold(text) }
    }

    /// Its glyphs.
    pub(super) fn glyphs(&self) -> &[Glyph] {
        &self.glyphs
    }

    /// All the ways to read it; most texts have one.
    pub(super) fn views(&self) -> Vec<View<'_>> {
        let mut views = Vec::new();
        self.push(Cow::Borrowed(&self.glyphs), &mut views);
        for read in leet::readings(&self.glyphs) {
            self.push(Cow::Owned(read), &mut views);
        }
        if self.glyphs.iter().any(|glyph| glyph.is_flipped) {
            views.push(View::new(ViewKind::Plain, Cow::Owned(upright(&self.glyphs))));
        }
        if let Some(masked) = masked(&self.glyphs) {
            views.push(View::new(ViewKind::Masked, Cow::Owned(masked)));
        }
        views
    }

    fn push<'a>(&'a self, glyphs: Cow<'a, [Glyph]>, views: &mut Vec<View<'a>>) {
        if has_long_runs(&glyphs) {
            views.push(View::new(ViewKind::Squeezed, glyphs.clone()));
        }
        views.push(View::new(ViewKind::Plain, glyphs));
    }

    /// The text as patterns read it: folded, with all that stands between words.
    pub(super) fn line(&self) -> (String, Vec<u32>) {
        let mut line = String::with_capacity(self.glyphs.len());
        let mut at = Vec::with_capacity(self.glyphs.len());
        for (index, glyph) in self.glyphs.iter().enumerate() {
            line.push(glyph.ch);
            at.resize(line.len(), index as u32);
        }
        (line, at)
    }
}

/// Whether a run of this letter may be a drawn-out one: of three, or of two where English
/// has hardly any.
pub(super) fn is_drawn_out(letter: char, run: usize) -> bool {
    run >= 3 || (run == 2 && "aiuhjkqvwxy".contains(letter))
}

fn has_long_runs(glyphs: &[Glyph]) -> bool {
    let chunks = glyphs.chunk_by(|a, b| a.ch == b.ch);
    chunks.into_iter().any(|run| {
        run.len() > 1 && run[0].kind == Kind::Letter && is_drawn_out(run[0].ch, run.len())
    })
}

/// Every word that holds letters on their heads, turned upright.
fn upright(glyphs: &[Glyph]) -> Vec<Glyph> {
    let mut upright = Vec::with_capacity(glyphs.len());
    for word in glyphs.chunk_by(|a, b| (a.kind == Kind::Space) == (b.kind == Kind::Space)) {
        if !word.iter().any(|glyph| glyph.is_flipped) {
            upright.extend_from_slice(word);
            continue;
        }
        upright.extend(word.iter().rev().map(|glyph| match glyph.is_flipped {
            true => *glyph,
            false => Glyph { ch: turned(glyph.ch), ..*glyph },
        }));
    }
    upright
}

/// The glyphs with those that may mask letters made letters, if there are any.
fn masked(glyphs: &[Glyph]) -> Option<Vec<Glyph>> {
    /// The most signs in a row that are taken for letters.
    const MOST: usize = 6;
    let mut found: Option<Vec<Glyph>> = None;
    let mut start = 0;
    for run in glyphs.chunk_by(|a, b| mask(*a).is_some() == mask(*b).is_some()) {
        let end = start + run.len();
        let is_letter = |at: usize| glyphs.get(at).is_some_and(|glyph| glyph.is_word());
        let is_inside = start > 0 && is_letter(start - 1) && is_letter(end);
        if mask(run[0]).is_some() && is_inside && run.len() <= MOST {
            let all = found.get_or_insert_with(|| glyphs.to_vec());
            for glyph in &mut all[start..end] {
                glyph.ch = mask(*glyph).unwrap_or(STRONG_MASK);
                glyph.kind = Kind::Letter;
            }
        }
        start = end;
    }
    found
}

fn mask(glyph: Glyph) -> Option<char> {
    match glyph.ch {
        '*' | '#' | '%' | '&' | '_' | '•' | '●' | '■' => Some(STRONG_MASK),
        '-' | '.' | '~' => Some(WEAK_MASK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        Folded::new(text).views().into_iter().map(|view| view.text).collect()
    }

    #[test]
    fn plain_words_have_one_view() {
        assert_eq!(texts("The sea, at noon: 12 boats."), ["theseaatnoon12boats"]);
    }

    #[test]
    fn disguises_have_more() {
        assert_eq!(texts("seeea"), ["sea", "seeea"]);
        assert!(texts("s34").contains(&"sea".to_owned()));
        assert!(texts("s*a").contains(&"s*a".to_owned()));
        assert!(texts("ɐǝs").contains(&"sea".to_owned()));
        assert!(texts("s e a") == ["sea"]);
    }

    #[test]
    fn every_byte_knows_its_glyph() {
        let folded = Folded::new("ﬁsch — ｍeeer, M33r, m**r, ɹɐq");
        for view in folded.views() {
            assert_eq!(view.text.len(), view.at.len());
            for (at, c) in view.text.char_indices() {
                assert_eq!(view.glyphs[view.at[at] as usize].ch, c);
            }
        }
    }
}
