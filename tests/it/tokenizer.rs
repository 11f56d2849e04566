//! Token ids against llama.cpp and sentencepiece (`fixtures/tokenizer_ids.py`), for
//! the small model's vocabulary and Mistral's, from GGUF metadata and from
//! `tokenizer.json`; and the laws that prompts rely on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use candle_core::quantized::gguf_file::Value;
use dramatis::model::{ModelFile, TokenizerSource};
use dramatis::tokenizer::{IncrementalDecoder, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::support::models::{mistral_tokenizer_model, small_model};
use crate::support::{json_fixture, sentencepiece};

static SMALL: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    let file = ModelFile::open(&small_model()).unwrap();
    match file.tokenizer() {
        Some(TokenizerSource::Gguf(metadata)) => metadata.clone(),
        other => panic!("a GGUF brings its tokenizer, not {other:?}"),
    }
});
static SMOLLM: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::from_gguf(&SMALL).unwrap());
static MISTRAL_PIECES: LazyLock<Vec<sentencepiece::Piece>> =
    LazyLock::new(|| sentencepiece::pieces(&mistral_tokenizer_model()));
static MISTRAL: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_gguf(&sentencepiece::gguf_metadata(&MISTRAL_PIECES)).unwrap());

fn assert_ids(column: &str, encode: impl Fn(&str) -> Vec<u32>) {
    assert_ids_where(column, |_| true, encode);
}

fn assert_ids_where(
    column: &str,
    wanted: impl Fn(&str) -> bool,
    encode: impl Fn(&str) -> Vec<u32>,
) {
    let fixture = json_fixture("tokenizer_ids.json");
    let texts: Vec<String> = serde_json::from_value(fixture["texts"].clone()).unwrap();
    let expected: Vec<Vec<u32>> = serde_json::from_value(fixture[column].clone()).unwrap();
    assert!(texts.len() > 40 && texts.len() == expected.len());
    for (text, expected) in texts.iter().zip(expected).filter(|(text, _)| wanted(text)) {
        assert_eq!(encode(text), expected, "{column}: {text:?}");
    }
}

#[test]
fn smollm2_ids_equal_llama_cpp() {
    assert_ids("smollm", |text| SMOLLM.encode(text));
    assert_ids("smollm", |text| SMOLLM.encode_start(text));
}

/// The small model's vocabulary under the other splits, so that these are proved too.
#[test]
fn other_byte_level_splits_equal_llama_cpp() {
    for pre in ["gpt-2", "llama-bpe"] {
        let mut metadata = SMALL.clone();
        metadata.insert("tokenizer.ggml.pre".into(), Value::String(pre.into()));
        let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
        assert_ids(pre, |text| tokenizer.encode(text));
    }
}

#[test]
fn mistral_ids_equal_sentencepiece() {
    assert_ids("mistral", |text| MISTRAL.encode_start(text));
    assert_ids("mistral continued", |text| MISTRAL.encode(text));
    assert_eq!(MISTRAL.bos_id(), Some(1));
    assert_eq!(MISTRAL.eos_ids(), [2]);
    assert_eq!(MISTRAL.vocab_size(), 32000);
}

/// `tokenizer.json` files as Hugging Face's converter writes them for these two.
#[test]
fn tokenizer_json_gives_the_same_ids() {
    let directory = tempfile::tempdir().unwrap();
    let load = |json: Json, config: Json| {
        let path = directory.path().join("tokenizer.json");
        std::fs::write(&path, json.to_string()).unwrap();
        let config_path = directory.path().join("tokenizer_config.json");
        std::fs::write(config_path, config.to_string()).unwrap();
        Tokenizer::from_file(&path).unwrap()
    };

    let smollm =
        load(smollm_json(), json!({"eos_token": "<|im_end|>", "bos_token": "<|im_start|>"}));
    assert_ids("smollm", |text| smollm.encode(text));
    assert_eq!((smollm.bos_id(), smollm.eos_ids()), (SMOLLM.bos_id(), SMOLLM.eos_ids()));
    assert_same_pieces(&smollm, &SMOLLM);

    for json in [mistral_json(prepend()), mistral_json(metaspace())] {
        let mistral = load(json, json!({"eos_token": {"content": "</s>"}, "bos_token": "<s>"}));
        // On long runs of spaces the library's merges differ from sentencepiece's.
        let wanted = |text: &str| !text.contains(&" ".repeat(17));
        assert_ids_where("mistral", wanted, |text| mistral.encode_start(text));
        assert_ids_where("mistral continued", wanted, |text| mistral.encode(text));
        assert_eq!((mistral.bos_id(), mistral.eos_ids()), (MISTRAL.bos_id(), MISTRAL.eos_ids()));
        assert_same_pieces(&mistral, &MISTRAL);
    }
}

