//! From turns to lines: nothing of anybody's name, no token too many, and every line
//! reads back.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::names::{Named, Names};
use super::scrub::{Replaced, scrub};
use super::window::{Marks, Sample, windows};
use crate::domain::{CharacterId, Length, PersonId, Speaker, TurnId};
use crate::prompt::alpaca::{Entry, Side, parse};
use crate::prompt::{
    Lesson, PromptCharacter, PromptInputs, PromptPerson, PromptTurn, lesson, visible,
};
use crate::tokenizer::Tokenizer;

const RANGES: [(Length, RangeInclusive<usize>); 3] =
    [(Length::Micro, 1..=8), (Length::Medium, 9..=40), (Length::Huge, 41..=usize::MAX)];

fn marks() -> Marks {
    Marks { bos: "<s>".into(), eos: "</s>".into() }
}

/// A scene of Mira and people whose names are given already.
fn taught(people: &[&str], turns: &[(bool, &str, &str)]) -> Lesson {
    let tokenizer = Tokenizer::bytes();
    let cast = [PromptCharacter {
        name: "Mira",
        description: "Keeps the {{user}} warm.",
        personality: "",
        example_dialogue: "",
    }];
    let people: Vec<_> =
        people.iter().map(|name| PromptPerson { name, description: "A guest." }).collect();
    let spoken: Vec<(Speaker, &str)> = turns
        .iter()
        .map(|(is_character, name, text)| {
            let name = (*name).to_owned();
            let speaker = match is_character {
                true => Speaker::Character { id: CharacterId(1), name },
                false => Speaker::Person { id: PersonId(1), name },
            };
            (speaker, *text)
        })
        .collect();
    let turns: Vec<_> = spoken
        .iter()
        .zip(1..)
        .map(|((speaker, text), id)| PromptTurn { id: TurnId(id), speaker, text })
        .collect();
    let inputs = PromptInputs {
        scenario: "Rain.",
        system_prompt: "ignored",
        macro_seed: 1,
        ..PromptInputs::plain(&cast, &people, &turns)
    };
    lesson(&inputs, |text| super::lengths::length_of(tokenizer.count(text), &RANGES)).unwrap()
}

fn joined(sample: &Sample) -> String {
    sample.segments.iter().map(|segment| segment.text.as_str()).collect()
}

/// The text without marks, as prompts have it.
fn unmarked(sample: &Sample) -> String {
    joined(sample).replace("<s>", "").replace("</s>", "")
}

fn all(lesson: &Lesson) -> Vec<bool> {
    lesson.turns.iter().map(|turn| turn.length.is_some()).collect()
}

const SCENE: [(bool, &str, &str); 5] = [
    (true, "Mira", "Come in."),
    (false, "Robin", "*knocks*\nMira: hello?"),
    (true, "Mira", "Sit down by the fire, will you?"),
    (false, "Robin", "I will."),
    (true, "Mira", "Good."),
];

#[test]
fn a_scene_is_the_cards_transcript_with_a_length_in_every_response() {
    let lesson = taught(&["Robin"], &SCENE);
    let cut =
        windows(&lesson, &[false, false, true, false, true], &marks(), &Tokenizer::bytes(), 9_000);
    let [sample] = cut.samples.as_slice() else { panic!("one sample") };
    assert_eq!((cut.num_left_over, sample.num_turns), (0, 5));
    assert_eq!(
        joined(sample),
        "<s>### Instruction:\nMira's Persona: Keeps the Robin warm.\n\nRobin's Persona: A guest.\n\n\
         Scenario: Rain.\n\nPlay the role of Mira. You must engage in a roleplaying chat with Robin \
         below this line. Do not write dialogues and narration for Robin.\n\n\
         ### Response: (length = medium)\nMira: Come in.</s>\n\n\
         ### Input:\nRobin: *knocks*\n> Mira: hello?\n\n\
         ### Response: (length = medium)\nMira: Sit down by the fire, will you?</s>\n\n\
         ### Input:\nRobin: I will.\n\n\
         ### Response: (length = micro)\nMira: Good.</s>"
    );
    let labelled: Vec<&str> = sample
        .segments
        .iter()
        .filter(|segment| segment.label)
        .map(|segment| segment.text.as_str())
        .collect();
    assert_eq!(labelled, [" Sit down by the fire, will you?</s>", " Good.</s>"]);
    assert!(sample.segments.iter().filter(|it| !it.label).all(|it| it.text.ends_with("Mira:")));
    let line = serde_json::to_value(sample).unwrap();
    assert_eq!(
        line["segments"][1],
        serde_json::json!({
            "label": true, "text": " Sit down by the fire, will you?</s>"
        })
    );
    assert_eq!(line.as_object().unwrap().len(), 1, "nothing else goes out");

    let transcript = parse(&unmarked(sample)).unwrap();
    let lengths: Vec<_> = transcript
        .entries
        .iter()
        .map(|entry| match entry {
            Entry::Turn { side: Side::Response, length, .. } => *length,
            _ => None,
        })
        .collect();
    let [medium, micro] = [Length::Medium, Length::Micro].map(Some);
    assert_eq!(lengths, [medium, None, medium, None, micro]);
}

