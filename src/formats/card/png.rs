//! Cards in PNG pictures, still or moving: the chunks around the pixels, which pass
//! through untouched.

use std::sync::Arc;

use crate::formats::{Finding, FormatError, Limits, base64};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// What the keywords of assets begin with.
const ASSET: &str = "chara-ext-asset_:";

/// No picture has more chunks than this; each takes memory, however short it is.
const MAX_CHUNKS: usize = 100_000;

/// One chunk of a PNG file.
struct Chunk<'a> {
    offset: usize,
    kind: [u8; 4],
    data: &'a [u8],
    /// Length, kind, data and checksum.
    whole: &'a [u8],
    is_sound: bool,
}

impl<'a> Chunk<'a> {
    fn at(&self) -> String {
        format!("{} chunk at byte {}", String::from_utf8_lossy(&self.kind), self.offset)
    }

    /// The keyword of a text chunk, and what follows it.
    fn keyword(&self) -> Option<(String, &'a [u8])> {
        if ![*b"tEXt", *b"zTXt", *b"iTXt"].contains(&self.kind) {
            return None;
        }
        let end = self.data.iter().position(|byte| *byte == 0)?;
        Some((String::from_utf8_lossy(&self.data[..end]).into_owned(), &self.data[end + 1..]))
    }

    /// Whether it holds a card or an asset of one.
    fn is_of_card(&self) -> bool {
        self.keyword().is_some_and(|(keyword, _)| {
            let keyword = keyword.to_ascii_lowercase();
            keyword == "ccv3" || keyword == "chara" || keyword.starts_with(ASSET)
        })
    }
}

/// Walks the chunks up to the one that ends the picture; what follows it is passed over.
fn chunks<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Vec<Chunk<'a>>, FormatError> {
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or_else(|| FormatError::Png {
        at: "byte 0".to_owned(),
        what: "it does not begin as a PNG does; choose another file".to_owned(),
    })?;
    let mut chunks: Vec<Chunk<'_>> = Vec::new();
    let mut texts = 0;
    loop {
        let offset = bytes.len() - rest.len();
        let end = rest.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize + 12);
        let Some(whole) = end.and_then(|end| rest.get(..end)) else {
            return Err(FormatError::Png {
                at: format!("byte {offset}"),
                what: "the file ends in the middle of a chunk; download it again".to_owned(),
            });
        };
        rest = &rest[whole.len()..];
        let (body, checksum) = whole[4..].split_at(whole.len() - 8);
        let kind = [body[0], body[1], body[2], body[3]];
        let is_sound = crc32fast::hash(body).to_be_bytes() == *checksum;
        let chunk = Chunk { offset, kind, data: &body[4..], whole, is_sound };
        texts += usize::from(chunk.kind[1..] == *b"EXt" || chunk.kind[1..] == *b"TXt");
        for (count, max, unit) in
            [(texts, limits.parts, "texts"), (chunks.len() + 1, MAX_CHUNKS, "chunks")]
        {
            if count > max {
                let (size, max) = (count as u64, max as u64);
                return Err(FormatError::TooBig { at: chunk.at(), size, max, unit });
            }
        }
        chunks.push(chunk);
        if kind == *b"IEND" {
            return Ok(chunks);
        }
    }
}

/// A card's text as a chunk holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CardText {
    /// Where it stands.
    pub(super) at: String,
    /// The JSON.
    pub(super) json: String,
}

/// What a PNG file holds beside its pixels.
#[derive(Debug)]
pub(super) struct Contents {
    /// The texts of cards, those to be preferred first, or why one cannot be read.
    pub(super) cards: Vec<Result<CardText, FormatError>>,
    /// Assets by their path.
    pub(super) assets: Vec<(String, Arc<[u8]>)>,
    /// The picture without all that.
    pub(super) picture: Vec<u8>,
    pub(super) findings: Vec<Finding>,
}

