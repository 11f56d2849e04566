//! Cutting a text into messages.
//!
//! A part ends at the end of a paragraph, else of a line or a sentence, else at a
//! space; inside a word only where one word fills a message, inside a grapheme
//! never. Formatting that is open where a part ends is closed there and opened
//! again in the next one.
//!
//! Where a text is cut depends on nothing but the text up to there: while a text
//! grows, the parts before its last one stay where they are. So room for closing
//! and opening marks is set aside whether it is needed or not.
//!
//! What people and models write is left as it is: nothing is escaped, since no
//! message of the story can mention anybody.

mod cut;
mod markdown;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::names::length;
use markdown::{Markdown, Span};

/// The longest message. Discord counts code points and says "characters"; parts
/// are measured in units of UTF-16, of which there are never fewer, so that no
/// way of counting refuses one.
pub(super) const MAX_MESSAGE: usize = 2_000;

/// Stands at the end of a text that is still being written.
const UNFINISHED: &str = " …";

/// The text in parts of at most `limit` characters, none of them blank or with
/// white space at its ends (Discord would take it away, and a part that comes
/// back must be known again). No parts for a text that is blank.
pub(super) fn split(text: &str, limit: usize) -> Vec<String> {
    pieces(text, limit).iter().map(|piece| piece.render(text)).collect()
}

/// What to show of a text that is still being written: its first part, formatting
/// closed, with a mark that more is to come.
pub(super) fn preview(text: &str, limit: usize) -> String {
    let budget = budget(limit);
    let text = without_last_marks(text);
    let markdown = markdown::parse_unfinished(text);
    let first = cut::ranges(text, budget, budget).into_iter().next();
    let piece = first.and_then(|range| Piece::new(text, &markdown, range, limit - 2));
    piece
        .map_or_else(|| UNFINISHED.trim_start().to_owned(), |piece| piece.render(text) + UNFINISHED)
}

/// How much of the text itself goes into a part: for formatting 64 characters are
/// set aside, more than all kinds of it together need.
fn budget(limit: usize) -> usize {
    limit - (limit / 4).min(64)
}

fn pieces(text: &str, limit: usize) -> Vec<Piece> {
    let ranges = cut::ranges(text, limit, budget(limit));
    if let [whole] = ranges.as_slice() {
        return vec![Piece::whole(whole.clone())];
    }
    let markdown = markdown::parse(text);
    ranges.into_iter().filter_map(|range| Piece::new(text, &markdown, range, limit)).collect()
}

/// One part: a stretch of the text, and what is put around it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// The beginning of a line that was begun in an earlier part.
    line: String,
    /// The text's own beginning of a line.
    own_line: Range<usize>,
    /// Marks that open what is still open from earlier parts.
    openers: String,
    /// The text.
    body: Range<usize>,
    /// Marks that close what stays open.
    closers: String,
}

impl Piece {
    fn whole(body: Range<usize>) -> Self {
        Self {
            line: String::new(),
            own_line: body.start..body.start,
            openers: String::new(),
            body,
            closers: String::new(),
        }
    }

    /// The part with what its formatting needs; `None` where it would be blank.
    fn new(text: &str, markdown: &Markdown, range: Range<usize>, limit: usize) -> Option<Self> {
        let before: Vec<&Span> = markdown.spans_across(range.start).collect();
        let after: Vec<&Span> = markdown.spans_across(range.end).collect();
        let line = markdown.line_at(text, range.start);
        let own_line = markdown.own_line(range.start).filter(|line| line.end < range.end);
        let own_line = own_line.unwrap_or(range.start..range.start);
        let mut piece = Self {
            line,
            openers: before.iter().map(|span| span.opening()).collect(),
            body: own_line.end..range.end,
            own_line,
            closers: after.iter().rev().map(|span| span.closing()).collect(),
        };
        if length(&piece.render(text)) > limit {
            piece = Self::whole(range);
        }
        piece.trim(text)
    }

    fn trim(mut self, text: &str) -> Option<Self> {
        let begin = [&self.line, &text[self.own_line.clone()], &self.openers].concat();
        if begin.is_empty() {
            let body = &text[self.body.clone()];
            self.body.start = self.body.end - body.trim_start().len();
            self.own_line = self.body.start..self.body.start;
        } else if self.line.is_empty() {
            let own_line = &text[self.own_line.clone()];
            self.own_line.start = self.own_line.end - own_line.trim_start().len();
        }
        if self.closers.is_empty() {
            let body = &text[self.body.clone()];
            self.body.end = self.body.start + body.trim_end().len();
        }
        let is_blank = text[self.body.clone()].trim().is_empty();
        (!is_blank).then_some(self)
    }

    fn render(&self, text: &str) -> String {
        let Self { line, own_line, openers, body, closers } = self;
        [line, &text[own_line.clone()], openers, &text[body.clone()], closers].concat()
    }
}

/// Without marks at the very end: they may be half of a mark, or open what is
/// still to come; what they close is closed without them. And without a backslash
/// that would escape what closes.
fn without_last_marks(text: &str) -> &str {
    text.trim_end_matches(|c: char| cut::is_mark(c) || c.is_whitespace() || c == '\\').trim_start()
}