/// The tokens of a sample as Axolotl makes them of its segments.
fn tokens(sample: &Sample, tokenizer: &Tokenizer) -> usize {
    sample
        .segments
        .iter()
        .map(|segment| {
            let marks = segment.text.matches("<s>").count() + segment.text.matches("</s>").count();
            let texts = segment.text.replace("</s>", "<s>");
            marks + texts.split("<s>").map(|text| tokenizer.encode_start(text).len()).sum::<usize>()
        })
        .sum()
}

#[test]
fn windows_are_whole_turns_within_the_limit_one_after_the_other() {
    let tokenizer = Tokenizer::bytes();
    let texts: Vec<String> =
        (0..40).map(|i| format!("Turn {i} {}", "x".repeat(i * 7 % 50))).collect();
    let turns: Vec<(bool, &str, &str)> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| (i % 2 == 1, if i % 2 == 1 { "Mira" } else { "Robin" }, text.as_str()))
        .collect();
    let lesson = taught(&["Robin"], &turns);
    let whole = windows(&lesson, &all(&lesson), &marks(), &tokenizer, usize::MAX);
    let num_tokens = whole.samples[0].num_tokens;
    for max_tokens in [num_tokens, num_tokens - 1, 1_500, 900, 700, 560] {
        let cut = windows(&lesson, &all(&lesson), &marks(), &tokenizer, max_tokens);
        let mut said = Vec::new();
        for sample in &cut.samples {
            assert_eq!(sample.num_tokens, tokens(sample, &tokenizer));
            assert!(sample.num_tokens <= max_tokens, "{} > {max_tokens}", sample.num_tokens);
            assert!(sample.lengths.len() >= 2);
            assert!(sample.segments.last().unwrap().label, "it ends with a response");
            let transcript = parse(&unmarked(sample)).unwrap();
            assert!(transcript.instruction.contains("Robin's Persona: A guest."));
            assert_eq!(transcript.entries.len(), sample.num_turns);
            said.extend(transcript.entries.into_iter().map(|entry| match entry {
                Entry::Turn { text, .. } => text,
                Entry::Note(note) => panic!("no note: {note}"),
            }));
        }
        assert_eq!(said.len() + cut.num_left_over, texts.len(), "{max_tokens}");
        let mut rest = texts.iter().map(|text| text.trim());
        assert!(said.iter().all(|said| rest.any(|text| text == said)), "in order, each once");
        let is_whole = cut.samples.len() == 1 && cut.num_left_over == 0;
        assert_eq!(is_whole, max_tokens >= num_tokens, "{max_tokens}");
    }
    let none = windows(&lesson, &all(&lesson), &marks(), &tokenizer, 300);
    assert_eq!((none.samples.len(), none.num_left_over), (0, 40));
}

#[test]
fn a_turn_that_is_too_long_is_left_out_whole() {
    let tokenizer = Tokenizer::bytes();
    let long = "word ".repeat(500);
    let mut turns = SCENE.to_vec();
    turns[0] = (false, "Robin", long.as_str());
    let lesson = taught(&["Robin"], &turns);
    let cut = windows(&lesson, &all(&lesson), &marks(), &tokenizer, 1_000);
    assert_eq!((cut.samples.len(), cut.num_left_over), (1, 1));
    assert!(!joined(&cut.samples[0]).contains("word word"));
}

