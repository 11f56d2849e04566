//! The place where a fetched thing shall stand: locked, staged, put there at once.
//!
//! Beside the destination `NAME` lie `.NAME.lock` and, until all is well, the
//! directory `.NAME.fetch` with what has come so far. Being on one file system,
//! the last step is a rename: a crash leaves the old or the new, never a half.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{FetchError, Progress, ProgressEvent};

/// A destination that this process alone may fill.
#[derive(Debug)]
pub(super) struct Place {
    destination: PathBuf,
    staging: PathBuf,
    lock_path: PathBuf,
    /// Held, not read: closing it lets the next process in.
    _lock: File,
}

impl Place {
    /// Makes the directories, and waits until no other process fills the place.
    pub(super) fn open(destination: &Path, progress: &dyn Progress) -> Result<Self, FetchError> {
        let destination =
            std::path::absolute(destination).map_err(FetchError::place("find", destination))?;
        let (Some(dir), Some(name)) = (destination.parent(), destination.file_name()) else {
            let error = std::io::Error::from(std::io::ErrorKind::InvalidFilename);
            return Err(FetchError::place("write to", &destination)(error));
        };
        let name = name.to_string_lossy();
        let staging = dir.join(format!(".{name}.fetch"));
        let lock_path = dir.join(format!(".{name}.lock"));
        fs::create_dir_all(dir).map_err(FetchError::place("create the directory", dir))?;
        let lock = lock(&lock_path, progress)?;
        fs::create_dir_all(&staging).map_err(FetchError::place("create", &staging))?;
        Ok(Self { staging, lock_path, _lock: lock, destination })
    }

    /// Where the thing shall stand.
    pub(super) fn destination(&self) -> &Path {
        &self.destination
    }

    /// Where what has come so far lies; it exists.
    pub(super) fn staging(&self) -> &Path {
        &self.staging
    }

    /// Fails if the file system has less than `needed` bytes free.
    pub(super) fn require_space(&self, name: &str, needed: u64) -> Result<(), FetchError> {
        // A file system that cannot tell: the write will.
        let Some(available) = free_bytes(&self.staging) else { return Ok(()) };
        if available >= needed {
            return Ok(());
        }
        let (name, path) = (name.into(), self.staging.parent().unwrap_or(&self.staging).into());
        Err(FetchError::NoSpace { name, path, available, needed })
    }

    /// Puts the staged file or directory to where it shall stand, durably, and
    /// clears what else was staged.
    pub(super) fn put(self, staged: &Path) -> Result<PathBuf, FetchError> {
        File::open(staged)
            .and_then(|file| file.sync_all())
            .map_err(FetchError::place("write", staged))?;
        fs::rename(staged, &self.destination)
            .map_err(FetchError::place("write", &self.destination))?;
        let dir = self.destination.parent().unwrap_or(Path::new("/"));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(FetchError::place("write", dir))?;
        self.clear();
        Ok(self.destination)
    }

    /// Removes all traces of fetching. What cannot be removed is only untidy.
    pub(super) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.staging);
        let _ = fs::remove_file(&self.lock_path);
    }

    /// After a failure: keeps only what the next try can go on from.
    pub(super) fn clear_unless_resumable(&self) {
        if !has_part(&self.staging) {
            self.clear();
        }
    }
}

/// Bytes free for us on the file system of `path`, if it tells.
#[allow(clippy::useless_conversion, reason = "the counts are narrower on other systems")]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    Some(u64::from(stat.blocks_available()) * u64::from(stat.fragment_size()))
}

/// Removes what was staged in `dir` by processes that are gone, and says how many
/// fetches that were.
pub(super) fn remove_leftovers(dir: &Path) -> usize {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let stems = names.filter_map(|name| Some(name.strip_suffix(".fetch")?.to_owned()));
    let abandoned = stems.filter(|stem| {
        let lock_path = dir.join(format!("{stem}.lock"));
        let Ok(lock) = File::options().create(true).append(true).open(&lock_path) else {
            return false;
        };
        let free = stem.starts_with('.') && lock.try_lock().is_ok();
        let removed = free && fs::remove_dir_all(dir.join(format!("{stem}.fetch"))).is_ok();
        if free {
            let _ = fs::remove_file(&lock_path);
        }
        removed
    });
    abandoned.count()
}

/// The lock of this path. One that its last holder removed while we waited is
/// no lock: whoever comes next makes a new one.
fn lock(path: &Path, progress: &dyn Progress) -> Result<File, FetchError> {
    loop {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(FetchError::place("create", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.report(ProgressEvent::Waiting);
                file.lock().map_err(FetchError::place("lock", path))?;
            }
            Err(TryLockError::Error(error)) => return Err(FetchError::place("lock", path)(error)),
        }
        if is_at(&file, path) {
            return Ok(file);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Whether a hub's file lies below `dir` that the next try can go on from.
fn has_part(dir: &Path) -> bool {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => has_part(&entry.path()),
        _ => entry.path().extension().is_some_and(|end| end == "part"),
    })
}
