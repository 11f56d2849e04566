//! GPT-2's alphabet, in which byte-level vocabularies write their tokens: every byte
//! is one printable character (OpenAI's `gpt-2/src/encoder.py`, `bytes_to_unicode`).

use std::collections::HashMap;
use std::sync::LazyLock;

/// The character that stands for `byte`.
pub(super) fn character(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
        // The others, in order, follow on from U+0100.
        0..=b' ' => offset(byte),
        0x7F..=0xA0 => offset(byte - 0x7F + 33),
        0xAD => offset(67),
    }
}

fn offset(index: u8) -> char {
    char::from_u32(0x100 + u32::from(index)).expect("U+0100 to U+0143 are letters")
}

static BYTES: LazyLock<HashMap<char, u8>> =
    LazyLock::new(|| (0..=u8::MAX).map(|byte| (character(byte), byte)).collect());

/// The bytes that a token's spelling stands for. Characters outside the alphabet,
/// which only added tokens have, stand for themselves.
pub(super) fn bytes(spelling: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(spelling.len());
    for c in spelling.chars() {
        match BYTES.get(&c) {
            Some(&byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_one_to_one_and_as_published() {
        assert_eq!(BYTES.len(), 256);
        assert_eq!([character(b' '), character(b'\n'), character(0xAD)], ['Ġ', 'Ċ', 'Ń']);
        assert_eq!([character(b'A'), character(0x7F), character(0xA0)], ['A', 'ġ', 'ł']);
        assert_eq!(bytes("ĠhÃ©"), " hé".as_bytes());
    }
}
