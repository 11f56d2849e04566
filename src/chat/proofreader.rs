//! What a reply is read for while it is written: another's line, and what the
//! character said before.
//!
//! Pure: text in, positions out. What may still turn out to be either is not shown yet,
//! so that nobody sees what is then cut off or written anew.

use crate::config::RepetitionConfig;
use crate::prompt::OtherLines;
use crate::prose::{Repeats, Repetition, Tail};
use crate::sampling::{Dry, SamplerParams, SamplerStage};

/// Reads the tries at one reply.
#[derive(Debug)]
pub struct Proofreader {
    others: OtherLines,
    repeats: Repeats,
    limits: RepetitionConfig,
    /// Whether the reply goes on with a text that stands, so that it begins within a line.
    continues: bool,
}

impl Proofreader {
    /// For a reply in a scene with these others, by a character who `said` that, the
    /// newest first.
    pub fn new<'a>(
        others: OtherLines,
        limits: RepetitionConfig,
        said: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let texts = said.into_iter().take(limits.replies);
        Self { others, repeats: Repeats::of(texts), limits, continues: false }
    }

    /// The same for a reply that goes on with a text that stands.
    pub(super) fn continuing(self, continues: bool) -> Self {
        Self { continues, ..self }
    }

    /// Where another's line begins, in bytes, if the reply holds one; the line in which byte
    /// `from` stands is the first that is looked at.
    pub fn find_other(&self, reply: &str, from: usize) -> Option<usize> {
        let line = reply[..from].rfind('\n').map(|at| at + 1);
        let line = match (line, self.continues) {
            (Some(line), _) => line,
            (None, false) => 0,
            (None, true) => reply.find('\n')? + 1,
        };
        self.others.find(&reply[line..]).map(|at| line + at)
    }

    /// How much of the reply the character said before.
    pub fn compare(&self, reply: &str) -> Repetition {
        self.repeats.compare(reply)
    }

    /// Whether so much of it counts as said before.
    pub fn is_repetition(&self, of: Repetition) -> bool {
        !self.repeats.is_empty() && self.limits.counts(of.overlap, of.longest_run)
    }

    /// Up to where a growing reply without another's line may be shown, in bytes.
    pub fn showable(&self, reply: &str) -> usize {
        let is_begun = self.continues && !reply.contains('\n');
        let held = if is_begun { reply.len() } else { self.others.held_from(reply) };
        if self.repeats.is_empty() {
            return held;
        }
        let Tail { from, run, overlap } = self.repeats.tail(reply);
        // What comes near it may be one when it is complete.
        let doubled = Repetition { overlap: 2.0 * overlap, longest_run: run };
        match self.is_repetition(doubled) {
            true => 0,
            false => held.min(from),
        }
    }
}

/// How the next try's words are drawn: with a higher penalty on what stands in the window,
/// and one on whatever would go on with a repeat.
pub fn raised_penalty(sampler: &SamplerParams) -> SamplerParams {
    /// What is added to the repetition penalty; LimaRP's own preset has 1.15.
    const MORE: f32 = 0.1;
    /// The most that is allowed.
    const MOST: f32 = 5.0;
    /// The penalty's window at least, in tokens: a few replies.
    const WINDOW: usize = 1024;
    /// As its author suggests.
    const DRY: f32 = 0.8;
    let mut order = sampler.order.clone();
    for stage in [SamplerStage::RepetitionPenalty, SamplerStage::Dry] {
        if !order.contains(&stage) {
            order.insert(0, stage);
        }
    }
    SamplerParams {
        repetition_penalty: (sampler.repetition_penalty.max(1.0) + MORE).min(MOST),
        repetition_penalty_range: sampler.repetition_penalty_range.max(WINDOW),
        dry: Dry { multiplier: sampler.dry.multiplier.max(DRY), ..sampler.dry.clone() },
        order,
        ..sampler.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Maren wipes the counter and looks at the grey sea beyond the window.";
    const LIMITS: RepetitionConfig = RepetitionConfig { replies: 8, overlap: 0.3, run: 12 };

    fn reader() -> Proofreader {
        Proofreader {
            others: OtherLines::of(["Tom"], "Maren"),
            repeats: Repeats::of([SAID]),
            limits: LIMITS,
            continues: false,
        }
    }

    #[test]
    fn what_was_said_before_is_shown_at_no_time() {
        let reader = reader();
        for end in 0..=SAID.len() {
            assert_eq!(reader.showable(&SAID[..end]), 0, "{}", &SAID[..end]);
        }
        assert!(reader.is_repetition(reader.compare(SAID)));
    }

    #[test]
    fn fresh_words_and_short_borrowings_are_shown() {
        let reader = reader();
        let fresh = "A gull cries above the harbour, and the grey sea is calm tonight, ";
        assert_eq!(&fresh[reader.showable(fresh)..], "tonight, ");
        assert!(!reader.is_repetition(reader.compare(fresh)));
        let silent = Proofreader::new(OtherLines::default(), LIMITS, []);
        assert_eq!(silent.showable(SAID), SAID.len());
    }

    #[test]
    fn anothers_line_is_never_shown() {
        let text = "A gull cries.\nTom: I heard it.";
        assert_eq!(reader().find_other(text, 0), Some(14));
        let begun = 0..="A gull cries.\nTom:".len();
        let shown = begun.map(|end| reader().showable(&text[..end])).max().unwrap();
        assert_eq!(&text[..shown], "A gull cries.\n");
    }

    #[test]
    fn a_continued_line_is_not_anothers() {
        let reader = reader().continuing(true);
        assert_eq!(reader.find_other("Tom: he said that name.", 0), None);
        assert_eq!(reader.find_other("Tom: that name.\nTom: I am here.", 0), Some(16));
        assert_eq!(reader.find_other("Tom: that name.\nTom: I am here.", 20), Some(16));
    }

    #[test]
    fn penalties_are_raised_whatever_the_preset() {
        for name in SamplerParams::PRESETS {
            let preset = SamplerParams::preset(name).unwrap();
            let raised = raised_penalty(&preset);
            assert!(raised.repetition_penalty > preset.repetition_penalty);
            assert!(raised.dry.multiplier >= 0.8);
            raised.validate().unwrap();
        }
        let most = SamplerParams { repetition_penalty: 5.0, ..SamplerParams::default() };
        raised_penalty(&most).validate().unwrap();
        let bare =
            SamplerParams { order: vec![SamplerStage::Temperature], ..SamplerParams::default() };
        assert_eq!(raised_penalty(&bare).order.len(), 3);
    }
}
