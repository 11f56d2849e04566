use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Two hundred turns by two, of lengths as people and the model write them.
fn two_hundred_turns() -> Vec<(Speaker, String)> {
    let words = ["rain ", "iron ", "the ", "and ", "she ", "looks ", "away, ", "quietly. "];
    let mut rng = ChaCha8Rng::seed_from_u64(200);
    (0..200)
        .map(|i| {
            let is_reply = i % 2 == 1;
            let length =
                if is_reply { rng.random_range(60..200) } else { rng.random_range(10..80) };
            let mut text = String::new();
            while text.len() < length {
                text.push_str(words[rng.random_range(0..words.len())]);
            }
            (speaker(is_reply, if is_reply { "Mira" } else { "Ana" }), text)
        })
        .collect()
}

fn shared_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How much of each prompt stood at the front of the one before.
#[derive(Debug)]
struct Kept {
    /// Per cent of the prompt's tokens.
    median_percent: usize,
    mean_percent: usize,
    num_trims: usize,
    num_prompts: usize,
}

/// Plays the scene, a prompt for each reply, and measures what the model's cache
/// can keep: what stays the same from the front.
fn play(anchored: bool) -> Kept {
    let said = two_hundred_turns();
    let turns = turns(&said);
    let description = "A smith who says little and sees much. ".repeat(8);
    let (cast, people) = ([character("Mira", &description)], [person("Ana", "A knight.")]);
    let budget = Budget { context_tokens: 2_048, reply_tokens: 300 };

    let (mut percents, mut num_trims, mut last) = (Vec::new(), 0, None::<Prompt>);
    for n in (1..=turns.len()).step_by(2) {
        let anchor = last.as_ref().and_then(|prompt| prompt.anchor).filter(|_| anchored);
        let inputs = PromptInputs {
            scenario: "A smithy in the rain.",
            turns: &turns[..n],
            anchor,
            ..inputs(&cast, &people)
        };
        let prompt = built(&inputs, budget).unwrap();
        assert!(prompt.text.contains(description.trim()));
        assert!(prompt.text.contains(turns[n - 1].text.trim()));
        if let Some(last) = &last {
            let kept = shared_prefix(&last.token_ids, &prompt.token_ids);
            percents.push(100 * kept / prompt.token_ids.len());
            num_trims += usize::from(prompt.anchor != last.anchor);
        }
        last = Some(prompt);
    }
    percents.sort_unstable();
    Kept {
        median_percent: percents[percents.len() / 2],
        mean_percent: percents.iter().sum::<usize>() / percents.len(),
        num_trims,
        num_prompts: percents.len() + 1,
    }
}

/// A reply's prompt can share no more than what stood before the last reply's
/// header: the reply and what the person said since are new.
#[test]
fn the_prefix_stays_over_two_hundred_turns_in_a_small_context() {
    let (anchored, afresh) = (play(true), play(false));
    insta::assert_snapshot!(format!("{anchored:?}"), @"Kept { median_percent: 82, mean_percent: 70, num_trims: 34, num_prompts: 100 }");
    insta::assert_snapshot!(format!("{afresh:?}"), @"Kept { median_percent: 43, mean_percent: 44, num_trims: 94, num_prompts: 100 }");
    assert_eq!(anchored.num_prompts, 100);
    assert!(anchored.median_percent >= 80, "{anchored:?}");
    assert!(anchored.mean_percent >= 68, "{anchored:?}");
    assert!((10..=40).contains(&anchored.num_trims), "{anchored:?}");
    assert!(afresh.median_percent < 50, "the measure tells anchored trimming apart: {afresh:?}");
}
