//! Control tokens by their spelling, for the one who lays out a prompt: in a template's
//! own words `<|im_start|>` is a token, in people's text it is thirteen letters.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::TokenizerError;

/// The control tokens that have a spelling.
#[derive(Default)]
pub(super) struct ControlTokens {
    /// Finds them, the longest first; absent where there are none.
    finder: Option<AhoCorasick>,
    /// The ids, in the finder's order.
    ids: Vec<u32>,
    /// The spellings, in the same order.
    spellings: Vec<Box<str>>,
}

impl ControlTokens {
    /// From spellings with ids; of tokens spelled alike the first counts.
    pub(super) fn new<'a>(
        tokens: impl IntoIterator<Item = (&'a str, u32)>,
    ) -> Result<Self, TokenizerError> {
        let tokens = tokens.into_iter().filter(|(spelling, _)| !spelling.is_empty());
        let (spellings, ids): (Vec<_>, Vec<_>) = tokens.unzip();
        if spellings.is_empty() {
            return Ok(Self::default());
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&spellings)
            .map_err(|e| TokenizerError::Build(Box::new(e)))?;
        let spellings = spellings.into_iter().map(Box::from).collect();
        Ok(Self { finder: Some(finder), ids, spellings })
    }

    /// How a token is spelled, if it is one of them.
    pub(super) fn spelling(&self, id: u32) -> Option<&str> {
        let at = self.ids.iter().position(|known| *known == id)?;
        Some(&self.spellings[at])
    }

    /// Where `structure` spells them.
    pub(super) fn find(&self, structure: &str) -> Vec<(Range<usize>, u32)> {
        let finder = self.finder.iter();
        let found = finder.flat_map(|finder| finder.find_iter(structure));
        found.map(|found| (found.range(), self.ids[found.pattern().as_usize()])).collect()
    }
}
