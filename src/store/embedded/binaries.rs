//! Finding the server's programs on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Cluster, EmbeddedError, EmbeddedOptions, ServerStep, fetched};

/// The oldest major version that we run on.
const OLDEST_MAJOR: u32 = 15;

/// Where systems put the programs of several major versions side by side: a
/// directory, how its entries begin, and where in them the programs are.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/local", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];
/// And where they put those of one.
const PLAIN: [&str; 3] =
    ["/opt/homebrew/opt/postgresql/bin", "/usr/local/pgsql/bin", "/usr/libexec/postgresql"];

/// The programs of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    /// Their directory; empty for those that the search path finds.
    dir: PathBuf,
    /// The major version.
    pub(super) major: u32,
}

impl Binaries {
    /// The first installation that can run the cluster; where there is none, one
    /// that is fetched.
    pub(super) fn find(
        cluster: &Cluster,
        options: &EmbeddedOptions,
    ) -> Result<Self, EmbeddedError> {
        let needed = cluster.major()?;
        let major = needed.unwrap_or(fetched::MAJOR);
        let fetched_dirs = fetched::candidates(cluster, major);
        let mut found = Vec::new();
        if options.search {
            let dirs = candidates(pg_config_dir(), &versioned_dirs());
            if let Some(chosen) = Self::first(dirs, cluster, needed, &mut found) {
                return Ok(chosen);
            }
        }
        if let Some(chosen) = Self::first(fetched_dirs.clone(), cluster, needed, &mut found) {
            return Ok(chosen);
        }
        (options.progress)(ServerStep::Fetching);
        let fetched = fetched::fetch(cluster, major, options);
        if let Some(chosen) = Self::first(fetched_dirs, cluster, needed, &mut found) {
            return Ok(chosen);
        }
        match needed {
            Some(major) if !found.is_empty() => Err(EmbeddedError::Version {
                path: cluster.data(),
                cluster: major,
                found: found.iter().map(|binaries| binaries.major).collect(),
            }),
            _ => {
                Err(EmbeddedError::NoServer { reason: fetched.err().filter(|why| !why.is_empty()) })
            }
        }
    }

    /// The first of these that can run the cluster; all that are there join
    /// `found`.
    fn first(
        dirs: Vec<PathBuf>,
        cluster: &Cluster,
        needed: Option<u32>,
        found: &mut Vec<Self>,
    ) -> Option<Self> {
        for dir in dirs {
            let Some(major) = Self::probe(&dir, cluster) else { continue };
            found.push(Self { dir, major });
            if let Some(chosen) = choose(&found[found.len() - 1..], needed) {
                return Some(chosen.clone());
            }
        }
        None
    }

    /// One of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The major version of what is there, if the cluster's user can run it.
    fn probe(dir: &Path, cluster: &Cluster) -> Option<u32> {
        let account = cluster.account();
        account.command(&dir.join("initdb")).arg("--version").output().ok()?;
        let output = account.command(&dir.join("postgres")).arg("--version").output().ok()?;
        major(&String::from_utf8_lossy(&output.stdout))
    }
}

/// The first that fits: of the cluster's own version, or where there is no cluster
/// yet any that is new enough.
fn choose(found: &[Binaries], needed: Option<u32>) -> Option<&Binaries> {
    found.iter().find(|binaries| match needed {
        Some(major) => binaries.major == major,
        None => binaries.major >= OLDEST_MAJOR,
    })
}

/// Where to look, in order: the search path (an empty directory), what
/// `pg_config` names, the versioned places newest first, the plain ones.
fn candidates(pg_config: Option<PathBuf>, versioned: &[(PathBuf, u32)]) -> Vec<PathBuf> {
    let mut newest_first = versioned.to_vec();
    newest_first.sort_by_key(|(_, major)| std::cmp::Reverse(*major));
    let mut dirs = vec![PathBuf::new()];
    dirs.extend(pg_config);
    dirs.extend(newest_first.into_iter().map(|(dir, _)| dir));
    dirs.extend(PLAIN.map(PathBuf::from));
    let mut seen = std::collections::HashSet::new();
    dirs.retain(|dir| seen.insert(dir.clone()));
    dirs
}

fn pg_config_dir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    let dir = dir.trim();
    (!dir.is_empty()).then(|| PathBuf::from(dir))
}

fn versioned_dirs() -> Vec<(PathBuf, u32)> {
    let mut dirs = Vec::new();
    for (parent, prefix, bin) in VERSIONED {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(prefix));
            if let Some(major) = version.and_then(leading_number) {
                dirs.push((entry.path().join(bin), major));
            }
        }
    }
    dirs
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major(version: &str) -> Option<u32> {
    leading_number(version.split("(PostgreSQL) ").nth(1)?)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_comes_first_and_newer_versions_before_older() {
        let versioned = [
            (PathBuf::from("/usr/lib/postgresql/9/bin"), 9),
            (PathBuf::from("/usr/pgsql-16/bin"), 16),
            (PathBuf::from("/usr/lib/postgresql/15/bin"), 15),
        ];
        let dirs = candidates(Some("/usr/lib/postgresql/15/bin".into()), &versioned);
        let expected = ["", "/usr/lib/postgresql/15/bin", "/usr/pgsql-16/bin"];
        assert_eq!(dirs[..3], expected.map(PathBuf::from));
        assert_eq!(dirs[3], PathBuf::from("/usr/lib/postgresql/9/bin"));
        assert_eq!(dirs.len(), 4 + PLAIN.len());
    }

    #[test]
    fn a_cluster_gets_its_own_version_and_a_new_one_the_first_that_is_new_enough() {
        let binaries = |major| Binaries { dir: format!("/{major}").into(), major };
        let found = [binaries(12), binaries(15), binaries(17)];
        assert_eq!(choose(&found, None), Some(&found[1]));
        assert_eq!(choose(&found, Some(17)), Some(&found[2]));
        assert_eq!(choose(&found, Some(12)), Some(&found[0]));
        assert_eq!(choose(&found, Some(16)), None);
    }

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major("sh: postgres: not found"), None);
    }
}
