//! Books read, changed and converted, from samples written by hand.

use super::*;
use crate::domain::{CharacterFilter, LorePosition, PromptRole, SecondaryLogic};

const V3: &str = r#"{"name":"Town","scan_depth":3,"recursive_scanning":false,"extensions":{"k":1.0},
    "odd":[1e400],"entries":[
    {"keys":["inn","a|b"],"content":"The inn.","extensions":{"x":{"y" : 1.50}},"enabled":true,
     "insertion_order":7,"use_regex":true,"name":"Inn","priority":2,"id":"one","case_sensitive":true,
     "strange":-0.0},
    {"keys":["mill"],"content":"@@depth 4\nThe mill.","extensions":{},"enabled":false,
     "insertion_order":8,"use_regex":false,"position":"before_char","comment":"Mill",
     "secondary_keys":["x"],"selective":true,"constant":true}]}"#;

const WORLD: &str = r#"{"name":"W","originalData":{"a":1.0},"entries":{
    "3":{"uid":3,"key":["/drag(on)?/i"],"keysecondary":["fire"],"comment":"Dragon","content":"Big.",
      "constant":false,"vectorized":true,"selective":true,"selectiveLogic":2,"addMemo":true,
      "order":50,"position":4,"disable":false,"ignoreBudget":true,"excludeRecursion":true,
      "preventRecursion":true,"delayUntilRecursion":2,"probability":30,"useProbability":true,
      "depth":6,"role":1,"group":"g, h","groupOverride":true,"groupWeight":5,"scanDepth":9,
      "caseSensitive":true,"matchWholeWords":false,"useGroupScoring":null,"automationId":"7",
      "sticky":1,"cooldown":2,"delay":3,"triggers":["swipe"],
      "characterFilter":{"isExclude":true,"names":["Ava"],"tags":[]},"displayIndex":4,"odd":1.0},
    "0":{"uid":0,"key":"a, b","content":"","disable":true}}}"#;

fn read(text: &str) -> BookFile {
    BookFile::read_json(text).unwrap()
}

#[test]
fn world_info_is_read_whole() {
    let book = read(WORLD).to_lorebook();
    assert_eq!(read(WORLD).format(), BookFormat::WorldInfo);
    let filter = CharacterFilter { names: vec!["Ava".into()], tags: vec![], is_exclude: true };
    let dragon = LoreEntry {
        uid: "3".into(),
        name: "Dragon".into(),
        content: "Big.".into(),
        keys: vec!["/drag(on)?/i".into()],
        selective: true,
        secondary_keys: vec!["fire".into()],
        logic: SecondaryLogic::NotAny,
        case_sensitive: Some(true),
        match_whole_words: Some(false),
        scan_depth: Some(9),
        order: 50,
        position: LorePosition::AtDepth { depth: 6, role: PromptRole::User },
        ignore_budget: true,
        probability: 30.0,
        groups: vec!["g".into(), "h".into()],
        group_override: true,
        group_weight: 5,
        sticky: 1,
        cooldown: 2,
        delay: 3,
        exclude_recursion: true,
        prevent_recursion: true,
        delay_until_recursion: Some(2),
        character_filter: Some(filter),
        triggers: vec!["swipe".into()],
        ..LoreEntry::default()
    };
    assert_eq!(book.entries[0], dragon);
    assert_eq!(book.entries[1].keys, ["a", "b"]);
    assert!(!book.entries[1].enabled);
}

#[test]
fn a_card_book_is_read_whole() {
    let book = read(V3).to_lorebook();
    assert_eq!((book.name.as_str(), book.scan_depth), ("Town", Some(3)));
    assert_eq!(book.recursive_scanning, Some(false));
    let inn = &book.entries[0];
    assert_eq!((inn.uid.as_str(), inn.name.as_str(), inn.priority), ("one", "Inn", Some(2)));
    assert!(inn.use_regex && inn.enabled);
    assert_eq!(inn.position, LorePosition::AfterCharacters);
    let mill = &book.entries[1];
    assert_eq!(mill.uid, "1");
    assert_eq!(mill.position, LorePosition::BeforeCharacters);
    assert!(mill.content.starts_with("@@depth"));
}

#[test]
fn conversions_go_there_and_back() {
    use BookFormat::{Standalone, V2 as Two, V3 as Three, WorldInfo};
    for text in [V3, WORLD] {
        let book = read(text);
        for format in [Two, Three, Standalone, WorldInfo] {
            let there = book.to_format(format).unwrap();
            let again = read(&there.to_json());
            // A bare V2 book with a field of V3 is read as one of V3.
            let is_either = format == Two && again.format() == Three;
            assert!(again.format() == format || is_either, "{}", there.to_json());
            let back = again.to_format(book.format()).unwrap();
            assert_eq!(back.to_lorebook(), book.to_lorebook(), "{format:?} {}", there.to_json());
            for odd in [r#"{"y" : 1.50}"#, "[1e400]", "-0.0", "\"odd\":1.0", r#"{"a":1.0}"#] {
                assert_eq!(back.to_json().contains(odd), book.to_json().contains(odd), "{odd}");
            }
        }
    }
}

#[test]
fn world_info_reads_the_same_as_a_card_book() {
    let world = read(WORLD);
    let mut there = world.to_format(BookFormat::V3).unwrap().to_lorebook();
    assert_eq!(there, world.to_lorebook());
    there = read(V3).to_format(BookFormat::WorldInfo).unwrap().to_lorebook();
    // World info says of each key what it is, and has no name beside the comment.
    assert_eq!(there.entries[0].keys, ["/inn/", "/a|b/"]);
    assert_eq!(there.entries[1].content, read(V3).to_lorebook().entries[1].content);
}

