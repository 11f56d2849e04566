//! Cards read, changed and converted, from samples written by hand.

use super::*;
use crate::domain::{DepthPrompt, PromptRole};

const V1: &str = r#"{"name":"Ava","description":"A cook.","personality":"","scenario":"",
    "first_mes":"Hello.","mes_example":"","creatorcomment":"notes","talkativeness":"0.3",
    "odd":{"x":1.0},"chat":"Ava - today"}"#;

const V2: &str = r#"{"spec":"chara_card_v2","spec_version":"2.0","name":"Ava","odd": [1e400],
    "data":{"name":"Ava","description":"A cook.","personality":"","scenario":"","first_mes":"Hi",
    "mes_example":"","creator_notes":"","system_prompt":"","post_history_instructions":"",
    "alternate_greetings":["Hey"],"tags":["cook","calm"],"creator":"me","character_version":"1",
    "extensions":{"talkativeness":"0.7","fav":true,"world":"Town","risu":{"z" : 1.50},
      "depth_prompt":{"prompt":"Stay calm.","depth":2,"role":"user"}},
    "unknown":{"big":123456789012345678901234567890,"e":"\u0041"}}}"#;

const V3: &str = r#"{"spec":"chara_card_v3","spec_version":"3.0","data":{"name":"Ava",
    "nickname":"A","description":"","personality":"","scenario":"","first_mes":"","mes_example":"",
    "creator_notes":"Notes","creator_notes_multilingual":{"de":"Notizen"},"system_prompt":"",
    "post_history_instructions":"","alternate_greetings":[],"group_only_greetings":["All!"],
    "tags":[],"creator":"","character_version":"","extensions":{},"source":["id"],
    "assets":[{"type":"icon","uri":"https://example.org/a.png","name":"main","ext":"png","q":0.0}],
    "character_book":{"extensions":{},"entries":[{"keys":["x"],"content":"@@depth 2\n\nText",
      "extensions":{"own":1.0},"enabled":true,"insertion_order":5,"use_regex":false,"id":"a"}]}}}"#;

fn read(text: &str) -> Card {
    Card::read_json(text).unwrap()
}

