//! The running server: found by its `postmaster.pid`, started, stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::binaries::Binaries;
use super::{Cluster, EmbeddedError, socket};

/// Crash recovery may have to read much back.
const START: Duration = Duration::from_secs(120);
/// How long children of a server that was killed may take to end.
const ORPHANS: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// The number of no process: more than any system gives.
const NO_PID: i32 = i32::MAX;
/// A log longer than this begins anew at the next start.
const MAX_LOG_BYTES: u64 = 8 << 20;

/// For one small box. Durability stays as Postgres has it.
const SETTINGS: [(&str, &str); 12] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "60"),
    ("shared_buffers", "32MB"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "256MB"),
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("logging_collector", "off"),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
];

/// What `postmaster.pid` says, line by line (Postgres, `miscadmin.h`).
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: i32,
    socket_dir: PathBuf,
    ready: bool,
}

impl PidFile {
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        Some(Self {
            pid: lines.first()?.trim().parse().ok().filter(|&pid| pid > 1)?,
            socket_dir: lines.get(4).map(PathBuf::from).unwrap_or_default(),
            ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
        })
    }

    fn read(cluster: &Cluster) -> Result<Option<Self>, EmbeddedError> {
        let path = path(cluster);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EmbeddedError::io("read", &path)(error)),
        }
    }

    fn answers(&self) -> bool {
        self.ready && UnixStream::connect(socket::path(&self.socket_dir)).is_ok()
    }
}

fn path(cluster: &Cluster) -> PathBuf {
    cluster.data().join("postmaster.pid")
}

/// A server that answers.
#[derive(Debug)]
pub(super) struct Running {
    pid: i32,
    /// Where its socket stands.
    pub(super) socket_dir: PathBuf,
    /// The process, where it is our child: to be waited for when it ends.
    child: Option<Child>,
}

impl Running {
    /// Whether the process is still there.
    pub(super) fn is_alive(&mut self) -> bool {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => true,
            Some(_) => false,
            None => is_postgres(self.pid),
        }
    }

    /// The process, where it is our child.
    pub(super) fn into_child(self) -> Option<Child> {
        self.child
    }
}

/// The server that runs on the cluster already. One that is starting or stopping
/// is waited for. What a dead one left is disowned.
pub(super) fn adopt(cluster: &Cluster) -> Result<Option<Running>, EmbeddedError> {
    let deadline = Instant::now() + START;
    loop {
        let Some(found) = PidFile::read(cluster)? else { return Ok(None) };
        if !is_postgres(found.pid) {
            disown(cluster, &found)?;
            return Ok(None);
        }
        if found.answers() {
            let PidFile { pid, socket_dir, .. } = found;
            return Ok(Some(Running { pid, socket_dir, child: None }));
        }
        if Instant::now() > deadline {
            return Err(timeout("start", found.pid, START, cluster));
        }
        sleep(POLL);
    }
}

/// Lets Postgres see that the file's process is gone, where its number belongs to
/// a zombie or to another program by now. The rest stays: by the shared memory
/// that it names, Postgres knows whether children of the dead server still run.
fn disown(cluster: &Cluster, found: &PidFile) -> Result<(), EmbeddedError> {
    let path = path(cluster);
    let text = fs::read_to_string(&path).map_err(EmbeddedError::io("read", &path))?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(&path, format!("{NO_PID}\n{rest}")).map_err(EmbeddedError::io("write", &path))?;
    let lock = socket::path(&found.socket_dir).with_extension("5432.lock");
    match fs::remove_file(&lock) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(EmbeddedError::io("remove", &lock)(error))
        }
        _ => Ok(()),
    }
}

/// Starts the server and waits until it answers.
pub(super) fn start(
    cluster: &Cluster,
    binaries: &Binaries,
    socket_dir: PathBuf,
    settings: &[(String, String)],
) -> Result<Running, EmbeddedError> {
    let deadline = Instant::now() + ORPHANS;
    loop {
        let begun_at = fs::metadata(cluster.log()).map_or(0, |log| log.len());
        let child = spawn(cluster, binaries, &socket_dir, settings)?;
        match answer(cluster, child) {
            Ok(child) => {
                let pid = child.id().cast_signed();
                return Ok(Running { pid, socket_dir, child: Some(child) });
            }
            Err(Some(error)) => return Err(error),
            Err(None) => {}
        }
        let log = cluster.log();
        let tail = tail(&log, begun_at);
        // Children of a server that was killed take a moment to notice.
        if !tail.contains("shared memory block") || Instant::now() > deadline {
            return Err(EmbeddedError::Start { log, tail });
        }
        sleep(10 * POLL);
    }
}

fn spawn(
    cluster: &Cluster,
    binaries: &Binaries,
    socket_dir: &Path,
    settings: &[(String, String)],
) -> Result<Child, EmbeddedError> {
    let log = open_log(&cluster.log())?;
    let errors = log.try_clone().map_err(EmbeddedError::io("open", &cluster.log()))?;
    let program = binaries.program("postgres");
    let mut command = cluster.account().command(&program);
    command.arg("-D").arg(cluster.data()).args(["-p", &socket::PORT.to_string()]);
    let dirs = format!("\"{}\"", socket_dir.display().to_string().replace('"', "\"\""));
    command.args(["-c", &format!("unix_socket_directories={dirs}")]);
    for (name, value) in SETTINGS {
        command.args(["-c", &format!("{name}={value}")]);
    }
    for (name, value) in settings {
        command.args(["-c", &format!("{name}={value}")]);
    }
    command.stdout(log).stderr(errors).spawn().map_err(EmbeddedError::io("run", &program))
}