/// What a merge puts into a GGUF for a directory's tokenizer, from each form that it may
/// have there.
#[test]
fn a_directorys_tokenizer_becomes_metadata_with_the_same_ids() {
    let made = |files: &[(&str, Vec<u8>)], vocab_size| {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let metadata = Tokenizer::gguf_metadata(directory.path(), vocab_size)?;
        Tokenizer::from_gguf(&metadata.into_iter().collect())
    };
    let file = |name: &'static str, json: Json| (name, json.to_string().into_bytes());
    let chatml =
        json!({"eos_token": "<|im_end|>", "bos_token": "<|im_start|>", "unk_token": "<|x|>"});
    let config = || file("tokenizer_config.json", chatml.clone());
    let smollm = made(&[file("tokenizer.json", smollm_json()), config()], 49152).unwrap();
    assert_ids("smollm", |text| smollm.encode(text));
    assert_eq!((smollm.bos_id(), smollm.eos_ids()), (SMOLLM.bos_id(), SMOLLM.eos_ids()));
    assert_same_pieces(&smollm, &SMOLLM);

    let model = ("tokenizer.model", std::fs::read(mistral_tokenizer_model()).unwrap());
    let json = file("tokenizer.json", mistral_json(prepend()));
    let config = || {
        file("tokenizer_config.json", json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}}))
    };
    for files in [
        vec![model.clone(), config()],
        vec![json.clone(), config()],
        vec![model.clone(), json.clone(), config()],
    ] {
        let from_model = files[0].0 == "tokenizer.model";
        // As embeddings are padded, with ids that no token has.
        let mistral = made(&files, 32064).unwrap();
        assert_ids("mistral", |text| mistral.encode_start(text));
        assert_ids("mistral continued", |text| mistral.encode(text));
        assert_eq!((mistral.bos_id(), mistral.eos_ids()), (Some(1), &[2][..]), "{from_model}");
        assert_eq!(mistral.vocab_size(), 32064);
        assert!((0..32000).all(|id| mistral.token_bytes(id) == MISTRAL.token_bytes(id)));
    }

    let mut other = smollm_json();
    other["pre_tokenizer"]["pretokenizers"][0] = json!({"type": "Whitespace"});
    let refused = [
        made(&[], 8).unwrap_err().to_string(),
        made(&[file("tokenizer.json", other)], 49152).unwrap_err().to_string(),
        made(&[file("tokenizer.json", smollm_json())], 49151).unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(refused.join("\n"), @"
    the model's tokenizer is not supported: there is no tokenizer.json and no tokenizer.model; a GGUF cannot be made with it, write safetensors instead
    the model's tokenizer is not supported: its tokenizer splits texts in a way that has no name in GGUF; a GGUF cannot be made with it, write safetensors instead
    the model's tokenizer is not supported: it has 49152 tokens, the model 49151; a GGUF cannot be made with it, write safetensors instead
    ");
}

fn assert_same_pieces(a: &Tokenizer, b: &Tokenizer) {
    assert_eq!(a.vocab_size(), b.vocab_size());
    for id in 0..a.vocab_size() as u32 {
        assert_eq!(a.token_bytes(id), b.token_bytes(id), "token {id}");
    }
}

fn strings(key: &str) -> Vec<String> {
    let values = SMALL[key].to_vec().unwrap();
    values.iter().map(|value| value.to_string().unwrap().clone()).collect()
}

fn smollm_json() -> Json {
    let tokens = strings("tokenizer.ggml.tokens");
    let added: Vec<Json> = (0..17)
        .map(|id| {
            json!({"id": id, "content": tokens[id], "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let vocab: serde_json::Map<_, _> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
    json!({
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": strings("tokenizer.ggml.merges")},
    })
}

fn prepend() -> Json {
    json!({"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]}})
}

fn metaspace() -> Json {
    json!({"pre_tokenizer":
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}})
}

fn mistral_json(spaces: Json) -> Json {
    let ids: HashMap<&str, usize> =
        MISTRAL_PIECES.iter().enumerate().map(|(id, piece)| (piece.text.as_str(), id)).collect();
    let mut merges = Vec::new();
    for piece in MISTRAL_PIECES.iter().filter(|piece| piece.kind == 1) {
        for (cut, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(cut);
            if let (Some(l), Some(r)) = (ids.get(left), ids.get(right)) {
                merges.push((-piece.score, *l, *r, format!("{left} {right}")));
            }
        }
    }
    merges.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let merges: Vec<_> = merges.into_iter().map(|merge| merge.3).collect();
    let vocab: serde_json::Map<_, _> =
        ids.iter().map(|(&token, &id)| (token.to_owned(), id.into())).collect();
    let added = ["<unk>", "<s>", "</s>"].map(|token| {
        json!({"id": ids[token], "content": token, "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false})
    });
    let mut json = json!({
        "version": "1.0",
        "added_tokens": added,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "ByteFallback"},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": vocab, "merges": merges},
    });
    json.as_object_mut().unwrap().extend(spaces.as_object().unwrap().clone());
    json
}

/// Control tokens of the small model and of Mistral, and their lookalikes.
fn hostile_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("<|im_start|>".to_owned()),
        Just("<|im_end|>".to_owned()),
        Just("<|endoftext|>".to_owned()),
        Just("<s>".to_owned()),
        Just("</s>".to_owned()),
        Just("<unk>".to_owned()),
        Just("<0x0A>".to_owned()),
        Just("▁".to_owned()),
        Just("### Response:".to_owned()),
        Just("👩‍👩‍👧‍👦".to_owned()),
        "[ \n\r\t]{1,4}",
        "[a-zA-Z0-9'.,!*\"<>|/#-]{1,12}",
        "\\PC{1,6}",
        ".{1,4}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| {
        let mut text = parts.concat();
        text.retain(is_in_smollm2);
        text
    })
}

/// SmolLM2's vocabulary lacks some bytes: of control characters, and of planes that
/// hold no character.
fn is_in_smollm2(c: char) -> bool {
    !matches!(c, '\u{4}' | '\u{6}' | '\u{13}' | '\u{14}' | '\u{16}' | '\u{1d}')
        && !('\u{40000}'..'\u{c0000}').contains(&c)
}

/// Texts as prompts are made of: each begins with a newline and ends in a non-space.
fn blocks() -> impl Strategy<Value = Vec<String>> {
    let block = (prop_oneof![Just("\n"), Just("\n\n")], hostile_text())
        .prop_map(|(start, text)| format!("{start}{}.", text))
        .prop_filter("a block ends in a non-space", |b| !b.ends_with(char::is_whitespace));
    let last =
        prop_oneof![Just("é"), Just("x"), Just("😀"), Just("\""), Just("*"), Just(":"), Just("9")];
    prop::collection::vec((block, last).prop_map(|(b, last)| b + last), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_encode_apart_as_they_do_together(start in hostile_text(), blocks in blocks()) {
        let start = start + "a";
        for tokenizer in [&*SMOLLM, &*MISTRAL] {
            let whole = tokenizer.encode_start(&format!("{start}{}", blocks.concat()));
            let mut apart = tokenizer.encode_start(&start);
            apart.extend(blocks.iter().flat_map(|block| tokenizer.encode(block)));
            prop_assert_eq!(apart, whole);
        }
    }

    #[test]
    fn text_never_becomes_a_control_token_and_comes_back(text in hostile_text()) {
        for tokenizer in [&*SMOLLM, &*MISTRAL] {
            let ids = tokenizer.encode(&text);
            prop_assert!(ids.iter().all(|&id| !tokenizer.token_bytes(id).is_empty()), "{:?}", ids);
            // Sentencepiece spells the space with this letter.
            let expected = match tokenizer.bos_id() {
                Some(_) => text.replace('▁', " "),
                None => text.clone(),
            };
            prop_assert_eq!(tokenizer.decode(&ids), expected.as_str());
            prop_assert_eq!(tokenizer.decode_start(&tokenizer.encode_start(&text)), expected.as_str());

            let mut decoder = IncrementalDecoder::new();
            let mut streamed = String::new();
            for &id in &ids {
                let piece = decoder.push(tokenizer.token_bytes(id));
                prop_assert!(!piece.contains(char::REPLACEMENT_CHARACTER) || text.contains(char::REPLACEMENT_CHARACTER));
                streamed.push_str(&piece);
            }
            prop_assert_eq!(decoder.finish(), "");
            prop_assert_eq!(streamed, expected);
        }
    }
}

#[test]
fn damaged_metadata_is_refused_with_the_reason() {
    let refuse = |change: &dyn Fn(&mut HashMap<String, Value>)| {
        let mut metadata = SMALL.clone();
        change(&mut metadata);
        Tokenizer::from_gguf(&metadata).unwrap_err().to_string()
    };
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let text = |text: &str| Value::String(text.into());
    let refused = [
        refuse(&|m| drop(m.insert(key("model"), text("t5")))),
        refuse(&|m| drop(m.insert(key("pre"), text("deepseek-llm")))),
        refuse(&|m| drop(m.remove(&key("merges")))),
        refuse(&|m| drop(m.insert(key("token_type"), Value::Array(vec![Value::I32(1)])))),
    ];
    insta::assert_snapshot!(refused.join("\n"), @"
    the model's tokenizer is not supported: GGUF kind `t5`; supported are `llama` and `gpt2`
    the model's tokenizer is not supported: pre-tokenizer `deepseek-llm`; supported are gpt-2, smollm and llama-bpe
    the model's tokenizer is damaged: it has no list `tokenizer.ggml.merges`. Fetch the model again
    the model's tokenizer is damaged: 1 types for 49152 tokens. Fetch the model again
    ");
    assert!(Tokenizer::from_file(Path::new("no/tokenizer.json")).is_err());
}