#[test]
fn versions_are_told_apart() {
    for (text, version) in [
        (V1, Version::V1),
        (V2, Version::V2),
        (V3, Version::V3),
        (r#"{"char_name":"Old","char_persona":"A"}"#, Version::V1),
        (r#"{"data":{"name":"x","description":""}}"#, Version::V2),
        (r#"{"spec":"chara_card_v4","data":{"name":"x"}}"#, Version::V3),
        (r#"{"spec":"chara_card_v2","name":"flat","first_mes":""}"#, Version::V1),
    ] {
        assert_eq!(read(text).version(), version, "{text}");
    }
    for text in [
        "{}",
        r#"{"name":"a package","description":"of code"}"#,
        r#"{"name":"a book","description":"","entries":[]}"#,
        r#"{"spec":"lorebook_v3","data":{}}"#,
        "[]",
        "nul",
    ] {
        assert!(Card::read_json(text).is_err(), "{text}");
    }
}

#[test]
fn a_sheet_has_what_the_card_says() {
    let sheet = read(V2).to_sheet();
    assert_eq!((sheet.name.as_str(), sheet.greeting.as_str()), ("Ava", "Hi"));
    assert_eq!(sheet.tags, ["cook", "calm"]);
    assert_eq!(sheet.talkativeness, 0.7);
    let prompt = DepthPrompt { text: "Stay calm.".into(), depth: 2, role: PromptRole::User };
    assert_eq!(sheet.depth_prompt, Some(prompt));

    let sheet = read(V1).to_sheet();
    assert_eq!((sheet.creator_notes.as_str(), sheet.talkativeness), ("notes", 0.3));

    let card = read(V3);
    assert_eq!(card.to_sheet().stage_name(), "A");
    assert_eq!(card.to_sheet().avatar_url.as_deref(), Some("https://example.org/a.png"));
    assert_eq!(card.to_sheet().creator_notes, "Notes");
    assert_eq!(card.book().unwrap().entries[0].uid, "a");

    let old = read(r#"{"char_name":"Old","char_persona":"A","char_greeting":"Yo","tags":"a, b"}"#);
    assert_eq!((old.to_sheet().name.as_str(), old.to_sheet().greeting.as_str()), ("Old", "Yo"));
    assert_eq!(old.to_sheet().tags, ["a", "b"]);
}

#[test]
fn only_what_changed_is_written() {
    for text in [V1, V2, V3] {
        let card = read(text);
        assert_eq!(card.with_sheet(&card.to_sheet()).to_json(), card.to_json());
    }
    let card = read(V2);
    let mut sheet = card.to_sheet();
    sheet.name = "Eva".into();
    sheet.talkativeness = 0.1;
    sheet.depth_prompt = None;
    sheet.avatar_url = Some("https://example.org/b.png".into());
    let changed = card.with_sheet(&sheet);
    assert_eq!(changed.to_sheet(), sheet);
    let json = changed.to_json();
    for kept in [r#""big":123456789012345678901234567890,"e":"\u0041""#, "[1e400]", r#""z" : 1.50"#]
    {
        assert!(json.contains(kept), "{json}");
    }
    assert!(json.contains(r#""name":"Eva","odd""#) && json.contains(r#""talkativeness":0.1"#));
    let mut old = read(r#"{"char_name":"Old"}"#).to_sheet();
    old.name = "New".into();
    let old = read(r#"{"char_name":"Old"}"#).with_sheet(&old);
    assert_eq!(old.to_json(), r#"{"char_name":"New"}"#);
}

#[test]
fn every_version_says_the_same() {
    for text in [V1, V2, V3] {
        let card = read(text);
        for version in [Version::V1, Version::V2, Version::V3] {
            let other = card.to_version(version);
            let again = read(&other.to_json());
            assert_eq!(again.version(), version, "{}", other.to_json());
            assert_eq!(again.to_sheet(), card.to_sheet());
            let back = again.to_version(card.version());
            assert_eq!(back.to_sheet(), card.to_sheet());
            assert_eq!(back.book(), card.book());
        }
    }
}

#[test]
fn v2_loses_decorators_and_gets_them_back() {
    let card = read(V3);
    let v2 = card.to_version(Version::V2);
    assert_eq!(v2.book().unwrap().entries[0].content, "Text");
    let back = v2.to_version(Version::V3);
    // The entry was written anew, without the line break between its fields.
    let json = card.to_json().replace("Text\",\n      ", "Text\",");
    let spelled = |card: &Card, key| card.body().raw(key).map(ToString::to_string);
    assert_eq!(spelled(&back, "character_book"), spelled(&read(&json), "character_book"));
    assert_eq!(spelled(&back, "assets"), spelled(&card, "assets"));
}

#[test]
fn a_backfilled_card_says_so() {
    let card = read(V3).to_backfill();
    assert_eq!(card.version(), Version::V2);
    assert!(card.to_sheet().creator_notes.starts_with("Notes\n\nThis is a card of version 3"));
    assert_eq!(card.book().unwrap().entries[0].content, "Text");
    assert!(!card.to_json().contains("@@depth"));
}

#[test]
fn a_sheet_alone_makes_a_card() {
    let mut sheet = read(V2).to_sheet();
    sheet.avatar_url = Some("https://example.org/c.webp".into());
    let card = Card::from_sheet(&sheet);
    assert_eq!(card.version(), Version::V3);
    assert_eq!(card.to_sheet(), sheet);
    assert_eq!(read(&card.to_json()), card);
}

#[test]
fn checks_find_what_is_wrong() {
    assert_eq!(read(V1).validate(), []);
    assert_eq!(read(V2).validate(), []);
    assert_eq!(read(V3).validate().len(), 1, "there is no greeting");
    let card = read(
        r#"{"spec":"chara_card_v3","spec_version":"3.1","data":{"name":" ","description":{},
            "tags":[1],"alternate_greetings":"one","creator":7,"creation_date":1700000000000,
            "creator_notes_multilingual":{"en-US":"x"},
            "extensions":{"talkativeness":3,"depth_prompt":{"depth":-1,"role":"narrator"}},
            "assets":[3,{"type":"icon","name":"a","uri":"embedded://x","ext":".PNG"},
              {"type":"icon","name":"a","uri":""}],
            "character_book":{"entries":[{"id":1,"keys":["/(/"],"content":"x"},
              {"id":1,"keys":[],"content":"y","extensions":{"position":7,"probability":101}},
              {"content":"z"}]}}}"#,
    );
    let findings = card.validate();
    let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let all = all.join("\n");
    for path in [
        "spec_version: it is 3.1, newer",
        "data.name: the character has no name",
        "data.description: it is an object",
        "data.tags[0]: it is a number",
        "data.alternate_greetings: it is a text",
        "data.creator: it is a number",
        "data.creation_date",
        "data.creator_notes_multilingual.en-US",
        "data.extensions.talkativeness: it is 3",
        "data.extensions.depth_prompt.depth: it is -1",
        "data.extensions.depth_prompt.role",
        "data.assets[0]: it is a number",
        "data.assets[1].uri",
        "data.assets[1].ext",
        "data.assets[2].uri: it is missing",
        "data.assets[2]: two assets",
        "data.assets: no icon",
        "data.character_book.entries[0].keys[0]: it is no regular expression",
        "data.character_book.entries[1].id: another entry",
        "data.character_book.entries[1].extensions.position",
        "data.character_book.entries[1].extensions.probability: it is 101",
        "data.character_book.entries[2]: nothing makes it fire",
    ] {
        assert!(all.contains(path), "{path} is not in\n{all}");
    }
}
