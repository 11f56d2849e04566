//! A directory's tokenizer as GGUF metadata, of the kinds that [`super::gguf`] and
//! llama.cpp read alike; everything else is refused.
//!
//! Where there is a `tokenizer.json`, the result is read back and compared with it.

mod sentencepiece_model;

use std::collections::HashMap;
use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use serde_json::Value as Json;

use super::gguf::LLAMA3_SPLIT;
use super::json::{self, Sidecars, Token};
use super::vocabulary::{self, Kind, Spelling};
use super::{Tokenizer, TokenizerError};

/// Words of several scripts, numbers, spaces and a character that no vocabulary has whole.
const PROBE: &str = "The 1905 storm\u{2014}\"hélas!\" \u{2014}took   3.75% of\n\n\tits mästs; \
                     don't ASK why. Ω 漢字 🌧️ <|x|> [0, 12345]\r\n";

/// ggml's kinds of tokens.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// What a token without a score has: less than any with one.
const NO_SCORE: f32 = -1e6;

/// One entry of a GGUF's vocabulary.
struct Entry {
    text: String,
    score: f32,
    kind: i32,
}

/// The metadata of a directory's tokenizer, for a model of `vocab_size` ids.
pub(super) fn gguf_metadata(
    directory: &Path,
    vocab_size: usize,
) -> Result<Vec<(String, Value)>, TokenizerError> {
    let path = directory.join("tokenizer.json");
    let parsed = path.is_file().then(|| json::parse(&path)).transpose()?;
    let pieces = directory.join("tokenizer.model");
    let sidecars = json::sidecars(&path);
    let mut metadata = match (&parsed, pieces.is_file()) {
        (None, false) => return Err(refused("there is no tokenizer.json and no tokenizer.model")),
        (None, true) => from_pieces(&pieces, &sidecars, None, vocab_size)?,
        (Some(json), has_pieces) => match (json::spelling(json)?, has_pieces) {
            (Spelling::Sentencepiece, true) => {
                from_pieces(&pieces, &sidecars, Some(json), vocab_size)?
            }
            (Spelling::Sentencepiece, false) => from_merges(json, &sidecars, vocab_size)?,
            (Spelling::ByteLevel, _) => byte_level(json, &sidecars, vocab_size)?,
        },
    };
    // Version 5 of transformers keeps the template in a file of its own.
    if let Ok(template) = std::fs::read_to_string(directory.join("chat_template.jinja"))
        && !metadata.iter().any(|(key, _)| key == CHAT_TEMPLATE)
    {
        metadata.push((CHAT_TEMPLATE.to_owned(), Value::String(template)));
    }
    let read_back = super::gguf::build(&metadata.iter().cloned().collect::<HashMap<_, _>>())?;
    if let Some(json) = parsed {
        compare(&json::build(json, &sidecars)?, &read_back)?;
    }
    Ok(metadata)
}

fn refused(reason: impl Into<String>) -> TokenizerError {
    TokenizerError::Unsupported(format!(
        "{}; a GGUF cannot be made with it, write safetensors instead",
        reason.into()
    ))
}

/// Sentencepiece's own file: pieces with their scores.
fn from_pieces(
    path: &Path,
    sidecars: &Sidecars,
    json: Option<&Json>,
    vocab_size: usize,
) -> Result<Vec<(String, Value)>, TokenizerError> {
    let bytes = std::fs::read(path)
        .map_err(|source| TokenizerError::Io { path: path.to_owned(), source })?;
    let model = sentencepiece_model::parse(&bytes)
        .ok_or_else(|| TokenizerError::Damaged(format!("{} cannot be read", path.display())))?;
    let mut entries = model.entries;
    let added = json.map(json::token_table).transpose()?.unwrap_or_default();
    let beyond = added.into_iter().skip(entries.len());
    entries.extend(beyond.map(|token| {
        let kind = kind_id(&token, None);
        Entry { text: token.text, score: NO_SCORE, kind }
    }));
    let prefix =
        json.map_or(model.adds_dummy_prefix, |json| json::take_dummy_prefix(&mut json.clone()));
    let bos = json.and_then(json::template_bos).is_some() || json.is_none();
    finish("llama", "default", entries, sidecars, vocab_size, (prefix, bos))
}

