//! Who answers in a scene with several characters.
//!
//! The field's "natural order": those whose names are mentioned, in the order of
//! mention; then everyone who feels like talking; if nobody does, somebody. Pure:
//! chance comes in as a generator, so that a retried job chooses the same.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use unicode_segmentation::UnicodeSegmentation;

/// What turn order needs to know of a character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// The name on stage.
    pub(super) name: &'a str,
    /// How readily it speaks unasked, 0 to 1.
    pub(super) talkativeness: f32,
}

/// The indices of those who answer `text`, in order; empty only without candidates.
///
/// `last_speaker` is left out unless nobody else is there: a character does not
/// answer itself.
pub(super) fn natural_order(
    candidates: &[Candidate<'_>],
    last_speaker: Option<usize>,
    text: &str,
    rng: &mut impl Rng,
) -> Vec<usize> {
    let mut others: Vec<usize> =
        (0..candidates.len()).filter(|&i| Some(i) != last_speaker).collect();
    if others.len() <= 1 {
        return if others.is_empty() { last_speaker.into_iter().collect() } else { others };
    }
    let mut order = mentioned(candidates, &others, text);
    others.retain(|i| !order.contains(i));
    others.shuffle(rng);
    let volunteers: Vec<usize> = others
        .iter()
        .copied()
        .filter(|&i| rng.random::<f32>() < candidates[i].talkativeness)
        .collect();
    order.extend(volunteers);
    if order.is_empty() {
        let willing: Vec<usize> =
            others.iter().copied().filter(|&i| candidates[i].talkativeness > 0.0).collect();
        let pool = if willing.is_empty() { &others } else { &willing };
        order.extend(pool.choose(rng));
    }
    order
}

/// Those of `among` whose name, or any word of it, stands in `text` as whole
/// words; earliest mention first.
fn mentioned(candidates: &[Candidate<'_>], among: &[usize], text: &str) -> Vec<usize> {
    let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
    let mut found: Vec<(usize, usize)> = among
        .iter()
        .filter_map(|&i| {
            let names: Vec<String> =
                candidates[i].name.unicode_words().map(str::to_lowercase).collect();
            words.iter().position(|word| names.contains(word)).map(|at| (at, i))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn cast<'a>(members: &[(&'a str, f32)]) -> Vec<Candidate<'a>> {
        members.iter().map(|&(name, talkativeness)| Candidate { name, talkativeness }).collect()
    }

    fn order(members: &[(&str, f32)], last: Option<usize>, text: &str, seed: u64) -> Vec<usize> {
        natural_order(&cast(members), last, text, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn mentions_come_first_and_in_the_order_of_mention() {
        let members = [("Maren Holt", 0.0), ("Bastian", 0.0), ("Tamsin", 0.0)];
        assert_eq!(order(&members, None, "Tamsin, have you met MAREN?", 1), [2, 0]);
        assert_eq!(order(&members, Some(2), "Tamsin, have you met Maren?", 1), [0]);
    }

    #[test]
    fn a_part_of_a_word_is_no_mention() {
        let members = [("Ann", 0.0), ("Bea", 1.0)];
        assert_eq!(order(&members, None, "The annual bear hunt.", 1), [1]);
    }

    #[test]
    fn the_talkative_speak_and_the_silent_do_not_unless_nobody_else_would() {
        let members = [("A", 1.0), ("B", 0.0), ("C", 1.0)];
        for seed in 0..20 {
            let mut chosen = order(&members, None, "Well?", seed);
            chosen.sort_unstable();
            assert_eq!(chosen, [0, 2]);
            assert_eq!(order(&[("A", 0.0), ("B", 0.0)], None, "Well?", seed).len(), 1);
        }
    }

    #[test]
    fn talkativeness_is_a_probability() {
        let members = [("A", 0.3), ("B", 1.0)];
        let spoke = (0..2000).filter(|&seed| order(&members, None, "Hm.", seed).contains(&0));
        let share = spoke.count() as f64 / 2000.0;
        assert!((share - 0.3).abs() < 0.04, "A spoke in {share} of the rounds");
    }

    #[test]
    fn a_lone_character_always_answers() {
        assert_eq!(order(&[("A", 0.0)], Some(0), "", 1), [0]);
        assert_eq!(order(&[("A", 0.0)], None, "", 1), [0]);
        assert!(order(&[], None, "", 1).is_empty());
    }
}
