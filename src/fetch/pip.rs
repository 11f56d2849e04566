//! Wheels through pip, the ordinary client, with the person's own settings.
//!
//! We name no index: which one, through which proxy, with which certificates is
//! pip's configuration. An interrupted download starts over; from version 25.1
//! pip itself goes on after a broken connection.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Progress, ProgressEvent, SourceError};

/// How often the bytes that are here are counted.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// The commands that are pip on one machine or another.
const USUAL: [&[&str]; 4] =
    [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];

/// The pip of this machine.
#[derive(Debug, Clone)]
pub(super) struct Pip {
    candidates: Vec<Vec<String>>,
}

/// One wheel.
#[derive(Debug)]
pub(super) struct WheelRequest<'a> {
    pub(super) package: &'a str,
    pub(super) version: &'a str,
    /// Of this Python; `None` is the one that runs pip.
    pub(super) python: Option<&'a str>,
}

/// A wheel in a directory of its own, which goes when this does.
#[derive(Debug)]
pub(super) struct DownloadedWheel {
    dir: PathBuf,
    path: PathBuf,
}

impl DownloadedWheel {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DownloadedWheel {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Pip {
    /// The pip of `python` (or `python` itself, if that is a pip), or the first
    /// that is found.
    pub(super) fn new(python: Option<String>) -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.into()).collect();
        let candidates = match python {
            Some(python) if file_name(&python).starts_with("pip") => vec![vec![python]],
            Some(python) => vec![vec![python, "-m".into(), "pip".into()]],
            None => USUAL.iter().map(|&usual| words(usual)).collect(),
        };
        Self { candidates }
    }

    /// Downloads one wheel into a directory of its own below `staging`.
    pub(super) fn download(
        &self,
        request: &WheelRequest<'_>,
        staging: &Path,
        total: Option<u64>,
        progress: &dyn Progress,
    ) -> Result<DownloadedWheel, SourceError> {
        let pip = self.find()?;
        let dir = staging.join("pip");
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(SourceError::io("clear", &dir))?;
        }
        let temp = dir.join("tmp");
        fs::create_dir_all(&temp).map_err(SourceError::io("create", &temp))?;
        // From here on the directory goes, whatever happens.
        let mut downloaded = DownloadedWheel { path: PathBuf::new(), dir };
        let ran = run(pip, request, &downloaded.dir, &mut || {
            let done = longest_file(&downloaded.dir);
            let done = total.map_or(done, |total| done.min(total));
            progress.report(ProgressEvent::Bytes { done, total });
        });
        ran?;
        downloaded.path = the_wheel(&downloaded.dir, request)?;
        Ok(downloaded)
    }

    /// The first command that answers.
    fn find(&self) -> Result<&[String], SourceError> {
        let answers = |words: &&Vec<String>| {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).arg("--version");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let found = self.candidates.iter().find(answers);
        found.map(Vec::as_slice).ok_or_else(|| {
            let tried: Vec<_> = self.candidates.iter().map(|words| words.join(" ")).collect();
            SourceError::NoPip { tried: tried.join(", ") }
        })
    }
}

/// Runs `pip download` and calls `watch` now and then until it ends.
fn run(
    pip: &[String],
    request: &WheelRequest<'_>,
    dir: &Path,
    watch: &mut dyn FnMut(),
) -> Result<(), SourceError> {
    let log_path = dir.join("log");
    let log = File::create(&log_path).map_err(SourceError::io("create", &log_path))?;
    let mut command = Command::new(&pip[0]);
    command.args(&pip[1..]);
    // No cache: what we keep is the file itself, once.
    command.args(["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest"]);
    command.arg(dir);
    if let Some(python) = request.python {
        command.args(["--python-version", python, "--implementation", "cp"]);
    }
    command.arg(format!("{}=={}", request.package, request.version));
    command
        .env("TMPDIR", dir.join("tmp"))
        .env("PIP_RESUME_RETRIES", "5")
        .env("PIP_PROGRESS_BAR", "off")
        .env("PIP_NO_INPUT", "1")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let name = || pip.join(" ");
    let failed = |reason: String| SourceError::Pip { command: name(), reason };
    let mut child = Running(command.spawn().map_err(|error| failed(error.to_string()))?);
    let status = loop {
        match child.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => watch(),
            Err(error) => return Err(failed(error.to_string())),
        }
        std::thread::sleep(WATCH_INTERVAL);
    };
    watch();
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&log_path).unwrap_or_default();
    Err(failed(reason(&said).unwrap_or_else(|| status.to_string())))
}

/// A child that does not outlive us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// pip's own words for what went wrong: its last error, else its last line.
fn reason(said: &str) -> Option<String> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let errors: Vec<_> = lines().filter_map(|line| line.strip_prefix("ERROR: ")).collect();
    let connection = lines().find(|line| line.contains("connection broken by"));
    let last = errors.last().copied().or_else(|| lines().next_back())?;
    let last = last.chars().take(400).collect::<String>();
    Some(match connection {
        Some(_) => format!("{last} (the package index could not be reached)"),
        None => last,
    })
}

/// The length of the longest file below `dir`: the wheel that is arriving. pip
/// copies it at the end, so a sum would count it twice.
fn longest_file(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let length = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => longest_file(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(length).max().unwrap_or(0)
}

fn the_wheel(dir: &Path, request: &WheelRequest<'_>) -> Result<PathBuf, SourceError> {
    let entries = fs::read_dir(dir).map_err(SourceError::io("read", dir))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|end| end == "whl")).ok_or_else(|| {
        SourceError::Wheel {
            wheel: format!("{} {}", request.package, request.version),
            problem: "pip said that all went well, but it is not there".into(),
        }
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_pips_last_error() {
        let said = "WARNING: Retrying after connection broken by 'NewConnectionError'\n\
                    ERROR: Could not find a version that satisfies the requirement x==1\n\
                    ERROR: No matching distribution found for x==1\n";
        assert_eq!(
            reason(said).unwrap(),
            "No matching distribution found for x==1 (the package index could not be reached)"
        );
        assert_eq!(reason("a\nb\n\n").unwrap(), "b");
        assert_eq!(reason(""), None);
    }

    #[test]
    fn a_machine_without_pip_is_told_what_was_tried() {
        let error = Pip::new(Some("no-such-python".into())).find().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no-such-python -m pip") && text.contains("fetch.python"), "{text}");
    }
}
