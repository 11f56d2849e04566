//! The program as people call it: its output, its exit code, what it leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use dramatis::fetch::Digest;

use crate::support::classes::{Classes, Fault};
use crate::support::models::small_model;
use crate::support::{classifier_copy, fixture, spoil_classifier};

const CANARY: &str = "canary-19c4";

/// `dramatis` at home in `home`, with nothing else in its environment.
fn dramatis(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
    command.args(["--data-dir", home.join("data").to_str().unwrap()]).args(arguments);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command
}

/// Exit code, standard output and standard error.
fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    said(dramatis(home, arguments).output().unwrap())
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What `doctor` found: each check with its status and its detail.
fn findings(home: &Path, arguments: &[&str]) -> (Option<i32>, Vec<(String, String, String)>) {
    let (code, stdout, _) = run(home, &[arguments, &["doctor", "--json"]].concat());
    let findings: Vec<serde_json::Value> = serde_json::from_str(&stdout).unwrap();
    let field = |finding: &serde_json::Value, name: &str| {
        finding[name].as_str().unwrap_or_default().to_owned()
    };
    let told = findings.iter().map(|finding| {
        let detail = format!("{} {}", field(finding, "detail"), field(finding, "advice"));
        (field(finding, "check"), field(finding, "status"), detail)
    });
    (code, told.collect())
}

fn finding<'a>(
    findings: &'a [(String, String, String)],
    check: &str,
) -> &'a (String, String, String) {
    findings.iter().find(|finding| finding.0 == check).unwrap_or_else(|| panic!("no {check}"))
}

