//! The tokenizer of tests: one token a byte, a BOS and an EOS.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::vocabulary::byte_level_encoder;
use super::{Encoder, Tokenizer, byte_level};

const BOS_ID: u32 = 256;
const EOS_ID: u32 = 257;

pub(super) fn build() -> Tokenizer {
    let vocabulary =
        (0..=u8::MAX).map(|b| (byte_level::character(b).to_string(), u32::from(b))).collect();
    let split = ByteLevel::new(false, false, false);
    let encoder = byte_level_encoder(vocabulary, Vec::new(), vec![split.into()], false)
        .expect("the byte alphabet is a vocabulary");
    let bytes = (0..=u8::MAX).map(|byte| Box::from([byte]));
    let control: [Box<[u8]>; 2] = [Box::from([]), Box::from([])];
    Tokenizer {
        encoder: Encoder::Library(Box::new(encoder)),
        pieces: bytes.chain(control).collect(),
        dummy_prefix: false,
        bos_id: Some(BOS_ID),
        eos_ids: vec![EOS_ID],
        fingerprint: format!("{:064x}", 0),
    }
}
