//! Files of a model hub, through the hub's own client library; resumable.
//!
//! What has come lies in the library's cache below our staging directory, and
//! the next try, in this process or a later one, goes on from there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Repo, RepoType};
use secrecy::{ExposeSecret, SecretString};

use super::{Digest, Progress, ProgressEvent, SourceError};

/// How often the bytes that are here are reported.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// A connection that brings nothing for this long is given up.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// Tries in a row that may bring no byte.
const MAX_FRUITLESS_TRIES: u32 = 2;

/// One model hub.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    endpoint: Option<String>,
    token: Option<SecretString>,
}

/// One file there.
#[derive(Debug, Clone)]
struct HubFile {
    repo: Repo,
    path: String,
    cache: PathBuf,
}

impl Hub {
    pub(super) fn new(endpoint: Option<String>, token: Option<SecretString>) -> Self {
        let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Self { endpoint, token }
    }

    /// Downloads one file below `staging`, going on from an earlier try. If the
    /// hub says beforehand that its sum is not `expected`, nothing is loaded.
    pub(super) fn download(
        &self,
        repo: &str,
        revision: &str,
        file: &str,
        expected: Option<Digest>,
        staging: &Path,
        progress: &dyn Progress,
    ) -> Result<PathBuf, SourceError> {
        let cache = staging.join("hub");
        let api = self.api(&cache)?;
        let repo = Repo::with_revision(repo.into(), RepoType::Model, revision.into());
        let file = HubFile { repo, path: file.into(), cache };
        let url = api.repo(file.repo.clone()).url(&file.path);
        let metadata = api.metadata(&url).map_err(|error| self.failed(&error))?;
        let (size, etag) = (metadata.size() as u64, metadata.etag().to_owned());
        // For large files the hub's etag is their sum.
        if let (Some(expected), Ok(actual)) = (expected, etag.parse::<Digest>())
            && expected != actual
        {
            return Err(SourceError::Digest { expected, actual });
        }
        let part = file.part(&etag);
        let path = self.download_with_retries(&api, &file, &part, size, progress)?;
        let blob = fs::canonicalize(&path).map_err(SourceError::io("read", &path))?;
        if let Ok(expected) = etag.parse::<Digest>() {
            verify_blob(&blob, expected)?;
        }
        Ok(blob)
    }

    fn api(&self, cache: &Path) -> Result<Api, SourceError> {
        fs::create_dir_all(cache).map_err(SourceError::io("create", cache))?;
        let token = self.token.as_ref().map(|token| token.expose_secret().to_owned());
        let mut builder = ApiBuilder::new()
            .with_cache_dir(cache.into())
            .with_progress(false)
            .with_retries(0)
            .with_token(token);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        builder.build().map_err(|error| self.failed(&error))
    }

    /// A try that brought bytes is followed by another that goes on from them.
    fn download_with_retries(
        &self,
        api: &Api,
        file: &HubFile,
        part: &Path,
        size: u64,
        progress: &dyn Progress,
    ) -> Result<PathBuf, SourceError> {
        let mut fruitless = 0;
        loop {
            let before = prepare_part(part, size);
            let error = match watched_download(api, file, progress) {
                Ok(path) => return Ok(path),
                Err(Broken::Api(error)) => error,
                Err(Broken::Stalled) => {
                    let seconds = STALL_LIMIT.as_secs();
                    return Err(self.problem(format!("nothing came for {seconds} s")));
                }
            };
            fruitless = if length(part) > before { 0 } else { fruitless + 1 };
            if fruitless >= MAX_FRUITLESS_TRIES {
                return Err(self.failed(&error));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn failed(&self, error: &ApiError) -> SourceError {
        let hint = match error.to_string() {
            text if text.contains("401") || text.contains("403") => {
                format!("{text}; it may need a token (fetch.hub_token, or HF_TOKEN)")
            }
            text if text.contains("404") => format!("{text}; is the name right?"),
            text => text,
        };
        self.problem(hint)
    }

    fn problem(&self, problem: String) -> SourceError {
        let endpoint = self.endpoint.clone().unwrap_or_else(|| "its public address".into());
        SourceError::Hub { endpoint, problem }
    }
}

impl HubFile {
    /// Where the library keeps what has come so far.
    fn part(&self, etag: &str) -> PathBuf {
        let mut blob = self.cache.join(self.repo.folder_name()).join("blobs").join(etag);
        blob.set_extension("part");
        blob
    }
}

/// Makes the library able to go on, and says how many bytes are here. It asks
/// for the bytes behind the ones it has and takes "there are none" for an error:
/// so a whole part gives up its last byte, and one that is too long starts over.
fn prepare_part(part: &Path, size: u64) -> u64 {
    let mut here = length(part);
    if here > size {
        let _ = fs::remove_file(part);
        here = 0;
    } else if here == size && size > 0 {
        here = size - 1;
        let file = fs::OpenOptions::new().write(true).open(part);
        let _ = file.and_then(|file| file.set_len(here));
    }
    here
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn verify_blob(blob: &Path, expected: Digest) -> Result<(), SourceError> {
    let file = fs::File::open(blob).map_err(SourceError::io("read", blob))?;
    let actual = Digest::of_reader(file, |_| ()).map_err(SourceError::io("read", blob))?;
    if actual == expected {
        return Ok(());
    }
    let _ = fs::remove_file(blob);
    Err(SourceError::Digest { expected, actual })
}

enum Broken {
    Api(ApiError),
    Stalled,
}

/// Downloads on another thread, so that a dead connection (the library sets no
/// time limit) can be left behind.
fn watched_download(api: &Api, file: &HubFile, progress: &dyn Progress) -> Result<PathBuf, Broken> {
    let counts = Arc::new(Counts::default());
    let (sender, receiver) = mpsc::channel();
    let (repo, path, counter) = (api.repo(file.repo.clone()), file.path.clone(), counts.clone());
    std::thread::spawn(move || {
        let _ = sender.send(repo.download_with_progress(&path, Counter(counter)));
    });
    let (mut last, mut since) = (0, Instant::now());
    loop {
        match receiver.recv_timeout(WATCH_INTERVAL) {
            Ok(result) => {
                counts.report(progress);
                return result.map_err(Broken::Api);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => counts.report(progress),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Broken::Stalled),
        }
        let done = counts.done.load(Ordering::Relaxed);
        if done != last {
            (last, since) = (done, Instant::now());
        } else if since.elapsed() > STALL_LIMIT {
            return Err(Broken::Stalled);
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    total: AtomicU64,
}

impl Counts {
    fn report(&self, progress: &dyn Progress) {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        if total > 0 {
            progress.report(ProgressEvent::Bytes { done, total: Some(total) });
        }
    }
}

struct Counter(Arc<Counts>);

impl hf_hub::api::Progress for Counter {
    fn init(&mut self, size: usize, _filename: &str) {
        self.0.total.store(size as u64, Ordering::Relaxed);
        self.0.done.store(0, Ordering::Relaxed);
    }

    fn update(&mut self, size: usize) {
        self.0.done.fetch_add(size as u64, Ordering::Relaxed);
    }

    fn finish(&mut self) {}
}
