//! The scripts in `benches/`, as far as they need no peer: their arguments, what they
//! leave behind, and what they write. Skipped, and said so, without Python.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SCRIPTS: [&str; 4] = ["agreement.py", "compare.py", "sampling.py", "server.py"];

fn benches() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

/// Python, leaving no caches beside the scripts; `None` where there is none.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python(home: &Path) -> Option<Command> {
    let found = Command::new("python3").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("no python3 here: the scripts of benches/ are skipped");
        return None;
    }
    let mut python = Command::new("python3");
    python.arg("-B").current_dir(home).env("LLAMA_BIN", "/elsewhere").env("COLUMNS", "200");
    Some(python)
}

/// What a script says on both outputs, and its exit code.
fn script(home: &Path, name: &str, arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let output = python(home)?.arg(benches().join(name)).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.code(), String::from_utf8(text).unwrap()))
}

/// A peer's program that does what these lines of a shell say.
fn program(path: &Path, lines: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_script_has_the_same_arguments_and_one_place_for_the_peer() {
    let home = tempfile::tempdir().unwrap();
    for name in SCRIPTS {
        let Some((code, help)) = script(home.path(), name, &["--help"]) else { return };
        assert_eq!(code, Some(0), "{help}");
        for text in ["--only", "--out", "--json", "(default: peer/build/bin)"] {
            assert!(help.contains(text), "{name} has no {text}:\n{help}");
        }
    }
    let (_, help) = script(home.path(), "compare.py", &["--help"]).unwrap();
    assert!(help.contains("--batch"), "{help}");
}

#[test]
fn what_cannot_work_is_refused_before_anything_runs() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("peer/build/bin");
    for tool in ["llama-bench", "llama-batched-bench", "llama-perplexity", "llama-server"] {
        program(&bin.join(tool), "touch it-ran");
    }
    program(&home.path().join("target/release/dramatis"), "touch it-ran");
    fs::write(home.path().join("m.gguf"), "").unwrap();
    for (name, arguments, said) in [
        ("compare.py", &["--model", "none.gguf"][..], "none.gguf is not there"),
        ("compare.py", &["--model", "m.gguf", "--batch", "1,x"], "no whole number from 1 to 4096"),
        ("compare.py", &["--model", "m.gguf", "--pairs", "4"], "from 5 to"),
        ("compare.py", &["--model", "m.gguf", "--only", "deep"], "give --depth"),
        ("compare.py", &["--model", "m.gguf", "--out", "no/x.json"], "no/x.json cannot be written"),
        ("agreement.py", &["--model", "m.gguf", "--only", "all"], "there is no all"),
        ("agreement.py", &["--model", "m.gguf", "--text", "none.txt"], "none.txt is not there"),
        ("sampling.py", &[], "libllama.so is not there"),
        ("sampling.py", &["--only", "tfs"], "there is no tfs"),
        ("server.py", &["--model", "m.gguf", "--only", "warm"], "there is no warm"),
        ("server.py", &["--model", "m.gguf", "--threads", "0"], "from 1 to 1024"),
        ("server.py", &["--model", "m.gguf", "--history-tokens", "5000"], "--slot-tokens"),
    ] {
        let Some((code, text)) = script(home.path(), name, arguments) else { return };
        assert_eq!(code, Some(2), "{name} {arguments:?}: {text}");
        assert!(text.contains(said), "{name} {arguments:?}: {text}");
    }
    assert!(!home.path().join("it-ran").exists());
}

#[test]
fn a_server_that_never_gets_ready_is_not_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let pid_file = home.path().join("pid");
    program(&home.path().join("bin/llama-server"), "echo $$ > new; mv new pid; exec sleep 600");
    fs::write(home.path().join("m.gguf"), "").unwrap();
    let Some(mut python) = python(home.path()) else { return };
    python.arg(benches().join("server.py")).args(["--model", "m.gguf", "--peer", "bin"]);
    let mut child = python.stderr(Stdio::piped()).spawn().unwrap();
    while !pid_file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        std::thread::sleep(Duration::from_millis(20));
    }
    let server: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success(), "{said}");
    let server = Pid::from_raw(server);
    assert_eq!(kill(server, None), Err(Errno::ESRCH), "the server still runs: {said}");
}

#[test]
fn what_the_peer_does_not_tell_is_null_in_json() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut python) = python(home.path()) else { return };
    let code = "\
import argparse, sys
sys.path.insert(0, sys.argv[1])
import agreement, peers
mine = {'steps': [{'token': 1, 'logit': 2.0, 'second': 5, 'second_logit': 1.75}]}
args = argparse.Namespace(near=0.5, out=None, json=True)
for told in ({1: -1.25, 5: -1.0}, {5: -1.0}):
    peers.tell(args, agreement.parting(args, mine, [5], [told], 0), None)
";
    let output = python.args(["-c", code]).arg(benches()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<serde_json::Value> =
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect();
    assert_eq!((&found[0]["their_gap"], &found[0]["near_tie"]), (&0.25.into(), &true.into()));
    assert_eq!((&found[1]["their_gap"], &found[1]["near_tie"]), (&().into(), &false.into()));
}
