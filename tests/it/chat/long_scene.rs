//! A scene of two hundred turns in a small context, through the whole chat room.

use dramatis::domain::{CharacterSheet, Turn};
use dramatis::prompt::SectionKind;

use super::house::{House, receipt};
use super::models::{CONTEXT_TOKENS, tiny};

/// Replies of the house at its default length.
const REPLY_TOKENS: usize = 24;

/// What a person says in the nth exchange: different words, different lengths.
fn line(n: usize) -> String {
    let words = ["the lamp", "a gull", "rain", "the stairs", "an old song", "salt", "the door"];
    let said: Vec<_> = (0..3 + n * 7 % 23).map(|i| words[(n + i * i) % words.len()]).collect();
    format!("Exchange {n}: {}.", said.join(", "))
}

fn unchanged(before: &[u32], after: &[u32]) -> usize {
    before.iter().zip(after).take_while(|(before, after)| before == after).count()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures are worth seeing")]
async fn two_hundred_turns_stay_within_the_context_and_keep_their_prefix() {
    let mut house = House::open(tiny()).await;
    let description = "Mira keeps the lighthouse on Gull Rock. ".repeat(12);
    let mira = CharacterSheet { name: "Mira".into(), description, ..CharacterSheet::default() };
    let mira = house.character(mira).await;
    let scene = house.open_scene(&[mira]).await.unwrap().id;
    house.run();

    let budget = CONTEXT_TOKENS - REPLY_TOKENS;
    let (mut last, mut anchor, mut before) = (Vec::new(), None, None);
    let (mut trims, mut surprises, mut late, mut largest) = (0, 0, 0, 0);
    let (mut shares, mut cached) = (Vec::new(), Vec::new());
    for n in 0..100 {
        let reply: Turn = house.exchange(scene, &line(n)).await;
        let made = receipt(&reply.swipe);
        let ids = house.prompt_ids(&reply).await;
        assert_eq!(made.prompt.num_tokens, ids.len(), "counted to the token");
        assert_eq!(made.prompt.budget_tokens, budget);
        assert!(ids.len() <= budget, "exchange {n}: {} tokens", ids.len());
        assert!(ids.len() + made.timings.num_generated_tokens <= CONTEXT_TOKENS);
        let sum: usize = made.prompt.sections.iter().map(|section| section.num_tokens).sum();
        assert_eq!(sum, ids.len());
        let has = |kind| made.prompt.sections.iter().any(|section| section.kind == kind);
        assert!(has(SectionKind::Character) && has(SectionKind::RoleLine));

        // The reply, and what was computed ahead of the next one.
        house.until_finished(2 * (n as u64 + 1)).await;
        let first_kept = made.prompt.trimmed.first_kept;
        // A turn longer than the last few overflows all the same.
        let is_surprise = n > 0 && first_kept != anchor;
        surprises += usize::from(is_surprise);
        anchor = house.chat.scene(house.guild, scene).await.unwrap().anchor;
        let same = unchanged(&last, &ids);
        if n == 0 || first_kept == before {
            // All but the open header, which is now a reply's.
            let share = same as f64 / last.len().max(1) as f64;
            assert!(n == 0 || last.len() - same < 16, "exchange {n}: {same} of {}", last.len());
            shares.push(if n == 0 { 1.0 } else { share });
        } else {
            trims += 1;
            assert!(first_kept.is_some() && largest > budget / 2);
        }
        if n > 0 && !is_surprise {
            // After a trim, too: it was made ready while nobody waited.
            let share = made.timings.num_cached_tokens as f64 / ids.len() as f64;
            late += usize::from(share < 0.5);
            cached.push(share);
        }
        largest = largest.max(ids.len());
        (last, before) = (ids, first_kept);
    }
    assert_eq!(house.line(scene).await.len(), 200);
    assert!((3..30).contains(&trims), "{trims} trims");
    assert!(surprises * 2 <= trims, "{surprises} of {trims} trims came unexpected");
    // On a machine that does a hundred other things it can come late now and then.
    assert!(late * 2 <= trims, "{late} prompts were not ready after {trims} trims");
    assert!(largest > budget - 150, "the room is used: {largest} of {budget}");
    let mean = |shares: &[f64]| 100.0 * shares.iter().sum::<f64>() / shares.len() as f64;
    println!(
        "200 turns in {CONTEXT_TOKENS} tokens: prompts of at most {largest} (budget {budget}), \
         {trims} trims ({surprises} unexpected), between them {:.1} % of each prompt unchanged in the next, {:.1} % of \
         each prompt found in the cache",
        mean(&shares),
        mean(&cached),
    );
    assert!(mean(&shares) > 98.0 && mean(&cached) > 85.0);
}
