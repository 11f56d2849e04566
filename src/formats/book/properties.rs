//! What holds of every book, whatever is in it.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::domain::{LorePosition, PromptRole};
use crate::formats::strategies::{book, spoiled, unknown_of, world};

const WRITTEN: [BookFormat; 4] =
    [BookFormat::V2, BookFormat::V3, BookFormat::Standalone, BookFormat::WorldInfo];

fn read(text: &str) -> BookFile {
    BookFile::read_json(text).unwrap()
}

/// The unknown fields of the book, of its entries, and of their extensions.
fn unknown(book: &BookFile) -> Vec<Vec<(String, String)>> {
    let body = book.body();
    let mut found = vec![unknown_of(&body), unknown_of(&carry::extensions(&body))];
    for slot in book.slots() {
        let entry = slot.object().unwrap();
        found.push(unknown_of(&entry));
        found.push(unknown_of(&carry::extensions(&entry)));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reading_and_writing_changes_nothing(text in prop_oneof![book(), world()]) {
        let book = read(&text);
        prop_assert_eq!(book.to_json(), text);
        book.validate();
    }

    #[test]
    fn the_way_there_and_back_loses_nothing(text in prop_oneof![book(), world()]) {
        let book = read(&text);
        for format in WRITTEN {
            let there = book.to_format(format).unwrap();
            let back = read(&there.to_json()).to_format(book.format()).unwrap();
            prop_assert_eq!(back.to_lorebook(), book.to_lorebook(), "{:?} {}", format, there.to_json());
            prop_assert_eq!(unknown(&back), unknown(&book), "{:?} {}", format, there.to_json());
        }
    }

    #[test]
    fn an_edit_changes_one_entry_alone(
        text in prop_oneof![book(), world()],
        place in any::<Index>(),
        content in ".{0,9}",
        depth in 0..9_usize,
        is_on in any::<bool>(),
    ) {
        let mut book = read(&text);
        let mut lorebook = book.to_lorebook();
        let before = unknown(&book);
        if lorebook.entries.is_empty() {
            return Ok(());
        }
        let at = place.index(lorebook.entries.len());
        let entry = &mut lorebook.entries[at];
        entry.content = content;
        entry.position = LorePosition::AtDepth { depth, role: PromptRole::User };
        entry.case_sensitive = Some(is_on);
        entry.keys = vec!["new".to_owned()];
        entry.probability = 12.5;
        entry.name = "Name".to_owned();
        let (uid, entry) = (entry.uid.clone(), entry.clone());
        // Only an outlet is off without saying so, and this is none any more.
        let was_outlet = lorebook.entries[at].enabled != entry.enabled;
        book.replace_entry(&uid, &entry).unwrap();
        if !was_outlet {
            let mut after = book.to_lorebook();
            after.entries[at].enabled = lorebook.entries[at].enabled;
            prop_assert_eq!(after, lorebook);
        }
        prop_assert_eq!(unknown(&book), before);
    }

    #[test]
    fn a_noun_reads_back_from_every_kind(text in prop_oneof![book(), world()]) {
        let mut lorebook = read(&text).to_lorebook();
        for entry in &mut lorebook.entries {
            // World info says of each key by itself what it is.
            entry.use_regex = false;
            // And has one place for each of these.
            entry.priority = None;
        }
        for format in WRITTEN {
            let book = BookFile::from_lorebook(&lorebook, format);
            prop_assert_eq!(read(&book.to_json()).to_lorebook(), lorebook.clone(), "{}", book.to_json());
        }
    }

    #[test]
    fn spoiled_books_do_no_harm(
        text in prop_oneof![book(), world()],
        marks in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let bytes = spoiled(text.as_bytes(), &marks, cut);
        if let Ok(book) = BookFile::read_json(&String::from_utf8_lossy(&bytes)) {
            book.to_lorebook();
            book.validate();
            for format in WRITTEN {
                book.to_format(format).unwrap().to_lorebook();
            }
        }
    }
}
