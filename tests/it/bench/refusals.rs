//! What `dramatis bench` refuses, in which words and how soon; and that it leaves nothing
//! behind where it is stopped.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{bench, command, home};
use crate::support::models::small_model;

#[test]
fn what_cannot_be_measured_is_told_in_words() {
    let home = home();
    let tiny = ["engine", "--random", "tiny"];
    for (arguments, code, said) in [
        (&["engine", "--random", "huge"][..], 2, "there are tiny, mistral-7b"),
        (&["engine", "--random", "mistral-7b:40"], 2, "1 to 32 layers"),
        (&["engine", "--random", "tiny", "--model", "x"], 2, "cannot be used with"),
        (&["engine", "--random", "tiny", "--batch", "1,0"], 2, "from 1 to 4096"),
        (&["engine", "--random", "tiny", "--batch", "4097"], 2, "from 1 to 4096"),
        (&["engine", "--random", "tiny", "--threads", "1025"], 2, "from 1 to 1024"),
        (&["engine", "--random", "tiny", "--depth", "1000001"], 2, "from 0 to 1000000"),
        (&["load", "--repeats", "1000001"], 2, "from 1 to 1000000"),
        (&["perplexity", "x", "--context", "3"], 2, "from 4 to 1000000"),
        (&["drafts", "--scenes", "13"], 2, "12 scenes come along"),
        (&["drafts", "--reply-tokens", "1"], 2, "comes with its prompt"),
        (&["engine", "--random", "tiny", "--weights", "q9"], 2, "`stored`"),
        (&["engine", "--model", "./no.gguf"], 1, "no.gguf"),
        (&["channels", "--restart", "--turns", "1"], 1, "--turns 2 or more"),
    ] {
        let (found, stdout, stderr) = bench(home.path(), arguments);
        assert_eq!((found, stdout.as_str()), (Some(code), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
    for (flag, tokens) in [("--depth", "5000"), ("--prompt-tokens", "4096")] {
        let (code, _, stderr) = bench(home.path(), &[&tiny[..], &[flag, tokens]].concat());
        assert_eq!(code, Some(1));
        assert!(stderr.contains("the model takes 4096") && stderr.contains(flag), "{stderr}");
        assert!(!stderr.contains("making the model"), "it is known before: {stderr}");
    }
}

#[test]
fn a_chart_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let home = home();
    for bench_name in ["engine", "channels"] {
        for (path, said) in [("no/such/dir.svg", "cannot write no/such/dir.svg"), ("x.png", ".svg")]
        {
            // There is no such model, which would be the second thing to say.
            let arguments = [bench_name, "--model", "./no.gguf", "--plot", path];
            let (code, stdout, stderr) = bench(home.path(), &arguments);
            assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?}: {stderr}");
            assert!(stderr.contains(said) && stderr.contains("--plot"), "{stderr}");
            assert!(!stderr.contains("no.gguf"), "{stderr}");
        }
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn channels_measure_no_reply_that_is_shorter_than_asked() {
    let home = home();
    let model = small_model();
    let arguments = ["channels", "--model", model.to_str().unwrap(), "--channels", "1"];
    let narrow = ["--set", "model.context_tokens=512"];
    let with = |more: &[&str]| bench(home.path(), &[&arguments[..], &narrow, more].concat());
    // The service keeps a third of the window free for a reply, and fills the rest.
    let (code, stdout, stderr) = with(&["--reply-tokens", "320", "--history-tokens", "2000"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("of 320 tokens (the context had no more room)"), "{stderr}");

    let (code, _, stderr) = with(&["--turn-tokens", "480"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("the context has 512"), "{stderr}");
    assert!(!stderr.contains("loading the model"), "it is known before: {stderr}");
}

#[test]
fn channels_that_are_stopped_take_their_house_down() {
    let model = small_model();
    let endless = ["--channels", "1", "--turns", "1000000", "--history-tokens", "0"];
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        let home = home();
        let arguments = ["channels", "--model", model.to_str().unwrap()];
        let mut child = command(home.path(), &[&arguments[..], &endless].concat());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        // By then the database runs, and signals are listened to.
        while !line.contains("loading the model") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended too soon");
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{signal}: {rest}");
        assert!(rest.contains("stopped before it was done"), "{signal}: {rest}");
        let left: Vec<_> = fs::read_dir(home.path().join("data")).unwrap().flatten().collect();
        assert!(left.is_empty(), "{signal}: {left:?} stays behind");
    }
}
