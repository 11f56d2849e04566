//! Writes small files of every kind for the fuzzers to begin with.

use std::fs;

use dramatis_fuzz::domain::{CharacterSheet, LoreEntry, Lorebook};
use dramatis_fuzz::formats::Limits;
use dramatis_fuzz::formats::book::{BookFile, BookFormat};
use dramatis_fuzz::formats::card::{Asset, Card, CardFile, Container, Version};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for target in ["png", "charx", "card_json", "book_json"] {
        fs::create_dir_all(format!("corpus/{target}"))?;
    }
    let entry = LoreEntry {
        content: "@@depth 2\nTold.".into(),
        keys: vec!["/a|b/i".into(), "inn".into()],
        sticky: 1,
        ..LoreEntry::default()
    };
    let lorebook = Lorebook { entries: vec![entry.clone(), entry], ..Lorebook::default() };
    for format in [BookFormat::V2, BookFormat::V3, BookFormat::Standalone, BookFormat::WorldInfo] {
        let book = BookFile::from_lorebook(&lorebook, format);
        fs::write(format!("corpus/book_json/{format:?}"), book.to_json())?;
    }
    let sheet = CharacterSheet {
        name: "Ava".into(),
        greeting: "Hi".into(),
        tags: vec!["cook".into()],
        ..CharacterSheet::default()
    };
    let book = BookFile::from_lorebook(&lorebook, BookFormat::V3);
    let card = Card::from_sheet(&sheet).with_book(Some(&book.root().to_raw()));
    for version in [Version::V1, Version::V2, Version::V3] {
        fs::write(format!("corpus/card_json/{version:?}"), card.to_version(version).to_json())?;
    }
    let mut file = CardFile::new(card);
    file.assets.push(Asset::new("x_own", "bell", "mp3", &b"ding"[..]));
    let limits = Limits::default();
    fs::write("corpus/png/v3", file.write(Container::Png, Version::V3, &limits)?)?;
    fs::write("corpus/charx/v3", file.write(Container::Charx, Version::V3, &limits)?)?;
    Ok(())
}
