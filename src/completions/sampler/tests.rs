use super::*;

fn read(json: &str) -> Result<Sampling, RequestError> {
    CompletionRequest::from_json(json.as_bytes()).unwrap().sampling()
}

fn params(json: &str) -> SamplerParams {
    read(json).unwrap().params
}

#[test]
fn nothing_asked_for_is_the_models_own_distribution() {
    assert_eq!(read(r#"{"prompt": "a"}"#).unwrap(), {
        Sampling { params: SamplerParams::default(), ignored: Vec::new() }
    });
}

#[test]
fn every_servers_names_set_the_same_field() {
    for (names, field) in [
        (&["repetition_penalty", "rep_pen", "repeat_penalty"][..], 1.2),
        (&["typical_p", "typical"], 0.7),
        (&["tfs", "tfs_z"], 0.9),
    ] {
        let read = |name: &&str| params(&format!(r#"{{"{name}": {field}}}"#));
        let all: Vec<_> = names.iter().map(read).collect();
        assert_ne!(all[0], SamplerParams::default(), "{names:?}");
        assert!(all.iter().all(|params| params == &all[0]), "{names:?}");
    }
    for name in [
        "repetition_penalty_range",
        "rep_pen_range",
        "penalty_range",
        "repetition_range",
        "repeat_last_n",
    ] {
        let of = |tokens: i64| params(&format!(r#"{{"{name}": {tokens}}}"#));
        assert_eq!(of(64).repetition_penalty_range, 64, "{name}");
        assert_eq!(of(-1).repetition_penalty_range, WHOLE, "{name}");
        let none = if name == "repeat_last_n" { 0 } else { WHOLE };
        assert_eq!(of(0).repetition_penalty_range, none, "{name}");
    }
}

#[test]
fn one_field_of_openai_and_one_of_each_sampler_is_taken() {
    let params = params(
        r#"{"temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "top_a": 0.1,
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "rep_pen_slope": 0.7,
        "xtc_threshold": 0.2, "xtc_probability": 0.5, "mirostat": 2, "mirostat_tau": 6,
        "logit_bias": {"13": -2.5}, "banned_tokens": [7], "custom_token_bans": "8, 9",
        "banned_strings": ["shivers", ""], "bad_words": ["spine"]}"#,
    );
    let expected = SamplerParams {
        temperature: 0.8,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.05,
        top_a: 0.1,
        frequency_penalty: 0.5,
        presence_penalty: -0.5,
        repetition_penalty_slope: 0.7,
        xtc: Xtc { threshold: 0.2, probability: 0.5 },
        mirostat: Some(Mirostat { tau: 6.0, eta: 0.1 }),
        logit_bias: [(13, -2.5)].into(),
        banned_tokens: [7, 8, 9].into(),
        banned_strings: vec!["shivers".into(), "spine".into()],
        ..SamplerParams::default()
    };
    assert_eq!(params, expected);
}

#[test]
fn dry_is_on_where_it_has_a_multiplier() {
    assert_eq!(params(r#"{"dry_multiplier": 0, "dry_base": 0}"#).dry, Dry::default());
    let json = r#"{"dry_multiplier": 0.8, "dry_base": 2, "dry_allowed_length": 3,
        "dry_penalty_last_n": 256, "dry_sequence_breakers": "[\"\\n\", \":\"]"}"#;
    let expected = Dry {
        multiplier: 0.8,
        base: 2.0,
        allowed_length: 3,
        range: 256,
        breakers: vec!["\n".into(), ":".into()],
    };
    assert_eq!(params(json).dry, expected);
    let whole = r#"{"dry_multiplier": 1, "dry_range": -1}"#;
    assert_eq!(params(whole).dry, Dry { multiplier: 1.0, ..Dry::default() });
}

#[test]
fn a_temperature_that_moves_is_told_by_range_or_by_bounds() {
    let moves = |min, max, exponent| Some(DynamicTemperature { min, max, exponent });
    for (json, expected) in [
        (r#"{"temperature": 1, "dynatemp_range": 0.5}"#, moves(0.5, 1.5, 1.0)),
        (r#"{"temperature": 0.3, "dynatemp_range": 0.5}"#, moves(0.0, 0.8, 1.0)),
        (
            r#"{"dynatemp_low": 0.5, "dynatemp_high": 1.5, "dynatemp_exponent": 2}"#,
            moves(0.5, 1.5, 2.0),
        ),
        (r#"{"min_temp": 0.5, "max_temp": 1.5, "temp_exponent": 2}"#, moves(0.5, 1.5, 2.0)),
        (r#"{"min_temp": 1, "max_temp": 1}"#, None),
        (r#"{"dynamic_temperature": false, "dynatemp_low": 0, "dynatemp_high": 2}"#, None),
        (r#"{"dynatemp_range": 0}"#, None),
    ] {
        assert_eq!(params(json).dynatemp, expected, "{json}");
    }
}

#[test]
fn what_sillytavern_sends_by_default_is_taken_whole() {
    // `createTextGenGenerationData` of its `textgen-settings.js`, at its defaults.
    let json = r#"{"prompt": "a", "model": "m", "max_new_tokens": 350, "max_tokens": 350,
        "temperature": 0.7, "top_p": 0.5, "typical_p": 1, "typical": 1, "min_p": 0,
        "repetition_penalty": 1.2, "frequency_penalty": 0, "presence_penalty": 0, "top_k": 40,
        "skew": 0, "min_length": 0, "min_tokens": 0, "num_beams": 1, "length_penalty": 1,
        "early_stopping": false, "add_bos_token": true, "smoothing_factor": 0,
        "smoothing_curve": 1, "dry_allowed_length": 2, "dry_multiplier": 0, "dry_base": 1.75,
        "dry_sequence_breakers": "[\"\\n\", \":\", \"\\\"\", \"*\"]", "dry_penalty_last_n": 0,
        "max_tokens_second": 0, "stopping_strings": ["\nYou:"], "stop": ["\nYou:"],
        "truncation_length": 2048, "ban_eos_token": false, "skip_special_tokens": true,
        "include_reasoning": true, "top_a": 0, "tfs": 1, "epsilon_cutoff": 0, "eta_cutoff": 0,
        "mirostat_mode": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "custom_token_bans": "",
        "banned_strings": [], "api_type": "ooba", "api_server": "http://127.0.0.1:8177/",
        "xtc_threshold": 0.1, "xtc_probability": 0, "nsigma": 0, "top_n_sigma": 0, "min_keep": 0,
        "adaptive_target": -0.01, "adaptive_decay": 0.9, "rep_pen": 1.2, "rep_pen_range": 0,
        "repetition_penalty_range": 0, "encoder_repetition_penalty": 1,
        "no_repeat_ngram_size": 0, "penalty_alpha": 0, "temperature_last": true,
        "do_sample": true, "guidance_scale": 1, "negative_prompt": "", "repeat_penalty": 1.2,
        "repeat_last_n": 0, "n_predict": 350, "num_predict": 350, "num_ctx": 2048, "mirostat": 0,
        "ignore_eos": false, "rep_pen_slope": 1, "stream": true}"#;
    let request = CompletionRequest::from_json(json.as_bytes()).unwrap();
    let expected = SamplerParams {
        temperature: 0.7,
        top_p: 0.5,
        top_k: 40,
        repetition_penalty: 1.2,
        repetition_penalty_range: WHOLE,
        ..SamplerParams::default()
    };
    assert_eq!(request.sampling(), Ok(Sampling { params: expected, ignored: Vec::new() }));
    assert_eq!(request.stops(), ["\nYou:"]);
}

#[test]
fn what_is_out_of_range_is_refused_by_the_name_it_was_given() {
    for (json, name) in [
        (r#"{"temperature": -1}"#, "temperature"),
        (r#"{"top_p": 1.5}"#, "top_p"),
        (r#"{"top_k": -2}"#, "top_k"),
        (r#"{"min_p": 2}"#, "min_p"),
        (r#"{"typical": 2}"#, "typical"),
        (r#"{"tfs_z": 2}"#, "tfs_z"),
        (r#"{"repeat_penalty": 9}"#, "repeat_penalty"),
        (r#"{"rep_pen": 9, "rep_pen_range": 64}"#, "rep_pen"),
        (r#"{"rep_pen_slope": 11}"#, "rep_pen_slope"),
        (r#"{"presence_penalty": 3}"#, "presence_penalty"),
        (r#"{"dry_multiplier": -1}"#, "dry_multiplier"),
        (r#"{"dry_multiplier": 1, "dry_base": 0}"#, "dry_base"),
        (r#"{"dry_multiplier": 1, "dry_allowed_length": -1}"#, "dry_allowed_length"),
        (r#"{"xtc_probability": 2}"#, "xtc_probability"),
        (r#"{"mirostat_mode": 1}"#, "mirostat_mode"),
        (r#"{"mirostat": 2, "mirostat_tau": 99}"#, "mirostat_tau"),
        (r#"{"dynatemp_low": 1, "dynatemp_high": 0.5}"#, "dynatemp_high"),
        (r#"{"dynatemp_range": 50}"#, "dynatemp_range"),
        (r#"{"logit_bias": {"1": 200}}"#, "logit_bias"),
        (r#"{"sampler_order": [7]}"#, "sampler_order"),
        (r#"{"sampler_order": [5], "top_k": 40}"#, "sampler_order"),
    ] {
        let error = read(json).unwrap_err();
        assert_eq!(error.name(), Some(name), "{error}");
        assert!(error.to_string().contains(name) || name == "sampler_order", "{error}");
        assert!(!error.to_string().contains("sampling:") || name == "sampler_order", "{error}");
    }
    let long = format!(r#"{{"banned_strings": ["{}"]}}"#, "a".repeat(201));
    assert_eq!(read(&long).unwrap_err().name(), Some("banned_strings"));
    let many = format!(r#"{{"bad_words": [{}"z"]}}"#, {
        (0..256).map(|i| format!(r#""a{i}","#)).collect::<String>()
    });
    assert_eq!(read(&many).unwrap_err().name(), Some("bad_words"));
}

#[test]
fn our_own_extension_is_exact_and_counts_alone() {
    let exact =
        SamplerParams { repetition_penalty_range: 0, ..SamplerParams::preset("creative").unwrap() };
    let request = CompletionRequest {
        temperature: Some(0.1),
        dramatis: Some(crate::completions::Extension {
            sampler: Some(exact.clone()),
            ..Default::default()
        }),
        ..CompletionRequest::default()
    };
    let json = serde_json::to_string(&request).unwrap();
    assert_eq!(params(&json), exact);
    let error = read(r#"{"dramatis": {"sampler": {"top_p": 2}}}"#).unwrap_err();
    assert_eq!(error.name(), Some("top_p"));
}
