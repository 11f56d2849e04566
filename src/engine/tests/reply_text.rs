//! The text of a reply against plain references, for any cutting into pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::engine::FinishReason;
use crate::engine::banned::BannedStrings;
use crate::engine::stop::StopStrings;
use crate::engine::text::{ReplyText, TextVerdict, Trim};
use crate::tokenizer::IncrementalDecoder;

const TRIM: Trim = Trim { start_space: true, end: true, rounds_off: false };

/// Few characters, so that stops occur, begin and overlap; one to four bytes each.
fn string(len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(select(vec!['a', 'b', '\n', ' ', 'é', '→', '🕯']), len).prop_map(String::from_iter)
}

/// `text` cut into pieces of bytes, as tokens are: within characters too.
fn cut<'a>(text: &'a str, cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut borders: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    borders.extend([0, text.len()]);
    borders.sort_unstable();
    borders.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect()
}

struct Outcome {
    deltas: Vec<String>,
    text: String,
    reason: FinishReason,
}

/// Feeds `pieces` until a stop or the end; `look` sees the text so far and what of it
/// was shown after each piece.
fn feed(
    stops: &[String],
    trim: Trim,
    pieces: &[&[u8]],
    end: FinishReason,
    mut look: impl FnMut(&str, &str),
) -> Outcome {
    let stops = StopStrings::new(stops.to_vec());
    let mut reply = ReplyText::new(stops, BannedStrings::default(), trim);
    let mut decoder = IncrementalDecoder::new();
    let (mut fed, mut deltas, mut reason) = (String::new(), Vec::new(), end);
    for piece in pieces {
        let piece = decoder.push(piece);
        fed.push_str(&piece);
        reply.push(&piece);
        if let TextVerdict::Stopped(stop) = reply.check(true) {
            reason = FinishReason::Stop(stop);
            break;
        }
        deltas.push(reply.take_delta(usize::MAX).to_owned());
        look(&fed, &deltas.concat());
    }
    deltas.push(reply.finish(&reason).to_owned());
    Outcome { deltas, text: reply.into_text(), reason }
}

/// What stands before the stop that is complete first, character by character.
fn reference(text: &str, stops: &[String]) -> String {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    for end in ends {
        let found = stops.iter().filter(|stop| text[..end].ends_with(*stop));
        if let Some(longest) = found.map(String::len).max() {
            return text[..end - longest].to_owned();
        }
    }
    text.to_owned()
}

proptest! {
    #[test]
    fn one_stop_cuts_like_split(
        text in string(0..40), stop in string(1..5), cuts in vec(any::<Index>(), 0..20),
    ) {
        let expected = text.split(&stop).next().unwrap().to_owned();
        let stops = [stop];
        let outcome =
            feed(&stops, Trim::default(), &cut(&text, &cuts), FinishReason::Length, |_, shown| {
                assert!(expected.starts_with(shown), "{shown:?} reveals part of a stop");
            });
        prop_assert_eq!(outcome.deltas.concat(), expected.as_str());
        prop_assert_eq!(outcome.text, expected.as_str());
        prop_assert_eq!(outcome.reason != FinishReason::Length, text.contains(&stops[0]));
    }

    #[test]
    fn several_stops_do_not_depend_on_the_cuts(
        text in string(0..40), stops in vec(string(1..6), 0..4), cuts in vec(any::<Index>(), 0..20),
    ) {
        let expected = reference(&text, &stops);
        let outcome =
            feed(&stops, Trim::default(), &cut(&text, &cuts), FinishReason::Eos, |fed, shown| {
                assert!(expected.starts_with(shown), "{shown:?} reveals part of a stop");
                // Only what may begin a stop is withheld.
                let held = &fed[shown.len()..];
                assert!(held.is_empty() || stops.iter().any(|stop| stop.starts_with(held)));
            });
        prop_assert_eq!(outcome.deltas.concat(), expected.as_str());
        prop_assert_eq!(outcome.text, expected);
    }

    #[test]
    fn trimming_never_takes_back_what_was_shown(
        text in string(0..40), stops in vec(string(1..6), 0..4), cuts in vec(any::<Index>(), 0..20),
        end in select(vec![FinishReason::Eos, FinishReason::Length]),
    ) {
        let outcome = feed(&stops, TRIM, &cut(&text, &cuts), end, |_, shown| {
            assert_eq!(shown.trim_end(), shown);
        });
        prop_assert_eq!(outcome.deltas.concat(), outcome.text.as_str());
        prop_assert_eq!(outcome.text.trim_end(), outcome.text.as_str());
        let whole = reference(&text, &stops);
        let whole = whole.strip_prefix(' ').unwrap_or(&whole);
        prop_assert!(whole.starts_with(&outcome.text));
        // Whatever is missing is white space, or holds a begun stop.
        let missing = whole[outcome.text.len()..].trim();
        let begun = stops.iter().any(|stop| missing.chars().next().is_some_and(|c| stop.contains(c)));
        prop_assert!(missing.is_empty() || begun);
    }

    #[test]
    fn a_character_is_never_split(text in "\\PC{0,20}", cuts in vec(any::<Index>(), 0..40)) {
        let outcome =
            feed(&[], Trim::default(), &cut(&text, &cuts), FinishReason::Eos, |fed, shown| {
                assert_eq!(fed, shown, "without stops every whole character is shown");
                assert!(text.starts_with(shown));
            });
        prop_assert_eq!(outcome.text, text);
    }

    #[test]
    fn what_may_be_banned_is_not_shown(
        text in string(0..40), banned in string(1..6), cuts in vec(any::<Index>(), 0..20),
    ) {
        let strings = BannedStrings::new(std::slice::from_ref(&banned));
        let mut reply = ReplyText::new(StopStrings::default(), strings, Trim::default());
        let mut decoder = IncrementalDecoder::new();
        let mut shown = String::new();
        let end = text.find(&banned).unwrap_or(text.len());
        for piece in cut(&text, &cuts) {
            reply.push(&decoder.push(piece));
            if let TextVerdict::Banned(range) = reply.check(true) {
                prop_assert_eq!(range, end..end + banned.len());
                return Ok(());
            }
            shown.push_str(reply.take_delta(usize::MAX));
            prop_assert!(shown.len() <= end, "{:?} shows part of {:?}", shown, banned);
        }
        prop_assert!(!text.contains(&banned));
        shown.push_str(reply.finish(&FinishReason::Eos));
        prop_assert_eq!(shown, text);
    }
}

