//! Tokenizers from GGUF metadata: keys `tokenizer.ggml.*`, ggml's `docs/gguf.md`.
//!
//! Where the metadata is silent, defaults are llama.cpp's.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use sha2::{Digest, Sha256};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use super::control::ControlTokens;
use super::sentencepiece::SentencepieceEncoder;
use super::vocabulary::{self, Kind, Spelling};
use super::{Encoder, Tokenizer, TokenizerError};

/// Llama 3's split, from its published `tokenizer.json`.
pub(super) const LLAMA3_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

pub(super) fn build(metadata: &HashMap<String, Value>) -> Result<Tokenizer, TokenizerError> {
    Metadata(metadata).build()
}

struct Metadata<'a>(&'a HashMap<String, Value>);

/// The part of the result that depends on the kind of vocabulary.
struct Parts {
    encoder: Encoder,
    spelling: Spelling,
    dummy_prefix: bool,
    adds_bos: bool,
}

impl Metadata<'_> {
    fn build(&self) -> Result<Tokenizer, TokenizerError> {
        let tokens = self.strings("tokens")?;
        let end_ids = ["eos_token_id", "eot_token_id", "eom_token_id"];
        let end_ids: Vec<u32> = end_ids.iter().filter_map(|key| self.id(key)).collect();
        let bos_id = self.id("bos_token_id");
        let special: Vec<u32> = end_ids.iter().copied().chain(bos_id).collect();
        let kinds = self.kinds(&tokens, &special)?;
        let parts = match self.text("model") {
            Some("llama") => self.sentencepiece(&tokens, &kinds)?,
            Some("gpt2") => self.byte_level(&tokens, &kinds)?,
            Some(other) => {
                let reason = format!("GGUF kind `{other}`; supported are `llama` and `gpt2`");
                return Err(TokenizerError::Unsupported(reason));
            }
            None => return Err(damaged("it has no `tokenizer.ggml.model`")),
        };

        let main_eos_id = end_ids.first().copied();
        let mut eos_ids = end_ids;
        let named = tokens.iter().zip(&kinds).enumerate();
        eos_ids.extend(
            named
                .filter(|(_, (token, kind))| **kind == Kind::Control && vocabulary::is_end(token))
                .map(|(id, _)| id as u32),
        );
        eos_ids.sort_unstable();
        eos_ids.dedup();
        let wants_bos = self.flag("add_bos_token").unwrap_or(parts.adds_bos);
        let control = (0..).zip(tokens.iter().zip(&kinds));
        let control = control.filter(|(_, (_, kind))| **kind == Kind::Control);
        let control = control.map(|(id, (token, _))| (token.as_str(), id));
        let piece =
            |(token, kind): (&String, &Kind)| vocabulary::piece_bytes(token, *kind, parts.spelling);
        Ok(Tokenizer {
            encoder: parts.encoder,
            pieces: tokens.iter().zip(&kinds).map(piece).collect(),
            dummy_prefix: parts.dummy_prefix,
            bos_id: bos_id.filter(|_| wants_bos),
            eos_ids,
            main_eos_id,
            control: ControlTokens::new(control)?,
            fingerprint: self.fingerprint(),
        })
    }

    /// Sentencepiece BPE by scores.
    fn sentencepiece(&self, tokens: &[String], kinds: &[Kind]) -> Result<Parts, TokenizerError> {
        let scores = self.array("scores", |v| v.to_f32().ok())?;
        if scores.len() != tokens.len() {
            return Err(damaged(format!("{} scores for {} tokens", scores.len(), tokens.len())));
        }
        let unknown_id = self.id("unknown_token_id").unwrap_or(0);
        let encoder = SentencepieceEncoder::new(tokens, kinds, &scores, unknown_id)?;
        Ok(Parts {
            encoder: Encoder::Sentencepiece(encoder),
            spelling: Spelling::Sentencepiece,
            dummy_prefix: self.flag("add_space_prefix").unwrap_or(true),
            adds_bos: true,
        })
    }

    /// Byte-level BPE with the split that `tokenizer.ggml.pre` names.
    fn byte_level(&self, tokens: &[String], kinds: &[Kind]) -> Result<Parts, TokenizerError> {
        let pre = self.text("pre").unwrap_or("default");
        let gpt2_split = || ByteLevel::new(false, false, true).into();
        let (split, is_llama3): (Vec<PreTokenizerWrapper>, bool) = match pre {
            "default" | "gpt-2" => (vec![gpt2_split()], false),
            "smollm" => (vec![Digits::new(true).into(), gpt2_split()], false),
            "llama3" | "llama-v3" | "llama-bpe" => {
                let pattern = SplitPattern::Regex(LLAMA3_SPLIT.into());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                    .map_err(TokenizerError::Build)?;
                (vec![split.into(), ByteLevel::new(false, false, false).into()], true)
            }
            other => {
                let reason =
                    format!("pre-tokenizer `{other}`; supported are gpt-2, smollm and llama-bpe");
                return Err(TokenizerError::Unsupported(reason));
            }
        };
        let merges = self
            .strings("merges")?
            .iter()
            .map(|merge| {
                let (left, right) = merge
                    .split_once(' ')
                    .ok_or_else(|| damaged(format!("merge `{merge}` has no two halves")))?;
                Ok((left.to_owned(), right.to_owned()))
            })
            .collect::<Result<_, _>>()?;
        let typed = || tokens.iter().map(String::as_str).zip(kinds.iter().copied());
        let vocabulary = vocabulary::text_vocabulary(typed());
        let mut encoder = vocabulary::byte_level_encoder(vocabulary, merges, split, is_llama3)?;
        vocabulary::add_user_defined(&mut encoder, typed())?;
        Ok(Parts {
            encoder: Encoder::Library(Box::new(encoder)),
            spelling: Spelling::ByteLevel,
            dummy_prefix: self.flag("add_space_prefix").unwrap_or(false),
            adds_bos: is_llama3,
        })
    }

    fn kinds(&self, tokens: &[String], special: &[u32]) -> Result<Vec<Kind>, TokenizerError> {
        let types = self.array("token_type", |v| v.to_i32().ok())?;
        if types.len() != tokens.len() {
            return Err(damaged(format!("{} types for {} tokens", types.len(), tokens.len())));
        }
        let kind = |(id, (token, kind)): (usize, (&String, i32))| match kind {
            _ if special.contains(&(id as u32)) => Kind::Control,
            1 => Kind::Normal,
            4 if !vocabulary::looks_like_control(token) => Kind::UserDefined,
            6 => Kind::Byte,
            // 2 unknown, 3 control, 5 unused
            _ => Kind::Control,
        };
        Ok(tokens.iter().zip(types).enumerate().map(kind).collect())
    }

    fn fingerprint(&self) -> String {
        let mut keys: Vec<_> =
            self.0.iter().filter(|(key, _)| key.starts_with("tokenizer.ggml.")).collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        let mut hasher = Sha256::new();
        for (key, value) in keys {
            hash_text(&mut hasher, key);
            hash_value(&mut hasher, value);
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(&format!("tokenizer.ggml.{key}"))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.to_string().ok().map(String::as_str)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)?.to_bool().ok()
    }

    fn id(&self, key: &str) -> Option<u32> {
        match self.value(key)? {
            Value::I32(id) => u32::try_from(*id).ok(),
            other => u32::try_from(other.to_u64().ok()?).ok(),
        }
    }

    fn strings(&self, key: &str) -> Result<Vec<String>, TokenizerError> {
        self.array(key, |v| v.to_string().ok().cloned())
    }

    fn array<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, TokenizerError> {
        let values = self.value(key).and_then(|value| value.to_vec().ok());
        let values =
            values.ok_or_else(|| damaged(format!("it has no list `tokenizer.ggml.{key}`")))?;
        let wrong = || damaged(format!("`tokenizer.ggml.{key}` holds values of a wrong type"));
        values.iter().map(|value| read(value).ok_or_else(wrong)).collect()
    }
}

fn damaged(reason: impl Into<String>) -> TokenizerError {
    TokenizerError::Damaged(reason.into())
}

fn hash_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text);
}

fn hash_value(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::String(text) => hash_text(hasher, text),
        Value::F32(number) => hasher.update(number.to_bits().to_le_bytes()),
        Value::Array(values) => {
            hasher.update((values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| hash_value(hasher, value));
        }
        other => hash_text(hasher, &format!("{other:?}")),
    }
}
