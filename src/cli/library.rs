//! The library of this machine's terminal, for commands that need no model, and the
//! files that go in and out of it.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Session;
use super::database::runtime;
use super::output::note;
use crate::chat::{FileOut, Library, LocalGuild};
use crate::service;
use crate::store::Store;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Opens the library of this machine, does something with it, and closes it again.
pub(super) fn with_library<T, F>(
    session: &Session,
    what: impl FnOnce(Library, LocalGuild) -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let options = session.store_options(&session.config.database_dir())?;
    let classifier = service::classifier(&session.config, &session.ground())?;
    runtime()?.block_on(async {
        let store = Store::open(options).await?;
        let max_text_bytes = session.config.chat.max_turn_bytes;
        let library = Library::new(store.clone(), max_text_bytes, classifier);
        let local = library.local(None).await?;
        let done = what(library, local).await;
        store.close().await?;
        done
    })
}

/// What is in a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(shown)?.len();
    if size > MAX_FILE_BYTES {
        anyhow::bail!(
            "{} is larger than the {} MiB that are read",
            path.display(),
            MAX_FILE_BYTES >> 20
        );
    }
    std::fs::read(path).with_context(shown)
}

/// Writes a file where it was asked for: to a path, into a directory, to standard output
/// for `-`, or into the working directory. A file that is there stays unless `force`.
pub(super) fn write(file: &FileOut, to: Option<&Path>, force: bool) -> anyhow::Result<()> {
    let path = match to {
        Some(path) if path == Path::new("-") => {
            return std::io::stdout().write_all(&file.bytes).context("cannot write");
        }
        Some(path) if path.is_dir() => path.join(&file.name),
        Some(path) => path.to_owned(),
        None => PathBuf::from(&file.name),
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !force {
        options.create_new(true);
    }
    let shown = path.display();
    let mut out = options.open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{shown} is there already; --force writes over it")
        }
        _ => anyhow::Error::from(error).context(format!("cannot write {shown}")),
    })?;
    out.write_all(&file.bytes).with_context(|| format!("cannot write {shown}"))?;
    note(format_args!("wrote {shown}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_stays_unless_it_is_forced() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = FileOut { name: "a.json".into(), bytes: b"new".to_vec() };
        write(&file, Some(dir.path()), false).expect("it is not there");
        let path = dir.path().join("a.json");
        let refused = write(&file, Some(&path), false).expect_err("it is there");
        assert!(refused.to_string().contains("--force"), "{refused}");
        write(&file, Some(&path), true).expect("forced");
        assert_eq!(read(&path).expect("there"), b"new");
        assert!(read(&dir.path().join("b")).expect_err("none").to_string().contains("cannot read"));
    }
}
