//! A running worker, and how its clients speak to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::support::models::small_model;

/// The longest that anything here is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// A story's beginning, several blocks of tokens long.
pub(super) const PROMPT: &str = "The lamp in the lighthouse had burned for sixty years, and in \
    all that time nobody had asked who lit it. On the first evening of autumn a boat came in \
    from the north with a single passenger, a woman with a leather case and a letter that she \
    would show to no one. She walked up from the harbour in the rain, past the nets and the \
    upturned boats, and knocked on the keeper's door. When it opened she said";

pub(super) const KEY: &str = "canary-of-a-key-7f3a";

/// A running worker. One that is dropped is killed.
pub(super) struct Worker {
    child: Child,
    url: String,
    client: Client,
    key: Option<&'static str>,
    dir: tempfile::TempDir,
}

fn command(dir: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
    command.args(["--data-dir", dir.to_str().unwrap(), "-v"]);
    let model = format!("model.name={}", small_model().display());
    let usual = [&model, "engine.kv_cache_mib=96", "model.context_tokens=1024"];
    for setting in usual.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", dir).stdin(Stdio::null());
    command.args(["worker", "--listen", "127.0.0.1:0"]);
    command
}

impl Worker {
    pub(super) async fn start(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, settings, Some(KEY)).await
    }

    pub(super) async fn start_in(
        dir: tempfile::TempDir,
        settings: &[&str],
        key: Option<&'static str>,
    ) -> Self {
        let mut command = command(dir.path(), settings);
        if let Some(key) = key {
            command.env("DRAMATIS_API_KEY", key);
        }
        let log = dir.path().join("worker.log");
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let line = tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        let worker = Self {
            child,
            url: line.trim().trim_start_matches("ready at ").to_owned(),
            client: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            key,
            dir,
        };
        assert!(worker.url.starts_with("http://127.0.0.1:"), "{line:?}\n{}", worker.log());
        worker
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("worker.log")).unwrap_or_default()
    }

    /// One request with the key, if there is one.
    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url)).timeout(PATIENCE);
        match self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        told(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        told(self.request(Method::POST, path).json(&body).send().await.unwrap()).await
    }

    /// A completion of [`PROMPT`] that must succeed.
    pub(super) async fn complete(&self, more: Value) -> Value {
        let (status, completion) = self.post("/v1/completions", merged(more)).await;
        assert_eq!(status, 200, "{completion}\n{}", self.log());
        completion
    }

    /// The same as it is written.
    pub(super) async fn stream(&self, more: Value) -> Events {
        let mut body = merged(more);
        body["stream"] = json!(true);
        let request = self.request(Method::POST, "/v1/completions").json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, buffer: String::new() }
    }

    /// One of the worker's numbers.
    pub(super) async fn number(&self, name: &str) -> f64 {
        let response = self.request(Method::GET, "/metrics").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// Waits until the engine runs so many; gives how long that took.
    pub(super) async fn until_running(&self, number: f64) -> Duration {
        let began = Instant::now();
        while self.number("dramatis_engine_running").await != number {
            assert!(began.elapsed() < PATIENCE, "never {number}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end; the directory remains for another.
    pub(super) async fn ended(mut self) -> (ExitStatus, String, tempfile::TempDir) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it never ends\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let log = self.log();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        (status, log, dir)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn told(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    (status, response.json().await.unwrap())
}

fn merged(more: Value) -> Value {
    let mut body = json!({ "prompt": PROMPT });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The text of a completion's only choice.
pub(super) fn text(completion: &Value) -> &str {
    completion["choices"][0]["text"].as_str().unwrap()
}

/// Server-sent events as they come.
pub(super) struct Events {
    response: Response,
    buffer: String,
}

impl Events {
    /// The next event's data; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let data = event.strip_prefix("data: ").map(str::to_owned);
                self.buffer = rest.to_owned();
                match data {
                    Some(data) => return Some(data),
                    None => continue,
                }
            }
            let bytes = self.response.chunk().await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// All that is left; the last must be `[DONE]`, the others are chunks.
    pub(super) async fn rest(mut self) -> Vec<Value> {
        let mut chunks = Vec::new();
        loop {
            let data = self.next().await.expect("a stream ends with [DONE]");
            if data == "[DONE]" {
                assert_eq!(self.next().await, None);
                return chunks;
            }
            chunks.push(serde_json::from_str(&data).unwrap());
        }
    }
}

/// What a command that ends by itself says: exit code, standard error.
pub(super) fn said(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap().code(), stderr)
}
