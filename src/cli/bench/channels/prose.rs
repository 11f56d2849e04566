//! English prose without end, from a seed: what people and characters say while
//! the service is measured.
//!
//! The same seed and channel give the same words; two channels share none of their
//! beginnings. No line breaks, so that nothing in it reads as another turn.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::tokenizer::Tokenizer;

const SEED: u64 = 1831;

const OPENERS: [&str; 10] = [
    "After a while",
    "Before anyone could answer",
    "On the far side of the yard",
    "In the last of the light",
    "As the kettle began to sing",
    "Somewhere below the stairs",
    "With both hands on the rail",
    "Long past midnight",
    "While the rain went on",
    "Where the road bends to the river",
];
const WHO: [&str; 12] = [
    "the ferryman",
    "her youngest brother",
    "an old surveyor",
    "the woman with the lantern",
    "one of the drovers",
    "the clockmaker's girl",
    "a stranger in a grey coat",
    "the keeper",
    "nobody she knew",
    "the boy from the mill",
    "a tired physician",
    "the captain's widow",
];
const DID: [&str; 14] = [
    "set down",
    "turned over",
    "remembered",
    "counted again",
    "put away",
    "held out",
    "pointed at",
    "would not look at",
    "asked about",
    "carried in",
    "laughed at",
    "wrapped up",
    "had forgotten",
    "listened for",
];
const WHAT: [&str; 14] = [
    "a letter that had never been opened",
    "the second of the three keys",
    "a map with one corner burnt away",
    "the sound of the harbour bell",
    "four silver coins and a button",
    "the whole long story of the flood",
    "a coat that smelled of tar",
    "the name on the gate",
    "bread, cold tea and a slice of cheese",
    "what the tide had left behind",
    "a box of broken watches",
    "the dog asleep across the doorway",
    "every window on the north side",
    "an instrument for measuring the wind",
];
const ENDS: [&str; 10] = [
    ", and the talk went on as if nothing had happened.",
    ", which was more than anyone had hoped for.",
    ". \"That will have to do,\" someone said.",
    ", though the ink was hardly dry.",
    ". It had been like that for years.",
    "; outside, the horses grew restless.",
    ", slowly, as one does a thing for the last time.",
    ". \"And who told you so?\" came from the dark.",
    ", and did not explain.",
    ". There was salt on everything.",
];

/// A source of sentences.
#[derive(Debug)]
pub(super) struct Prose(ChaCha8Rng);

impl Prose {
    /// The prose of one channel.
    pub(super) fn of_channel(channel: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        rng.set_stream(channel as u64);
        Self(rng)
    }

    /// Text of this many tokens, or one or two beside it where the cut falls into a
    /// word.
    pub(super) fn of_tokens(&mut self, num_tokens: usize, tokenizer: &Tokenizer) -> String {
        let mut text = self.sentence();
        while tokenizer.count(&text) < num_tokens {
            text.push(' ');
            text.push_str(&self.sentence());
        }
        let ids = tokenizer.encode(&text);
        tokenizer.decode(&ids[..num_tokens.min(ids.len())]).trim().to_owned()
    }

    fn sentence(&mut self) -> String {
        let Self(rng) = self;
        let number = rng.random_range(2..900);
        let mut choose = |words: &[&'static str]| *words.choose(rng).expect("no list is empty");
        let [opener, who, did, what, end] =
            [&OPENERS[..], &WHO, &DID, &WHAT, &ENDS].map(&mut choose);
        match number % 3 {
            0 => format!("{opener}, {who} {did} {what}{end}"),
            1 => format!("{opener}, for the {number}th time, {who} {did} {what}{end}"),
            _ => format!("Page {number} said that {who} {did} {what}{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_as_long_as_asked_and_another_in_each_channel() {
        let tokenizer = Tokenizer::bytes();
        let text = |channel| Prose::of_channel(channel).of_tokens(500, &tokenizer);
        assert_eq!(text(0), text(0));
        assert_ne!(text(0), text(1));
        assert!((498..=500).contains(&tokenizer.count(&text(3))), "{}", text(3));
        assert!(!text(2).contains('\n'));
    }
}