#[test]
fn going_back_to_before_the_banned_string_loses_nothing() {
    let strings = BannedStrings::new(&["d the".to_owned()]);
    let mut reply = ReplyText::new(StopStrings::default(), strings, Trim::default());
    reply.push("Up ");
    assert_eq!(reply.check(true), TextVerdict::Open);
    assert_eq!(reply.take_delta(usize::MAX), "Up ");
    reply.push("and ");
    assert_eq!(reply.check(true), TextVerdict::Open);
    // The piece may be taken back as a whole, so none of it is shown.
    assert_eq!(reply.settled(), 5);
    assert_eq!(reply.take_delta(3), "");
    reply.push("then");
    assert_eq!(reply.check(true), TextVerdict::Banned(5..10));
    reply.truncate(3);
    // The search goes back as well.
    reply.push("d the");
    assert_eq!(reply.check(true), TextVerdict::Banned(3..8));
    reply.truncate(3);
    reply.push("or the other");
    assert_eq!(reply.check(true), TextVerdict::Open);
    assert_eq!(reply.finish(&FinishReason::Eos), "or the other");
    assert_eq!(reply.into_text(), "Up or the other");
}

#[test]
fn a_banned_string_that_was_let_pass_is_text() {
    let strings = BannedStrings::new(&["aba".to_owned()]);
    let stops = StopStrings::new(vec!["!".into()]);
    let mut reply = ReplyText::new(stops, strings, Trim::default());
    reply.push("xababa!");
    assert_eq!(reply.check(true), TextVerdict::Banned(1..4));
    reply.let_pass(4);
    assert_eq!(reply.check(true), TextVerdict::Stopped("!".into()));
    assert_eq!(reply.finish(&FinishReason::Stop("!".into())), "xababa");
}

#[test]
fn the_ends_of_a_reply_are_trimmed() {
    let stops = ["\n### Input", "\nBob:"].map(String::from);
    for (text, end, kept) in [
        ("  Hello.\n\n### Input:\nBob", FinishReason::Eos, " Hello."),
        (" Hello.\n\n### Inp", FinishReason::Length, "Hello."),
        (" Hello.\n\n### Inp", FinishReason::Eos, "Hello."),
        (" Hello.\n", FinishReason::Length, "Hello."),
        (" Hello.\n\nBo", FinishReason::Length, "Hello."),
        (" Hello.\n\nB", FinishReason::Eos, "Hello.\n\nB"),
        (" Hello, Bob", FinishReason::Length, "Hello, Bob"),
        (" Hello.\nBob: Hi", FinishReason::Length, "Hello."),
        (" \n ", FinishReason::Length, ""),
        (" ", FinishReason::Aborted, ""),
        ("", FinishReason::Eos, ""),
    ] {
        let pieces: Vec<_> = text.as_bytes().chunks(1).collect();
        let outcome = feed(&stops, TRIM, &pieces, end.clone(), |_, _| {});
        assert_eq!(outcome.text, kept, "{text:?} ended by {end:?}");
        assert_eq!(outcome.deltas.concat(), kept);
    }
}

#[test]
fn without_trimming_the_text_is_left_as_it_is() {
    let stops = ["\n### Input".to_owned()];
    let outcome =
        feed(&stops, Trim::default(), &[b" Hi.\n### Inp"], FinishReason::Length, |_, _| {});
    assert_eq!(outcome.text, " Hi.\n### Inp");
    assert_eq!(outcome.deltas, [" Hi.", "\n### Inp"]);
}
