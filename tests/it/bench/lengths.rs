//! `dramatis bench lengths` and `bench repetition` through the real program, on the real
//! small model.

use std::fs;

use serde_json::Value;

use super::{assert_elements_close, assert_nothing_left, bench, home, report};
use crate::support::models::small_model;

fn share(value: &Value) -> f64 {
    let share = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((0.0..=1.0).contains(&share), "{share}");
    share
}

#[test]
fn every_length_is_measured_at_both_places_in_both_ways_and_a_run_goes_on() {
    let home = home();
    let model = small_model();
    let model = ["lengths", "--model", model.to_str().unwrap()];
    let few = ["--depth", "1", "--reply-tokens", "24", "--likelihoods", "1"];
    let files = ["--record", "record.jsonl", "--plot", "lengths.svg"];
    let settings = ["--set", "engine.kv_cache_mib=64"];
    let all = [&model[..], &few, &files, &settings].concat();
    let once = report(home.path(), &[&all[..], &["--replies", "1"]].concat());
    let figures = once["lengths"].as_array().unwrap();
    assert_eq!(figures.len(), 44, "eleven lengths, two places, two ways");
    for figure in figures {
        assert_eq!(figure["replies"], 1);
        let tokens = figure["median_tokens"].as_f64().unwrap();
        assert!((1.0..=24.0).contains(&tokens), "{figure}");
        assert_eq!(figure["samples"]["tokens"][0], tokens);
        assert!(figure["median_words"].as_f64().unwrap() <= tokens, "{figure}");
        share(&figure["whole"]);
        assert!(figure["likelihood"].as_f64().unwrap() < 0.0, "{figure}");
        if figure["way"] == "kept" && figure["length"] == "micro" {
            assert_eq!(figure["range"], serde_json::json!([6, 36]));
            assert!(tokens >= 6.0, "{figure}");
        }
    }
    let kept = figures.iter().filter(|figure| figure["way"] == "kept");
    let whole: Vec<_> = kept.map(|figure| share(&figure["whole"])).collect();
    assert!(whole.iter().sum::<f64>() >= 0.8 * whole.len() as f64, "{whole:?} end with a sentence");
    assert_elements_close(&fs::read_to_string(home.path().join("lengths.svg")).unwrap());

    // What is there is not written again, and what a run broke off in the middle is.
    let path = home.path().join("record.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    let again = report(home.path(), &[&all[..], &["--replies", "1"]].concat());
    assert_eq!(again["lengths"], once["lengths"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    // Other settings make other replies.
    let other = [&all[..], &["--replies", "1", "--preset", "creative"]].concat();
    let (code, _, stderr) = bench(home.path(), &other);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--record another"), "{stderr}");
    // A model that was never taught the tags has no ranges worth keeping.
    let (code, _, stderr) = bench(home.path(), &[&all[..], &["--replies", "1", "--save"]].concat());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("does not follow the lengths"), "{stderr}");
    assert_nothing_left(home.path());
}

#[test]
fn repetition_is_counted_as_written_and_as_checked() {
    let home = home();
    let model = small_model();
    let arguments = ["repetition", "--model", model.to_str().unwrap(), "--scenes", "1"];
    let few = ["--turns", "4", "--people", "3", "--reply-tokens", "24", "--presets", "limarp"];
    // Every reply counts, so that each is written anew.
    let settings =
        ["--set", "engine.kv_cache_mib=64", "--set", "generation.repetition.overlap=0.0"];
    let plot = ["--plot", "repetition.svg"];
    let report = report(home.path(), &[&arguments[..], &few, &settings, &plot].concat());
    let figures = report["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 2);
    for (figure, checked) in figures.iter().zip([false, true]) {
        assert_eq!((&figure["checked"], &figure["replies"]), (&checked.into(), &4.into()));
        if checked {
            assert_eq!(figure["for_others"], 0, "no reply holds another's line");
        } else {
            assert_eq!(figure["for_others_tokens"], 0.0, "nothing is cut off");
        }
        assert_eq!(share(&figure["first"]), 1.0);
        share(&figure["standing"]);
        share(&figure["for_others_tokens"]);
        assert_eq!(figure["by_turn"].as_array().unwrap().len(), 4);
    }
    assert_elements_close(&fs::read_to_string(home.path().join("repetition.svg")).unwrap());
    assert_nothing_left(home.path());
}