#[test]
fn sillytavern_finds_its_own_fields() {
    let json = read(WORLD).to_format(BookFormat::V2).unwrap().to_json();
    for field in [
        r#""id":3"#,
        r#""keys":["/drag(on)?/i"]"#,
        r#""insertion_order":50"#,
        r#""position":"after_char""#,
        r#""selectiveLogic":2"#,
        r#""group_weight":5"#,
        r#""delay_until_recursion":2"#,
        r#""display_index":4"#,
        r#""useProbability":true"#,
        r#""automation_id":"7""#,
    ] {
        assert!(json.contains(field), "{field} {json}");
    }
}

#[test]
fn edits_keep_what_they_do_not_change() {
    for text in [V3, WORLD] {
        let mut book = read(text);
        let before = book.to_json();
        let uid = book.to_lorebook().entries[0].uid.clone();
        let entry = book.entry(&uid).unwrap();
        book.replace_entry(&uid, &entry).unwrap();
        assert_eq!(book.to_lorebook(), read(&before).to_lorebook());
        assert!(book.to_json().contains(if text == V3 { "-0.0" } else { "\"odd\":1.0" }));

        let mut changed = entry.clone();
        changed.content = "New".into();
        changed.position = LorePosition::AtDepth { depth: 1, role: PromptRole::Assistant };
        changed.case_sensitive = None;
        book.replace_entry(&uid, &changed).unwrap();
        assert_eq!(book.entry(&uid), Some(changed.clone()));

        let new = book.add_entry(&LoreEntry { uid: uid.clone(), ..changed.clone() }).unwrap();
        assert_ne!(new, uid);
        let added = book.entry(&new).unwrap();
        assert_eq!(added, LoreEntry { uid: new.clone(), ..changed });
        book.remove_entry(&uid).unwrap();
        assert_eq!(book.entry(&uid), None);
        assert_eq!(book.remove_entry(&uid).unwrap_err().kind(), "not_found");
    }
}

#[test]
fn a_noun_makes_a_document() {
    let lorebook = read(WORLD).to_lorebook();
    for format in [BookFormat::V2, BookFormat::V3, BookFormat::Standalone, BookFormat::WorldInfo] {
        let book = BookFile::from_lorebook(&lorebook, format);
        assert_eq!(book.format(), format);
        assert_eq!(book.to_lorebook(), lorebook);
        assert_eq!(read(&book.to_json()).to_lorebook(), lorebook);
    }
}

#[test]
fn entries_of_one_key_get_keys_of_their_own() {
    let book = read(r#"{"entries":[{"id":1,"keys":[]},{"id":1,"keys":[]},{"keys":[]},3]}"#);
    let uids: Vec<String> = book.to_lorebook().entries.into_iter().map(|e| e.uid).collect();
    assert_eq!(uids, ["1", "1.1", "2"]);
}

#[test]
fn books_of_other_software_are_read() {
    let agnai = read(
        r#"{"kind":"memory","name":"B","entries":[{"name":"E","entry":"Text","keywords":["k"],
            "priority":3,"weight":9,"enabled":true}]}"#,
    );
    let entry = &agnai.to_lorebook().entries[0];
    assert_eq!((entry.content.as_str(), entry.order, entry.priority), ("Text", 9, Some(3)));
    assert_eq!(agnai.to_format(BookFormat::WorldInfo).unwrap().to_lorebook().entries[0].order, 9);
    assert_eq!(agnai.clone().add_entry(entry).unwrap_err().kind(), "unsupported");
    assert!(agnai.to_format(BookFormat::Novel).is_err());

    let novel = read(
        r#"{"lorebookVersion":5,"entries":[{"text":"T","displayName":"D","keys":["k","/x/i"],
            "forceActivation":true,"contextConfig":{"budgetPriority":400}}]}"#,
    );
    let entry = &novel.to_lorebook().entries[0];
    assert!(entry.constant && entry.order == 400 && entry.keys.len() == 2);

    let risu = read(
        r#"{"type":"risu","ver":1,"data":[{"key":"a, b","secondkey":"","comment":"C",
            "content":"T","insertorder":4,"alwaysActive":false,"selective":false}]}"#,
    );
    assert_eq!(risu.to_lorebook().entries[0].keys, ["a", "b"]);
}

#[test]
fn what_is_no_book_is_refused() {
    for text in ["{}", "[]", r#"{"entries":3}"#, r#"{"spec":"chara_card_v2","data":{}}"#] {
        assert!(BookFile::read_json(text).is_err(), "{text}");
    }
}

#[test]
fn big_books_take_little_time() {
    let started = std::time::Instant::now();
    let entries = vec!["{}"; 150_000].join(",");
    let book = read(&format!(r#"{{"entries":[{entries}]}}"#));
    assert_eq!(book.to_lorebook().entries.len(), 150_000);
    assert!(book.validate().len() <= 600);
    let entries = vec![r#"{"keys":["a"],"text":"b"}"#; 30_000].join(",");
    let novel = read(&format!(r#"{{"lorebookVersion":5,"entries":[{entries}]}}"#));
    assert_eq!(novel.to_lorebook().entries.len(), 30_000);
    let keys = vec![r#""/((a{99}){99}){99}|(\\w{500}){9}/""#; 20_000].join(",");
    let regexes = read(&format!(r#"{{"entries":[{{"content":"x","keys":[{keys}]}}]}}"#));
    assert!(!regexes.validate().is_empty());
    // A generous bound for a slow machine and an unoptimised build.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    let many = vec!["0"; 200_001].join(",");
    let error = BookFile::read_json(&format!(r#"{{"entries":[{many}]}}"#)).unwrap_err();
    assert_eq!(error.kind(), "too_big");
}
