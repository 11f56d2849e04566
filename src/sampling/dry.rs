//! DRY, "don't repeat yourself": a penalty on going on with a repeat.

use super::candidates::Candidates;
use super::params::Dry;
use super::vocabulary::Vocabulary;

/// The DRY of one reply, with its buffers.
///
/// Where the last n tokens stand earlier in the window too, whichever token
/// followed there would make the repeat longer: for n ≥ `allowed_length` its
/// logit loses `multiplier` · `base`^(n − `allowed_length`), with the largest n
/// that it has anywhere in the window. n counts no further back than the last
/// breaker: the token that holds the last byte of one, and all before it, are
/// out. Off where `multiplier` is 0.
///
/// A token that holds a whole breaker is never penalised itself.
///
/// Weidmann's DRY (text-generation-webui, pull request 5677), in the definition
/// of llama.cpp's `llama_sampler_dry_apply`. KoboldCpp's `sample_dry` differs on
/// two points: it penalises breakers too, and not a repeat of just
/// `allowed_length` tokens that a breaker stands right before. Breakers are
/// looked for in the bytes that the tokens spell, so that it does not matter how
/// one was tokenised (both of them look for its usual tokenisation).
#[derive(Debug, Clone, Default)]
pub(super) struct DryPenalty {
    /// The breakers, each back to front.
    breakers: Vec<Vec<u8>>,
    /// The tail of the window as bytes, back to front.
    bytes: Vec<u8>,
    /// `repeats[k]`: how many tokens before the k-th last one, it included, are
    /// those at the end of the window.
    repeats: Vec<usize>,
    /// Tokens that would go on with a repeat, and how long it is.
    penalised: Vec<(u32, usize)>,
}

impl DryPenalty {
    pub(super) fn new(params: &Dry) -> Self {
        let breakers = params.breakers.iter().map(|breaker| breaker.bytes().rev().collect());
        Self { breakers: breakers.collect(), ..Self::default() }
    }

    pub(super) fn apply(
        &mut self,
        candidates: &mut Candidates,
        params: &Dry,
        history: &[u32],
        vocabulary: &Vocabulary,
    ) {
        let range = if params.range == 0 { history.len() } else { params.range };
        let window = &history[history.len().saturating_sub(range)..];
        let limit = self.tokens_since_breaker(window, vocabulary);
        if limit < params.allowed_length {
            return;
        }
        count_repeats(window, &mut self.repeats);

        self.penalised.clear();
        for (back, &repeat) in self.repeats.iter().enumerate().skip(1) {
            if repeat >= params.allowed_length {
                self.penalised.push((window[window.len() - back], repeat.min(limit)));
            }
        }
        self.penalised.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        self.penalised.dedup_by_key(|&mut (id, _)| id);
        self.penalised.retain(|&(id, _)| !holds_any(vocabulary.token_bytes(id), &self.breakers));

        candidates.edit(&mut self.penalised, |logit, &repeat| {
            let further = (repeat - params.allowed_length) as f64;
            let penalty = f64::from(params.multiplier) * f64::from(params.base).powf(further);
            (f64::from(logit) - penalty) as f32
        });
    }

    /// How many tokens follow the last one that holds the last byte of a
    /// breaker; all of them if none does.
    fn tokens_since_breaker(&mut self, window: &[u32], vocabulary: &Vocabulary) -> usize {
        let Some(longest) = self.breakers.iter().map(Vec::len).max() else { return window.len() };
        self.bytes.clear();
        let mut earlier = window.iter().rev();
        let mut end = 0;
        for (since, &token) in window.iter().rev().enumerate() {
            let start = end;
            end += vocabulary.token_bytes(token).len();
            while self.bytes.len() < end + longest - 1
                && let Some(&token) = earlier.next()
            {
                self.bytes.extend(vocabulary.token_bytes(token).iter().rev());
            }
            let ends_at = |at: usize| {
                self.breakers.iter().any(|breaker| self.bytes[at..].starts_with(breaker))
            };
            if (start..end).any(ends_at) {
                return since;
            }
        }
        window.len()
    }
}

/// Whether one of the breakers, which are back to front, stands in `bytes`.
fn holds_any(bytes: &[u8], breakers: &[Vec<u8>]) -> bool {
    breakers
        .iter()
        .any(|breaker| bytes.windows(breaker.len()).any(|window| window.iter().rev().eq(breaker)))
}

/// The Z function of the window read backwards: `repeats[k]` is how long the
/// window's end is repeated at the k-th place from the end (0 for k = 0). Linear
/// in the window: every comparison that succeeds moves `box_end`.
///
/// Gusfield 1997, "Algorithms on Strings, Trees and Sequences", section 1.4.
fn count_repeats(window: &[u32], repeats: &mut Vec<usize>) {
    let back = |place: usize| window[window.len() - 1 - place];
    repeats.clear();
    repeats.resize(window.len(), 0);
    let (mut box_start, mut box_end) = (0, 0);
    for place in 1..window.len() {
        let mut length =
            if place < box_end { repeats[place - box_start].min(box_end - place) } else { 0 };
        while place + length < window.len() && back(length) == back(place + length) {
            length += 1;
        }
        repeats[place] = length;
        if place + length > box_end {
            (box_start, box_end) = (place, place + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_equal_those_counted_one_by_one() {
        for window in [&b"abccbcyabc"[..], b"aaaaaaa", b"abababab", b"", b"x", b"abcabdabcabdabc"] {
            let window: Vec<u32> = window.iter().map(|&byte| byte.into()).collect();
            let mut repeats = Vec::new();
            count_repeats(&window, &mut repeats);
            for (back, &repeat) in repeats.iter().enumerate().skip(1) {
                let earlier = &window[..window.len() - back];
                let slow = earlier.iter().rev().zip(window.iter().rev());
                assert_eq!(repeat, slow.take_while(|(a, b)| a == b).count(), "{window:?} {back}");
            }
        }
    }

    #[test]
    fn a_breaker_is_found_however_it_was_tokenised() {
        let vocabulary = Vocabulary::new(["a", "b", "#", "##", "###x", ".\n", "é"]);
        let since = |breakers: &[&str], window: &[u32]| {
            let breakers = breakers.iter().map(|&breaker| breaker.to_owned()).collect();
            let mut dry = DryPenalty::new(&Dry { breakers, ..Dry::default() });
            dry.tokens_since_breaker(window, &vocabulary)
        };
        assert_eq!(since(&["\n"], &[0, 5, 0, 1]), 2);
        assert_eq!(since(&["\n"], &[0, 1]), 2);
        assert_eq!(since(&[], &[5, 1]), 2);
        assert_eq!(since(&["###"], &[0, 2, 3, 1]), 1);
        assert_eq!(since(&["###"], &[0, 3, 2, 1]), 1);
        assert_eq!(since(&["###"], &[0, 2, 2, 2]), 0);
        assert_eq!(since(&["###"], &[4, 2, 2]), 2);
        assert_eq!(since(&["###"], &[2, 2, 0, 2]), 4);
        // One that ends later wins, also if it begins earlier.
        assert_eq!(since(&["#", "##ab"], &[3, 0, 1, 0]), 1);
        assert_eq!(since(&["é"], &[6, 99, 0]), 2);

        let breakers = [b"\n".to_vec(), b"ba".to_vec()];
        let held =
            [&b".\n"[..], b"xab", b"xba", b"", b"a"].map(|bytes| holds_any(bytes, &breakers));
        assert_eq!(held, [true, true, false, false, false]);
    }
}
