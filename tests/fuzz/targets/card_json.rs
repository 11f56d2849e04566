//! Any text as a card: what is read is written as it was, and every version says the
//! same.
#![no_main]

use dramatis_fuzz::formats::card::{Card, Version};
use dramatis_fuzz::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(card) = Card::read_json_within(text, &limits()) else { return };
    let sheet = card.to_sheet();
    assert_eq!(card.with_sheet(&sheet), card);
    card.validate();
    card.book();
    for version in [Version::V1, Version::V2, Version::V3] {
        assert_eq!(card.to_version(version).to_sheet(), sheet);
    }
});
