//! CHARX: a zip archive with `card.json` at its root and assets beside it, alone or
//! behind a picture.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::formats::fields::printable;
use crate::formats::{Finding, FormatError, Limits};

/// Where the card stands.
pub(super) const CARD: &str = "card.json";
/// What may be unpacked of any part, however well it is packed.
const ALWAYS_ALLOWED: usize = 64 << 10;

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// The parts by their path, in the archive's order, `card.json` not among them.
    pub(super) parts: Vec<(String, Arc<[u8]>)>,
    /// The card's JSON.
    pub(super) card: String,
    /// How many bytes stand before the archive.
    pub(super) prefix_bytes: usize,
    pub(super) findings: Vec<Finding>,
}

fn wrong(entry: &str, what: impl Into<String>) -> FormatError {
    FormatError::Zip { entry: printable(entry, 120), what: what.into() }
}

fn damaged(entry: &str, error: &ZipError) -> FormatError {
    wrong(entry, format!("it cannot be unpacked ({error}); download or export it again"))
}

/// Whether there is an archive in these bytes, going by how archives end.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    // The record that ends an archive, and the longest comment behind it.
    let tail = &bytes[bytes.len().saturating_sub(22 + 0xffff)..];
    tail.windows(4).any(|window| window == b"PK\x05\x06")
}

/// Unpacks an archive. Sizes are bounded before and while it is unpacked, and entries
/// that would leave the archive's folder make the whole of it refused.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Archive, FormatError> {
    // Counted by their marks, before memory is taken for what the archive says it has.
    let entries = bytes.windows(4).filter(|window| window == b"PK\x01\x02").count();
    if entries > limits.parts {
        let (at, size, max) = ("zip".to_owned(), entries as u64, limits.parts as u64);
        return Err(FormatError::TooBig { at, size, max, unit: "entries" });
    }
    let mut zip =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged("the archive", &error))?;
    if zip.has_duplicate_names() {
        return Err(wrong("the archive", "two entries have the same name; export it again"));
    }
    let mut archive = Archive { prefix_bytes: bytes.len(), ..Archive::default() };
    let mut card = None;
    let mut left = limits.total_bytes;
    for index in 0..zip.len() {
        let Some((path, bytes)) = unpack(&mut zip, index, left, limits, &mut archive)? else {
            continue;
        };
        left -= bytes.len();
        if path == CARD || (card.is_none() && path.eq_ignore_ascii_case(CARD)) {
            card = Some(bytes);
        } else if archive.parts.iter().any(|(known, _)| *known == path) {
            return Err(wrong(&path, "two entries have the same name; export it again"));
        } else {
            archive.parts.push((path, bytes.into()));
        }
    }
    let Some(card) = card else {
        return Err(wrong("the archive", format!("there is no {CARD} at its root")));
    };
    if card.len() > limits.json_bytes {
        return Err(FormatError::too_big(CARD, card.len(), limits.json_bytes));
    }
    archive.card = String::from_utf8(card)
        .map_err(|_| wrong(CARD, "it is no UTF-8 text; export the card again"))?;
    Ok(archive)
}

/// One entry, unpacked; `None` for folders. It may take `left` bytes.
fn unpack(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    left: usize,
    limits: &Limits,
    archive: &mut Archive,
) -> Result<Option<(String, Vec<u8>)>, FormatError> {
    let raw = zip.by_index_raw(index).map_err(|error| damaged("the archive", &error))?;
    let name = String::from_utf8_lossy(raw.name_raw()).into_owned();
    let path = checked_path(&name)?;
    let start = usize::try_from(raw.header_start()).unwrap_or(usize::MAX);
    archive.prefix_bytes = archive.prefix_bytes.min(start);
    if raw.is_dir() || path.is_empty() {
        return Ok(None);
    }
    if raw.encrypted() {
        return Err(wrong(&path, "it is encrypted; export the card without a password"));
    }
    if raw.is_symlink() {
        return Err(wrong(&path, "it is a link; export the card with the file itself"));
    }
    let size = checked_size(&path, raw.compressed_size(), raw.size(), left, limits)?;
    drop(raw);
    if !path.is_ascii() {
        let advice = "rename it with plain letters, as some software cannot read it";
        archive.findings.push(Finding::note(&path, "its name is not plain ASCII", advice));
    }
    let entry = zip.by_index(index).map_err(|error| damaged(&path, &error))?;
    let mut bytes = Vec::new();
    // One more than it says, so that a lie is found and never more than that is taken.
    let taken = entry.take(size as u64 + 1).read_to_end(&mut bytes);
    if let Err(error) = taken {
        return Err(wrong(&path, format!("it cannot be unpacked ({error}); export it again")));
    }
    if bytes.len() != size {
        return Err(wrong(&path, "it is not of the size that the archive says; export it again"));
    }
    Ok(Some((path, bytes)))
}

/// How many bytes an entry becomes, if that is allowed.
fn checked_size(
    path: &str,
    packed: u64,
    size: u64,
    left: usize,
    limits: &Limits,
) -> Result<usize, FormatError> {
    let [packed, size] = [packed, size].map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let max = limits.part_bytes.min(left);
    if size > max {
        return Err(FormatError::too_big(path, size, max));
    }
    if size > packed.saturating_mul(limits.ratio).max(ALWAYS_ALLOWED) {
        let what = format!("{packed} bytes would become {size}; no real file is packed so well");
        return Err(wrong(path, what));
    }
    Ok(size)
}

