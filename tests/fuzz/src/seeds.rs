//! Writes small files of every kind for the fuzzers to begin with.

use std::fs;

use dramatis_fuzz::domain::{CharacterSheet, InstructTemplate, LoreEntry, Lorebook};
use dramatis_fuzz::formats::Limits;
use dramatis_fuzz::formats::book::{BookFile, BookFormat};
use dramatis_fuzz::formats::card::{Asset, Card, CardFile, Container, Version};
use dramatis_fuzz::formats::chat::{ChatFile, ChatMessage, ChatSwipe, NewChatMessage};
use dramatis_fuzz::formats::preset::PresetFile;
use dramatis_fuzz::formats::template::TemplateFile;
use dramatis_fuzz::sampling::SamplerParams;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for target in ["png", "charx", "card_json", "book_json", "chat_jsonl", "preset", "template"] {
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
    let mut chat = ChatFile::new("Bo", "Ava", None);
    let swipe = |text: &str| ChatSwipe { text: text.to_owned(), time: None };
    let swipes = vec![swipe("Hi"), swipe("Ho")];
    let new = NewChatMessage { name: "Ava", is_user: false, swipes, standing: 1, avatar: None };
    chat.push(ChatMessage::new(&new));
    fs::write("corpus/chat_jsonl/one", chat.to_lines())?;
    fs::write("corpus/chat_jsonl/webui", r#"{"visible":[["a","b"]]}"#)?;
    let params = SamplerParams::preset("creative").ok_or("it ships")?;
    fs::write("corpus/preset/creative", PresetFile::from_params(&params).to_json())?;
    fs::write("corpus/preset/kobold", r#"{"temp":1,"typical":1,"sampler_order":[5,0,1,2,3,4]}"#)?;
    let template = TemplateFile::from_template(&InstructTemplate::default());
    fs::write("corpus/template/master", template.to_json())?;
    Ok(())
}
