//! Completions servers as child processes: ours, and llama-server where one is given.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::models::small_model;

/// The longest that a start is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The context of all servers here.
pub(crate) const CONTEXT_TOKENS: usize = 1024;

/// Whose server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    Worker,
    LlamaServer(PathBuf),
}

impl Program {
    /// llama.cpp's server, if `LLAMA_SERVER` names its file.
    #[allow(
        clippy::disallowed_methods,
        clippy::print_stderr,
        reason = "a test's own variable, and whoever reads the log is to know"
    )]
    pub(crate) fn llama_server() -> Option<Self> {
        let found = std::env::var("LLAMA_SERVER").ok().filter(|path| !path.is_empty());
        if found.is_none() {
            eprintln!("SKIPPED: LLAMA_SERVER does not name a llama-server");
        }
        found.map(|path| Self::LlamaServer(path.into()))
    }
}

/// A server on the small real model that keeps its port through crashes.
pub(crate) struct Server {
    program: Program,
    port: u16,
    child: Option<Child>,
    dir: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(program: Program) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { program, port, child: None, dir: tempfile::tempdir().unwrap() };
        server.begin();
        server.until_ready().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and does not wait for it.
    pub(crate) fn begin(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let dir = self.dir.path();
        let model = small_model();
        let port = self.port.to_string();
        let mut command = match &self.program {
            Program::Worker => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
                command.args(["--data-dir", dir.to_str().unwrap()]);
                for setting in [
                    format!("model.name={}", model.display()),
                    format!("model.context_tokens={CONTEXT_TOKENS}"),
                    "engine.kv_cache_mib=256".into(),
                    "engine.disk_cache_mib=0".into(),
                ] {
                    command.args(["--set", &setting]);
                }
                command.args(["worker", "--listen", &format!("127.0.0.1:{port}")]);
                command
            }
            Program::LlamaServer(path) => {
                let mut command = Command::new(path);
                command.args(["--port", &port, "-np", "4", "-t", "2", "-c"]);
                command.arg((4 * CONTEXT_TOKENS).to_string()).arg("-m").arg(model);
                command
            }
        };
        let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", dir);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    pub(crate) async fn until_ready(&self) {
        let begun = Instant::now();
        loop {
            let answer = reqwest::get(format!("{}/health", self.url())).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it is up in time\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// It stands still, with its connections open.
    pub(crate) fn hold(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn release(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
