//! What both file formats have in common: pieces by kind, and which of them people's
//! text must never become.

use tokenizers::models::bpe::{BpeBuilder, Vocab};
use tokenizers::{AddedToken, pre_tokenizers};

use super::{TokenizerError, byte_level};

/// How a vocabulary spells its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `▁` for the space, `<0x0A>` for a byte without a character.
    Sentencepiece,
    /// GPT-2's alphabet.
    ByteLevel,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, reached by merges.
    Normal,
    /// One byte of text, in sentencepiece vocabularies.
    Byte,
    /// Text that is always one token, spelled as it is.
    UserDefined,
    /// No text: BOS, EOS, roles, padding, unknown, unused.
    Control,
}

/// Spellings of tokens that end a generation, whatever the metadata says; llama.cpp
/// keeps a similar list, since converted files often name only one of theirs.
const END_TOKENS: [&str; 8] = [
    "</s>",
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
];

/// Whether a token of this spelling ends a generation.
pub(super) fn is_end(spelling: &str) -> bool {
    END_TOKENS.contains(&spelling)
}

/// Whether an added token, though not marked as control, is written like one
/// (`<|im_start|>`, `[INST]`): finetunes often forget the mark.
pub(super) fn looks_like_control(spelling: &str) -> bool {
    let within = |open, close| spelling.strip_prefix(open)?.strip_suffix(close);
    let angle =
        within('<', '>').is_some_and(|name| !name.is_empty() && !name.contains([' ', '\n']));
    let square = within('[', ']').is_some_and(|name| {
        name.len() > 1 && name.chars().all(|c| "/_".contains(c) || c.is_ascii_uppercase())
    });
    angle || square
}

/// The bytes that a token stands for.
pub(super) fn piece_bytes(token: &str, kind: Kind, spelling: Spelling) -> Box<[u8]> {
    let bytes = match (kind, spelling) {
        (Kind::Control, _) => Vec::new(),
        (Kind::Byte, _) => byte_value(token).map_or_else(Vec::new, |byte| vec![byte]),
        (Kind::Normal, Spelling::ByteLevel) => byte_level::bytes(token),
        (Kind::UserDefined, Spelling::ByteLevel) => token.into(),
        (_, Spelling::Sentencepiece) => token.replace('▁', " ").into_bytes(),
    };
    bytes.into()
}

/// The byte of a spelling like `<0x0A>`.
pub(super) fn byte_value(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// The encoder's vocabulary: token to id, first id wins. Control tokens are left out,
/// so that no text can become one.
pub(super) fn text_vocabulary<'a>(tokens: impl Iterator<Item = (&'a str, Kind)>) -> Vocab {
    let mut vocabulary = Vocab::new();
    for (id, (token, kind)) in tokens.enumerate() {
        if kind != Kind::Control {
            vocabulary.entry(token.to_owned()).or_insert(id as u32);
        }
    }
    vocabulary
}

/// A byte-level encoder from its parts.
pub(super) fn byte_level_encoder(
    vocabulary: Vocab,
    merges: Vec<(String, String)>,
    pre_tokenizers: Vec<tokenizers::PreTokenizerWrapper>,
    ignore_merges: bool,
) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let bpe = BpeBuilder::new()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(ignore_merges)
        .build()
        .map_err(TokenizerError::Build)?;
    let mut encoder = tokenizers::Tokenizer::new(bpe);
    encoder.with_pre_tokenizer(Some(pre_tokenizers::sequence::Sequence::new(pre_tokenizers)));
    Ok(encoder)
}

/// Makes the encoder keep user-defined tokens whole. Their ids are the vocabulary's.
pub(super) fn add_user_defined<'a>(
    encoder: &mut tokenizers::Tokenizer,
    tokens: impl Iterator<Item = (&'a str, Kind)>,
) -> Result<(), TokenizerError> {
    let added: Vec<_> = tokens
        .filter(|(_, kind)| *kind == Kind::UserDefined)
        .map(|(token, _)| AddedToken::from(token, false).normalized(false))
        .collect();
    encoder.add_tokens(added).map_err(TokenizerError::Build)?;
    Ok(())
}
