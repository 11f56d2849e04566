//! OpenAI's own clients, in Python and JavaScript. Skipped where they are not installed;
//! see `tests/foreign/README.md`.

use std::path::Path;

use tokio::process::Command;

use super::home::{KEY, PATIENCE, PROMPT, Worker};

#[expect(clippy::disallowed_methods, reason = "where software outside the project is")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn installed(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("SKIPPED: {variable} is not set; see tests/foreign/README.md");
    }
    found
}

async fn takes_it_for_openai(mut interpreter: Command, script: &str) {
    let worker = Worker::start(&[]).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(script);
    let client = interpreter
        .arg(script)
        .env("WORKER_URL", worker.url())
        .env("WORKER_KEY", KEY)
        .env("WORKER_PROMPT", PROMPT)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, client).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{}", worker.log());
    assert_eq!(output.stdout, b"all as it should be\n");
    worker.until_running(0.0).await;
}

#[tokio::test]
async fn openais_python_client_takes_it_for_openai() {
    if let Some(python) = installed("WORKER_OPENAI_PY") {
        takes_it_for_openai(Command::new(python), "openai_client.py").await;
    }
}

#[tokio::test]
async fn openais_javascript_client_takes_it_for_openai() {
    if installed("WORKER_OPENAI_JS").is_some() {
        takes_it_for_openai(Command::new("node"), "openai_client.mjs").await;
    }
}
