//! `dramatis bench` through the real program: every promised figure is there and is
//! a sound number. How large the numbers are is no business of a test.

mod lengths;
mod people;
mod refusals;
mod scripts;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use dramatis::engine::{Engine, EngineOptions, GenerationRequest, KvCacheSize, LoadedModel};
use dramatis::model::{BatchSequence, LoadOptions, LogitRows, WeightType};
use serde_json::{Value, json};

use crate::support::models::small_model;

/// Where a bench runs; the database server's user, who is not root, may pass.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    home
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
    command.args(["--data-dir", home.join("data").to_str().unwrap(), "bench"]).args(arguments);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command
}

/// Exit code, standard output and standard error of `dramatis bench …`.
fn bench(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(home, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The one JSON object that a bench printed.
fn report(home: &Path, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = bench(home, &[arguments, &["--json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert!(report.is_object(), "{stdout}");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["bench"], arguments[0]);
    assert_eq!(report["fingerprint"].as_str().unwrap().len(), 64);
    assert!(report["backend"].as_str().unwrap().starts_with("CPU, "), "{report}");
    for key in ["model", "weights"] {
        assert!(!report[key].as_str().unwrap().is_empty(), "{key}");
    }
    positive(&report["threads"]);
    report
}

/// Fails unless the user's data directory is as it was: not even there. A disk cache
/// would hold what was computed for people's conversations.
#[track_caller]
fn assert_nothing_left(home: &Path) {
    let data = home.join("data");
    assert!(
        !data.exists(),
        "{:?} stays behind",
        fs::read_dir(data).map(Iterator::collect::<Vec<_>>)
    );
}

#[track_caller]
fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!(number.is_finite() && number > 0.0, "{number}");
    number
}

/// Fails unless the median is the middle of that many samples.
#[track_caller]
fn median_of(report: &Value, key: &str, count: usize) {
    let samples = report["samples"][key].as_array().unwrap_or_else(|| panic!("no {key}"));
    let mut samples: Vec<f64> = samples.iter().map(positive).collect();
    samples.sort_by(f64::total_cmp);
    assert_eq!(samples.len(), count, "{key}");
    assert_eq!(positive(&report[key]), samples[count / 2], "{key}");
}

#[test]
fn the_engine_is_measured_without_a_model_or_a_database() {
    let home = home();
    let arguments = ["engine", "--random", "tiny", "--batch", "1,3", "--repeats", "3"];
    let few = ["--prompt-tokens", "96,40", "--decode-tokens", "4", "--threads", "1"];
    let report = report(home.path(), &[&arguments[..], &few].concat());
    for key in ["prefill_96", "prefill_40", "decode_1", "decode_3"] {
        median_of(&report, &format!("{key}_tokens_per_s"), 3);
    }
    assert_eq!(report["model"], "random tiny");
    assert_eq!((&report["weights"], &report["threads"]), (&"F32".into(), &1.into()));
    assert_eq!((&report["depth"], &report["repeats"]), (&0.into(), &3.into()));
    assert_nothing_left(home.path());
}

#[test]
fn a_table_names_every_figure_and_the_chart_every_line() {
    let home = home();
    let arguments = ["engine", "--random", "tiny", "--weights", "q8_0", "--batch", "2,1"];
    let few = ["--prompt-tokens", "40", "--decode-tokens", "3", "--depth", "70", "--repeats", "2"];
    let plot = ["--plot", "figures.svg"];
    let (code, stdout, stderr) = bench(home.path(), &[&arguments[..], &few, &plot].concat());
    assert_eq!(code, Some(0), "{stderr}");
    for text in ["weights Q8_0", "prefill of 40 tokens", "decode, batch of 2", "median", "max"] {
        assert!(stdout.contains(text), "no {text}:\n{stdout}");
    }
    let svg = fs::read_to_string(home.path().join("figures.svg")).unwrap();
    assert_elements_close(&svg);
    for text in ["decode at depth 70", "prefill of 40 tokens", "tokens per second", "batch size"] {
        assert!(svg.contains(text), "no {text}");
    }
}

#[test]
fn choosing_a_token_is_measured_for_each_sampler() {
    let home = home();
    let arguments = ["sampling", "--vocabulary", "900", "--history", "40", "--tokens", "70"];
    let all = [&arguments[..], &["--rounds", "2", "--json"]].concat();
    let (code, stdout, stderr) = bench(home.path(), &all);
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    for name in ["limarp", "neutral", "creative", "greedy", "top-p", "mirostat"] {
        let samples = report["token_us"][name].as_array().unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(samples.len(), 2, "{name}");
        for sample in samples {
            positive(sample);
        }
    }
    let (_, stdout, _) = bench(home.path(), &arguments);
    for text in ["a token of 900, µs", "median", "limarp: temperature", "mirostat 2"] {
        assert!(stdout.contains(text), "no {text}:\n{stdout}");
    }
    assert_nothing_left(home.path());
    let (code, _, stderr) = bench(home.path(), &["sampling", "--vocabulary", "1"]);
    assert!(code == Some(2) && stderr.contains("from 2 to 1000000"), "{stderr}");
    // Rows of a file: as many as there are, and no part of one.
    let file = home.path().join("rows");
    for (bytes, told) in [(40 * 4, None), (40 * 4 + 1, Some("161 bytes")), (0, Some("0 bytes"))] {
        fs::write(&file, vec![0; bytes]).unwrap();
        let arguments = ["sampling", "--logits", "rows", "--vocabulary", "20", "--rounds", "1"];
        let (code, stdout, stderr) = bench(home.path(), &arguments);
        assert_eq!(code, Some(i32::from(told.is_some())), "{stdout}{stderr}");
        assert!(stderr.contains(told.unwrap_or_default()), "{stderr}");
    }
}

/// Fails unless it is one `svg` element in which every element ends.
#[track_caller]
fn assert_elements_close(svg: &str) {
    let tag = regex::Regex::new(r"<(/?)(\w+)[^<>]*?(/?)>").unwrap();
    let mut open = Vec::new();
    for found in tag.captures_iter(svg) {
        match (&found[1], &found[3]) {
            ("/", _) => assert_eq!(open.pop().as_deref(), Some(&found[2])),
            (_, "/") => {}
            _ => open.push(found[2].to_owned()),
        }
    }
    assert!(svg.starts_with("<svg") && open.is_empty(), "{open:?} stay open");
}

#[test]
fn a_load_is_measured_in_a_process_of_its_own() {
    let home = home();
    let model = small_model();
    let arguments = ["load", "--model", model.to_str().unwrap(), "--repeats", "1"];
    let settings = ["--set", "engine.kv_cache_mib=32", "--weights", "f32"];
    let report = report(home.path(), &[&arguments[..], &settings].concat());
    median_of(&report, "load_s", 1);
    assert_eq!(report["file_bytes"], fs::metadata(&model).unwrap().len());
    // 134.5 million weights of four bytes.
    assert!((500e6..600e6).contains(&positive(&report["weights_bytes"])), "{report}");
    assert!((31e6..=32.0 * 1048576.0).contains(&positive(&report["kv_cache_bytes"])), "{report}");
    assert_eq!(report["weights"], "F32");
    if cfg!(target_os = "linux") {
        median_of(&report, "resident_bytes", 1);
        let resident = positive(&report["resident_bytes"]);
        assert!(resident > 100e6, "{resident}");
        assert!(positive(&report["peak_resident_bytes"]) >= resident);
    }
    assert_nothing_left(home.path());
}

#[test]
fn channels_go_through_the_whole_service_and_come_back_after_a_restart() {
    let home = home();
    let model = small_model();
    let arguments = ["channels", "--model", model.to_str().unwrap(), "--channels", "2"];
    let few = ["--turns", "2", "--history-tokens", "120", "--turn-tokens", "12"];
    let how = ["--reply-tokens", "16", "--together", "--restart", "--plot", "channels.svg"];
    let settings = ["--set", "engine.kv_cache_mib=64"];
    let report = report(home.path(), &[&arguments[..], &few, &how, &settings].concat());
    assert_eq!((&report["channels"], &report["together"]), (&2.into(), &true.into()));
    let rounds = report["rounds"].as_array().unwrap();
    let kinds: Vec<_> = rounds.iter().map(|round| round["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["cold", "after_restart"]);
    for round in rounds {
        let times = &round["time_to_first_token_ms"];
        assert!(positive(&times["worst"]) >= positive(&times["median"]));
        assert_eq!(times["samples"].as_array().unwrap().len(), 2);
        positive(&round["tokens_per_s"]);
        positive(&round["took_s"]);
        assert!((0.0..=1.0).contains(&round["cached_share"].as_f64().unwrap()));
        assert_eq!(round["reply_tokens"], 2 * 16, "replies are exactly as long as asked");
    }
    assert_eq!(rounds[0]["cached_share"], 0.0, "nobody was there before");
    let prompts = rounds.iter().map(|round| positive(&round["prompt_tokens"]));
    assert!(prompts.clone().is_sorted() && prompts.clone().all(|tokens| tokens > 2.0 * 120.0));
    let overhead = &report["overhead"];
    for key in ["shown_tokens_per_s", "engine_tokens_per_s", "decode_tokens_per_s"] {
        positive(&overhead[key]);
    }
    assert!(overhead["lost_share"].as_f64().is_some_and(|share| share < 1.0), "{overhead}");
    assert_eq!(overhead["service_ms"]["samples"].as_array().unwrap().len(), 4);
    let svg = fs::read_to_string(home.path().join("channels.svg")).unwrap();
    assert_elements_close(&svg);
    assert!(svg.contains("median") && svg.contains("worst"));
    let left: Vec<_> = fs::read_dir(home.path().join("data")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?} stays behind");
}

/// The small model as `--weights q8_0` loads it.
fn loaded() -> LoadedModel {
    let options = LoadOptions { weight_type: Some(WeightType::Q8_0), ..LoadOptions::default() };
    LoadedModel::load(&small_model(), &options).unwrap()
}

const STORY: &str = "The ferry did not run on Thursdays, and so it was a Thursday on which he \
    chose to cross the river. \"You will drown,\" said his aunt, who was shelling beans. \"The \
    water is low.\" \"The water is always low until somebody is standing in it.\" She flicked a \
    bean into the bowl without looking.";

/// Perplexity by its definition: whole windows, plain softmax.
fn plain_perplexity(text: &str, context: usize) -> (f64, usize) {
    let LoadedModel { model, tokenizer } = loaded();
    let bos = tokenizer.bos_id();
    let mut tokens: Vec<u32> = bos.into_iter().chain(tokenizer.encode_start(text)).collect();
    let (mut sum, mut count) = (0.0, 0);
    for window in tokens.chunks_exact_mut(context) {
        window[0] = bos.unwrap_or(window[0]);
        let mut kv = model.kv_cache(context.div_ceil(32), 32).unwrap();
        let block_table: Vec<u32> = (0..context.div_ceil(32) as u32).collect();
        let logits = LogitRows::All;
        let batch =
            BatchSequence { tokens: window, position: 0, block_table: &block_table, logits };
        let logits = model.forward(&[batch], &mut kv).unwrap();
        for (position, row) in logits.rows().enumerate().take(context - 1).skip(context / 2) {
            let exps: Vec<f64> = row.iter().map(|&logit| f64::from(logit).exp()).collect();
            let probability = exps[window[position + 1] as usize] / exps.iter().sum::<f64>();
            sum -= probability.ln();
            count += 1;
        }
    }
    ((sum / f64::from(count)).exp(), count as usize)
}

#[test]
fn the_perplexity_is_the_one_that_its_definition_gives() {
    let home = home();
    let model = small_model();
    fs::write(home.path().join("story.txt"), format!("{STORY}\n")).unwrap();
    let arguments = ["perplexity", "story.txt", "--model", model.to_str().unwrap()];
    let how = ["--weights", "q8_0", "--context", "24"];
    let report = report(home.path(), &[&arguments[..], &how].concat());
    let (expected, count) = plain_perplexity(STORY, 24);
    let found = positive(&report["perplexity"]);
    assert!(found > 1.0 && (found / expected - 1.0).abs() < 1e-3, "{found}, not {expected}");
    assert_eq!(report["counted_tokens"], count);
    assert_eq!(report["windows"], count / 11);
    positive(&report["standard_error"]);

    let long = [&arguments[..], &["--context", "400"]].concat();
    let (code, _, stderr) = bench(home.path(), &long);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("two windows of 400"), "{stderr}");
    let longer = [&arguments[..], &["--context", "9000"]].concat();
    let (code, _, stderr) = bench(home.path(), &longer);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("a window of 9000 tokens is longer"), "{stderr}");
    let few = [&arguments[..], &how[..2], &["--context", "24", "--windows", "1"]].concat();
    let (code, stdout, stderr) = bench(home.path(), &few);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("over 11 tokens in 1 windows of 24"), "{stdout}");
}

#[test]
fn greedy_continuations_are_the_engines_with_two_logits_each() {
    let home = home();
    let model = small_model();
    let loaded = loaded();
    let prompts = ["Once upon a time there was", "*The dragon opens one eye.* \"Well,"];
    let ids = prompts.map(|prompt| loaded.tokenizer.encode_start(prompt));
    let ids = ids.map(|ids| [loaded.tokenizer.bos_id().as_slice(), &ids].concat());
    // A text and an array of ids mean the same.
    let file = json!([prompts[0], ids[1]]).to_string();
    fs::write(home.path().join("prompts.json"), file).unwrap();
    let arguments = ["greedy", "--prompts", "prompts.json", "--tokens", "12"];
    let how = ["--model", model.to_str().unwrap(), "--weights", "q8_0"];
    let report = report(home.path(), &[&arguments[..], &how].concat());
    let continuations = report["continuations"].as_array().unwrap();
    assert_eq!(continuations.len(), 2);

    let options = EngineOptions { kv_cache: KvCacheSize::Blocks(16), ..EngineOptions::default() };
    let mut engine = Engine::new(loaded.model, loaded.tokenizer, &options).unwrap();
    for (prompt, continuation) in ids.into_iter().zip(continuations) {
        assert_eq!(continuation["prompt_ids"], json!(prompt));
        let mut request = GenerationRequest { max_tokens: 12, ..GenerationRequest::new(prompt) };
        request.sampler.temperature = 0.0;
        let stream = engine.submit(request).unwrap();
        while !engine.is_idle() {
            engine.step();
        }
        let written = stream.blocking_finish().unwrap();
        assert_eq!(continuation["token_ids"], json!(written.token_ids));
        assert_eq!(continuation["text"], written.text);
        assert_eq!(continuation["finish_reason"], written.finish_reason.kind());
        let steps = continuation["steps"].as_array().unwrap();
        assert_eq!(steps.len(), written.token_ids.len());
        for (step, token) in steps.iter().zip(written.token_ids) {
            assert_eq!(step["token"], token);
            assert_ne!(step["second"], token);
            assert!(step["logit"].as_f64() >= step["second_logit"].as_f64(), "{step}");
        }
    }
    assert_nothing_left(home.path());
    let (code, _, stderr) =
        bench(home.path(), &[&arguments[..3], &["--tokens", "9000"], &how].concat());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("prompt 1 has") && stderr.contains("fewer --tokens"), "{stderr}");
    fs::write(home.path().join("prompts.json"), "[1]").unwrap();
    let (code, _, stderr) = bench(home.path(), &[&arguments[..], &how].concat());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no JSON array of texts"), "{stderr}");
}

#[test]
fn drafts_are_counted_on_scenes_that_the_model_plays() {
    let home = home();
    let model = small_model();
    let arguments = ["drafts", "--model", model.to_str().unwrap(), "--scenes", "2"];
    let few = ["--turns", "2", "--reply-tokens", "24", "--repeats", "1"];
    let settings = ["--set", "engine.kv_cache_mib=64"];
    let report = report(home.path(), &[&arguments[..], &few, &settings].concat());
    assert_eq!((&report["scenes"], &report["replies"]), (&2.into(), &4.into()));
    assert_eq!(report["preset"], "limarp");
    let written = positive(&report["written_tokens"]);
    assert!(written <= 4.0 * 24.0 && positive(&report["depth"]) > 100.0, "{report}");
    assert_eq!(report["step_s"].as_array().unwrap().len(), 5);
    for seconds in report["step_s"].as_array().unwrap() {
        positive(seconds);
    }
    positive(&report["sampling_s"]);
    let drafts = report["drafts"].as_array().unwrap();
    let methods: Vec<_> =
        drafts.iter().map(|draft| json!([draft["matched"], draft["drafted"]])).collect();
    let all = (2..=4).flat_map(|matched| (1..=4).map(move |drafted| json!([matched, drafted])));
    assert_eq!(methods, all.collect::<Vec<_>>());
    for draft in drafts {
        let count = |value: &Value| value.as_u64().unwrap();
        let steps: u64 = draft["steps_by_rows"].as_array().unwrap().iter().map(count).sum();
        // The first token of a reply takes no step; a step writes what it accepts and one
        // more, unless the reply ends with what it accepts.
        let tokens = written - 4.0;
        let per_step = positive(&draft["tokens_per_step"]);
        assert!((per_step - tokens / steps as f64).abs() < 1e-9, "{draft}");
        let without = tokens - count(&draft["accepted_tokens"]) as f64;
        assert!((without..=without + 4.0).contains(&(steps as f64)), "{draft}");
        assert!((0.0..=1.0).contains(&draft["accepted_share"].as_f64().unwrap()), "{draft}");
        assert!(count(&draft["accepted_tokens"]) <= count(&draft["drafted_tokens"]), "{draft}");
        positive(&draft["speed_up"]);
    }
    assert_nothing_left(home.path());
}
