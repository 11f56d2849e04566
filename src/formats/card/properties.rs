//! What holds of every card, whatever is in it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::domain::{CharacterSheet, DepthPrompt, PromptRole};
use crate::formats::strategies::{card, spoiled, unknown_of};

fn read(text: &str) -> Card {
    Card::read_json(text).unwrap()
}

/// The unknown fields of the body, of its extensions, and of what they are in.
fn unknown(card: &Card) -> Vec<Vec<(String, String)>> {
    let body = card.body();
    let extensions = body.object("extensions").ok().flatten().unwrap_or_default();
    let mut assets = Vec::new();
    for item in body.items("assets").ok().flatten().unwrap_or_default() {
        assets.extend(unknown_of(&Object::parse(item.get(), "").unwrap()));
    }
    let root = if card.version == Version::V1 { Vec::new() } else { unknown_of(card.root()) };
    vec![unknown_of(&body), unknown_of(&extensions), assets, root]
}

/// All unknown fields, wherever they stand.
fn all_unknown(card: &Card) -> Vec<(String, String)> {
    let mut all = unknown(card).concat();
    if card.version == Version::V1
        && let Ok(Some(data)) = card.root.object("data")
    {
        all.extend(unknown_of(&data));
    }
    all.sort();
    all
}

fn line() -> impl Strategy<Value = String> {
    "[a-zäß\"\\\\\n{}]{0,8}"
}

fn sheet() -> impl Strategy<Value = CharacterSheet> {
    let role = select(vec![PromptRole::System, PromptRole::User, PromptRole::Assistant]);
    let prompt = ("[a-z]{1,5}", 0..9_usize, role).prop_map(|(text, depth, role)| DepthPrompt {
        text,
        depth,
        role,
    });
    let texts = || vec(line(), 0..3);
    (
        [line(), line(), line(), line(), line(), line(), line(), line()],
        (texts(), texts(), texts()),
        (option::of("[a-z]{1,4}"), option::of(prompt), 0..=100_u8),
        option::of("https://example\\.org/[a-z]{1,3}\\.(png|webp)"),
    )
        .prop_map(|(lines, lists, (nickname, depth_prompt, percent), avatar_url)| {
            let [name, description, personality, scenario, greeting, example, prompt, notes] =
                lines;
            CharacterSheet {
                name,
                nickname,
                description,
                personality,
                scenario,
                greeting,
                alternate_greetings: lists.0,
                group_only_greetings: lists.1,
                example_dialogue: example,
                system_prompt: prompt.clone(),
                post_history_instructions: prompt,
                depth_prompt,
                talkativeness: f32::from(percent) / 100.0,
                avatar_url,
                tags: lists.2,
                creator_notes: notes.clone(),
                creator: notes.clone(),
                character_version: notes,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reading_and_writing_changes_nothing(text in card()) {
        let card = read(&text);
        prop_assert_eq!(card.to_json(), text);
        prop_assert_eq!(card.with_sheet(&card.to_sheet()), card.clone());
        card.validate();
    }

    #[test]
    fn a_new_sheet_reads_back_and_the_rest_stays(text in card(), sheet in sheet()) {
        let card = read(&text);
        let changed = card.with_sheet(&sheet);
        let mut read_back = read(&changed.to_json()).to_sheet();
        // A card of V1 has two places for notes, and an empty one gives way.
        if sheet.creator_notes.is_empty() && card.root.has("creatorcomment") {
            read_back.creator_notes.clear();
        }
        prop_assert_eq!(read_back, sheet, "{}", changed.to_json());
        prop_assert_eq!(unknown(&changed)[1..].to_vec(), unknown(&card)[1..].to_vec());
        prop_assert_eq!(all_unknown(&changed), all_unknown(&card));
        let spelled = |card: &Card| card.raw_book().map(|book| book.get().to_owned());
        prop_assert_eq!(spelled(&changed), spelled(&card));
    }

    #[test]
    fn every_version_says_the_same_and_the_way_back_loses_nothing(text in card()) {
        let card = read(&text);
        for version in [Version::V1, Version::V2, Version::V3] {
            let there = read(&card.to_version(version).to_json());
            prop_assert_eq!(there.version(), version);
            prop_assert_eq!(there.to_sheet(), card.to_sheet(), "{}", there.to_json());
            let back = there.to_version(card.version());
            prop_assert_eq!(back.to_sheet(), card.to_sheet(), "{}", there.to_json());
            prop_assert_eq!(back.book(), card.book(), "{}", there.to_json());
            prop_assert_eq!(all_unknown(&back), all_unknown(&card), "{}", there.to_json());
            if card.version() != Version::V1 {
                prop_assert_eq!(unknown(&back), unknown(&card), "{}", there.to_json());
            }
        }
    }

    #[test]
    fn a_sheet_alone_makes_a_card(sheet in sheet()) {
        let card = Card::from_sheet(&sheet);
        prop_assert_eq!(read(&card.to_json()).to_sheet(), sheet);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_container_gives_back_what_it_got(text in card()) {
        let limits = Limits::default();
        let file = CardFile::read(text.as_bytes(), &limits).unwrap();
        for container in [Container::Json, Container::Png, Container::Charx] {
            for version in [Version::V1, Version::V2, Version::V3] {
                let Ok(bytes) = file.write(container, version, &limits) else {
                    prop_assert!(container == Container::Charx && version != Version::V3);
                    continue;
                };
                let again = CardFile::read(&bytes, &limits).unwrap();
                prop_assert_eq!(again.container(), container);
                prop_assert_eq!(again.card.version(), version);
                prop_assert_eq!(all_unknown(&again.card), all_unknown(&file.card.to_version(version)));
                let files = |file: &CardFile| {
                    file.assets.iter().filter_map(|asset| asset.bytes.clone()).collect::<Vec<_>>()
                };
                if container != Container::Png {
                    prop_assert_eq!(files(&again), files(&file));
                    prop_assert_eq!(again.card.to_sheet(), file.card.to_sheet());
                }
                let twice = again.write(container, version, &limits).unwrap();
                prop_assert_eq!(CardFile::read(&twice, &limits).unwrap().card, again.card);
            }
        }
    }

    #[test]
    fn spoiled_files_do_no_harm(
        text in card(),
        marks in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in option::of(any::<Index>()),
    ) {
        let limits = Limits::default();
        let file = CardFile::read(text.as_bytes(), &limits).unwrap();
        for container in [Container::Json, Container::Png, Container::Charx] {
            let bytes = spoiled(&file.write(container, Version::V3, &limits).unwrap(), &marks, cut);
            if let Ok(file) = CardFile::read(&bytes, &limits) {
                file.card.to_sheet();
                file.card.book();
                file.validate();
                let _ = file.picture.as_ref().map(|picture| picture.to_avatar(&limits));
                let _ = file.write(Container::Charx, Version::V3, &limits);
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300), kind in 0..4_usize) {
        let head: [&[u8]; 4] = [b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\xff\xd8\xff"];
        let bytes = [head[kind], &bytes].concat();
        let _ = CardFile::read(&bytes, &Limits::default());
    }
}
