use proptest::prelude::*;

use super::*;
use crate::sampling::SamplerStage;

fn file(text: &str) -> PresetFile {
    PresetFile::read_json(text, &Limits::default()).unwrap()
}

fn read(text: &str) -> ReadPreset {
    let read = file(text).to_params().unwrap();
    read.params.validate().unwrap();
    read
}

const TEXT_COMPLETION: &str = r#"{"temp": 0.72, "temperature_last": true, "top_p":0.73, "top_k":-1,
    "typical_p":1, "rep_pen":1.1,"rep_pen_range":0, "rep_pen_slope":0, "dynatemp": true,
    "min_temp":0.5, "max_temp":1.50, "dynatemp_exponent":2, "mirostat_mode":0,
    "dry_multiplier":0.8, "dry_sequence_breakers":"[\"\\n\", \":\"]", "smoothing_factor":0.3,
    "banned_tokens":"[1, 2]\n\"a shiver\"\nwhisper", "xtc_probability":0.5,
    "logit_bias":[{"id":"x","text":"[7]","value":-3.5},{"text":" ministrations","value":-100}],
    "seed":-1, "my own":{"x":[ 1.0 ]}}"#;

#[test]
fn a_text_completion_preset() {
    let ReadPreset { params, lacking } = read(TEXT_COMPLETION);
    assert_eq!(params.temperature, 0.72);
    assert_eq!((params.top_k, params.top_p), (0, 0.73));
    assert_eq!(
        (params.repetition_penalty_range, params.repetition_penalty_slope),
        (1_000_000, 1.0)
    );
    let dynatemp = DynamicTemperature { min: 0.5, max: 1.5, exponent: 2.0 };
    assert_eq!((params.dynatemp, params.mirostat), (Some(dynatemp), None));
    assert_eq!(params.dry.breakers, ["\n", ":"]);
    assert_eq!(params.banned_tokens.iter().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(params.banned_strings, ["a shiver"]);
    assert_eq!(params.logit_bias.get(&7), Some(&-3.5));
    assert_eq!(params.order, SamplerStage::DEFAULT_ORDER);
    let lacking: Vec<_> = lacking.iter().map(|lacking| lacking.key.as_str()).collect();
    assert_eq!(lacking, ["smoothing_factor", "banned_tokens", "logit_bias"]);
}

#[test]
fn a_koboldai_preset() {
    let text = r#"{"temp":1.25,"rep_pen":1,"typical":0.9,"tfs":0.95,"rep_pen_slope":0.9,
        "sampler_order":[5,0,1,2,3,4],"mirostat":1,"mirostat_tau":5,"mirostat_eta":0.1}"#;
    let ReadPreset { params, lacking } = read(text);
    assert_eq!(file(text).kind(), PresetKind::Kobold);
    assert_eq!((params.typical_p, params.tfs), (0.9, 0.95));
    assert_eq!(params.mirostat, Some(Mirostat { tau: 5.0, eta: 0.1 }));
    use SamplerStage::{
        Dry, MinP, RepetitionPenalty, Temperature, Tfs, TopA, TopK, TopP, TypicalP, Xtc,
    };
    assert_eq!(
        params.order,
        [Dry, RepetitionPenalty, Temperature, TopK, TopA, TopP, MinP, Tfs, TypicalP, Xtc]
    );
    assert_eq!(lacking.len(), 1);
    assert_eq!(lacking[0].to_string(), "mirostat = 1: only version 2 is there; it is taken");
}