/// Waits until the new server answers; no error of ours where it ended instead.
fn answer(cluster: &Cluster, mut child: Child) -> Result<Child, Option<EmbeddedError>> {
    let pid = child.id().cast_signed();
    let deadline = Instant::now() + START;
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(_)) => return Err(None),
            Err(error) => return Err(Some(EmbeddedError::io("wait for", &path(cluster))(error))),
        }
        if PidFile::read(cluster)?.is_some_and(|found| found.pid == pid && found.answers()) {
            return Ok(child);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Some(timeout("start", pid, START, cluster)));
        }
        sleep(POLL);
    }
}

/// Stops the server: a fast shutdown, which ends connections and writes all
/// down; if that takes too long an immediate one, which the next start recovers
/// from.
pub(super) fn stop(cluster: &Cluster, child: Option<Child>) -> Result<(), EmbeddedError> {
    let stopped = match PidFile::read(cluster)? {
        Some(found) if is_postgres(found.pid) => {
            signal_and_wait(cluster, found.pid, Signal::SIGINT, STOP)
                .or_else(|_| signal_and_wait(cluster, found.pid, Signal::SIGQUIT, STOP))
        }
        _ => Ok(()),
    };
    if let (Ok(()), Some(mut child)) = (&stopped, child) {
        child.wait().map_err(EmbeddedError::io("wait for", &path(cluster)))?;
    }
    stopped
}

fn signal_and_wait(
    cluster: &Cluster,
    pid: i32,
    signal: Signal,
    limit: Duration,
) -> Result<(), EmbeddedError> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(EmbeddedError::io("stop", &path(cluster))(errno.into())),
    }
    // The file goes last; the process may linger as a zombie of somebody else.
    let deadline = Instant::now() + limit;
    while path(cluster).exists() && is_postgres(pid) {
        if Instant::now() > deadline {
            return Err(timeout("stop", pid, limit, cluster));
        }
        sleep(POLL);
    }
    Ok(())
}

/// Whether that process lives and is a Postgres, as far as can be told. A zombie
/// does not live.
fn is_postgres(pid: i32) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    let shown = fs::read_to_string(format!("/proc/{pid}/stat")).ok().or_else(|| {
        let columns = ["-o", "pid=", "-o", "comm=", "-o", "stat=", "-p"];
        let output = Command::new("ps").args(columns).arg(pid.to_string()).output().ok()?;
        String::from_utf8(output.stdout).ok()
    });
    shown.is_none_or(|shown| is_live_postgres(&shown))
}

/// Reads `PID (NAME) STATE …` of Linux, and `PID NAME STATE` of `ps`.
fn is_live_postgres(shown: &str) -> bool {
    let (name, state) = match shown.rsplit_once(')') {
        Some((name, rest)) => (name, rest.trim_start()),
        None => shown.trim().rsplit_once(char::is_whitespace).unwrap_or((shown, "")),
    };
    let named = name.contains("postgres") || name.contains("postmaster");
    named && !state.starts_with(['Z', 'X'])
}

fn open_log(path: &Path) -> Result<File, EmbeddedError> {
    let too_long = fs::metadata(path).is_ok_and(|log| log.len() > MAX_LOG_BYTES);
    if too_long {
        fs::remove_file(path).map_err(EmbeddedError::io("remove", path))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(EmbeddedError::io("open", path))
}

/// The last lines of the log, of those since a place in it.
fn tail(log: &Path, since: u64) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map_or(0, |log| log.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(2_000).max(since)));
        let _ = file.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn timeout(what: &'static str, pid: i32, after: Duration, cluster: &Cluster) -> EmbeddedError {
    EmbeddedError::Timeout { what, pid, seconds: after.as_secs(), log: cluster.log() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read_at_every_stage_of_its_life() {
        let whole = "421\n/data\n1700000000\n5432\n/run/pg\n\n  1193 4\nready   \n";
        let expected = PidFile { pid: 421, socket_dir: "/run/pg".into(), ready: true };
        assert_eq!(PidFile::parse(whole), Some(expected));
        let starting = PidFile::parse("421\n/data\n1700000000\n5432\n").unwrap();
        assert!(!starting.ready);
        assert_eq!(PidFile::parse(""), None);
        assert_eq!(PidFile::parse("-421\n"), None);
    }

    #[test]
    fn another_program_is_no_postgres() {
        assert!(!is_postgres(std::process::id().cast_signed()));
        assert!(!is_postgres(NO_PID));
        assert!(is_live_postgres("421 (postgres) S 1 421"));
        assert!(!is_live_postgres("421 (postgres) Z 1 421"));
        assert!(is_live_postgres(" 421 /usr/local/bin/postgres Ss\n"));
        assert!(!is_live_postgres(" 421 /usr/local/bin/postgres Z\n"));
        assert!(!is_live_postgres("421 (vim) S 1 421"));
    }
}
