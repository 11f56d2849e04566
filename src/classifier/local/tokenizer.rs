//! A model's tokenizer: `tokenizer.json`, or the list of words that BERT's older models have.

use std::path::Path;

use serde::Deserialize;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{Result, Tokenizer};

use super::super::ClassifierError;
use super::{TOKENIZER_FILE, VOCABULARY_CONFIG_FILE, VOCABULARY_FILE};

/// How the words of a list are looked for, in `tokenizer_config.json`.
#[derive(Deserialize)]
struct Spelling {
    #[serde(default = "usual")]
    do_lower_case: bool,
    #[serde(default = "usual")]
    tokenize_chinese_chars: bool,
    #[serde(default)]
    strip_accents: Option<bool>,
}

fn usual() -> bool {
    true
}

/// The tokenizer in that directory. What it adds to a text it still does.
pub(super) fn read(directory: &Path) -> std::result::Result<Tokenizer, ClassifierError> {
    let [json, words, spelling] =
        [TOKENIZER_FILE, VOCABULARY_FILE, VOCABULARY_CONFIG_FILE].map(|file| directory.join(file));
    let unfit = |path: &Path, reason: &str| ClassifierError::model(path)(reason);
    let bytes = |path: &Path| {
        std::fs::read(path).map_err(|error| unfit(path, &format!("cannot read it: {error}")))
    };
    if json.is_file() || !words.is_file() {
        let tokenizer = Tokenizer::from_bytes(bytes(&json)?);
        return tokenizer.map_err(|error| unfit(&json, &format!("it is damaged: {error}")));
    }
    let read: Spelling = serde_json::from_slice(&bytes(&spelling)?)
        .map_err(|error| unfit(&spelling, &format!("it is damaged: {error}")))?;
    of_words(&words, &read).map_err(|error| unfit(&words, &format!("it is damaged: {error}")))
}

/// As BERT's own reads a list of words.
fn of_words(words: &Path, spelling: &Spelling) -> Result<Tokenizer> {
    let words = WordPiece::from_file(words.to_str().ok_or("its path is not Unicode")?);
    let mut tokenizer = Tokenizer::new(words.build()?);
    let id = |token: &str| tokenizer.token_to_id(token).ok_or(format!("it has no {token}"));
    let (begin, end) = (id("[CLS]")?, id("[SEP]")?);
    let frame = TemplateProcessing::builder()
        .try_single("[CLS] $A [SEP]")?
        .special_tokens(vec![("[CLS]", begin), ("[SEP]", end)])
        .build()?;
    id("[UNK]")?;
    let Spelling { do_lower_case, tokenize_chinese_chars, strip_accents } = *spelling;
    let normal = BertNormalizer::new(true, tokenize_chinese_chars, strip_accents, do_lower_case);
    tokenizer
        .with_normalizer(Some(normal))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(frame));
    Ok(tokenizer)
}
