//! The vocabulary of a sentencepiece model, as GGUF converters write it down.
//! Format: `sentencepiece_model.proto`, whose piece types GGUF took over.

use std::collections::HashMap;
use std::path::Path;

use candle_core::quantized::gguf_file::Value;

/// One piece: spelling, score, type.
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) score: f32,
    pub(crate) kind: i32,
}

/// The pieces of a `tokenizer.model`, by id.
pub(crate) fn pieces(path: &Path) -> Vec<Piece> {
    let bytes = std::fs::read(path).unwrap();
    fields(&bytes).filter(|(number, _)| *number == 1).map(|(_, piece)| parse_piece(piece)).collect()
}

/// GGUF metadata of a sentencepiece vocabulary.
pub(crate) fn gguf_metadata(pieces: &[Piece]) -> HashMap<String, Value> {
    let list = |value: fn(&Piece) -> Value| Value::Array(pieces.iter().map(value).collect());
    HashMap::from([
        ("tokenizer.ggml.model".to_owned(), Value::String("llama".into())),
        ("tokenizer.ggml.tokens".to_owned(), list(|p| Value::String(p.text.clone()))),
        ("tokenizer.ggml.scores".to_owned(), list(|p| Value::F32(p.score))),
        ("tokenizer.ggml.token_type".to_owned(), list(|p| Value::I32(p.kind))),
        ("tokenizer.ggml.bos_token_id".to_owned(), Value::U32(1)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(2)),
        ("tokenizer.ggml.unknown_token_id".to_owned(), Value::U32(0)),
    ])
}

fn parse_piece(message: &[u8]) -> Piece {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: 1 };
    for (number, value) in fields(message) {
        match number {
            1 => piece.text = String::from_utf8(value.to_vec()).unwrap(),
            2 => piece.score = f32::from_le_bytes(value.try_into().unwrap()),
            3 => piece.kind = i32::from(value[0]),
            _ => {}
        }
    }
    piece
}

/// Field numbers and raw values of a protobuf message.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let tag = varint(&mut message);
        let len = match tag & 7 {
            0 => message.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1,
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("protobuf wire type {other}"),
        };
        let (value, rest) = message.split_at(len);
        message = rest;
        Some((tag >> 3, value))
    })
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}
