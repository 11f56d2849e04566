//! `tokenizer.json` of the `tokenizers` library, with the files beside it that name
//! the special tokens.
//!
//! The file is taken apart before the library sees it: control tokens leave the
//! vocabulary, and a leading space of the tokenizer's own becomes `encode_start`'s.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::control::ControlTokens;
use super::vocabulary::{self, Kind, Spelling};
use super::{Encoder, Tokenizer, TokenizerError};

pub(super) fn read(path: &Path) -> Result<Tokenizer, TokenizerError> {
    build(parse(path)?, &sidecars(path))
}

/// The file's text as JSON.
pub(super) fn parse(path: &Path) -> Result<Value, TokenizerError> {
    let text = std::fs::read(path)
        .map_err(|source| TokenizerError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&text)
        .map_err(|e| damaged(format!("{} is no JSON ({e})", path.display())))
}

/// What stands beside a `tokenizer.json`.
pub(super) fn sidecars(path: &Path) -> Sidecars {
    let sidecar = |name: &str| {
        let text = std::fs::read(path.with_file_name(name)).ok()?;
        serde_json::from_slice(&text).ok()
    };
    Sidecars {
        tokenizer: sidecar("tokenizer_config.json").unwrap_or(Value::Null),
        generation: sidecar("generation_config.json").unwrap_or(Value::Null),
        model: sidecar("config.json").unwrap_or(Value::Null),
    }
}

/// What stands beside the tokenizer; `Null` where absent.
pub(super) struct Sidecars {
    pub(super) tokenizer: Value,
    pub(super) generation: Value,
    pub(super) model: Value,
}

/// Builds the tokenizer from parsed files.
pub(super) fn build(mut json: Value, sidecars: &Sidecars) -> Result<Tokenizer, TokenizerError> {
    let mut tokens = token_table(&json)?;
    let id_of = |tokens: &[Token], text: &str| {
        tokens.iter().position(|token| token.text == text).map(|id| id as u32)
    };
    let bos_id = token_text(&sidecars.tokenizer, "bos_token").and_then(|t| id_of(&tokens, t));
    // The tokenizer's own word is what other programs put at the end of a text.
    let named = token_text(&sidecars.tokenizer, "eos_token").and_then(|t| id_of(&tokens, t));
    let mut eos_ids: Vec<u32> = [&sidecars.generation, &sidecars.model]
        .into_iter()
        .flat_map(|file| ids(file.get("eos_token_id")))
        .chain(named)
        .collect();
    let main_eos_id = named.or(eos_ids.first().copied());
    for &id in eos_ids.iter().chain(&bos_id) {
        if let Some(token) = tokens.get_mut(id as usize) {
            token.kind = Kind::Control;
        }
    }
    eos_ids.extend(
        tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.kind == Kind::Control && vocabulary::is_end(&token.text))
            .map(|(id, _)| id as u32),
    );
    eos_ids.sort_unstable();
    eos_ids.dedup();

    let template_bos = template_bos(&json);
    let adds_bos = sidecars.tokenizer.get("add_bos_token").and_then(Value::as_bool);
    let wants_bos = adds_bos.unwrap_or(template_bos.is_some());
    let bos_id = bos_id.or_else(|| id_of(&tokens, template_bos.as_deref()?));
    let spelling = spelling(&json)?;
    let dummy_prefix = take_dummy_prefix(&mut json);
    leave_text_only(&mut json, &tokens);

    let fingerprint = fingerprint(&json, dummy_prefix, bos_id.filter(|_| wants_bos), &eos_ids);
    let encoder =
        tokenizers::Tokenizer::from_bytes(json.to_string()).map_err(TokenizerError::Build)?;
    let control = (0..).zip(&tokens).filter(|(_, token)| token.kind == Kind::Control);
    let control = control.map(|(id, token)| (token.text.as_str(), id));
    let pieces = tokens
        .iter()
        .map(|token| vocabulary::piece_bytes(&token.text, token.kind, spelling))
        .collect();
    Ok(Tokenizer {
        encoder: Encoder::Library(Box::new(encoder)),
        pieces,
        dummy_prefix,
        bos_id: bos_id.filter(|_| wants_bos),
        eos_ids,
        main_eos_id,
        control: ControlTokens::new(control)?,
        fingerprint,
    })
}

/// A token by its id.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// Every token by id, from the model's vocabulary and the added tokens.
pub(super) fn token_table(json: &Value) -> Result<Vec<Token>, TokenizerError> {
    let model = &json["model"];
    if model.get("type").is_some_and(|kind| kind != "BPE") {
        let reason = format!("model type {}; supported is \"BPE\"", model["type"]);
        return Err(TokenizerError::Unsupported(reason));
    }
    let entries = model["vocab"].as_object().ok_or_else(|| damaged("it has no `model.vocab`"))?;
    let byte_fallback = model["byte_fallback"] == true;
    let unknown = model["unk_token"].as_str();
    let normal = entries.iter().map(|(text, id)| {
        let is_byte = byte_fallback && vocabulary::byte_value(text).is_some();
        let kind = match text {
            text if unknown == Some(text) => Kind::Control,
            _ if is_byte => Kind::Byte,
            _ => Kind::Normal,
        };
        (id.as_u64(), text.clone(), kind)
    });
    let added = added_tokens(json).map(|token| {
        let text = token["content"].as_str().unwrap_or_default();
        let is_control = token["special"] == true || vocabulary::looks_like_control(text);
        let kind = if is_control { Kind::Control } else { Kind::UserDefined };
        (token["id"].as_u64(), text.to_owned(), kind)
    });

    let mut table = Vec::new();
    for (id, text, kind) in normal.chain(added) {
        let id = id
            .filter(|&id| id < 1 << 24)
            .ok_or_else(|| damaged(format!("token `{text}` has no id")))?;
        let id = id as usize;
        if table.len() <= id {
            table.resize_with(id + 1, || Token { text: String::new(), kind: Kind::Control });
        }
        table[id] = Token { text, kind };
    }
    Ok(table)
}