/// Sentencepiece as transformers keeps it: merges by rank, which is the order of scores.
fn from_merges(
    json: &Json,
    sidecars: &Sidecars,
    vocab_size: usize,
) -> Result<Vec<(String, Value)>, TokenizerError> {
    let mut scores: HashMap<String, f32> = HashMap::new();
    for (rank, (left, right)) in merges(json)?.into_iter().enumerate() {
        scores.entry(left + &right).or_insert(-(rank as f32));
    }
    let unknown = json["model"]["unk_token"].as_str();
    let entries = json::token_table(json)?.into_iter().map(|token| Entry {
        score: scores.get(&token.text).copied().unwrap_or(NO_SCORE),
        kind: kind_id(&token, unknown),
        text: token.text,
    });
    let prefix = json::take_dummy_prefix(&mut json.clone());
    let bos = json::template_bos(json).is_some();
    finish("llama", "default", entries.collect(), sidecars, vocab_size, (prefix, bos))
}

/// Byte-level BPE with one of the splits that have a name.
fn byte_level(
    json: &Json,
    sidecars: &Sidecars,
    vocab_size: usize,
) -> Result<Vec<(String, Value)>, TokenizerError> {
    if !json["normalizer"].is_null() {
        return Err(refused("its tokenizer rewrites texts first"));
    }
    let pre = split_name(&json["pre_tokenizer"])
        .ok_or_else(|| refused("its tokenizer splits texts in a way that has no name in GGUF"))?;
    let unknown = json["model"]["unk_token"].as_str();
    let entries = json::token_table(json)?.into_iter().map(|token| Entry {
        score: 0.0,
        kind: kind_id(&token, unknown),
        text: token.text,
    });
    let prefix = json::take_dummy_prefix(&mut json.clone());
    let bos = json::template_bos(json).is_some();
    let mut metadata = finish("gpt2", pre, entries.collect(), sidecars, vocab_size, (prefix, bos))?;
    let merges = merges(json)?.into_iter();
    let merges = merges.map(|(left, right)| Value::String(format!("{left} {right}")));
    metadata.push(key("merges", Value::Array(merges.collect())));
    Ok(metadata)
}

/// llama.cpp's name for a split.
fn split_name(pre_tokenizer: &Json) -> Option<&'static str> {
    let parts = json::parts(pre_tokenizer, "pretokenizers");
    let kind = |part: &Json| part["type"].as_str().unwrap_or_default().to_owned();
    let splits = |part: &Json, yes: bool| {
        kind(part) == "ByteLevel" && part["use_regex"].as_bool().unwrap_or(true) == yes
    };
    match parts.as_slice() {
        [bytes] if splits(bytes, true) => Some("gpt-2"),
        [digits, bytes]
            if kind(digits) == "Digits"
                && digits["individual_digits"] == true
                && splits(bytes, true) =>
        {
            Some("smollm")
        }
        [split, bytes]
            if kind(split) == "Split"
                && split["pattern"]["Regex"] == LLAMA3_SPLIT
                && split["behavior"] == "Isolated"
                && split["invert"] != true
                && splits(bytes, false) =>
        {
            Some("llama-bpe")
        }
        _ => None,
    }
}

/// Pairs in the order of their ranks, in either spelling.
fn merges(json: &Json) -> Result<Vec<(String, String)>, TokenizerError> {
    let list = json["model"]["merges"].as_array();
    let list = list.ok_or_else(|| TokenizerError::Damaged("it has no `model.merges`".into()))?;
    let pair = |merge: &Json| {
        let halves = match merge {
            Json::String(text) => text.split_once(' '),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        };
        let (left, right) = halves?;
        Some((left.to_owned(), right.to_owned()))
    };
    let pairs = list.iter().map(pair).collect::<Option<_>>();
    pairs.ok_or_else(|| TokenizerError::Damaged("a merge has no two halves".into()))
}

fn kind_id(token: &Token, unknown: Option<&str>) -> i32 {
    match token.kind {
        _ if token.text.is_empty() => UNUSED,
        _ if unknown == Some(&token.text) && token.text == "<unk>" => UNKNOWN,
        Kind::Normal => NORMAL,
        Kind::Byte => BYTE,
        Kind::UserDefined => USER_DEFINED,
        Kind::Control => CONTROL,
    }
}

fn key(name: &str, value: Value) -> (String, Value) {
    (format!("tokenizer.ggml.{name}"), value)
}

