//! A term as the automaton looks for it, and what makes a place where it was seen a hit.
//!
//! Knows no rules. Invariant: a hit begins and ends where words do, but for terms that say
//! otherwise, and what is put between letters has to look put there.

use super::fold::{Glyph, Kind, fold};
use super::normal::{STRONG_MASK, View, ViewKind, WEAK_MASK, is_drawn_out};

/// The most glyphs between two letters of one word.
const MOST_BETWEEN: usize = 6;

/// A term in one of its forms.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    /// The letters that are looked for.
    pub(super) text: String,
    /// How often each stands in the term at least, where the view folds runs.
    counts: Vec<u8>,
    /// Before which letters a word of a phrase begins.
    breaks: Vec<u8>,
    /// Whether a word may go on before or behind it.
    open: (bool, bool),
    kind: Option<ViewKind>,
}

impl Needle {
    /// All forms of a term; none if it holds too few letters to be one.
    pub(super) fn forms(term: &str, with_masks: bool) -> Vec<Self> {
        let term = term.trim();
        let open = (term.starts_with('*'), term.ends_with('*'));
        let glyphs = fold(term.trim_matches('*'));
        let mut letters: Vec<char> = Vec::new();
        let mut breaks = Vec::new();
        let mut is_between = false;
        for glyph in glyphs {
            match glyph.is_word() {
                true => {
                    if is_between && !letters.is_empty() {
                        breaks.push(letters.len() as u8);
                    }
                    letters.push(glyph.ch);
                    is_between = false;
                }
                false => is_between |= glyph.kind != Kind::Apostrophe,
            }
        }
        if letters.len() < 2 {
            return Vec::new();
        }
        let mut forms = Self::plain(&letters, &breaks, open);
        if with_masks && breaks.is_empty() {
            forms.extend(masks(&letters).into_iter().map(|text| Self {
                counts: vec![1; text.chars().count()],
                text,
                breaks: Vec::new(),
                open,
                kind: Some(ViewKind::Masked),
            }));
        }
        forms
    }

    fn plain(letters: &[char], breaks: &[u8], open: (bool, bool)) -> Vec<Self> {
        let mut text = String::new();
        let (mut counts, mut squeezed_breaks) = (Vec::<u8>::new(), Vec::new());
        let mut last = None;
        for (at, letter) in letters.iter().enumerate() {
            let is_break = breaks.contains(&(at as u8));
            match counts.last_mut() {
                Some(count) if last == Some(*letter) && !is_break => *count += 1,
                _ => {
                    if is_break {
                        squeezed_breaks.push(counts.len() as u8);
                    }
                    text.push(*letter);
                    counts.push(1);
                }
            }
            last = Some(*letter);
        }
        let whole: String = letters.iter().collect();
        if whole == text {
            return vec![Self { text, counts, breaks: squeezed_breaks, open, kind: None }];
        }
        let ones = vec![1; letters.len()];
        vec![
            Self { text, counts, breaks: squeezed_breaks, open, kind: Some(ViewKind::Squeezed) },
            Self {
                text: whole,
                counts: ones,
                breaks: breaks.to_vec(),
                open,
                kind: Some(ViewKind::Plain),
            },
        ]
    }

    /// The glyphs of a hit, if these bytes of the view are one.
    pub(super) fn accept(&self, view: &View<'_>, from: usize, to: usize) -> Option<(usize, usize)> {
        if self.kind.is_some_and(|kind| kind != view.kind) {
            return None;
        }
        let mut walk = Walk::default();
        for (index, (offset, letter)) in view.text[from..to].char_indices().enumerate() {
            let first = view.at[from + offset] as usize;
            let last = match view.kind {
                ViewKind::Squeezed => end_of_run(&view.glyphs, first),
                _ => first,
            };
            let (run, wanted) = (last - first + 1, usize::from(self.counts[index]));
            if run < wanted || (run > wanted && !is_drawn_out(letter, run)) {
                return None;
            }
            let is_break = self.breaks.contains(&(index as u8));
            walk.step(&view.glyphs, first, last, is_break)?;
        }
        walk.end_word()?;
        let (first, last) = (view.at[from] as usize, walk.last);
        if view.kind == ViewKind::Masked && walk.is_spelled {
            return None;
        }
        let glyphs = &view.glyphs;
        let begins = self.open.0 || (begins_word(glyphs, first) && !walk.goes_back(glyphs, first));
        let ends = self.open.1 || (ends_word(glyphs, last) && !walk.goes_on(glyphs, last));
        (begins && ends).then_some((first, last))
    }
}

/// What was seen between a hit's letters.
#[derive(Debug, Default)]
struct Walk {
    last: usize,
    is_begun: bool,
    /// Letters in a row, and the most of them in this word.
    chunk: usize,
    longest: usize,
    /// Whether blanks stand within this word.
    is_parted: bool,
    /// Whether anything stands within any word.
    is_spelled: bool,
}