#[test]
fn wrong_usage_is_code_2_and_help_is_0() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(home.path(), &["dance"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("dance"), "{stderr}");
    let (code, stdout, _) = run(home.path(), &["model", "pull", "--help"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("dramatis model pull hf:"), "{stdout}");
}

#[test]
fn a_broken_setting_is_one_message_and_code_1() {
    let home = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(home.path(), &["--set", "engine.thread=2", "config", "show"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(
        stderr,
        "error: --set: there is no setting `engine.thread`; did you mean `engine.threads`?\n"
    );
    fs::write(home.path().join("dramatis.toml"), "[engine\n").unwrap();
    let (code, _, stderr) = run(home.path(), &["model", "list"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("dramatis.toml, line 1"), "{stderr}");
    let (code, found) = findings(home.path(), &[]);
    assert_eq!((code, found.len()), (Some(1), 1));
    assert_eq!(found[0].1, "failed");
    assert!(!home.path().join("data").exists());
}

#[test]
fn the_defaults_are_a_file_to_begin_with() {
    let home = tempfile::tempdir().unwrap();
    let (_, defaults, _) = run(home.path(), &["config", "defaults"]);
    fs::write(home.path().join("mine.toml"), defaults).unwrap();
    let (code, shown, stderr) =
        run(home.path(), &["--config", "mine.toml", "config", "show", "--json"]);
    assert_eq!(code, Some(0), "{stderr}");
    let settings: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
    for setting in settings {
        let origin = setting["origin"].as_str().unwrap();
        assert!(origin.ends_with("mine.toml") || origin == "--data-dir", "{setting}");
    }
}

#[test]
fn no_command_prints_a_secret() {
    let home = tempfile::tempdir().unwrap();
    let url = format!("postgres://ada:{CANARY}@127.0.0.1:1/play?password={CANARY}");
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["doctor"],
        &["-vv", "doctor", "--json"],
        &["-vv", "model", "list"],
        &["-vv", "model", "pull", "hf:ada/toy/toy.gguf"],
    ] {
        let mut command = dramatis(home.path(), arguments);
        command.env("HF_TOKEN", CANARY).env("HF_ENDPOINT", "http://127.0.0.1:1");
        command.env("DRAMATIS_DATABASE__URL", &url);
        command.env("DRAMATIS_FETCH__HUB_TOKEN", CANARY);
        let (_, stdout, stderr) = said(command.output().unwrap());
        assert!(!stdout.contains(CANARY) && !stderr.contains(CANARY), "{stdout}\n{stderr}");
    }
}

#[test]
fn a_model_is_pulled_shown_checked_and_found_damaged() {
    let (home, model) = (tempfile::tempdir().unwrap(), small_model());
    let home = home.path();
    let name = "smollm2-135m-instruct";
    let (code, found) = findings(home, &[]);
    assert_eq!(code, Some(1));
    let (_, status, detail) = finding(&found, "model");
    assert!(status == "failed" && detail.contains("dramatis model pull"), "{detail}");

    let pull = ["model", "pull", model.to_str().unwrap(), "--name", name];
    let (code, stdout, stderr) = run(home, &pull);
    assert_eq!(code, Some(0), "{stderr}");
    let path = Path::new(stdout.trim());
    assert!(path.starts_with(home) && path.is_file(), "{stdout}");
    let (_, list, _) = run(home, &["model", "list"]);
    assert!(list.contains(name) && list.contains("(configured)"), "{list}");
    let (code, info, _) = run(home, &["model", "info"]);
    assert_eq!(code, Some(0));
    assert!(info.contains("gpt2/smollm") && info.contains("134.5 M"), "{info}");
    let (_, found) = findings(home, &[]);
    for check in ["settings", "data directory", "model", "model sum", "context", "kv cache"] {
        assert_eq!(finding(&found, check).1, "ok", "{check}");
    }
    let (_, found) = findings(home, &["--set", "engine.kv_cache_mib=99999999"]);
    assert_eq!(finding(&found, "settings").1, "failed");
    let (_, found) = findings(home, &["--set", "engine.kv_cache_mib=9999999"]);
    assert_eq!(finding(&found, "memory").1, "failed");

    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, &bytes).unwrap();
    let (code, found) = findings(home, &[]);
    assert_eq!((code, finding(&found, "model sum").1.as_str()), (Some(1), "failed"));
    fs::write(path, &bytes[..middle]).unwrap();
    let (code, found) = findings(home, &[]);
    assert_eq!((code, finding(&found, "model").1.as_str()), (Some(1), "failed"));
}

#[test]
fn a_pull_that_fails_says_why_and_leaves_no_model() {
    let home = tempfile::tempdir().unwrap();
    let toy = home.path().join("toy.gguf");
    fs::write(&toy, "GGUF").unwrap();
    let wrong = Digest::of(b"other").to_string();
    let (code, stdout, stderr) =
        run(home.path(), &["model", "pull", "toy.gguf", "--sha256", &wrong]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains(&wrong) && stderr.contains(&Digest::of(b"GGUF").to_string()));
    let (_, list, _) = run(home.path(), &["model", "list", "--json"]);
    assert_eq!(list.trim(), "[]");
    let (code, _, stderr) = run(home.path(), &["model", "info", "./toy.gguf"]);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("error: ") && stderr.contains("toy.gguf"), "{stderr}");
    let (code, _, stderr) = run(home.path(), &["model", "info", "smollm2-135m-instuct"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("did you mean smollm2-135m-instruct?"), "{stderr}");
}

#[test]
fn without_python_and_without_a_hub_the_person_learns_both() {
    let home = tempfile::tempdir().unwrap();
    let mut command = dramatis(home.path(), &["model", "pull"]);
    command.env("PATH", "/nonexistent").env("HF_ENDPOINT", "http://127.0.0.1:1");
    let (code, _, stderr) = said(command.output().unwrap());
    assert_eq!(code, Some(1));
    let last = &stderr[stderr.rfind("\nerror: ").unwrap()..];
    let tried = "no pip here (tried python3 -m pip, python -m pip, pip3, pip)";
    assert!(last.contains(tried), "{last}");
    assert!(last.contains("the hub at http://127.0.0.1:1"), "{last}");
}

#[test]
fn the_database_is_made_checked_and_brought_up_to_date() {
    let home = tempfile::tempdir().unwrap();
    // The server's user, who is not root, must get there too.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (_, found) = findings(home.path(), &[]);
    assert_eq!(finding(&found, "database").1, "ok", "{found:?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "doctor left something behind");
    let (code, _, stderr) = run(home.path(), &["migrate"]);
    assert_eq!((code, stderr.lines().last()), (Some(0), Some("the database is up to date")));
    let (_, found) = findings(home.path(), &[]);
    let (_, status, detail) = finding(&found, "database");
    assert!(status == "ok" && detail.contains("up to date"), "{detail}");
    let nobody = "database.url=postgres://ada@127.0.0.1:1/play";
    let (code, _, stderr) = run(home.path(), &["--set", nobody, "migrate"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
    let (code, found) = findings(home.path(), &["--set", nobody]);
    assert_eq!((code, finding(&found, "database").1.as_str()), (Some(1), "failed"));
}

#[test]
#[cfg(target_os = "linux")]
fn doctor_finds_a_data_directory_that_cannot_be_written() {
    let home = tempfile::tempdir().unwrap();
    let (code, found) = findings(home.path(), &["--set", "data_dir=/ignored"]);
    assert!(code.is_some() && finding(&found, "data directory").1 == "ok");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
    command.env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
    let (code, stdout, _) =
        said(command.args(["--data-dir", "/sys/dramatis", "doctor"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(stdout.contains("/sys/dramatis cannot be written"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_the_classifier_where_there_is_to_be_one() {
    let home = tempfile::tempdir().unwrap();
    let classes = Classes::start(&[]).await;
    let url = format!("moderation.classifier={}", classes.url());
    // Nothing but the classifier is looked for.
    let quick = ["--set", "database.url=postgres://ada@127.0.0.1:1/play"];
    let asked = [&quick[..], &["--set", &url, "--set", "moderation.timeout_ms=500"]].concat();
    let told = |arguments: &[&str]| {
        let found = tokio::task::block_in_place(|| findings(home.path(), arguments)).1;
        found.into_iter().find(|(check, ..)| check == "classifier")
    };
    assert_eq!(told(&quick), None);
    let (_, status, detail) = told(&asked).unwrap();
    assert!(status == "ok" && detail.contains("/v1/moderations answers"), "{detail}");
    classes.fail(Some(Fault::Hangs));
    let (_, status, detail) = told(&asked).unwrap();
    assert!(status == "warning" && detail.contains("did not answer within 500 ms"), "{detail}");
    let wrong = [&asked[..], &["--set", "moderation.thresholds.self_ham=0.5"]].concat();
    let (_, status, detail) = told(&wrong).unwrap();
    assert!(status == "failed" && detail.contains("self_ham"), "{detail}");
}

#[test]
fn doctor_tells_of_a_model_that_is_the_classifier() {
    let home = tempfile::tempdir().unwrap();
    let told = |classifier: &str| {
        let classifier = format!("moderation.classifier={classifier}");
        let quick = ["--set", "database.url=postgres://ada@127.0.0.1:1/play"];
        let slow = ["--set", "moderation.timeout_ms=30000", "--set", &classifier];
        let (_, found) = findings(home.path(), &[&quick[..], &slow].concat());
        let (_, status, detail) = finding(&found, "classifier").clone();
        (status, detail)
    };
    let directory = fixture("classifiers/bert");
    let (status, detail) = told(directory.to_str().unwrap());
    assert!(status == "ok" && detail.contains("answers, in "), "{detail}");
    assert!(detail.contains("tells harassment, harassment/threatening, hate;"), "{detail}");
    assert!(detail.contains("obscene count for nothing"), "{detail}");
    let (status, detail) = told("hf:ada/mild");
    assert!(status == "warning" && detail.contains("next start fetches it"), "{detail}");
    assert!(!home.path().join("data/classifiers").exists(), "nothing is fetched to look");
    let (status, detail) = told("./nowhere");
    assert!(status == "failed" && detail.contains("no directory"), "{detail}");
    assert!(detail.contains("nowhere; a model of the hub is written hf:OWNER/REPO"), "{detail}");
    let spoiled = classifier_copy("bert");
    spoil_classifier(spoiled.path());
    let (status, detail) = told(spoiled.path().to_str().unwrap());
    assert!(status == "warning" && detail.contains("no number"), "{detail}");
}
