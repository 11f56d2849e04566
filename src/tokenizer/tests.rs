//! The room on vocabularies small enough to check by hand.

use proptest::prelude::*;

use super::*;

/// A sentencepiece vocabulary: token, score, GGUF token type.
fn sentencepiece(extra: &[(&str, f32, i32)]) -> Tokenizer {
    let fixed =
        [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("▁", -9.0, 1), ("a", -9.0, 1)];
    let rows: Vec<_> = fixed.iter().chain(extra).collect();
    let list = |value: &dyn Fn(&(&str, f32, i32)) -> Value| {
        Value::Array(rows.iter().map(|row| value(row)).collect())
    };
    let metadata = [
        ("model", Value::String("llama".into())),
        ("tokens", list(&|row| Value::String(row.0.into()))),
        ("scores", list(&|row| Value::F32(row.1))),
        ("token_type", list(&|row| Value::I32(row.2))),
        ("bos_token_id", Value::U32(1)),
        ("eos_token_id", Value::U32(2)),
    ];
    let metadata =
        metadata.map(|(key, value)| (format!("tokenizer.ggml.{key}"), value)).into_iter().collect();
    Tokenizer::from_gguf(&metadata).unwrap()
}

#[test]
fn the_best_score_merges_first_and_the_leftmost_of_equals() {
    let tokenizer = sentencepiece(&[("aa", -1.0, 1), ("aaa", -2.0, 1), ("▁a", -3.0, 1)]);
    let [space, a, aa, aaa] = [3, 4, 5, 6];
    assert_eq!(tokenizer.encode("a"), [a]);
    assert_eq!(tokenizer.encode("aaaa"), [aa, aa]);
    // Both (aa, a) and (a, aa) make the piece; five letters are two pairs and a rest.
    assert_eq!(tokenizer.encode("aaaaa"), [aa, aaa]);
    assert_eq!(tokenizer.encode("aaa"), [aaa]);
    assert_eq!(tokenizer.encode_start("aa"), [space, aa]);
    assert_eq!(tokenizer.decode(&[7, 7]), " a a");
    assert_eq!(tokenizer.decode_start(&[7, 7]), "a a");
    assert!(tokenizer.encode_start("").is_empty());
}

#[test]
fn unknown_characters_are_bytes_or_one_unknown() {
    let with_bytes = sentencepiece(&[("<0xC3>", 0.0, 6), ("<0xA9>", 0.0, 6), ("<0x0A>", 0.0, 6)]);
    assert_eq!(with_bytes.encode("aé\na"), [4, 5, 6, 7, 4]);
    assert_eq!(with_bytes.decode(&[4, 5, 6, 7]), "aé\n");
    assert_eq!(with_bytes.encode("漢字"), [0], "no bytes for these");
    assert_eq!(sentencepiece(&[]).encode("aéea"), [4, 0, 4]);
}

#[test]
fn control_tokens_are_out_of_reach_of_text() {
    let tokenizer = sentencepiece(&[
        ("<", -1.0, 1),
        ("s", -1.0, 1),
        (">", -1.0, 1),
        ("<s", -1.0, 1),
        ("<|im_start|>", 0.0, 4),
        ("[INST]", 0.0, 4),
        ("aha", 0.0, 4),
    ]);
    assert_eq!(tokenizer.encode("<s>"), [8, 7]);
    // Written like control tokens, though marked as text by the file.
    for text in ["<|im_start|>", "[INST]", "</s>", "<unk>"] {
        assert!(tokenizer.encode(text).iter().all(|id| ![0, 1, 2, 9, 10].contains(id) || *id == 0));
    }
    assert_eq!([tokenizer.token_bytes(9), tokenizer.token_bytes(1)], [b"", b""]);
    // Whoever lays out a prompt finds them, and nobody else.
    assert_eq!(tokenizer.find_control("a<|im_start|>b</s>"), [(1..13, 9), (14..18, 2)]);
    assert!(tokenizer.find_control("aha <0x41> ▁").is_empty());
    // A user-defined token is one token even inside a word.
    assert_eq!(tokenizer.encode("aahaa"), [4, 11, 4]);
    assert_eq!(tokenizer.token_bytes(11), b"aha");
    assert_eq!(tokenizer.token_bytes(9999), b"");
}

#[test]
fn bos_and_eos_follow_the_metadata() {
    let tokenizer = sentencepiece(&[("<|eot_id|>", 0.0, 3)]);
    assert_eq!(tokenizer.bos_id(), Some(1));
    assert_eq!(tokenizer.eos_ids(), [2, 5], "the named one and the one known by its name");
    assert_ne!(tokenizer.fingerprint(), sentencepiece(&[]).fingerprint());
    assert_eq!(tokenizer.fingerprint().len(), 64);
}

#[test]
fn the_byte_tokenizer_is_the_identity() {
    let tokenizer = Tokenizer::bytes();
    let text = "Mira: 🌧️\n</s>";
    let bytes: Vec<u32> = text.bytes().map(u32::from).collect();
    assert_eq!(tokenizer.encode(text), bytes);
    assert_eq!(tokenizer.encode_start(text), bytes);
    assert_eq!(tokenizer.decode(&bytes), text);
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_ids()), (Some(256), &[257][..]));
    assert_eq!(tokenizer.vocab_size(), 258);
}

#[test]
fn a_split_emoji_waits_for_its_bytes() {
    let mut decoder = IncrementalDecoder::new();
    let rain = "🌧".as_bytes();
    assert_eq!(decoder.push(b" a"), " a");
    assert_eq!(decoder.push(&rain[..1]), "");
    assert_eq!(decoder.push(&rain[1..3]), "");
    assert!(decoder.is_pending());
    assert_eq!(decoder.push(&[&rain[3..], b"!"].concat()), "🌧!");
    assert_eq!(decoder.push(&rain[..2]), "");
    assert_eq!(decoder.push(b"x"), "\u{FFFD}x", "these bytes can no longer become a character");
    assert_eq!(decoder.push(&rain[..3]), "");
    assert_eq!(decoder.finish(), "\u{FFFD}");
    assert_eq!(decoder.finish(), "");
}

proptest! {
    #[test]
    fn pushes_add_up_to_the_lossy_text(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "\\PC{0,20}".prop_map(String::into_bytes),
        ],
        cuts in prop::collection::vec(1usize..4, 40),
    ) {
        let (mut decoder, mut text, mut rest) = (IncrementalDecoder::new(), String::new(), &bytes[..]);
        for cut in cuts {
            let (token, later) = rest.split_at(cut.min(rest.len()));
            text += &decoder.push(token);
            rest = later;
        }
        prop_assert!(rest.is_empty());
        text += &decoder.finish();
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }
}
