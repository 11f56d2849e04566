//! Any text as a book: what is read is written as it was, and goes to every kind and
//! back.
#![no_main]

use dramatis_fuzz::formats::book::{BookFile, BookFormat};
use dramatis_fuzz::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(book) = BookFile::read_json_within(text, &limits()) else { return };
    book.validate();
    let lorebook = book.to_lorebook();
    for format in [BookFormat::V2, BookFormat::V3, BookFormat::Standalone, BookFormat::WorldInfo] {
        let there = book.to_format(format).expect("a kind that is written");
        if let Ok(back) = there.to_format(book.format()) {
            assert_eq!(back.to_lorebook(), lorebook);
        }
    }
});
