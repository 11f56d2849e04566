//! The data directory: can it be written, and is there room?

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::super::Session;
use super::super::output::bytes;
use super::Finding;
use crate::fetch::free_bytes;

/// With less a start is likely to fail soon.
const MIN_FREE_BYTES: u64 = 200 << 20;

/// With less a busy community fills it within weeks.
const COMFORTABLE_FREE_BYTES: u64 = 2 << 30;

/// Whether the data directory can be written, by writing to it.
pub(super) fn directory(session: &Session) -> Finding {
    let dir = &session.config.data_dir;
    match try_writing(dir) {
        Ok(()) if dir.is_dir() => Finding::ok("data directory", dir.display().to_string()),
        Ok(()) => {
            Finding::ok("data directory", format!("{}, made at the first start", dir.display()))
        }
        Err(error) => Finding::failed(
            "data directory",
            format!("{} cannot be written: {error}", dir.display()),
            "make it writable for you, or choose another with --data-dir PATH",
        ),
    }
}

/// Whether its file system has room.
pub(super) fn space(session: &Session) -> Finding {
    let dir = nearest_existing(&session.config.data_dir);
    let Some(free) = free_bytes(dir) else {
        return Finding::ok("disk space", "this file system does not tell");
    };
    let detail = format!("{} free", bytes(free));
    let advice = "make room, or choose another place with --data-dir PATH";
    match free {
        0..MIN_FREE_BYTES => Finding::failed("disk space", detail, advice),
        MIN_FREE_BYTES..COMFORTABLE_FREE_BYTES => Finding::warning("disk space", detail, advice),
        _ => Finding::ok("disk space", detail),
    }
}

/// Writes a file in `dir`, or where `dir` would be made, and removes it again.
fn try_writing(dir: &Path) -> io::Result<()> {
    let existing = nearest_existing(dir);
    if !existing.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let path = existing.join(format!(".dramatis-doctor-{}", std::process::id()));
    let written = File::create_new(&path).and_then(|mut file| {
        file.write_all(b"can this be written?")?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    written
}

/// `dir`, or the directory above it in which it would be made.
pub(super) fn nearest_existing(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"))
}
