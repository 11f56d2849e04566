//! What people's words cost: checking them, and taking them in.

use std::fs;

use serde_json::Value;

use super::{bench, home, positive};
use crate::support::models::small_model;

#[test]
fn checking_and_taking_in_are_measured_against_less_work() {
    let home = home();
    let model = small_model();
    let model = model.to_str().unwrap();
    let moderation = ["moderation", "--rounds", "1", "--texts", "5", "--policy", "strict"];
    let intake = ["intake", "--model", model, "--scenes", "3", "--messages", "12", "--rounds", "1"];
    for (arguments, figures) in [
        (&moderation[..], &["check_us", "check_mb_s", "curses_mb_s", "ratio", "look_us"][..]),
        (&intake, &["messages_s", "bare_messages_s", "ratio", "p50_ms", "p99_ms"]),
    ] {
        let (code, stdout, stderr) = bench(home.path(), &[arguments, &["--json"]].concat());
        assert_eq!(code, Some(0), "{stderr}");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        for figure in figures {
            assert_eq!(report[figure].as_array().unwrap().len(), 1, "{figure}: {stdout}");
            positive(&report[figure][0]);
        }
    }
    let left: Vec<_> = fs::read_dir(home.path().join("data")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let (code, _, told) = bench(home.path(), &["moderation", "--policy", "lax"]);
    assert!(code == Some(1) && told.contains("family, teen, mature, strict"), "{told}");
}