/// Names as people choose them, and as nobody should.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Z][a-zé]{1,8}( [A-Z][a-z]{2,8})?",
        1 => "[\\PC]{1,12}",
        1 => prop::sample::select(vec![
            "José", "田中", "🦊", "x</s>y", ".*", "Ash of Water", "### Response:", "<|im_end|>", "Ａｎｎ",
            "An\u{200b}n", "Mira",
        ]).prop_map(str::to_owned),
    ]
}

/// Texts in which names, mentions and forgeries stand.
fn text(names: Vec<String>) -> impl Strategy<Value = String> {
    let names = names.into_iter().flat_map(|name| {
        let forms = [name.to_uppercase(), format!("<@{name}>"), format!("\n{name}: hi"), name];
        forms.into_iter()
    });
    let fixed = [
        "<@42>",
        "<@!43>",
        "\n### Response: (length = micro)\nMira: x",
        "</s>",
        "<s>",
        "https://a.example/Ann",
        "ann@b.example",
        "+49 30 1234567",
        "\u{200b}",
        "\u{202e}",
        " ",
    ];
    let pieces: Vec<String> = names.chain(fixed.map(str::to_owned)).collect();
    let piece = prop_oneof![prop::sample::select(pieces), "[\\PC\\n]{0,20}"];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn scenes() -> impl Strategy<Value = (Vec<String>, Vec<(bool, String)>)> {
    prop::collection::vec(name(), 1..4).prop_flat_map(|names| {
        let turns = prop::collection::vec((any::<bool>(), text(names.clone())), 2..10);
        (Just(names), turns)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is said: what passes the checks holds no name, and reads back.
    #[test]
    fn no_name_is_left_and_every_line_reads_back((names, said) in scenes()) {
        let tokenizer = Tokenizer::bytes();
        let ids: HashMap<String, PersonId> =
            ["42", "43"].into_iter().zip([1, 2]).map(|(id, key)| (id.to_owned(), PersonId(key))).collect();
        let people: Vec<Named> = names
            .iter()
            .zip(1..)
            .map(|(name, id)| Named { id: PersonId(id), names: vec![name.clone()] })
            .collect();
        let Ok(names) = Names::new(&people, &["Mira"], b"salt") else { return Ok(()) };
        let plain: Vec<String> = said
            .iter()
            .map(|(_, text)| {
                let by_id = |id: &str| ids.get(id).map(|id| names.of(*id).to_owned());
                names.replace(&scrub(&visible(text), by_id, &mut Replaced::default())).0
            })
            .collect();
        let user = names.of(PersonId(1)).to_owned();
        let turns: Vec<(bool, &str, &str)> = said
            .iter()
            .zip(&plain)
            .map(|((is_character, _), text)| {
                (*is_character, if *is_character { "Mira" } else { user.as_str() }, text.as_str())
            })
            .collect();
        let lesson = taught(&[&user], &turns);
        let parts = lesson.turns.iter().flat_map(|turn| [&turn.header, &turn.text]);
        if parts.chain([&lesson.opening]).any(|text| names.are_in(text)) {
            // It would be left out; that must stay rare, see below.
            return Ok(());
        }
        let cut = windows(&lesson, &all(&lesson), &marks(), &tokenizer, usize::MAX);
        for sample in &cut.samples {
            let text = joined(sample);
            prop_assert!(!names.are_in(&unmarked(sample)), "{text}");
            for mention in ["<@42>", "<@!43>", "https://", "ann@b.example", "1234567"] {
                prop_assert!(!text.contains(mention), "{mention} in {text}");
            }
            // People's text forges neither turns nor marks.
            prop_assert_eq!(text.matches("<s>").count(), 1);
            let responses = said[..sample.num_turns].iter().filter(|(it, _)| *it).count();
            prop_assert_eq!(text.matches("</s>").count(), responses);
            let transcript = parse(&unmarked(sample)).unwrap();
            prop_assert_eq!(transcript.entries.len(), sample.num_turns);
            prop_assert_eq!(sample.num_tokens, tokens(sample, &tokenizer));
            for (entry, turn) in transcript.entries.iter().zip(&lesson.turns) {
                let Entry::Turn { length, text, .. } = entry else { panic!("{entry:?}") };
                prop_assert_eq!(length, &turn.length);
                prop_assert_eq!(text.as_str(), turn.text.trim_start_matches(' '));
            }
        }
    }
}
