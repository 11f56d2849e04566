//! Where a text is cut: a matter of the text up to there alone.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// The stretches of `text` that become parts: all of it where it has at most
/// `whole` characters, else stretches of at most `budget`. Between them, and at
/// the ends, only white space is left out.
pub(super) fn ranges(text: &str, whole: usize, budget: usize) -> Vec<Range<usize>> {
    let end = text.trim_end().len();
    let mut start = text.len() - text.trim_start().len();
    let mut fenced = false;
    let mut ranges = Vec::new();
    while start < end {
        let rest = &text[start..end];
        let room = if ranges.is_empty() { whole } else { budget };
        if window(rest, room).len() == rest.len() {
            ranges.push(start..end);
            break;
        }
        let window = window(rest, budget);
        let cut = choose(window, fenced);
        ranges.push(start..start + cut.end);
        fenced ^= has_odd_fences(&window[..cut.next]);
        start += cut.next;
        if !fenced {
            start = end - text[start..end].trim_start().len();
        }
    }
    ranges
}

/// Whether it is one of the characters that formatting is made of.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '*' | '_' | '~' | '|' | '`')
}

/// The longest beginning of `text` that has at most `limit` units of UTF-16; at
/// least one character.
fn window(text: &str, limit: usize) -> &str {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > limit && at > 0 {
            return &text[..at];
        }
    }
    text
}

/// A place to cut: one part ends at `end`, the next begins at `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    end: usize,
    next: usize,
    level: Level,
}

/// What ends at a place, the better the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Word,
    Sentence,
    Line,
    Paragraph,
}

/// The best place in a window that is full: the last paragraph that ends in its
/// second half, else the last line or sentence that leaves a part not too small,
/// else the last word.
fn choose(window: &str, fenced: bool) -> Cut {
    let cuts = candidates(window, fenced);
    let last = |least: Level, from: usize| {
        cuts.iter().rev().find(|cut| cut.level >= least && cut.end >= from).copied()
    };
    let size = window.len();
    last(Level::Paragraph, size / 2)
        .or_else(|| last(Level::Sentence, size / 4))
        .or_else(|| last(Level::Word, 0))
        .unwrap_or_else(|| inside_word(window))
}

fn candidates(window: &str, fenced: bool) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut fenced = fenced;
    let mut fences_until = 0;
    let mut chars = window.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let Some(&(after, follower)) = chars.peek() else { break };
        let (end, level) = if c.is_whitespace() {
            let is_first = window[..at].chars().next_back().is_some_and(|c| !c.is_whitespace());
            if !is_first {
                continue;
            }
            (at, None)
        } else if is_unspaced(c) && !follower.is_whitespace() && !is_mark(follower) {
            if !follower.is_alphanumeric() || !is_border(window, after) {
                continue;
            }
            let ends = ends_sentence(&window[..after]);
            (after, Some(if ends { Level::Sentence } else { Level::Word }))
        } else {
            continue;
        };
        fenced ^= has_odd_fences(&window[fences_until..end]);
        fences_until = end;
        let cut = match level {
            Some(level) => Cut { end, next: end, level },
            None => at_space(window, end, fenced),
        };
        if cut.next < window.len() && !tears(window, cut, fenced) {
            cuts.push(cut);
        }
    }
    cuts
}

/// A cut at the white space that begins at `end`. In a fence the space at the
/// beginning of lines means something.
fn at_space(window: &str, end: usize, fenced: bool) -> Cut {
    let space = &window[end..];
    let space = &space[..space.len() - space.trim_start().len()];
    let level = match space.matches('\n').count() {
        0 if ends_sentence(&window[..end]) && !fenced => Level::Sentence,
        0 => Level::Word,
        1 => Level::Line,
        _ => Level::Paragraph,
    };
    let next = match space.find('\n') {
        Some(newline) if fenced => end + newline + 1,
        _ => end + space.len(),
    };
    Cut { end, next, level }
}

/// Whether a cut would part what must stay together: a mark from what it marks, a
/// backslash from what it escapes, a quote's or a list's sign from its line, a
/// fence from its code.
fn tears(window: &str, cut: Cut, fenced: bool) -> bool {
    let before = &window[..cut.end];
    let after = window[cut.next..].trim_start();
    let line = before.rsplit('\n').next().unwrap_or(before);
    let token_before = before.rsplit(char::is_whitespace).next().unwrap_or(before);
    let token_after = after.split(char::is_whitespace).next().unwrap_or(after);
    let all_marks = |token: &str| token.chars().all(is_mark);
    let opens_line = line.trim_start() == token_before
        && token_before.chars().all(|c| "#>-+*.)".contains(c) || c.is_ascii_digit());
    // A token that the window cuts short could still turn out to be marks alone.
    all_marks(token_before)
        || all_marks(token_after)
        || before.ends_with('\\')
        || (cut.level == Level::Word && opens_line)
        || (fenced && (line.trim_start().starts_with("```") || after.starts_with("```")))
}

/// Whether the text ends in the end of a sentence, quotes and marks included.
fn ends_sentence(text: &str) -> bool {
    let closes = |c: char| is_mark(c) || "\"'”’»)]}」』）".contains(c);
    text.trim_end_matches(closes).ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

/// Whether words of this character's script stand without spaces between them.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{3ffff}')
}

fn is_border(text: &str, at: usize) -> bool {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.is_boundary(text, 0).expect("the text is there as a whole")
}

fn has_odd_fences(text: &str) -> bool {
    text.matches("```").count() % 2 == 1
}

/// A cut in a word that fills the window: between graphemes, not beside marks
/// where that can be.
fn inside_word(window: &str) -> Cut {
    let borders = || window.grapheme_indices(true).map(|(at, _)| at).filter(|at| *at > 0).rev();
    let is_free = |at: &usize| {
        let before = window[..*at].chars().next_back();
        let after = window[*at..].chars().next();
        !before.into_iter().chain(after).any(|c| is_mark(c) || c == '\\')
    };
    let at = borders().find(is_free).or_else(|| borders().next()).unwrap_or(window.len());
    Cut { end: at, next: at, level: Level::Word }
}