/// Takes a PNG file apart.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Contents, FormatError> {
    let chunks = chunks(bytes, limits)?;
    let mut contents = Contents {
        cards: Vec::new(),
        assets: Vec::new(),
        picture: SIGNATURE.to_vec(),
        findings: Vec::new(),
    };
    let mut older = Vec::new();
    let mut total = 0;
    for chunk in &chunks {
        let (Some((keyword, text)), true) = (chunk.keyword(), chunk.is_of_card()) else {
            contents.picture.extend_from_slice(chunk.whole);
            continue;
        };
        total += text.len();
        if total > limits.total_bytes {
            return Err(FormatError::too_big(chunk.at(), total, limits.total_bytes));
        }
        if !chunk.is_sound {
            let (what, advice) = ("its checksum is wrong", "save the card anew");
            contents.findings.push(Finding::warning(chunk.at(), what, advice));
        }
        let bytes = payload(chunk, text);
        match keyword.to_ascii_lowercase().as_str() {
            "ccv3" => contents.cards.push(bytes.and_then(|bytes| card_text(chunk, bytes, limits))),
            "chara" => older.push(bytes.and_then(|bytes| card_text(chunk, bytes, limits))),
            _ => match bytes {
                Ok(bytes) => {
                    contents.assets.push((keyword[ASSET.len()..].to_owned(), bytes.into()))
                }
                Err(error) => {
                    let advice = "the asset is left out";
                    contents.findings.push(Finding::error(chunk.at(), error.to_string(), advice));
                }
            },
        }
    }
    contents.cards.append(&mut older);
    Ok(contents)
}

/// The bytes that a text chunk stands for.
fn payload(chunk: &Chunk<'_>, text: &[u8]) -> Result<Vec<u8>, FormatError> {
    let wrong = |what: String| FormatError::Png { at: chunk.at(), what };
    let compressed = || wrong("its text is compressed; save the card with plain text".to_owned());
    let text = match (&chunk.kind, text) {
        (b"tEXt", text) => text,
        // A flag, a method, a language, and the keyword in that language.
        (b"iTXt", [0, _, rest @ ..]) => rest
            .splitn(3, |byte| *byte == 0)
            .nth(2)
            .ok_or_else(|| wrong("it is cut off; download the file again".to_owned()))?,
        _ => return Err(compressed()),
    };
    // Some software forgets that the text is to be base64.
    if text.trim_ascii_start().starts_with(b"{") {
        return Ok(text.to_vec());
    }
    base64::decode(text)
        .map_err(|error| wrong(format!("its text is no base64 ({error}); save the card anew")))
}

fn card_text(chunk: &Chunk<'_>, bytes: Vec<u8>, limits: &Limits) -> Result<CardText, FormatError> {
    if bytes.len() > limits.json_bytes {
        return Err(FormatError::too_big(chunk.at(), bytes.len(), limits.json_bytes));
    }
    let json = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(CardText { at: chunk.at(), json })
}

/// A PNG picture with cards in it, each under its keyword. Those that it holds already
/// are taken out, the new ones stand before the end; all else stays as it is.
pub(super) fn write(
    picture: &[u8],
    cards: &[(&str, String)],
    limits: &Limits,
) -> Result<Vec<u8>, FormatError> {
    let mut out = SIGNATURE.to_vec();
    for chunk in chunks(picture, limits)?.iter().filter(|chunk| !chunk.is_of_card()) {
        if chunk.kind == *b"IEND" {
            for (keyword, json) in cards {
                push_text(&mut out, keyword, &base64::encode(json.as_bytes()))?;
            }
        }
        out.extend_from_slice(chunk.whole);
    }
    Ok(out)
}

