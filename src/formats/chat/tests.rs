use proptest::prelude::*;

use super::*;

fn read(text: &str) -> ChatFile {
    ChatFile::read_lines(text, &Limits::default()).unwrap()
}

fn error(text: &str) -> FormatError {
    ChatFile::read_all(text.as_bytes(), &Limits::default()).unwrap_err()
}

const SINGLE: &str = r#"{"user_name":"Ana","character_name":"Mira","create_date":"2024-6-5 @14h 56m 50s 682ms","chat_metadata":{"note_prompt":"Rain.","note_interval":1,"note_depth":3,"note_position":1,"scenario":"A smithy.","timedWorldInfo":{"sticky":{ "x":1.0}}}}
{"name":"Mira","is_user":false,"send_date":"June 19, 2023 2:20pm","mes":"We are closed.","extra":{"api":"koboldcpp"},"swipes":["Hello.","We are open."],"swipe_id":1,"swipe_info":[{"send_date":1690000000000}],"variables":[{}]}

{"name":"Ana","is_user":true,"is_system":false,"send_date":1690000000000,"mes":"At noon?"}"#;

#[test]
fn a_chat_with_one_character() {
    let chat = read(SINGLE);
    assert_eq!(
        (chat.user_name().as_deref(), chat.character_name().as_deref()),
        (Some("Ana"), Some("Mira"))
    );
    assert!(!chat.is_group());
    assert_eq!(chat.scenario().unwrap().as_deref(), Some("A smithy."));
    let note = ChatNote { prompt: "Rain.".into(), interval: 1, depth: 3, position: 1, role: 0 };
    assert_eq!(chat.note().unwrap(), Some(note));
    let [first, second] = chat.messages() else { panic!("two messages") };
    assert_eq!((first.name().as_str(), first.is_user(), first.standing()), ("Mira", false, 1));
    let swipes = first.swipes().unwrap();
    let texts: Vec<_> = swipes.iter().map(|swipe| swipe.text.as_str()).collect();
    assert_eq!(texts, ["Hello.", "We are closed."], "what the message says stands");
    assert!(swipes.iter().all(|swipe| swipe.time.is_some()));
    assert_eq!(second.time().unwrap().timestamp(), 1_690_000_000);
    assert_eq!(chat.to_lines(), SINGLE.replace("\n\n", "\n"), "byte for byte");
}

#[test]
fn a_chat_with_several_characters() {
    let text = r#"{"name":"Mira","is_user":false,"mes":"Hm.","original_avatar":"Mira.png","force_avatar":"/thumbnail"}
{"name":"Brann","is_user":false,"mes":"Ha.","original_avatar":"Brann.png"}"#;
    let chat = read(text);
    assert!(chat.is_group() && chat.header().is_none());
    assert_eq!(chat.character_name(), None);
    assert_eq!(chat.messages()[1].avatar().as_deref(), Some("Brann.png"));
    assert_eq!(chat.to_lines(), text);
    let newer = format!(
        r#"{{"chat_metadata":{{}},"user_name":"unused","character_name":"unused"}}{}{text}"#,
        "\n"
    );
    assert!(read(&newer).is_group());
    assert_eq!(read(&newer).user_name(), None);
}

#[test]
fn errors_name_the_line() {
    let bad =
        |line: &str| error(&format!("{}\n{line}", SINGLE.lines().next().unwrap())).to_string();
    assert!(bad("{\"mes\":").starts_with("line 2: this is not JSON"), "{}", bad("{"));
    assert_eq!(bad("[]"), "line 2 is a list, but must be an object; change it or take it out");
    assert_eq!(
        bad("{\"mes\":[]}"),
        "line 2.mes is a list, but must be a text; change it or take it out"
    );
    assert_eq!(
        bad("{\"mes\":\"\",\"swipes\":[\"a\",[]]}"),
        "line 2.swipes.1 is a list, but must be a text; change it or take it out"
    );
    assert!(bad("{\"x\":1}").contains("line 2 has no `mes`"));
    let deep = format!("{{\"mes\":\"\",\"extra\":{}1{}}}", "[".repeat(99), "]".repeat(99));
    assert!(bad(&deep).starts_with("line 2, byte 81: 65 levels of nesting"), "{}", bad(&deep));
    assert_eq!(error("").kind(), "unknown_format");
    assert_eq!(error("{}").kind(), "unknown_format");
    let latin = ChatFile::read_all(b"{\"mes\":\"\xe9\"}", &Limits::default()).unwrap_err();
    assert!(latin.to_string().contains("byte 8 is no UTF-8"), "{latin}");
    let small = Limits { file_bytes: 10, ..Limits::default() };
    assert_eq!(ChatFile::read_all(SINGLE.as_bytes(), &small).unwrap_err().kind(), "too_big");
}

