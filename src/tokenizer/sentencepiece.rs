//! Sentencepiece's BPE, from scores: of all neighbours that form a piece, the pair of
//! the best score merges first, and of equals the leftmost (Kudo & Richardson 2018,
//! arXiv:1808.06226; `bpe_model.cc` of the reference implementation).
//!
//! The `tokenizers` library ranks the splits of one piece apart, and so differs from
//! the reference on long runs of one character, such as indentation; hence our own.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};

use super::TokenizerError;
use super::vocabulary::{self, Kind};

/// Text to ids. Holds no control token but the unknown one, which only characters
/// without byte tokens become.
pub(super) struct SentencepieceEncoder {
    /// Id and score of every piece that text can merge to.
    pieces: HashMap<Box<str>, (u32, f32)>,
    /// Ids of the byte tokens, where there are any.
    bytes: Vec<Option<u32>>,
    unknown_id: u32,
    /// Finds user-defined tokens, the longest first.
    user_defined: Option<AhoCorasick>,
}

/// A run of text that is one piece so far, in a linked list over the text.
struct Symbol {
    start: usize,
    /// In bytes; 0 once it is merged into the one before.
    len: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that form a piece.
struct Merge {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both, to recognise a merge that has been overtaken.
    len: usize,
}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merge {}

impl SentencepieceEncoder {
    pub(super) fn new(
        tokens: &[String],
        kinds: &[Kind],
        scores: &[f32],
        unknown_id: u32,
    ) -> Result<Self, TokenizerError> {
        let mut pieces = HashMap::new();
        let mut bytes = vec![None; 256];
        let mut user_defined = Vec::new();
        for (id, ((token, kind), score)) in tokens.iter().zip(kinds).zip(scores).enumerate() {
            match kind {
                Kind::Normal => {
                    pieces.entry(token.as_str().into()).or_insert((id as u32, *score));
                }
                Kind::UserDefined => {
                    user_defined.push(token);
                    pieces.insert(token.as_str().into(), (id as u32, *score));
                }
                Kind::Byte => {
                    if let Some(byte) = vocabulary::byte_value(token) {
                        bytes[usize::from(byte)] = Some(id as u32);
                    }
                }
                Kind::Control => {}
            }
        }
        let user_defined = match user_defined.as_slice() {
            [] => None,
            tokens => Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(tokens)
                    .map_err(|e| TokenizerError::Build(Box::new(e)))?,
            ),
        };
        Ok(Self { pieces, bytes, unknown_id, user_defined })
    }

    /// Ids of `text`, in which `▁` and the space are the same.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let text = text.replace(' ', "▁");
        let mut ids = Vec::new();
        let mut rest = text.as_str();
        for found in self.user_defined.iter().flat_map(|finder| finder.find_iter(&text)) {
            let start = text.len() - rest.len();
            self.encode_plain(&text[start..found.start()], &mut ids);
            self.push_ids(&text[found.range()], &mut ids);
            rest = &text[found.end()..];
        }
        self.encode_plain(rest, &mut ids);
        ids
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        let mut symbols = characters(text);
        let mut merges: BinaryHeap<Merge> =
            (1..symbols.len()).filter_map(|right| self.merge(&symbols, text, right)).collect();
        while let Some(Merge { left, right, len, .. }) = merges.pop() {
            let lens = [left, right].map(|index| symbols[index].len);
            if lens.contains(&0) || lens.iter().sum::<usize>() != len {
                continue; // One of the two has merged otherwise since.
            }
            symbols[left].len = len;
            symbols[right].len = 0;
            symbols[left].next = symbols[right].next;
            if let Some(next) = symbols[left].next {
                symbols[next].previous = Some(left);
                merges.extend(self.merge(&symbols, text, next));
            }
            merges.extend(self.merge(&symbols, text, left));
        }
        let mut at = symbols.first();
        while let Some(symbol) = at {
            self.push_ids(&text[symbol.start..symbol.start + symbol.len], ids);
            at = symbol.next.map(|index| &symbols[index]);
        }
    }

    /// The merge of a symbol with the one before it, if that makes a piece.
    fn merge(&self, symbols: &[Symbol], text: &str, right: usize) -> Option<Merge> {
        let left = symbols[right].previous?;
        let len = symbols[left].len + symbols[right].len;
        let start = symbols[left].start;
        let (_, score) = *self.pieces.get(&text[start..start + len])?;
        Some(Merge { score, left, right, len })
    }

    fn push_ids(&self, piece: &str, ids: &mut Vec<u32>) {
        if let Some((id, _)) = self.pieces.get(piece) {
            return ids.push(*id);
        }
        let bytes: Option<Vec<u32>> = piece.bytes().map(|b| self.bytes[usize::from(b)]).collect();
        match bytes {
            Some(bytes) => ids.extend(bytes),
            None if ids.last() == Some(&self.unknown_id) => {}
            None => ids.push(self.unknown_id),
        }
    }
}

fn characters(text: &str) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = text
        .char_indices()
        .enumerate()
        .map(|(index, (start, c))| Symbol {
            start,
            len: c.len_utf8(),
            previous: index.checked_sub(1),
            next: Some(index + 1),
        })
        .collect();
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }
    symbols
}
