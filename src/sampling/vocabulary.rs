//! What each token spells, for the processors that look at text.

/// The bytes of every token of a model, by id.
///
/// Built once per model and shared; holds bytes, as a token may be part of a
/// character.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    /// Where each token ends in `bytes`.
    ends: Vec<usize>,
}

impl Vocabulary {
    /// The tokens in the order of their ids. A control token, which stands for
    /// no text, is the empty string.
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Self {
        let mut vocabulary = Self::default();
        for token in tokens {
            vocabulary.bytes.extend_from_slice(token.as_ref());
            vocabulary.ends.push(vocabulary.bytes.len());
        }
        vocabulary
    }

    /// What the token spells; nothing for an id that the vocabulary lacks.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_bytes() {
        let vocabulary = Vocabulary::new([&b"<s>"[..], b"", b"\xe2\x80", b" a"]);
        let spelled: Vec<_> = (0..5).map(|id| vocabulary.token_bytes(id)).collect();
        assert_eq!(spelled, [&b"<s>"[..], b"", b"\xe2\x80", b" a", b""]);
    }
}
