//! The tokenizer of tests: one token a byte, a BOS and an EOS.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::control::ControlTokens;
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
        main_eos_id: Some(EOS_ID),
        control: ControlTokens::default(),
        fingerprint: format!("{:064x}", 0),
    }
}

/// The same with control tokens of these spellings, from id 258 on.
#[cfg(test)]
pub(super) fn build_with_control(spellings: &[&str]) -> Tokenizer {
    let mut tokenizer = build();
    let ids = tokenizer.pieces.len() as u32..;
    let control = ControlTokens::new(spellings.iter().copied().zip(ids));
    tokenizer.control = control.expect("a few spellings are no large automaton");
    tokenizer.pieces.extend(spellings.iter().map(|_| Box::default()));
    tokenizer
}