fn added_tokens(json: &Value) -> impl Iterator<Item = &Value> {
    json["added_tokens"].as_array().into_iter().flatten()
}

/// Removes control tokens from all that text can reach, and what else would add to it.
fn leave_text_only(json: &mut Value, tokens: &[Token]) {
    let control: HashSet<&str> = tokens
        .iter()
        .filter(|token| token.kind == Kind::Control)
        .map(|token| token.text.as_str())
        .collect();
    if let Some(added) = json["added_tokens"].as_array_mut() {
        added.retain(|token| !control.contains(token["content"].as_str().unwrap_or_default()));
    }
    // The library insists on the unknown token; no spelling reaches it.
    let unknown = json["model"]["unk_token"].as_str().map(str::to_owned);
    let vocabulary: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.kind != Kind::Control || unknown.as_ref() == Some(&token.text))
        .map(|(id, token)| (token.text.clone(), id.into()))
        .collect();
    json["model"]["vocab"] = Value::Object(vocabulary);
    for part in ["post_processor", "truncation", "padding", "decoder"] {
        json[part] = Value::Null;
    }
}

/// The parts of a normalizer, pre-tokenizer or decoder: itself, or its sequence.
pub(super) fn parts<'a>(step: &'a Value, list: &str) -> Vec<&'a Value> {
    match step.get(list).and_then(Value::as_array) {
        Some(parts) => parts.iter().collect(),
        None => vec![step],
    }
}

pub(super) fn spelling(json: &Value) -> Result<Spelling, TokenizerError> {
    let steps = parts(&json["pre_tokenizer"], "pretokenizers");
    let steps = steps.into_iter().chain(parts(&json["decoder"], "decoders"));
    let kinds: Vec<_> = steps.filter_map(|step| step["type"].as_str()).collect();
    if kinds.contains(&"ByteLevel") {
        Ok(Spelling::ByteLevel)
    } else if json["model"]["byte_fallback"] == true {
        Ok(Spelling::Sentencepiece)
    } else {
        let reason = "neither byte-level nor sentencepiece with byte fallback".to_owned();
        Err(TokenizerError::Unsupported(reason))
    }
}

/// Takes the tokenizer's own leading space out of normalizer and pre-tokenizer; true
/// if there was one.
pub(super) fn take_dummy_prefix(json: &mut Value) -> bool {
    let mut found = false;
    let mut visit = |step: &mut Value| match step["type"].as_str() {
        Some("Prepend") => {
            found = true;
            // An identity, since a step cannot simply be left out everywhere.
            *step = json!({"type": "Sequence", "normalizers": []});
        }
        Some("Metaspace") => {
            found |= match step["prepend_scheme"].as_str() {
                Some(scheme) => scheme != "never",
                None => step["add_prefix_space"] != false,
            };
            step["prepend_scheme"] = "never".into();
            if let Some(fields) = step.as_object_mut() {
                fields.remove("add_prefix_space");
            }
        }
        Some("ByteLevel") => {
            found |= step["add_prefix_space"] == true;
            step["add_prefix_space"] = false.into();
        }
        _ => {}
    };
    for (step, list) in [("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers")] {
        if json[step][list].is_array() {
            json[step][list].as_array_mut().into_iter().flatten().for_each(&mut visit);
        } else if json[step].is_object() {
            visit(&mut json[step]);
        }
    }
    found
}

/// The token that the post-processor puts before a text, if it does.
pub(super) fn template_bos(json: &Value) -> Option<String> {
    let steps = parts(&json["post_processor"], "processors");
    let template = steps.into_iter().find(|step| step["type"] == "TemplateProcessing")?;
    Some(template["single"].get(0)?.get("SpecialToken")?["id"].as_str()?.to_owned())
}

/// A token's text, given as a string or as an object with `content`.
pub(super) fn token_text<'a>(file: &'a Value, key: &str) -> Option<&'a str> {
    let value = file.get(key)?;
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// One id or a list of ids.
pub(super) fn ids(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(single) => id(single).into_iter().collect(),
        None => Vec::new(),
    }
}

fn fingerprint(json: &Value, dummy_prefix: bool, bos_id: Option<u32>, eos_ids: &[u32]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(json.to_string());
    hasher.update(format!("|{dummy_prefix}|{bos_id:?}|{eos_ids:?}"));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn damaged(reason: impl Into<String>) -> TokenizerError {
    TokenizerError::Damaged(reason.into())
}
