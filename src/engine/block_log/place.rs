//! The directory of the log: who may use it, and the key that lies in it.
//!
//! Invariant: while a [`Place`] lives, no other process uses its directory, and
//! nobody but its owner can read what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::{BlockLogError, During};

#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// Held, by the system, until it is dropped.
    lock: File,
}

impl Drop for Place {
    /// Closing the file would not do: a program that is being started by this process has it
    /// open too, for a moment.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Place {
    /// Takes a directory, and makes it where there is none.
    pub(super) fn take(dir: &Path) -> Result<Self, BlockLogError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).during("make the directory")?;
        fs::set_permissions(dir, Permissions::from_mode(0o700)).during("close the directory")?;
        let lock = private().create(true).truncate(false).open(dir.join("lock"));
        let lock = lock.during("open the lock")?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(BlockLogError::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => {
                Err(BlockLogError::Io { what: "lock the directory", source })
            }
        }
    }

    /// The key of this directory: `new` from now on, if it has none.
    pub(super) fn key(&self, new: [u8; 16]) -> Result<[u8; 16], BlockLogError> {
        let path = self.dir.join("key");
        match fs::read(&path).map(<[u8; 16]>::try_from) {
            Ok(Ok(key)) => return Ok(key),
            Ok(Err(_)) => tracing::warn!("the key of the disk cache is damaged: it begins anew"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(BlockLogError::Io { what: "read the key", source }),
        }
        // Whole or not at all: under another name first.
        let unfinished = self.dir.join("key.new");
        let file = private().create(true).truncate(true).open(&unfinished);
        file.and_then(|mut file| file.write_all(&new).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, &path))
            .during("write the key")?;
        Ok(new)
    }

    /// Deletes the key, where there is one.
    pub(super) fn forget_key(&self) -> Result<(), BlockLogError> {
        match fs::remove_file(self.dir.join("key")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
        .during("delete the key")
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
