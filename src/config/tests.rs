use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::*;

const CANARY: &str = "canary-7f3a";

fn options(pairs: &[(&str, &str)], overrides: &[&str]) -> LoadOptions {
    LoadOptions {
        config_file: None,
        overrides: overrides.iter().map(|text| Override::parse(text).unwrap()).collect(),
        environment: Environment::from_pairs(pairs.iter().copied().chain([("HOME", "/home/ada")])),
        working_dir: PathBuf::from("/nonexistent"),
    }
}

fn file(dir: &Path, text: &str) -> LoadOptions {
    let path = dir.join("dramatis.toml");
    std::fs::write(&path, text).unwrap();
    LoadOptions { working_dir: dir.into(), ..options(&[], &[]) }
}

fn error(options: &LoadOptions) -> String {
    Config::load(options).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_complete_and_valid() {
    let config = Config::load(&options(&[], &[])).unwrap();
    assert!(matches!(config.database.url, DatabaseUrl::Embedded));
    assert_eq!(config.model.name, "smollm2-135m-instruct");
    assert_eq!(config.generation.default_length(), Some("medium"));
    assert!(config.describe().iter().all(|setting| setting.origin == "default"));
    assert!(config.describe().len() > 25);
}

#[test]
fn every_key_of_the_defaults_has_a_comment_above() {
    let mut commented = false;
    for line in Config::DEFAULTS.lines() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        let in_table_of_lengths = line.split(" = ").next().is_some_and(|key| {
            ["micro", "tiny", "short", "medium", "long", "massive", "huge", "enormous"]
                .contains(&key)
                || ["humongous", "unlimited", "auto"].contains(&key)
        });
        assert!(!is_key || commented || in_table_of_lengths, "no comment above: {line}");
        commented = line.starts_with('#');
    }
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = file(dir.path(), "[engine]\nthreads = 2\nmax_waiting = 7\nblock_size = 16\n");
    let pairs = [("DRAMATIS_ENGINE__THREADS", "3"), ("DRAMATIS_ENGINE__MAX_WAITING", "8")];
    options.environment = Environment::from_pairs(pairs.into_iter().chain([("HOME", "/h")]));
    options.overrides = vec![Override::parse("engine.threads=4").unwrap()];
    let config = Config::load(&options).unwrap();
    assert_eq!(config.engine.threads, Auto::Set(4));
    assert_eq!(config.engine.max_waiting, 8);
    assert_eq!(config.engine.block_size, 16);
    let origin = |key: &str| {
        let setting = config.describe().iter().find(|setting| setting.key == key);
        setting.unwrap().origin.clone()
    };
    assert_eq!(origin("engine.threads"), "--set");
    assert_eq!(origin("engine.max_waiting"), "DRAMATIS_ENGINE__MAX_WAITING");
    assert!(origin("engine.block_size").ends_with("dramatis.toml"));
    assert_eq!(origin("engine.kv_cache_mib"), "default");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let text = error(&file(dir.path(), "[engine]\nthread = 2\n"));
    assert!(text.contains("dramatis.toml: there is no setting `engine.thread`"), "{text}");
    assert!(text.contains("did you mean `engine.threads`?"), "{text}");
    let text = error(&options(&[("DRAMATIS_DATABSE__URL", "x")], &[]));
    assert_eq!(
        text,
        "DRAMATIS_DATABSE__URL: there is no setting `databse`; did you mean `database`?"
    );
    let text = error(&options(&[], &["poll_ms=3000"]));
    assert_eq!(text, "--set: there is no setting `poll_ms`; did you mean `chat.poll_ms`?");
    let text = error(&options(&[], &["qqqqqq=1"]));
    assert!(text.contains("`dramatis config show` lists them"), "{text}");
}