fn push_text(out: &mut Vec<u8>, keyword: &str, text: &str) -> Result<(), FormatError> {
    let len = keyword.len() + 1 + text.len();
    // The format's own bound.
    let Ok(spelled) = i32::try_from(len) else {
        return Err(FormatError::too_big(format!("{keyword} chunk"), len, i32::MAX as usize));
    };
    out.extend_from_slice(&spelled.to_be_bytes());
    let start = out.len();
    out.extend_from_slice(b"tEXt");
    out.extend_from_slice(keyword.as_bytes());
    out.push(0);
    out.extend_from_slice(text.as_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::picture;

    fn limits() -> Limits {
        Limits::default()
    }

    fn with(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let picture = picture::placeholder().unwrap();
        let (head, end) = picture.split_at(picture.len() - 12);
        let mut out = head.to_vec();
        for (kind, data) in chunks {
            out.extend_from_slice(&(data.len() as u32).to_be_bytes());
            let start = out.len();
            out.extend_from_slice(*kind);
            out.extend_from_slice(data);
            let checksum = crc32fast::hash(&out[start..]);
            out.extend_from_slice(&checksum.to_be_bytes());
        }
        out.extend_from_slice(end);
        out
    }

    #[test]
    fn the_newer_card_comes_first_in_any_case_of_letters() {
        let png = with(&[
            (b"tEXt", b"CHARA\0e30="),
            (b"tEXt", b"Comment\0kept"),
            (b"iTXt", b"CCv3\0\0\0en\0\0eyJhIjoxfQ"),
            (b"tEXt", b"chara-ext-asset_:a/b\0AAE="),
        ]);
        let contents = read(&png, &limits()).unwrap();
        let cards: Vec<_> =
            contents.cards.iter().map(|card| &card.as_ref().unwrap().json).collect();
        assert_eq!(cards, ["{\"a\":1}", "{}"]);
        assert_eq!(contents.assets, [("a/b".to_owned(), Arc::from([0, 1]))]);
        assert_eq!(contents.picture, with(&[(b"tEXt", b"Comment\0kept")]));
    }

    #[test]
    fn what_is_written_is_read_and_pixels_stay() {
        let bare = with(&[(b"acTL", b"\0\0\0\x01\0\0\0\0"), (b"tEXt", b"Comment\0kept")]);
        let cards = [("chara", "{\"ä\":1}".to_owned()), ("ccv3", "{}".to_owned())];
        let png = write(&bare, &cards, &limits()).unwrap();
        let contents = read(&png, &limits()).unwrap();
        assert_eq!(contents.picture, bare);
        assert_eq!(contents.cards[1].as_ref().unwrap().json, "{\"ä\":1}");
        assert_eq!(write(&png, &cards, &limits()).unwrap(), png);
    }

    #[test]
    fn odd_chunks_are_told_of() {
        let zipped = read(&with(&[(b"zTXt", b"chara\0\0abc")]), &limits()).unwrap();
        assert!(zipped.cards[0].as_ref().unwrap_err().to_string().contains("compressed"));
        let broken = read(&with(&[(b"tEXt", b"chara\0!!!")]), &limits()).unwrap();
        assert!(broken.cards[0].is_err());
        let plain = read(&with(&[(b"tEXt", b"chara\0{\"a\":1}")]), &limits()).unwrap();
        assert_eq!(plain.cards[0].as_ref().unwrap().json, "{\"a\":1}");
        let mut png = with(&[(b"tEXt", b"chara\0e30=")]);
        let at = png.len() - 13;
        png[at] ^= 1;
        let contents = read(&png, &limits()).unwrap();
        assert_eq!((contents.cards.len(), contents.findings.len()), (1, 1));
    }

    #[test]
    fn lying_lengths_and_many_texts_are_refused() {
        let png = with(&[(b"tEXt", b"chara\0e30=")]);
        for end in 0..png.len() {
            assert!(read(&png[..end], &limits()).is_err(), "{end}");
        }
        for lie in [u32::MAX, 0x7fff_ffff, 100] {
            let mut png = png.clone();
            png[8..12].copy_from_slice(&lie.to_be_bytes());
            assert!(read(&png, &limits()).is_err());
        }
        let many: Vec<(&[u8; 4], &[u8])> = vec![(b"tEXt", b"chara\0e30="); 50];
        let tight = Limits { parts: 49, ..limits() };
        assert_eq!(read(&with(&many), &tight).unwrap_err().kind(), "too_big");
    }
}
