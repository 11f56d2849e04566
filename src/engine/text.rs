//! The text of a growing reply: what may be shown, and when it must end or go back.
//!
//! Takes whole characters ([`crate::tokenizer::IncrementalDecoder`] sees to that) and
//! knows no tokens.
//!
//! Invariant: the deltas joined are the final text; nothing shown is ever taken
//! back, and none of it was part of a stop string.

use std::ops::Range;
use std::sync::Arc;

use super::banned::BannedStrings;
use super::governor::{Governor, LengthRange};
use super::request::FinishReason;
use super::stop::StopStrings;
use crate::prose::Scan;

/// How the ends of a reply are trimmed; see [`super::GenerationRequest`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trim {
    pub(super) start_space: bool,
    pub(super) end: bool,
    /// Whether what the end leaves open or cuts within a sentence is rounded off, as of a
    /// reply whose length is kept.
    pub(super) rounds_off: bool,
}

/// What the text says about going on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TextVerdict {
    Open,
    /// A stop string was completed and removed.
    Stopped(String),
    /// These bytes are a banned string: go back ([`ReplyText::truncate`]), or let it
    /// pass ([`ReplyText::let_pass`]) and check again.
    Banned(Range<usize>),
    /// A stop string begins at this byte, though the reply may not end yet: go back, or
    /// check again without holding.
    Held(usize),
}

#[derive(Debug)]
pub(super) struct ReplyText {
    text: String,
    /// Bytes that were shown, or skipped as the leading space.
    shown: usize,
    /// Bytes known to hold no stop string.
    searched: usize,
    /// No banned string begins before this byte.
    settled: usize,
    /// No stop string that is held begins before this byte.
    unstopped: usize,
    stops: StopStrings,
    banned: BannedStrings,
    trim: Trim,
}

impl ReplyText {
    pub(super) fn new(stops: StopStrings, banned: BannedStrings, trim: Trim) -> Self {
        Self {
            text: String::new(),
            shown: 0,
            searched: 0,
            settled: 0,
            unstopped: usize::MAX,
            stops,
            banned,
            trim,
        }
    }

    /// Bytes so far, shown or not.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Nothing that would have to be taken back begins before this byte.
    pub(super) fn settled(&self) -> usize {
        self.settled.min(self.unstopped)
    }

    /// How its sentences stand.
    pub(super) fn scan(&self) -> Scan {
        Scan::of(&self.text)
    }

    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    /// Judges what was pushed since the last check. Where the reply `may_end` not yet, stop
    /// strings are to be taken back.
    pub(super) fn check(&mut self, may_end: bool) -> TextVerdict {
        let stop = self.stops.find(&self.text, self.searched);
        let end = stop.map_or(self.text.len(), |stop| stop.start);
        if let Some(range) = self.banned.find(&self.text[..end], self.settled.min(end)) {
            return TextVerdict::Banned(range);
        }
        if let Some(stop) = stop {
            if !may_end {
                return TextVerdict::Held(stop.start);
            }
            self.text.truncate(stop.start);
            return TextVerdict::Stopped(self.stops.get(stop.index).to_owned());
        }
        self.searched = self.text.len();
        self.settled = self.banned.held_from(&self.text, self.settled);
        self.unstopped = if may_end { usize::MAX } else { self.stops.held_from(&self.text) };
        TextVerdict::Open
    }

    /// Cuts the text where its last sentence ended, if nothing behind that was shown;
    /// tells whether it did.
    pub(super) fn cut_at_sentence(&mut self) -> bool {
        let end = self.scan().last_end.filter(|&end| end >= self.shown && end > 0);
        end.inspect(|&end| self.text.truncate(end)).is_some()
    }

    /// Closes what the text leaves open: quotations, emphasis, code. Marks that open
    /// nothing yet go.
    pub(super) fn close(&mut self) {
        let bare = |c: char| c.is_whitespace() || matches!(c, '*' | '`');
        if !self.scan().is_sentence_ended {
            self.cut_to(self.text.trim_end_matches(bare).len());
        }
        self.cut_to(self.text.trim_end().len());
        self.text.push_str(&Scan::of(&self.text).closers);
    }

    /// Ends a text that was cut short within a sentence: its last word, of which more may
    /// have been to come, goes, and what is left trails off.
    fn trail_off(&mut self) {
        let scan = self.scan();
        if !scan.is_sentence_ended && !scan.closers.contains("```") {
            self.cut_to(self.last_word());
            self.cut_to(self.text.trim_end_matches(|c: char| !c.is_alphanumeric()).len());
            if !self.text.is_empty() && !self.scan().is_sentence_ended {
                self.text.push('…');
            }
        }
        self.close();
    }