#[test]
fn wrong_types_and_ranges_name_key_value_and_what_is_allowed() {
    let text = error(&options(&[("DRAMATIS_ENGINE__BLOCK_SIZE", "twelve")], &[]));
    assert!(text.starts_with("DRAMATIS_ENGINE__BLOCK_SIZE: `engine.block_size`"), "{text}");
    assert!(text.contains("\"twelve\"") && text.contains("integer"), "{text}");
    assert_eq!(
        error(&options(&[], &["engine.block_size=12"])),
        "--set: `engine.block_size` is 12, but must be a power of two from 8 to 256"
    );
    assert_eq!(
        error(&options(&[], &["engine.host_cache_mib=63"])),
        "--set: `engine.host_cache_mib` is 63, but must be \"auto\", 0, or a number of MiB from \
         64 to 16777216"
    );
    let text = error(&options(&[], &["engine.threads=many"]));
    assert!(text.contains("engine.threads") && text.contains("whole number"), "{text}");
    let text = error(&options(&[], &["telemetry.format=xml"]));
    assert!(text.contains("telemetry.format") && text.contains("\"json\""), "{text}");
    let text = error(&options(&[], &["generation.length=epic"]));
    assert!(text.contains("one of micro, tiny, short, medium"), "{text}");
    let text = error(&options(&[], &["chat.poll_ms=1"]));
    assert!(text.contains("chat.poll_ms") && text.contains("from 10 to 60000"), "{text}");
}

#[test]
fn broken_toml_names_the_line_and_not_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        error(&file(dir.path(), &format!("[database]\nurl = \"postgres://u:{CANARY}@h/d\n")));
    assert!(text.contains("line 2"), "{text}");
    assert!(!text.contains(CANARY), "{text}");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let mut options = options(&[("DRAMATIS_CONFIG", "/nowhere/a.toml")], &[]);
    assert!(error(&options).contains("/nowhere/a.toml"));
    options.config_file = Some("/nowhere/b.toml".into());
    assert!(error(&options).contains("/nowhere/b.toml"));
}

#[test]
fn secrets_are_never_printed() {
    let url = format!("postgres://me:{CANARY}@db.example/play?password={CANARY}");
    let set = format!("fetch.hub_token={CANARY}");
    let options = options(&[("DRAMATIS_DATABASE__URL", &url)], &[&set]);
    let config = Config::load(&options).unwrap();
    let DatabaseUrl::Server(kept) = &config.database.url else { panic!("a server was named") };
    assert_eq!(kept.expose_secret(), url);
    assert_eq!(config.fetch.hub_token().unwrap().expose_secret(), CANARY);
    for printed in [format!("{config:#?}"), format!("{options:#?}")] {
        assert!(!printed.contains(CANARY), "{printed}");
    }
    let shown: Vec<_> = config.describe().iter().filter(|s| s.value.contains("***")).collect();
    assert_eq!(shown[0].value, "\"postgres://***@db.example/play\"");
    assert_eq!(shown[1].value, "\"***\"");
}

#[test]
fn a_secret_that_looks_like_a_number_is_masked_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::load(&file(dir.path(), "[fetch]\nhub_token = 90210\n")).unwrap();
    assert_eq!(config.fetch.hub_token().unwrap().expose_secret(), "90210");
    assert!(config.describe().iter().all(|setting| !setting.value.contains("90210")));
}

#[test]
fn a_secret_that_is_refused_is_not_printed_either() {
    let text = error(&options(&[("DRAMATIS_DATABASE__URL", CANARY)], &[]));
    assert!(text.contains("begins with postgres://") && !text.contains(CANARY), "{text}");
}

#[test]
fn texts_stay_texts_and_presets_stay_tables() {
    let config = Config::load(&options(
        &[("DRAMATIS_GENERATION__PRESETS__NOIR__TEMPERATURE", "0.9")],
        &["model.name=1234", "generation.presets.noir.dry={ multiplier = 0.8 }"],
    ))
    .unwrap();
    assert_eq!(config.model.name, "1234");
    let noir = &config.generation.presets["noir"];
    assert_eq!(noir["temperature"], 0.9);
    assert_eq!(noir["dry"]["multiplier"], 0.8);
}

