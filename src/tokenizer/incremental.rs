//! Text of a growing token sequence, never with a split character.

/// Collects token bytes and releases them as text once they are whole characters.
/// All that is released, with what `finish` returns, equals the lossy decoding of all
/// bytes at once. A clone is a snapshot to rewind to.
#[derive(Debug, Clone, Default)]
pub struct IncrementalDecoder {
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl IncrementalDecoder {
    /// A decoder at the beginning of a continuation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes of the next token (`Tokenizer::token_bytes`) and returns the
    /// text that is complete by now, often empty in the middle of an emoji. A leading
    /// space is kept: the sequence continues a text.
    pub fn push(&mut self, token_bytes: &[u8]) -> String {
        self.pending.extend_from_slice(token_bytes);
        let mut text = String::new();
        let mut done = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            done += chunk.valid().len();
            let rest = chunk.invalid();
            if is_unfinished(rest) && done + rest.len() == self.pending.len() {
                break;
            }
            if !rest.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                done += rest.len();
            }
        }
        self.pending.drain(..done);
        text
    }

    /// Ends the sequence: an unfinished character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Whether an unfinished character is held back.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// Whether more bytes could make this the beginning of a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
