//! `tokenizer.model`: sentencepiece's `ModelProto`, as far as a GGUF needs it. Its kinds
//! of pieces are ggml's kinds of tokens.

use super::{Entry, NORMAL};

/// What a `tokenizer.model` says.
pub(super) struct Model {
    pub(super) entries: Vec<Entry>,
    pub(super) adds_dummy_prefix: bool,
}

/// Reads the message; `None` where it is damaged, or no model of pieces.
pub(super) fn parse(message: &[u8]) -> Option<Model> {
    let mut model = Model { entries: Vec::new(), adds_dummy_prefix: true };
    let mut fields = Fields(message);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Field::Bytes(piece)) => model.entries.push(entry(piece)?),
            // The normalizer's settings.
            (3, Field::Bytes(normalizer)) => {
                let mut fields = Fields(normalizer);
                while !fields.0.is_empty() {
                    if let (3, Field::Number(adds)) = fields.next()? {
                        model.adds_dummy_prefix = adds != 0;
                    }
                }
            }
            _ => {}
        }
    }
    (!model.entries.is_empty()).then_some(model)
}

fn entry(message: &[u8]) -> Option<Entry> {
    let mut entry = Entry { text: String::new(), score: 0.0, kind: NORMAL };
    let mut fields = Fields(message);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Field::Bytes(text)) => entry.text = String::from_utf8(text.to_vec()).ok()?,
            (2, Field::Four(bytes)) => entry.score = f32::from_le_bytes(bytes),
            (3, Field::Number(kind)) => entry.kind = i32::try_from(kind).ok()?,
            _ => {}
        }
    }
    Some(entry)
}

enum Field<'a> {
    Number(u64),
    Eight,
    Four([u8; 4]),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message that are still to come.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Eight)?,
            2 => {
                let len = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(len)?)
            }
            5 => Field::Four(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of variable length.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_the_leading_space_are_read() {
        let piece =
            [&[0x0a, 3][..], b"abc", &[0x15], &(-1.5f32).to_le_bytes(), &[0x18, 6]].concat();
        let message = [&[0x0a, piece.len() as u8][..], &piece, &[0x1a, 2, 0x18, 0]].concat();
        let model = parse(&message).unwrap();
        let entry = &model.entries[0];
        assert_eq!((entry.text.as_str(), entry.score, entry.kind), ("abc", -1.5, 6));
        assert!(!model.adds_dummy_prefix);
        for len in 0..message.len() - 1 {
            let _ = parse(&message[..len]);
        }
        assert!(parse(&message[..5]).is_none() && parse(b"").is_none());
    }
}