#[test]
fn adapters_are_paths_alone_or_with_a_scale() {
    let adapters = |set: &str| {
        let config = Config::load(&options(&[], &[set])).unwrap();
        config.model.adapters.into_iter().map(|a| (a.path, a.scale)).collect::<Vec<_>>()
    };
    let at = |path: &str, scale: f32| (PathBuf::from(path), scale);
    assert_eq!(adapters("model.adapters=[]"), []);
    assert_eq!(adapters("model.adapters=~/limarp"), [at("/home/ada/limarp", 1.0)]);
    assert_eq!(
        adapters(r#"model.adapters=["a", { path = "/b", scale = 0.5 }]"#),
        [at("/nonexistent/a", 1.0), at("/b", 0.5)]
    );
    for (set, reason) in [
        (r#"model.adapters=[{ path = "a", scale = 0.0 }]"#, "scale 0"),
        (r#"model.adapters=[{ path = "a", scales = 1.0 }]"#, "{ path = …, scale = … }"),
        (r#"model.adapters=[""]"#, "an empty path"),
        ("model.adapters=7", "a list of paths"),
    ] {
        let text = error(&options(&[], &[set]));
        assert!(text.contains("model.adapters") && text.contains(reason), "{set}: {text}");
    }
}

#[test]
fn the_limits_of_the_queue_are_each_at_most_as_large_as_the_next() {
    let refused = |set: &str| error(&options(&[], &[set]));
    for (set, key) in [
        ("chat.max_waiting_per_person=0", "chat.max_waiting_per_person"),
        ("chat.max_replies_in_a_row=0", "chat.max_replies_in_a_row"),
        ("chat.max_waiting_per_person=51", "chat.max_waiting_per_person"),
        ("chat.max_waiting_per_guild=501", "chat.max_waiting_per_guild"),
        ("chat.max_waiting=100001", "chat.max_waiting"),
    ] {
        assert!(refused(set).contains(key), "{set}: {}", refused(set));
    }
    Config::load(&options(&[], &["chat.max_waiting_per_person=50"])).unwrap();
}

#[test]
fn the_data_directory_is_the_platforms_or_the_given_one() {
    let dir = |pairs: &[(&str, &str)], overrides: &[&str]| {
        Config::load(&options(pairs, overrides)).unwrap().data_dir
    };
    if cfg!(target_os = "linux") {
        assert_eq!(dir(&[], &[]), Path::new("/home/ada/.local/share/dramatis"));
        assert_eq!(dir(&[("XDG_DATA_HOME", "/x")], &[]), Path::new("/x/dramatis"));
        assert_eq!(
            dir(&[("XDG_DATA_HOME", "x")], &[]),
            Path::new("/home/ada/.local/share/dramatis")
        );
    }
    assert_eq!(dir(&[("DRAMATIS_DATA_DIR", "~/d")], &[]), Path::new("/home/ada/d"));
    assert_eq!(dir(&[], &["data_dir=rel"]), Path::new("/nonexistent/rel"));
    let mut root = options(&[], &[]);
    root.environment = root.environment.as_root();
    assert_eq!(Config::load(&root).unwrap().data_dir, Path::new("/var/lib/dramatis"));
    let homeless = LoadOptions { environment: Environment::default(), ..options(&[], &[]) };
    assert!(error(&homeless).contains("--data-dir"));
}

#[test]
fn the_hubs_own_variables_fill_what_is_left_at_auto() {
    let pairs = [("HF_ENDPOINT", "http://127.0.0.1:9"), ("HF_TOKEN", CANARY)];
    let config = Config::load(&options(&pairs, &[])).unwrap();
    assert_eq!(config.fetch.hub_endpoint, Auto::Set("http://127.0.0.1:9".into()));
    assert_eq!(config.fetch.hub_token().unwrap().expose_secret(), CANARY);
    let config = Config::load(&options(&pairs, &["fetch.hub_endpoint=http://[::1]:8"])).unwrap();
    assert_eq!(config.fetch.hub_endpoint, Auto::Set("http://[::1]:8".into()));
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_of_our_name_are_no_settings() {
    let pairs = [
        ("DRAMATIS_SERVICE_HOST", "10.0.0.1"),
        ("DRAMATIS_PORT", "tcp://10.0.0.1:80"),
        ("DRAMATIS_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    Config::load(&options(&pairs, &[])).unwrap();
}
