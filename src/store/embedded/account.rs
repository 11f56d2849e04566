//! Whom the server runs as: ourselves, or where we are root somebody who is not,
//! since Postgres refuses to run as root.

use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use super::EmbeddedError;

/// The user who owns the cluster and runs the server.
#[derive(Debug, Clone)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
    name: String,
    /// Whether that is not who we are: programs are run under it, and
    /// directories given to it.
    other: bool,
}

impl Account {
    /// Ourselves, unless we are root: then whoever owns the directory already,
    /// or `postgres`, or `nobody`.
    pub(super) fn choose(dir: &Path) -> Result<Self, EmbeddedError> {
        let us = Uid::effective();
        if !us.is_root() {
            let user = User::from_uid(us).ok().flatten();
            let gid = nix::unistd::Gid::effective().as_raw();
            let name = user.map_or_else(|| us.to_string(), |user| user.name);
            return Ok(Self { uid: us.as_raw(), gid, name, other: false });
        }
        let owner = fs::metadata(dir).ok().filter(|dir| dir.uid() != 0);
        if let Some(owner) = owner {
            let user = User::from_uid(Uid::from_raw(owner.uid())).ok().flatten();
            let name = user.map_or_else(|| owner.uid().to_string(), |user| user.name);
            return Ok(Self { uid: owner.uid(), gid: owner.gid(), name, other: true });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
                name: user.name,
                other: true,
            })
            .ok_or(EmbeddedError::NoAccount)
    }

    /// The number of the user.
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// User and group, where they are not ours.
    pub(super) fn other(&self) -> Option<(u32, u32)> {
        self.other.then_some((self.uid, self.gid))
    }

    /// Makes sure that the user can get to `dir` through all directories above
    /// it, those that are there.
    pub(super) fn require_passage(&self, dir: &Path) -> Result<(), EmbeddedError> {
        if !self.other {
            return Ok(());
        }
        let dir = std::path::absolute(dir).map_err(EmbeddedError::io("find", dir))?;
        for parent in dir.ancestors().skip(1) {
            match fs::metadata(parent) {
                Ok(parent) if self.may_enter(&parent) => {}
                Ok(_) => {
                    let (path, user) = (parent.to_owned(), self.name.clone());
                    return Err(EmbeddedError::NoPassage { path, user });
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(EmbeddedError::io("enter", parent)(error)),
            }
        }
        Ok(())
    }

    fn may_enter(&self, dir: &Metadata) -> bool {
        let bit = if dir.uid() == self.uid {
            0o100
        } else if dir.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        dir.mode() & bit != 0
    }

    /// Makes a directory that only the user can enter, or makes sure that it is
    /// one.
    pub(super) fn private_dir(&self, dir: &Path) -> Result<(), EmbeddedError> {
        if let Some(parent) = dir.parent() {
            // Those above hold no secrets, and the user must pass through them.
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .map_err(EmbeddedError::io("create", parent))?;
        }
        match self.make(dir) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
                ) => {}
            Err(error) => return Err(EmbeddedError::io("create", dir)(error)),
        }
        let found = fs::symlink_metadata(dir).map_err(EmbeddedError::io("open", dir))?;
        let reason = if !found.is_dir() {
            "it is not a directory".into()
        } else if found.uid() != self.uid {
            format!("its owner is the user number {}", found.uid())
        } else if found.mode() & 0o077 != 0 {
            format!("its mode is {:o}, not 700", found.mode() & 0o777)
        } else {
            return Ok(());
        };
        Err(EmbeddedError::NotPrivate { path: dir.to_owned(), user: self.name.clone(), reason })
    }

    /// Makes the directory, unless it is there. It appears with its owner: another process
    /// that starts at this moment never sees it as anybody else's.
    fn make(&self, dir: &Path) -> std::io::Result<()> {
        if !self.other {
            return DirBuilder::new().mode(0o700).create(dir);
        }
        if dir.exists() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        // Made for us alone, and gone again if it does not get its name.
        let parent = dir.parent().unwrap_or(Path::new("."));
        let only_us = fs::Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().permissions(only_us).tempdir_in(parent)?;
        chown(made.path(), Some(self.uid), Some(self.gid))?;
        fs::rename(made.path(), dir)?;
        let _ = made.keep();
        Ok(())
    }

    /// A program run as the user, in a process group of its own, so that Ctrl-C
    /// in the terminal reaches us and not the server.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).process_group(0).current_dir("/");
        for variable in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS"] {
            command.env_remove(variable);
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if self.other {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_parent_is_named() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        // Somebody who owns nothing here.
        let user = Account { uid: 4_000_000, gid: 4_000_000, name: "guest".into(), other: true };
        let error = user.require_passage(&closed.join("a/b")).unwrap_err();
        assert!(matches!(&error, EmbeddedError::NoPassage { path, .. } if *path == closed));
        assert!(error.to_string().contains("chmod o+x"), "{error}");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).unwrap();
        user.require_passage(&closed.join("a/b")).unwrap();
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let us = Account::choose(&root.path().join("none")).unwrap();
        let us = Account { uid: Uid::effective().as_raw(), other: false, ..us };
        let dir = root.path().join("deep/dir");
        us.private_dir(&dir).unwrap();
        us.private_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(us.private_dir(&dir), Err(EmbeddedError::NotPrivate { .. })));
    }
}