impl Walk {
    fn step(&mut self, glyphs: &[Glyph], first: usize, last: usize, is_break: bool) -> Option<()> {
        let gap = if self.is_begun { &glyphs[self.last + 1..first] } else { &[] };
        if gap.len() > MOST_BETWEEN {
            return None;
        }
        if is_break {
            self.end_word()?;
            (self.chunk, self.longest, self.is_parted) = (1, 0, false);
        } else if gap.is_empty() {
            self.chunk += 1;
        } else {
            self.is_spelled = true;
            self.is_parted |= is_blank(gap);
            self.longest = self.longest.max(self.chunk);
            self.chunk = 1;
        }
        (self.last, self.is_begun) = (last, true);
        Some(())
    }

    /// Words that are parted by blanks are spelled letter by letter, or are two words.
    fn end_word(&mut self) -> Option<()> {
        let longest = self.longest.max(self.chunk);
        (!self.is_parted || longest == 1).then_some(())
    }

    /// Whether the spelling began before the hit, as in `c l a s s`.
    fn goes_back(&self, glyphs: &[Glyph], first: usize) -> bool {
        let before = &glyphs[..first];
        self.is_spelled && is_spelled_on(before.iter().rev().copied())
    }

    /// Whether it goes on behind the hit.
    fn goes_on(&self, glyphs: &[Glyph], last: usize) -> bool {
        self.is_spelled && is_spelled_on(glyphs[last + 1..].iter().copied())
    }
}

/// Whether a single letter comes next, away from the hit, that is no word by itself.
fn is_spelled_on(mut glyphs: impl Iterator<Item = Glyph>) -> bool {
    let mut letter = None;
    let mut gap = 0;
    for glyph in glyphs.by_ref() {
        if glyph.is_word() {
            letter = Some(glyph.ch);
            break;
        }
        gap += 1;
        if gap > 2 {
            return false;
        }
    }
    let Some(letter) = letter else { return false };
    let rest: Vec<Glyph> = glyphs.take(4).collect();
    if rest.first().is_some_and(|next| next.is_word()) {
        return false;
    }
    let mut words = rest.split(|glyph| !glyph.is_word()).filter(|word| !word.is_empty());
    let next = words.next().map_or(2, <[Glyph]>::len);
    !(matches!(letter, 'a' | 'i' | 'u') && next >= 2)
}

/// Whether so much may not stand within a word unless it is spelled letter by letter.
fn is_blank(gap: &[Glyph]) -> bool {
    gap.len() > 2 || gap.iter().any(|glyph| matches!(glyph.kind, Kind::Space | Kind::Pause))
}

fn end_of_run(glyphs: &[Glyph], first: usize) -> usize {
    let run = glyphs[first..].iter().take_while(|glyph| glyph.ch == glyphs[first].ch).count();
    first + run - 1
}

fn begins_word(glyphs: &[Glyph], first: usize) -> bool {
    is_edge(glyphs[..first].iter().rev().copied(), true)
}

fn ends_word(glyphs: &[Glyph], last: usize) -> bool {
    is_edge(glyphs[last + 1..].iter().copied(), false)
}

/// Whether a word ends here: digits may hang on to it, and before it no `he'` may.
fn is_edge(mut away: impl Iterator<Item = Glyph>, is_before: bool) -> bool {
    let Some(next) = away.next() else { return true };
    match next.kind {
        Kind::Letter => false,
        Kind::Digit => !away.find(|glyph| glyph.kind != Kind::Digit).is_some_and(Glyph::is_word),
        Kind::Apostrophe if is_before => !away.next().is_some_and(Glyph::is_word),
        _ => true,
    }
}

/// A word with letters masked: any one of them, its vowels, or all but the first and last.
fn masks(letters: &[char]) -> Vec<String> {
    let inner = 1..letters.len() - 1;
    if !(4..=12).contains(&letters.len()) {
        return Vec::new();
    }
    let is_vowel = |at: usize| "aeiou".contains(letters[at]);
    let with = |mask: char, hides: &dyn Fn(usize) -> bool| -> String {
        let hide = |(at, letter): (usize, &char)| match inner.contains(&at) && hides(at) {
            true => mask,
            false => *letter,
        };
        letters.iter().enumerate().map(hide).collect()
    };
    let mut masks: Vec<String> =
        inner.clone().map(|one| with(STRONG_MASK, &|at| at == one)).collect();
    masks.push(with(STRONG_MASK, &|_| true));
    for mask in [STRONG_MASK, WEAK_MASK] {
        masks.push(with(mask, &is_vowel));
    }
    let vowels = inner.clone().filter(|at| is_vowel(*at));
    masks.extend(vowels.map(|one| with(WEAK_MASK, &|at| at == one)));
    let whole: String = letters.iter().collect();
    masks.retain(|mask| *mask != whole);
    masks.sort_unstable();
    masks.dedup();
    masks
}