/// What both kinds have in common.
fn finish(
    model: &str,
    pre: &str,
    mut entries: Vec<Entry>,
    sidecars: &Sidecars,
    vocab_size: usize,
    (dummy_prefix, template_bos): (bool, bool),
) -> Result<Vec<(String, Value)>, TokenizerError> {
    if entries.len() > vocab_size {
        let count = entries.len();
        return Err(refused(format!("it has {count} tokens, the model {vocab_size}")));
    }
    // Rows of the embedding that no token has.
    for id in 0..vocab_size {
        if entries.get(id).is_none_or(|entry| entry.text.is_empty()) {
            let pad = Entry { text: format!("[PAD{id}]"), score: NO_SCORE, kind: UNUSED };
            if id < entries.len() { entries[id] = pad } else { entries.push(pad) }
        }
    }
    let id_of = |text: &str| entries.iter().position(|entry| entry.text == text);
    let named = |file: &Json, name: &str| id_of(json::token_text(file, name)?);
    let first = |name: &str| {
        let ids = [&sidecars.model, &sidecars.generation].map(|file| json::ids(file.get(name)));
        ids.into_iter().flatten().next().map(|id| id as usize)
    };
    let bos = named(&sidecars.tokenizer, "bos_token").or_else(|| first("bos_token_id"));
    let eos = named(&sidecars.tokenizer, "eos_token").or_else(|| first("eos_token_id"));
    let ends = [&sidecars.model, &sidecars.generation];
    let mut ends: Vec<usize> = ends
        .iter()
        .flat_map(|file| json::ids(file.get("eos_token_id")))
        .map(|id| id as usize)
        .filter(|&id| Some(id) != eos)
        // Readers know these without being told.
        .filter(|&id| entries.get(id).is_none_or(|entry| !vocabulary::is_end(&entry.text)))
        .collect();
    ends.sort_unstable();
    ends.dedup();
    let ends = eos.into_iter().chain(ends);
    let adds_bos = sidecars.tokenizer.get("add_bos_token").and_then(Json::as_bool);
    let list = |value: &dyn Fn(&Entry) -> Value| Value::Array(entries.iter().map(value).collect());
    let mut metadata = vec![
        key("model", Value::String(model.into())),
        key("pre", Value::String(pre.into())),
        key("tokens", list(&|entry| Value::String(entry.text.clone()))),
        key("token_type", list(&|entry| Value::I32(entry.kind))),
        key("add_space_prefix", Value::Bool(dummy_prefix)),
        key("add_bos_token", Value::Bool(adds_bos.unwrap_or(template_bos))),
        key("add_eos_token", Value::Bool(false)),
    ];
    if model == "llama" {
        metadata.push(key("scores", list(&|entry| Value::F32(entry.score))));
    }
    let id = |name: &str, id: usize| key(&format!("{name}_token_id"), Value::U32(id as u32));
    metadata.extend(bos.map(|bos| id("bos", bos)));
    metadata.extend(["eos", "eot", "eom"].iter().zip(ends).map(|(name, end)| id(name, end)));
    metadata.extend(named(&sidecars.tokenizer, "unk_token").map(|unknown| id("unknown", unknown)));
    metadata.extend(named(&sidecars.tokenizer, "pad_token").map(|pad| id("padding", pad)));
    if let Some(template) = sidecars.tokenizer.get("chat_template").and_then(Json::as_str) {
        let template = Value::String(template.to_owned());
        metadata.push((CHAT_TEMPLATE.to_owned(), template));
    }
    Ok(metadata)
}

/// Fails unless both tokenizers are one, as far as a probe tells.
fn compare(wanted: &Tokenizer, made: &Tokenizer) -> Result<(), TokenizerError> {
    let differs = |what: &str| Err(refused(format!("as a GGUF's, its tokenizer has other {what}")));
    if wanted.bos_id() != made.bos_id() || wanted.eos_ids() != made.eos_ids() {
        return differs("beginnings or ends of texts");
    }
    let num_tokens = wanted.vocab_size() as u32;
    if (0..num_tokens).any(|id| wanted.token_bytes(id) != made.token_bytes(id)) {
        return differs("pieces");
    }
    if wanted.encode(PROBE) != made.encode(PROBE)
        || wanted.encode_start(PROBE) != made.encode_start(PROBE)
    {
        return differs("ids for the same text");
    }
    Ok(())
}