/// Who said what, of the first chat in a document.
fn said(text: &str) -> Vec<(bool, String)> {
    let chats = ChatFile::read_all(text.as_bytes(), &Limits::default()).unwrap();
    let messages = chats[0].messages().iter();
    messages.map(|message| (message.is_user(), message.text().unwrap())).collect()
}

#[test]
fn chats_of_other_software() {
    let expected = [(false, "Hm.".to_owned()), (true, "Hi.".to_owned()), (false, "Ha.".to_owned())];
    for text in [
        r#"{"data":[],"data_visible":[["","Hm."],["Hi.","Ha."]]}"#,
        "{\n \"internal\": [], \"visible\": [[\"<|BEGIN-VISIBLE-CHAT|>\",\"Hm.\"],[\"Hi.\",\"Ha.\"]]\n}",
        r#"{"messages":[{"characterId":"c","msg":"Hm."},{"userId":"u","msg":"Hi."},{"msg":"Ha.","createdAt":"2023-07-22T04:26:40.500Z"}]}"#,
        r#"{"histories":{"histories":[{"msgs":[{"src":{"is_human":false},"text":"Hm."},{"src":{"is_human":true},"text":"Hi."},{"src":{},"text":"Ha."}]},{"msgs":[]}]}}"#,
        r#"{"type":"risuChat","ver":1,"data":{"message":[{"role":"char","data":"Hm."},{"role":"user","data":"Hi.","time":1690000000000},{"role":"char","data":"Ha."}]}}"#,
        "{\"user_name\":\"A\"}\n{\"mes\":{\"message\":\"Hm.\"},\"swipes\":[{\"message\":\"x\"}]}\n{\"mes\":\"Hi.\",\"is_user\":true}\n{\"mes\":\"Ha.\"}",
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn names_are_kept_where_the_file_has_them() {
    let agnai = r#"{"messages":[{"handle":"Sam","userId":"owner","characterId":"c","msg":"Hm."},{"userId":"owner","name":"Ana","msg":"Hi."}]}"#;
    let chat = ChatFile::read_all(agnai.as_bytes(), &Limits::default()).unwrap().remove(0);
    let said: Vec<_> = chat.messages().iter().map(|m| (m.name(), m.is_user())).collect();
    assert_eq!(said, [("Sam".to_owned(), false), ("Ana".to_owned(), true)]);
    let bare = "{\"name\":\"Mira\",\"mes\":\"Hm.\"}\n{\"name\":\"You\",\"mes\":\"Hi.\"}";
    let chat = read(bare);
    assert_eq!(
        (chat.user_name().as_deref(), chat.character_name().as_deref()),
        (Some("You"), Some("Mira"))
    );
}

fn swipe() -> impl Strategy<Value = ChatSwipe> {
    let time = prop::option::of(1_000_000_000_000i64..2_000_000_000_000);
    ("\\PC{0,12}|[\n\r\u{2028}\"\\\\]{1,4}", time).prop_map(|(text, millis)| ChatSwipe {
        text,
        time: millis.and_then(DateTime::from_timestamp_millis),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        turns in prop::collection::vec(
            ("\\PC{0,8}", any::<bool>(), prop::collection::vec(swipe(), 1..4), 0usize..4), 0..6),
        note in "\\PC{1,9}",
    ) {
        let mut chat = ChatFile::new("Ana", "Mira", DateTime::from_timestamp_millis(1_690_000_000_123));
        let note = ChatNote { prompt: format!("n{note}"), interval: 1, depth: 4, position: 1, role: 2 };
        chat.set_note(&note).unwrap();
        for (name, is_user, swipes, standing) in &turns {
            let new = NewChatMessage { name, is_user: *is_user, swipes: swipes.clone(), standing: *standing, avatar: None };
            chat.push(ChatMessage::new(&new));
        }
        let again = ChatFile::read_all(chat.to_lines().as_bytes(), &Limits::default()).unwrap().remove(0);
        prop_assert_eq!(again.to_lines(), chat.to_lines());
        prop_assert_eq!(again.note().unwrap(), Some(note));
        prop_assert_eq!(again.created(), DateTime::from_timestamp_millis(1_690_000_000_123));
        prop_assert_eq!(again.messages().len(), turns.len());
        for (message, (name, is_user, swipes, standing)) in again.messages().iter().zip(&turns) {
            prop_assert_eq!(&message.name(), name);
            prop_assert_eq!(message.is_user(), *is_user);
            prop_assert_eq!(message.standing(), (*standing).min(swipes.len() - 1));
            prop_assert_eq!(&message.swipes().unwrap(), swipes);
        }
    }

    #[test]
    fn no_document_panics(text in "[{}\\[\\]\":,a-z0-9_\n]{0,80}") {
        let _ = ChatFile::read_all(text.as_bytes(), &Limits::default());
    }
}
