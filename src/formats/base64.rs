//! Base64 as files have it: with line breaks, with or without padding.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// The bytes, or what is wrong with the text. The alphabet for addresses is read too.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let spelled = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    if text.iter().all(is_plain) {
        return STANDARD.decode(text).map_err(|error| error.to_string());
    }
    let text: Vec<u8> = text.iter().filter(|b| !b.is_ascii_whitespace()).map(spelled).collect();
    STANDARD.decode(text).map_err(|error| error.to_string())
}

/// The text that stands for the bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for text in ["+/8=", "+/8", "-_8=", "+/\n8 =\r\n"] {
            assert_eq!(decode(text.as_bytes()), Ok(vec![0xfb, 0xff]), "{text:?}");
        }
        assert!(decode(b"+").is_err());
        assert!(decode(b"\xff\xff").is_err());
        assert_eq!(decode(encode(b"abc").as_bytes()), Ok(b"abc".to_vec()));
    }
}