    /// Where the last word begins, in bytes.
    pub(super) fn last_word(&self) -> usize {
        let words = self.text.trim_end();
        words.rfind(char::is_whitespace).map_or(words.len(), |at| words[..at].trim_end().len())
    }

    /// Cuts the text at byte `len`, as far as nothing of it was shown.
    fn cut_to(&mut self, len: usize) {
        self.text.truncate(len.max(self.shown));
    }

    /// Takes back everything from byte `len` on, none of which was shown.
    pub(super) fn truncate(&mut self, len: usize) {
        debug_assert!(self.shown <= len, "what was shown is never taken back");
        self.text.truncate(len);
        self.searched = self.searched.min(len);
        self.settled = self.settled.min(len);
    }

    /// Accepts a banned string that ends at byte `end`.
    pub(super) fn let_pass(&mut self, end: usize) {
        self.settled = end;
    }

    /// What may be shown now, up to byte `limit`: nothing that could be the beginning
    /// of a stop or banned string, or white space that the end would trim.
    pub(super) fn take_delta(&mut self, limit: usize) -> &str {
        let held = self.stops.held_from(&self.text).min(self.settled).min(limit);
        let end = if self.trim.end { self.text[..held].trim_end().len() } else { held };
        self.take_until(end)
    }

    /// Ends the reply and returns what of it was not shown yet.
    pub(super) fn finish(&mut self, reason: &FinishReason) -> &str {
        let is_cut = matches!(reason, FinishReason::Length | FinishReason::Context);
        if self.trim.rounds_off && is_cut && !self.cut_at_sentence() {
            self.trail_off();
        }
        if self.trim.end {
            if !matches!(reason, FinishReason::Stop(_) | FinishReason::Sentence) {
                let cut_short = *reason != FinishReason::Eos;
                let end = self.stops.left_over_from(&self.text, cut_short);
                self.cut_to(end);
            }
            self.text.truncate(self.text.trim_end().len());
        }
        if self.trim.rounds_off && matches!(reason, FinishReason::Eos | FinishReason::Stop(_)) {
            self.close();
        }
        self.take_until(self.text.len())
    }

    /// The whole reply, once it is finished.
    pub(super) fn into_text(mut self) -> String {
        if self.skips_first() {
            self.text.remove(0);
        }
        self.text
    }

    fn skips_first(&self) -> bool {
        self.trim.start_space && self.text.starts_with(' ')
    }

    fn take_until(&mut self, end: usize) -> &str {
        let start = self.shown.max(usize::from(self.skips_first()));
        if end <= start {
            return "";
        }
        self.shown = end;
        &self.text[start..end]
    }
}

/// The text of a reply whose tokens are drawn elsewhere: cut at stop strings, trimmed and
/// ended as an engine's own.
#[derive(Debug)]
pub struct TextFilter {
    text: ReplyText,
    governor: Option<Governor>,
    num_tokens: usize,
}

impl TextFilter {
    /// A filter for one reply; see [`super::GenerationRequest`] for what the parameters do.
    /// None of the stops is empty.
    pub fn new(
        stops: Vec<String>,
        trim_start_space: bool,
        trim_end: bool,
        length_range: Option<LengthRange>,
        max_tokens: usize,
    ) -> Self {
        let trim = Trim {
            start_space: trim_start_space,
            end: trim_end,
            rounds_off: length_range.is_some(),
        };
        let text = ReplyText::new(StopStrings::new(stops), BannedStrings::new(&[]), trim);
        // Words alone are judged here; whoever draws the tokens steers them.
        let governor = length_range.map(|range| Governor::new(range, max_tokens, Arc::default()));
        Self { text, governor, num_tokens: 0 }
    }

    /// Takes in more text, with which the reply has `num_tokens`. Why it is over, if it is: a
    /// stop string is complete, or its length and a sentence are.
    pub fn push(&mut self, piece: &str, num_tokens: usize) -> Option<FinishReason> {
        self.text.push(piece);
        self.num_tokens = num_tokens;
        if let TextVerdict::Stopped(stop) = self.text.check(true) {
            return Some(FinishReason::Stop(stop));
        }
        let is_over = self.governor.as_ref().is_some_and(|it| it.ends(&mut self.text, num_tokens));
        is_over.then_some(FinishReason::Sentence)
    }

    /// What may be shown now and was not yet.
    pub fn take_delta(&mut self) -> String {
        let governor = self.governor.as_ref();
        let limit = governor.map_or(usize::MAX, |it| it.showable(&self.text, self.num_tokens));
        self.text.take_delta(limit).to_owned()
    }

    /// Ends the reply; what of it was not shown yet.
    pub fn finish(&mut self, reason: &FinishReason) -> String {
        self.text.finish(reason).to_owned()
    }

    /// The whole reply, once it is finished.
    pub fn into_text(self) -> String {
        self.text.into_text()
    }
}