/// Whether an asset may stand under that path.
pub(super) fn is_free_path(path: &str) -> bool {
    !path.is_empty()
        && !path.eq_ignore_ascii_case(CARD)
        && checked_path(path).is_ok_and(|checked| checked == path)
}

/// A path with slashes that stays in the archive's folder.
fn checked_path(name: &str) -> Result<String, FormatError> {
    let path = name.replace('\\', "/");
    let is_drive = path.as_bytes().get(1) == Some(&b':');
    let leaves = path.starts_with('/') || is_drive || path.split('/').any(|part| part == "..");
    if leaves || path.chars().any(char::is_control) {
        return Err(wrong(&path, "its path leads out of the archive"));
    }
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    Ok(parts.join("/"))
}

/// Packs a card and its parts.
pub(super) fn write<'a>(
    card: &str,
    parts: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>, FormatError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    // Pictures and sounds are packed already.
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut put = |path: &str, bytes: &[u8]| {
        let is_text = path.ends_with(".json") || path.ends_with(".txt");
        zip.start_file(path, if is_text { packed } else { stored })
            .and_then(|()| zip.write_all(bytes).map_err(ZipError::from))
            .map_err(|error| wrong(path, format!("it cannot be packed ({error})")))
    };
    put(CARD, card.as_bytes())?;
    for (path, bytes) in parts {
        put(path, bytes)?;
    }
    let done = zip.finish().map_err(|error| wrong("the archive", error.to_string()))?;
    Ok(done.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    fn pack(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in entries {
            zip.start_file(*path, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let bytes = write("{}", [("assets/icon/images/main.png", &b"pixels"[..])]).unwrap();
        assert!(is_archive(&bytes));
        let archive = read(&bytes, &limits()).unwrap();
        assert_eq!((archive.card.as_str(), archive.prefix_bytes), ("{}", 0));
        assert_eq!(
            archive.parts,
            [("assets/icon/images/main.png".into(), Arc::from(&b"pixels"[..]))]
        );
        let behind = [b"\xff\xd8\xff picture".as_slice(), &bytes].concat();
        assert_eq!(read(&behind, &limits()).unwrap().prefix_bytes, 11);
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in ["../x", "a/../../x", "/etc/x", "C:\\x", "..\\x", "a\u{1}"] {
            let bytes = pack(&[("card.json", b"{}"), (path, b"x")]);
            assert_eq!(read(&bytes, &limits()).unwrap_err().kind(), "zip", "{path}");
        }
        let windows = pack(&[("card.json", b"{}"), ("assets\\icon\\a.png", b"x")]);
        assert_eq!(read(&windows, &limits()).unwrap().parts[0].0, "assets/icon/a.png");
        let foreign = pack(&[("Card.JSON", b"{}"), ("assets/ä.png", b"x")]);
        assert_eq!(read(&foreign, &limits()).unwrap().findings.len(), 1);
        assert!(read(&pack(&[("x/card.json", b"{}")]), &limits()).is_err());
    }

    #[test]
    fn bombs_are_refused_before_they_go_off() {
        let zeros = vec![0; 20 << 20];
        let bomb = pack(&[("card.json", b"{}"), ("a", &zeros)]);
        assert!(bomb.len() < 100_000);
        assert_eq!(read(&bomb, &limits()).unwrap_err().kind(), "zip");
        let tight = Limits { part_bytes: 10, ..limits() };
        assert_eq!(
            read(&pack(&[("card.json", &[b' '; 11])]), &tight).unwrap_err().kind(),
            "too_big"
        );
        let tight = Limits { total_bytes: 10, ..limits() };
        let two = pack(&[("card.json", b"{}"), ("a", &[b'x'; 9])]);
        assert_eq!(read(&two, &tight).unwrap_err().kind(), "too_big");
        let tight = Limits { parts: 1, ..limits() };
        assert_eq!(read(&two, &tight).unwrap_err().kind(), "too_big");
    }

    #[test]
    fn an_entry_that_lies_about_its_size_is_refused() {
        let mut bytes = pack(&[("card.json", b"{}"), ("a", &[b'x'; 5000])]);
        // The size once unpacked, where the directory says it of the second entry.
        let last = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
        bytes[last + 24..last + 28].copy_from_slice(&100u32.to_le_bytes());
        assert!(read(&bytes, &limits()).is_err());
    }

    #[test]
    fn encrypted_and_doubled_entries_are_refused() {
        let mut bytes = pack(&[("card.json", b"{}")]);
        let last = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
        bytes[last + 8] |= 1;
        bytes[6] |= 1;
        assert_eq!(read(&bytes, &limits()).unwrap_err().kind(), "zip");

        let mut bytes = pack(&[("card.json", b"{}"), ("card.jsox", b"[]")]);
        for at in 0..bytes.len() - 9 {
            if bytes[at..].starts_with(b"card.jsox") {
                bytes[at + 8] = b'n';
            }
        }
        assert_eq!(read(&bytes, &limits()).unwrap_err().kind(), "zip");
    }
}
