//! Text to token ids and back, for the two kinds of the Llama family: sentencepiece
//! BPE with byte fallback, and byte-level BPE.
//!
//! It knows no chat template and adds no BOS. Invariants: people's text never yields
//! a control token, since the encoder's vocabulary has none (whoever lays out a prompt
//! asks [`Tokenizer::find_control`] for its own); text cut before a
//! newline that follows a non-space encodes to the same ids in parts as whole
//! (except with Llama 3's vocabulary, which joins newlines to punctuation).

mod byte_level;
mod bytes;
mod control;
mod error;
mod export;
mod gguf;
mod incremental;
mod json;
mod sentencepiece;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use candle_core::quantized::gguf_file::Value;

use control::ControlTokens;
pub use error::TokenizerError;
pub use incremental::IncrementalDecoder;
use sentencepiece::SentencepieceEncoder;

/// A model's tokenizer: immutable, shared behind an `Arc`.
pub struct Tokenizer {
    encoder: Encoder,
    /// Raw bytes of each token, by id; empty for control tokens.
    pieces: Vec<Box<[u8]>>,
    /// Whether a text begins with a space of the tokenizer's own.
    dummy_prefix: bool,
    bos_id: Option<u32>,
    eos_ids: Vec<u32>,
    /// Which of them the model names first.
    main_eos_id: Option<u32>,
    /// Out of reach of text; structure finds them by their spelling.
    control: ControlTokens,
    fingerprint: String,
}

/// Text to ids; no control token is in its vocabulary.
enum Encoder {
    /// Byte-level vocabularies, and whatever a `tokenizer.json` describes.
    Library(Box<tokenizers::Tokenizer>),
    /// Sentencepiece vocabularies with scores.
    Sentencepiece(SentencepieceEncoder),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, and `tokenizer_config.json`, `generation_config.json`
    /// and `config.json` beside it for the special tokens.
    ///
    /// # Errors
    /// `Io`, or the reason why the vocabulary is refused.
    pub fn from_file(path: &Path) -> Result<Self, TokenizerError> {
        json::read(path)
    }

    /// Builds the tokenizer that a GGUF's metadata describes: `llama` (sentencepiece)
    /// or `gpt2` (byte-level BPE).
    ///
    /// # Errors
    /// The reason why the vocabulary is refused.
    pub fn from_gguf(metadata: &HashMap<String, Value>) -> Result<Self, TokenizerError> {
        gguf::build(metadata)
    }

    /// The metadata with which a GGUF describes a directory's tokenizer
    /// (`tokenizer.json` or `tokenizer.model`), for a model of `vocab_size` ids.
    ///
    /// # Errors
    /// `Io`, or the reason why no GGUF can describe it.
    pub fn gguf_metadata(
        directory: &Path,
        vocab_size: usize,
    ) -> Result<Vec<(String, Value)>, TokenizerError> {
        export::gguf_metadata(directory, vocab_size)
    }

    /// One token a byte (ids 0–255), a BOS (256) and an EOS (257): for tests and
    /// benches that need a tokenizer and no download. Fits `ModelConfig::tiny()`.
    pub fn bytes() -> Self {
        bytes::build()
    }

    /// The same with control tokens of these spellings, from id 258 on.
    #[cfg(test)]
    pub(crate) fn bytes_with_control(spellings: &[&str]) -> Self {
        bytes::build_with_control(spellings)
    }

    /// Ids of `text` as the beginning of a text: with the leading space that
    /// sentencepiece tokenizers put there. No BOS.
    pub fn encode_start(&self, text: &str) -> Vec<u32> {
        if self.dummy_prefix && !text.is_empty() {
            return self.encode(&format!(" {text}"));
        }
        self.encode(text)
    }

    /// Ids of `text` as the continuation of a text. Bytes that a byte-level vocabulary
    /// lacks are left out, as its reference does (SmolLM2 lacks some control characters
    /// and the lead bytes of unassigned planes).
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match &self.encoder {
            Encoder::Sentencepiece(encoder) => encoder.encode(text),
            Encoder::Library(encoder) => encoder
                .encode_fast(text, false)
                .expect("a BPE model without dropout encodes any text")
                .get_ids()
                .to_vec(),
        }
    }

    /// Where a text that is *structure*, such as a chat template's `<|im_start|>`,
    /// spells control tokens: the byte range and the id of each, in order, the longest
    /// spelling first. Never give it people's text.
    pub fn find_control(&self, structure: &str) -> Vec<(Range<usize>, u32)> {
        self.control.find(structure)
    }

    /// Number of ids of `text` as a continuation.
    pub fn count(&self, text: &str) -> usize {
        self.encode(text).len()
    }

    /// The beginning-of-text token, if this model wants one before every prompt.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// Every token that ends a generation, in ascending order.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos_ids
    }

    /// How the beginning of a text is spelled, if this model wants one; for texts that
    /// other programs turn to tokens.
    pub fn bos_text(&self) -> Option<&str> {
        self.control.spelling(self.bos_id?)
    }

    /// How the end of a text is spelled: of several the one that the model names first.
    pub fn eos_text(&self) -> Option<&str> {
        self.control.spelling(self.main_eos_id?)
    }

    /// Number of token ids, control tokens included.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// The bytes that one token stands for within a text: not always whole
    /// characters; empty for control tokens and for ids outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.pieces.get(id as usize).map_or(&[], |piece| piece)
    }

    /// The text of `ids` as a continuation, its leading space included: the inverse of
    /// [`Tokenizer::encode`]. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.token_bytes(id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The text of `ids` as the beginning of a text: the inverse of
    /// [`Tokenizer::encode_start`].
    pub fn decode_start(&self, ids: &[u32]) -> String {
        let mut text = self.decode(ids);
        if self.dummy_prefix && text.starts_with(' ') {
            text.remove(0);
        }
        text
    }

    /// A stable hash of everything that decides the ids, 64 hexadecimal digits, for
    /// receipts and caches.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
