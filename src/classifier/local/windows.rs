//! Texts as tokens, long ones in windows that a model reads whole. Each begins with the end
//! of the one before, so that nothing hides on a border.

use std::path::Path;

use tokenizers::Tokenizer;

use super::super::ClassifierError;
use super::tokenizer;

/// How many times the overlap goes into a window.
const OVERLAP_DIVISOR: usize = 8;

/// What cuts texts.
pub(super) struct Windows {
    tokenizer: Tokenizer,
    /// What stands before and after the tokens of each window.
    begin: Vec<u32>,
    end: Vec<u32>,
    /// The most tokens of a window, with these.
    max_tokens: usize,
}

/// A part of a text.
pub(super) struct Window {
    /// Which text's.
    pub(super) text: usize,
    /// All of its tokens.
    pub(super) ids: Vec<u32>,
}

impl Windows {
    pub(super) fn open(directory: &Path, max_tokens: usize) -> Result<Self, ClassifierError> {
        let unfit = ClassifierError::model(directory);
        let mut tokenizer = tokenizer::read(directory)?;
        // As it was trained with; nothing of a text may be cut off.
        tokenizer.with_truncation(None).map_err(|error| unfit(error.to_string()))?;
        tokenizer.with_padding(None);
        // Whoever writes the name of a special token has written just that.
        tokenizer.set_encode_special_tokens(true);
        let (begin, end) = frame(&tokenizer).map_err(|error| unfit(error.to_string()))?;
        if begin.is_empty() {
            return Err(unfit("its tokenizer puts nothing before a text, which decides".into()));
        }
        if max_tokens < begin.len() + end.len() + OVERLAP_DIVISOR {
            return Err(unfit(format!("it reads {max_tokens} tokens at once: too few")));
        }
        Ok(Self { tokenizer, begin, end, max_tokens })
    }

    /// The windows of a text; none if it is blank.
    pub(super) fn cut(&self, text: usize, words: &str) -> Result<Vec<Window>, ClassifierError> {
        if words.trim().is_empty() {
            return Ok(Vec::new());
        }
        // The library's words may quote the text.
        let encoded = self.tokenizer.encode_fast(words, false);
        let encoded = encoded.map_err(|_| ClassifierError::Broken("could not read the text"))?;
        let (mut rest, mut windows) = (encoded.get_ids(), Vec::new());
        if rest.is_empty() {
            // Of signs that the tokenizer drops: others may read them.
            return Err(ClassifierError::Broken("could not read the text"));
        }
        let room = self.max_tokens - self.begin.len() - self.end.len();
        let overlap = room / OVERLAP_DIVISOR;
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(room)];
            windows.push(Window { text, ids: [&self.begin, window, &self.end].concat() });
            let is_last = window.len() == rest.len();
            rest = if is_last { &[] } else { &rest[room - overlap..] };
        }
        Ok(windows)
    }

    /// Takes as many windows from the end as together cost no more than a full one.
    pub(super) fn take_batch(&self, windows: &mut Vec<Window>) -> Vec<Window> {
        let (mut longest, mut count) = (0, 0);
        for window in windows.iter().rev() {
            longest = longest.max(window.ids.len());
            if count > 0 && (count + 1) * longest > self.max_tokens {
                break;
            }
            count += 1;
        }
        windows.split_off(windows.len() - count)
    }
}

/// What the tokenizer puts before and after a text.
fn frame(tokenizer: &Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let framed = tokenizer.encode_fast("a", true)?;
    let (ids, special) = (framed.get_ids(), framed.get_special_tokens_mask());
    let begin = special.iter().take_while(|&&is_special| is_special == 1).count();
    let end = special[begin..].iter().rev().take_while(|&&is_special| is_special == 1).count();
    Ok((ids[..begin].to_vec(), ids[ids.len() - end..].to_vec()))
}