#[test]
fn the_order_that_was_changed_is_the_one_that_was_meant() {
    let first = |extra: &str| {
        let order = read(&format!(r#"{{"temp":1,{extra}}}"#)).params.order;
        order
            .into_iter()
            .find(|stage| *stage != SamplerStage::Dry && *stage != SamplerStage::RepetitionPenalty)
    };
    let default = r#""sampler_order":[6,0,1,3,4,2,5]"#;
    assert_eq!(first(default), Some(SamplerStage::TopK));
    assert_eq!(
        first(&format!(r#"{default},"temperature_last":false"#)),
        Some(SamplerStage::Temperature)
    );
    assert_eq!(
        first(&format!(r#"{default},"samplers":["min_p","top_k"]"#)),
        Some(SamplerStage::MinP)
    );
    let priority = r#""sampler_priority":["xtc","dynamic_temperature","temperature"]"#;
    assert_eq!(first(&format!("{default},{priority}")), Some(SamplerStage::Xtc));
    assert_eq!(first(r#""sampler_order":[6,3,0,1,4,2,5]"#), Some(SamplerStage::Tfs));
    assert_eq!(first(r#""sampler_order":[6,6]"#), Some(SamplerStage::TopK), "nonsense");
}

#[test]
fn what_is_not_changed_keeps_its_spelling() {
    let file = file(TEXT_COMPLETION);
    let ReadPreset { params, .. } = file.to_params().unwrap();
    assert_eq!(file.with_params(&params), file);
    let hotter = SamplerParams { temperature: 0.9, ..params };
    let written = file.with_params(&hotter).to_json();
    assert_eq!(written, file.to_json().replace("0.72", "0.9"));
    assert!(written.contains(r#""my own":{"x":[ 1.0 ]}"#));
}

#[test]
fn what_is_no_preset_is_refused() {
    let error = |text| PresetFile::read_json(text, &Limits::default()).unwrap_err().kind();
    assert_eq!(error("{}"), "unknown_format");
    assert_eq!(error("[]"), "type");
    assert_eq!(error(r#"{"temp":"#), "json");
    assert_eq!(file(r#"{"temp":[1]}"#).to_params().unwrap_err().kind(), "type");
}

/// Any parameters that a preset can say.
fn params() -> impl Strategy<Value = SamplerParams> {
    let numbers = (0.0f32..10.0, 0usize..1_000, 0.0f32..1.0, 0.5f32..5.0, 1usize..1_000_000);
    let order = Just(SamplerStage::DEFAULT_ORDER.to_vec()).prop_shuffle();
    let bans = prop::collection::vec("[^\\n]{1,9}", 0..3);
    let some = (any::<bool>(), any::<bool>(), prop::collection::btree_set(any::<u32>(), 0..3));
    (numbers, order, bans, some).prop_map(
        |((temperature, top_k, top_p, penalty, range), order, bans, some)| {
            let (dynatemp, mirostat, banned_tokens) = some;
            let dynatemp =
                dynatemp.then_some(DynamicTemperature { min: top_p, max: 3.5, exponent: 1.0 });
            let mirostat = mirostat.then_some(Mirostat { tau: temperature, eta: top_p });
            let mut params = SamplerParams {
                temperature,
                top_k,
                top_p,
                order,
                dynatemp,
                mirostat,
                banned_tokens,
                repetition_penalty: penalty,
                repetition_penalty_range: range,
                banned_strings: bans.clone(),
                ..SamplerParams::default()
            };
            params.dry.breakers = bans;
            params.logit_bias = params.banned_tokens.iter().map(|id| (*id, penalty)).collect();
            params
        },
    )
}

proptest! {
    #[test]
    fn parameters_survive_the_way_there_and_back(params in params()) {
        let file = PresetFile::from_params(&params);
        let again = PresetFile::read_json(&file.to_json(), &Limits::default()).unwrap();
        let read = again.to_params().unwrap();
        prop_assert_eq!(&read.params, &params, "{}", file.to_json());
        prop_assert!(read.lacking.is_empty(), "{:?}", read.lacking);
    }

    #[test]
    fn any_object_is_read_to_valid_parameters_or_refused(
        fields in prop::collection::btree_map(
            prop_oneof![
                Just("temp"), Just("top_k"), Just("rep_pen"), Just("rep_pen_range"), Just("sampler_order"),
                Just("dynatemp"), Just("min_temp"), Just("max_temp"), Just("mirostat_mode"), Just("mirostat_tau"),
                Just("dry_sequence_breakers"), Just("banned_tokens"), Just("logit_bias"), Just("samplers"),
            ],
            prop_oneof![
                "-?[0-9]{1,9}(\\.[0-9]{1,3})?".prop_filter("JSON", |n| !n.trim_start_matches('-').starts_with('0')),
                Just("[1,2,3]".to_owned()), Just("\"[1]\\n\\\"a\\\"\\nx\"".to_owned()), Just("true".to_owned()),
                Just("{\"a\":1}".to_owned()), Just("null".to_owned()), Just("[{\"text\":\"[1]\",\"value\":9}]".to_owned()),
            ],
            0..9,
        )
    ) {
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let text = format!("{{\"top_p\":1,{}}}", fields.join(",")).replace(",}", "}");
        let file = file(&text);
        if let Ok(read) = file.to_params() {
            prop_assert_eq!(read.params.validate(), Ok(()), "{}", text);
            prop_assert_eq!(file.with_params(&read.params).to_json(), file.to_json());
        }
    }
}
