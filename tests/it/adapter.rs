//! LoRA adapters: logits against PEFT's, what is refused, and merged models against the
//! same adapters added while loading.

use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::DType;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use dramatis::engine::LoadedModel;
use dramatis::model::{
    Adapter, AdapterOptions, Backend, BatchSequence, LoadOptions, LogitRows, Merge, MergeOptions,
    MergeReport, MergeType, Model, ModelError, ModelFile, SlidingWindow, WeightType, inspect,
};
use serde_json::{Value as Json, json};

use crate::support::adapters::Lora;
use crate::support::models::small_model;
use crate::support::{json_fixture, tiny};

type Rows = Vec<Vec<f32>>;

/// The references are rounded to 1e-4, and f32 sums differ in order.
const REFERENCE_TOLERANCE: f32 = 3e-4;
/// Our kernels keep keys and values in half precision.
const TINY_TOLERANCE: f32 = 5e-2;

fn logits(model: &Model, tokens: &[u32]) -> Rows {
    let mut kv = model.kv_cache(8, 16).unwrap();
    let block_table = &[3, 1, 0, 2];
    let sequence = BatchSequence { tokens, position: 0, block_table, logits: LogitRows::All };
    let logits = model.forward(&[sequence], &mut kv).unwrap();
    logits.rows().map(<[f32]>::to_vec).collect()
}

fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[track_caller]
fn assert_close(a: &[Vec<f32>], b: &[Vec<f32>], tolerance: f32) {
    let difference = difference(a, b);
    assert!(difference <= tolerance, "logits differ by {difference}, more than {tolerance}");
}

fn with(adapters: &[AdapterOptions]) -> LoadOptions {
    LoadOptions { adapters: adapters.to_vec(), ..LoadOptions::default() }
}

fn on_candle(options: &LoadOptions) -> LoadOptions {
    LoadOptions { backend: Backend::reference(), ..options.clone() }
}

fn plain(path: &Path) -> Model {
    Model::load(path, &LoadOptions::default()).unwrap()
}

/// A case of `fixtures/adapter_logits.py`, its base and adapters on disk.
struct Case {
    home: tempfile::TempDir,
    config: Json,
    adapters: Vec<AdapterOptions>,
    tokens: Vec<u32>,
    unmerged: Rows,
    merged: Rows,
}

const CASES: [&str; 7] = [
    "all linear layers",
    "rank-stabilized, with patterns",
    "one layer, by a list",
    "a pattern, embedding and output",
    TIED,
    "whole modules",
    "two adapters",
];
const TIED: &str = "embedding and output of a tied model";

impl Case {
    fn new(name: &str) -> Self {
        let case = json_fixture("adapter_logits.json")[name].take();
        let field = |key: &str| case[key].clone();
        let home = tempfile::tempdir().unwrap();
        let adapters = case["adapters"].as_array().unwrap().iter().map(|adapter| {
            let mut lora = Lora::of_fixture(adapter);
            if name == TIED {
                // What PEFT keeps as the output's base is the embedding.
                let kept = lora.tensors.keys().find(|key| key.contains("lm_head.base_layer"));
                let kept = kept.unwrap().clone();
                let embedding = &lora.tensors[&kept.replace("lm_head", "model.embed_tokens")];
                let embedding = embedding.clone();
                lora.tensors.insert(kept, embedding);
            }
            AdapterOptions {
                path: lora.write(home.path(), adapter["name"].as_str().unwrap()),
                scale: adapter["scale"].as_f64().unwrap() as f32,
            }
        });
        let adapters = adapters.collect();
        let base = home.path().join("base");
        std::fs::create_dir(&base).unwrap();
        tiny::write_safetensors(&base, &case["config"], DType::F32, 2);
        tiny::gguf(&case["config"], GgmlDType::F32, None).write(&home.path().join("base.gguf"));
        Self {
            home,
            config: field("config"),
            adapters,
            tokens: serde_json::from_value(field("tokens")).unwrap(),
            unmerged: serde_json::from_value(field("unmerged")).unwrap(),
            merged: serde_json::from_value(field("merged")).unwrap(),
        }
    }

    /// The base as safetensors.
    fn base(&self) -> PathBuf {
        self.home.path().join("base")
    }

    /// Options with the adapters, and with the window that GGUF files do not tell.
    fn options(&self) -> LoadOptions {
        let window = self.config["sliding_window"].as_u64();
        let window =
            window.map_or(SlidingWindow::AsStated, |n| SlidingWindow::Positions(n as usize));
        LoadOptions { sliding_window: window, ..with(&self.adapters) }
    }
}

#[test]
fn adapters_added_while_loading_agree_with_peft() {
    for name in CASES {
        let case = Case::new(name);
        for base in [case.base(), case.home.path().join("base.gguf")] {
            let options = case.options();
            let ours = logits(&Model::load(&base, &options).unwrap(), &case.tokens);
            let reference =
                logits(&Model::load(&base, &on_candle(&options)).unwrap(), &case.tokens);
            let worst = difference(&reference, &case.unmerged);
            assert!(worst <= REFERENCE_TOLERANCE, "{name}, {}: {worst}", base.display());
            let worst = difference(&ours, &case.unmerged);
            assert!(worst <= TINY_TOLERANCE, "{name}, {}: {worst}", base.display());
            assert!(difference(&logits(&plain(&base), &case.tokens), &case.unmerged) > 1.0);
            // PEFT merges an update of a tied output into the embedding too, which changes
            // what the model computes; we compute what was trained.
            let worst = difference(&reference[reference.len() - 1..], &case.merged);
            assert_eq!(worst <= REFERENCE_TOLERANCE, name != TIED, "{name}: {worst}");
        }
    }
}

#[test]
fn the_small_model_with_an_adapter_agrees_with_peft() {
    let reference = &json_fixture("adapter_logits.json")["the small model"];
    let tokens: Vec<u32> = serde_json::from_value(reference["tokens"].clone()).unwrap();
    let num_layers = inspect(&small_model()).unwrap().config.num_layers;
    let home = tempfile::tempdir().unwrap();
    let lora = Lora::of_fixture_with_layers(&reference["adapters"][0], num_layers);
    let options = LoadOptions {
        weight_type: Some(WeightType::F32),
        ..with(&[AdapterOptions::new(lora.write(home.path(), "small"))])
    };
    let worst = |ours: &Rows, rows: &Json| {
        let mut worst = 0f32;
        for row in rows.as_array().unwrap() {
            let position = row["position"].as_u64().unwrap() as usize;
            for (id, expected) in row["logits"].as_object().unwrap() {
                let ours = ours[position][id.parse::<usize>().unwrap()];
                worst = worst.max((ours - expected.as_f64().unwrap() as f32).abs());
            }
        }
        worst
    };
    let ours = logits(&Model::load(&small_model(), &options).unwrap(), &tokens);
    let candle = logits(&Model::load(&small_model(), &on_candle(&options)).unwrap(), &tokens);
    for peft in ["unmerged", "merged"] {
        let (ours, candle) = (worst(&ours, &reference[peft]), worst(&candle, &reference[peft]));
        assert!(ours < 3e-2 && candle < 3e-3, "{peft}: {ours}, {candle}");
    }
    let without = Model::load(&small_model(), &LoadOptions { adapters: vec![], ..options });
    assert!(worst(&logits(&without.unwrap(), &tokens), &reference["unmerged"]) > 1.0);
}

#[test]
fn a_fingerprint_follows_adapters_and_their_scales() {
    let case = Case::new("two adapters");
    let fingerprint = |adapters: &[AdapterOptions]| {
        Model::load(&case.base(), &with(adapters)).unwrap().fingerprint().to_owned()
    };
    let [one, two] = [&case.adapters[0], &case.adapters[1]];
    let scaled = AdapterOptions { scale: 0.25, ..one.clone() };
    let fingerprints = [
        fingerprint(&[]),
        fingerprint(std::slice::from_ref(one)),
        fingerprint(&[scaled]),
        fingerprint(std::slice::from_ref(two)),
        fingerprint(&[one.clone(), two.clone()]),
    ];
    for (index, fingerprint) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..index].contains(fingerprint), "{index}");
    }
    assert_eq!(fingerprints[0], plain(&case.base()).fingerprint());
}

/// An update that PEFT would not take back for linear layers either, halves, and other
/// names of the same tensors.
#[test]
fn what_other_versions_write_is_read_alike() {
    let case = Case::new("rank-stabilized, with patterns");
    let expected = logits(&Model::load(&case.base(), &with(&case.adapters)).unwrap(), &case.tokens);
    let fixture = json_fixture("adapter_logits.json");
    let mut lora = Lora::of_fixture(&fixture["rank-stabilized, with patterns"]["adapters"][0]);
    lora.config["fan_in_fan_out"] = true.into();
    let renamed =
        lora.tensors.drain().map(|(name, t)| (name.replace(".weight", ".default.weight"), t));
    lora.tensors = renamed.collect();
    let path = lora.write(case.home.path(), "renamed");
    let renamed = Model::load(&case.base(), &with(&[AdapterOptions::new(path)])).unwrap();
    assert_eq!(logits(&renamed, &case.tokens), expected);
    for (dtype, tolerance) in [(DType::F16, 0.1), (DType::BF16, 0.8)] {
        let path = lora.to_dtype(dtype).write(case.home.path(), "half");
        let half = Model::load(&case.base(), &with(&[AdapterOptions::new(path)])).unwrap();
        assert_close(&logits(&half, &case.tokens), &expected, tolerance);
    }
}

/// The tiny base of the refusals, and what is said of a spoiled adapter on it.
fn refusal(spoil: &dyn Fn(&mut Lora)) -> String {
    let case = json_fixture("adapter_logits.json")["all linear layers"].take();
    let home = tempfile::tempdir().unwrap();
    tiny::write_safetensors(home.path(), &case["config"], DType::F32, 1);
    let mut lora = Lora::tiny(&case["config"]);
    spoil(&mut lora);
    let path = lora.write(home.path(), "lora");
    let error = Model::load(home.path(), &with(&[AdapterOptions::new(&path)])).unwrap_err();
    assert!(["adapter", "corrupt"].contains(&error.kind()), "{error}");
    error.to_string().replace(&home.path().display().to_string(), "DIR")
}

const QUERY: &str = "base_model.model.model.layers.0.self_attn.q_proj";

#[test]
fn adapters_that_do_not_fit_are_refused_with_the_reason() {
    let set =
        |key: &'static str, value: Json| move |lora: &mut Lora| lora.config[key] = value.clone();
    let shaped = |name: String, shape: [usize; 2]| {
        move |lora: &mut Lora| drop(lora.tensors.insert(name.clone(), tiny::formula("x", &shape)))
    };
    let (down, up) = (format!("{QUERY}.lora_A.weight"), format!("{QUERY}.lora_B.weight"));
    let refusals = [
        refusal(&shaped(down.clone(), [4, 48])),
        refusal(&shaped(up.clone(), [48, 4])),
        refusal(&shaped(up.clone(), [32, 8])),
        refusal(&set("r", 8.into())),
        refusal(&|lora| drop(lora.tensors.remove(&up))),
        refusal(&|lora| lora.tensors.retain(|name, _| !name.starts_with(QUERY))),
        refusal(&shaped(
            "base_model.model.model.layers.2.mlp.up_proj.lora_A.weight".into(),
            [4, 32],
        )),
        refusal(&set("target_modules", json!(["q_proj", "k_proj"]))),
        refusal(&set("modules_to_save", json!(["lm_head"]))),
        refusal(&set("use_dora", true.into())),
        refusal(&set("lora_bias", true.into())),
        refusal(&set("bias", "all".into())),
        refusal(&set("alora_invocation_tokens", json!([1, 2]))),
        refusal(&set("peft_type", "IA3".into())),
        refusal(&set("init_lora_weights", "pissa".into())),
        refusal(&set("use_something_new", 3.into())),
        refusal(&set("target_modules", Json::Null)),
        refusal(&shaped("model.layers.0.x.lora_A.weight".into(), [4, 32])),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    the adapter DIR/lora cannot be used: tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` has shape [4, 48], but this base asks for [4, 32]: it was made for another base (it was trained on `somebody/tiny`)
    the adapter DIR/lora cannot be used: tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight` has shape [48, 4], but this base asks for [32, 4]: it was made for another base (it was trained on `somebody/tiny`)
    the adapter DIR/lora cannot be used: `model.layers.0.self_attn.q_proj` has rank 4 in `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` and 8 in `base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight`, but its settings say 4
    the adapter DIR/lora cannot be used: `model.layers.0.self_attn.q_proj` has rank 4 in `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` and 4 in `base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight`, but its settings say 8
    the adapter DIR/lora cannot be used: `model.layers.0.self_attn.q_proj` has no lora_B: the file is incomplete
    the adapter DIR/lora cannot be used: its settings adapt `model.layers.0.self_attn.q_proj`, but its tensors have none for it: the file is incomplete
    the adapter DIR/lora cannot be used: it adapts `model.layers.2.mlp.up_proj`, which this base of 2 layers does not have (it was trained on `somebody/tiny`)
    the adapter DIR/lora cannot be used: it has tensors for `model.layers.0.self_attn.v_proj`, which its settings do not adapt: the two files do not belong together
    the adapter DIR/lora cannot be used: `modules_to_save` names `lm_head`, but its tensors have none for it
    the adapter DIR/lora/adapter_config.json cannot be used: `use_dora` is set: DoRA scales each row by a learned magnitude, which is not supported
    the adapter DIR/lora/adapter_config.json cannot be used: `lora_bias` is set: its updates have biases, which is not supported
    the adapter DIR/lora/adapter_config.json cannot be used: `bias` is `all`; supported are layers without biases
    the adapter DIR/lora/adapter_config.json cannot be used: `alora_invocation_tokens` is set: aLoRA is active only after certain tokens, which is not supported
    the adapter DIR/lora/adapter_config.json cannot be used: its peft_type is `IA3`; supported is `LORA`
    the adapter DIR/lora/adapter_config.json cannot be used: `init_lora_weights` is `pissa`, which changes the base before training; save it with PEFT's `path_initial_model_for_weight_conversion` to make a plain LoRA of it
    the adapter DIR/lora/adapter_config.json cannot be used: it sets `use_something_new` to 3, which is not known here and may change what it computes
    the adapter DIR/lora/adapter_config.json cannot be used: it names no `target_modules`
    the adapter DIR/lora/adapter_model.safetensors cannot be used: tensor `model.layers.0.x.lora_A.weight` is named unlike PEFT's, which begin with `base_model.model.`
    ");
}

#[test]
fn files_that_are_no_adapters_are_refused_with_the_reason() {
    let case = Case::new("all linear layers");
    let home = case.home.path();
    let refuse = |path: &Path| {
        let error = Model::load(&case.base(), &with(&[AdapterOptions::new(path)])).unwrap_err();
        error.to_string().replace(&home.display().to_string(), "DIR")
    };
    let lora = Lora::tiny(&case.config).write(home, "lora");
    let tensors = lora.join("adapter_model.safetensors");
    let bytes = std::fs::read(&tensors).unwrap();
    for len in [0, 9, 100, bytes.len() - 1] {
        std::fs::write(&tensors, &bytes[..len]).unwrap();
        let error = refuse(&lora);
        assert!(error.contains("is damaged"), "{len}: {error}");
    }
    std::fs::rename(&tensors, lora.join("adapter_model.bin")).unwrap();
    let pickled = refuse(&lora);
    assert!(pickled.contains("pickled") && pickled.contains("weights_only=True"), "{pickled}");
    std::fs::remove_file(lora.join("adapter_model.bin")).unwrap();
    std::fs::write(lora.join("adapter_config.json"), "[]").unwrap();
    let refusals = [refuse(&lora), refuse(&home.join("nowhere")), refuse(&case.base()), {
        std::fs::write(lora.join("adapter_model.safetensors"), &bytes).unwrap();
        refuse(&lora)
    }];
    insta::assert_snapshot!(refusals.join("\n"), @"
    the adapter DIR/lora cannot be used: it holds no adapter_model.safetensors
    cannot read DIR/nowhere: No such file or directory (os error 2)
    the adapter DIR/base cannot be used: it holds no adapter_config.json; give the directory that PEFT's `save_pretrained` wrote
    the adapter DIR/lora/adapter_config.json cannot be used: it is no JSON object (invalid type: sequence, expected a map at line 1 column 0)
    ");
    let zero = AdapterOptions { scale: 0.0, ..case.adapters[0].clone() };
    let error = Model::load(&case.base(), &with(&[zero])).unwrap_err().to_string();
    assert!(error.contains("its scale is 0"), "{error}");
    assert!(Adapter::is_at(&case.adapters[0].path) && !Adapter::is_at(&case.base()));
}

/// Merges onto a base and describes it.
fn merge(base: &Path, options: &MergeOptions) -> Result<MergeReport, ModelError> {
    let base = ModelFile::open(base)?;
    let merge = Merge::plan(&base, options)?;
    let (num_tensors, mut done) = (merge.num_tensors(), 0);
    let report = merge.run(&mut || done += 1)?;
    assert_eq!((done, report.num_tensors), (num_tensors, num_tensors));
    Ok(report)
}

fn options(adapters: &[AdapterOptions], output: PathBuf, form: MergeType) -> MergeOptions {
    // Any tokenizer does where nobody reads it.
    let tokenizer = vec![("tokenizer.ggml.model".to_owned(), Value::String("none".into()))];
    MergeOptions {
        adapters: adapters.to_vec(),
        output,
        weight_type: Some(form),
        overwrite: false,
        tokenizer,
        num_threads: 2.try_into().unwrap(),
    }
}

/// A tiny Mistral whose rows are whole blocks of every type, as safetensors and GGUF, and
/// an adapter for it.
struct Wide {
    home: tempfile::TempDir,
    bases: [PathBuf; 2],
    adapter: AdapterOptions,
    tokens: Vec<u32>,
}

impl Wide {
    fn new() -> Self {
        let mut config = json_fixture("adapter_logits.json")["all linear layers"]["config"].take();
        config["hidden_size"] = 256.into();
        config["intermediate_size"] = 256.into();
        config["head_dim"] = 64.into();
        let home = tempfile::tempdir().unwrap();
        let bases = [home.path().join("base"), home.path().join("base.gguf")];
        std::fs::create_dir(&bases[0]).unwrap();
        tiny::write_safetensors(&bases[0], &config, DType::F32, 2);
        tiny::gguf(&config, GgmlDType::F32, None).write(&bases[1]);
        let path = Lora::tiny(&config).write(home.path(), "lora");
        let adapter = AdapterOptions { path, scale: 0.5 };
        Self {
            home,
            bases,
            adapter,
            tokens: (0..12).map(|i| (i * i * 7 + 3 * i + 1) % 64).collect(),
        }
    }

    /// Logits of the base with the adapter added while loading.
    fn added(&self, base: &Path, weight_type: WeightType) -> Rows {
        let options = LoadOptions {
            weight_type: Some(weight_type),
            sliding_window: SlidingWindow::Positions(5),
            ..with(std::slice::from_ref(&self.adapter))
        };
        logits(&Model::load(base, &options).unwrap(), &self.tokens)
    }

    /// Logits of a merged model.
    fn merged(&self, path: &Path) -> Rows {
        let options =
            LoadOptions { sliding_window: SlidingWindow::Positions(5), ..LoadOptions::default() };
        logits(&Model::load(path, &options).unwrap(), &self.tokens)
    }
}

#[test]
fn merged_models_compute_what_adapters_added_while_loading_do() {
    let wide = Wide::new();
    let exact = wide.added(&wide.bases[0], WeightType::F32);
    let adapters = std::slice::from_ref(&wide.adapter);
    for base in &wide.bases {
        for (form, same) in [
            (MergeType::F16, WeightType::F16),
            (MergeType::Bf16, WeightType::BF16),
            (MergeType::Q8_0, WeightType::Q8_0),
            (MergeType::Q6K, WeightType::Q6K),
        ] {
            let output = wide.home.path().join(format!("{form}.gguf"));
            let options =
                MergeOptions { overwrite: true, ..options(adapters, output.clone(), form) };
            merge(base, &options).unwrap();
            // Rounded once, to the same type: the same bits.
            assert_eq!(wide.merged(&output), wide.added(base, same), "{form}");
        }
        // Mixed types lose less than four bits everywhere would.
        for (form, most) in [(MergeType::Q4KM, 3.0), (MergeType::Q4_0, 3.0)] {
            let output = wide.home.path().join(format!("{form}.gguf"));
            let options =
                MergeOptions { overwrite: true, ..options(adapters, output.clone(), form) };
            merge(base, &options).unwrap();
            let loss = difference(&wide.merged(&output), &exact);
            assert!(loss < most, "{form}: {loss}");
        }
    }
    for (form, most) in [(MergeType::F16, 0.02), (MergeType::Bf16, 0.1)] {
        let output = wide.home.path().join(form.name());
        merge(&wide.bases[0], &options(adapters, output.clone(), form)).unwrap();
        let loss = difference(&wide.merged(&output), &exact);
        assert!(loss < most, "safetensors, {form}: {loss}");
        let info = inspect(&output).unwrap();
        assert_eq!((info.format, info.quantization), ("safetensors", form.name().to_uppercase()));
    }
    assert!(difference(&wide.merged(&wide.bases[0]), &exact) > 1.0);
}

#[test]
fn a_report_tells_what_changed_and_by_how_much() {
    let wide = Wide::new();
    let output = wide.home.path().join("merged.gguf");
    let adapters = std::slice::from_ref(&wide.adapter);
    let report = merge(&wide.bases[0], &options(adapters, output, MergeType::F16)).unwrap();
    assert_eq!((report.format, report.weights, report.untied), ("GGUF", "f16", false));
    assert_eq!((report.num_tensors, report.num_changed), (2 * 9 + 3, 2 * 7));
    assert_eq!(report.adapters[0].info.base.as_deref(), Some("somebody/tiny"));
    let modules: Vec<_> =
        report.modules.iter().map(|m| (m.module.as_str(), m.num_layers)).collect();
    let kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    assert_eq!(modules, kinds.map(|kind| (kind, 2)));
    let query = &report.modules[0];
    assert_eq!((&query.ranks[..], &query.scales[..]), (&[4][..], &[0.5][..]));
    // The same by definition, for the first query matrix.
    let module = "model.layers.0.self_attn.q_proj";
    let weight = |name: &str, shape: &[usize]| tiny::formula(name, shape);
    let down = weight(&format!("tiny/base_model.model.{module}.lora_A.weight"), &[4, 256]);
    let up = weight(&format!("tiny/base_model.model.{module}.lora_B.weight"), &[256, 4]);
    let norm = |t: &candle_core::Tensor| {
        t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt()
    };
    let base = norm(&weight(&format!("{module}.weight"), &[256, 256]));
    let expected = f64::from(0.5 * norm(&up.matmul(&down).unwrap()) / base);
    let norms = query.relative_norms.unwrap();
    assert!(norms.min <= norms.median && norms.median <= norms.max);
    let near = |norm: f64| (norm - expected).abs() < 1e-4 * expected;
    assert!(near(norms.min) || near(norms.max), "{norms:?}, but {expected}");
}

#[test]
fn a_tied_output_becomes_its_own_where_an_adapter_changes_it() {
    let case = Case::new(TIED);
    for (name, form) in [("merged", MergeType::F16), ("merged.gguf", MergeType::F16)] {
        let output = case.home.path().join(name);
        let report = merge(&case.base(), &options(&case.adapters, output.clone(), form)).unwrap();
        assert!(report.untied);
        let merged = logits(&plain(&output), &case.tokens);
        assert_close(&merged, &case.unmerged, 0.2);
        assert!(!ModelFile::open(&output).unwrap().has_tied_embeddings());
    }
    let config = std::fs::read(case.home.path().join("merged/config.json")).unwrap();
    let config: Json = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["tie_word_embeddings"], false);
    assert_eq!(config["dtype"], "float16");
}

/// Stretched frequencies go along, from either format.
#[test]
fn a_gguf_keeps_its_rotary_frequencies() {
    let case = json_fixture("tiny_models.json")
        ["llama 3 with stretched rotary frequencies and tied embeddings"]
        .take();
    let expected: Rows = serde_json::from_value(case["logits"].clone()).unwrap();
    let tokens: Vec<u32> = serde_json::from_value(case["tokens"].clone()).unwrap();
    let home = tempfile::tempdir().unwrap();
    tiny::write_safetensors(home.path(), &case["config"], DType::F32, 1);
    let mut lora = Lora::tiny(&case["config"]);
    let ups: Vec<_> = lora.tensors.keys().filter(|name| name.contains("lora_B")).cloned().collect();
    for up in ups {
        // Fresh adapters change nothing.
        let zeros = lora.tensors[&up].zeros_like().unwrap();
        lora.tensors.insert(up, zeros);
    }
    let adapter = AdapterOptions::new(lora.write(home.path(), "lora"));
    let adapters = std::slice::from_ref(&adapter);
    let [first, second] = ["first.gguf", "second.gguf"].map(|name| home.path().join(name));
    merge(home.path(), &options(adapters, first.clone(), MergeType::F16)).unwrap();
    merge(&first, &options(adapters, second.clone(), MergeType::F16)).unwrap();
    for path in [first, second] {
        assert_close(&logits(&plain(&path), &tokens), &expected, 0.05);
    }
}

#[test]
fn a_merge_replaces_nothing_unasked_and_leaves_nothing_half_done() {
    let wide = Wide::new();
    let home = wide.home.path();
    let adapters = std::slice::from_ref(&wide.adapter);
    let refuse = |base: &Path, options: &MergeOptions| {
        let error = merge(base, options).unwrap_err();
        assert_eq!(error.kind(), "write", "{error}");
        error.to_string().replace(&home.display().to_string(), "DIR")
    };
    let at = |name: &str, form| options(adapters, home.join(name), form);
    std::fs::write(home.join("there.gguf"), "mine").unwrap();
    std::fs::create_dir_all(home.join("other")).unwrap();
    std::fs::write(home.join("other/diary.txt"), "mine").unwrap();
    let [directory, gguf] = &wide.bases;
    let forced = |options: MergeOptions| MergeOptions { overwrite: true, ..options };
    let refusals = [
        refuse(directory, &at("there.gguf", MergeType::F16)),
        refuse(directory, &forced(at("other", MergeType::F16))),
        refuse(directory, &forced(at("base", MergeType::F16))),
        refuse(directory, &forced(at("lora", MergeType::F16))),
        refuse(gguf, &forced(at("base.gguf", MergeType::F16))),
        refuse(directory, &at("new", MergeType::Q8_0)),
        refuse(gguf, &at("new", MergeType::F16)),
        refuse(
            directory,
            &MergeOptions { tokenizer: Vec::new(), ..at("new.gguf", MergeType::F16) },
        ),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    cannot write DIR/there.gguf: it is there already; --force replaces it
    cannot write DIR/other: it is a directory of something else
    cannot write DIR/base: the base or an adapter lies there
    cannot write DIR/lora: the base or an adapter lies there
    cannot write DIR/base.gguf: the base or an adapter lies there
    cannot write DIR/new: safetensors hold f16 or bf16, not q8_0; name a .gguf
    cannot write DIR/new: the base is a GGUF, which has neither a config.json nor a tokenizer.json to go beside safetensors: name a .gguf, or take the base's safetensors
    cannot write DIR/new.gguf: the base brings no tokenizer, and a GGUF is of no use without: put its tokenizer.json beside it
    ");
    assert_eq!(std::fs::read(home.join("there.gguf")).unwrap(), b"mine");
    assert_eq!(std::fs::read(home.join("other/diary.txt")).unwrap(), b"mine");

    // What lies beside is nobody's to clear; a model is replaced if asked for.
    std::fs::write(home.join("there.gguf.part"), "mine").unwrap();
    merge(directory, &forced(at("there.gguf", MergeType::F16))).unwrap();
    merge(directory, &at("new", MergeType::F16)).unwrap();
    merge(directory, &forced(at("new", MergeType::Bf16))).unwrap();
    assert_eq!(inspect(&home.join("new")).unwrap().quantization, "BF16");
    assert!(inspect(&home.join("there.gguf")).is_ok());
    let left = std::fs::read_dir(home).unwrap().flatten().map(|entry| entry.file_name());
    let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
    left.sort();
    let all = ["base", "base.gguf", "lora", "new", "other", "there.gguf", "there.gguf.part"];
    assert_eq!(left, all);
}

/// `dramatis` at home in `home`: exit code, standard output and standard error.
fn dramatis(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
    command.args(["--data-dir", "data"]).args(arguments).current_dir(home);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn people_merge_look_and_play_with_adapters() {
    let reference = &json_fixture("adapter_logits.json")["the small model"];
    let small = small_model();
    let small = small.to_str().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let num_layers = inspect(&small_model()).unwrap().config.num_layers;
    let lora = Lora::of_fixture_with_layers(&reference["adapters"][0], num_layers);
    let lora = AdapterOptions::new(lora.write(home, "lora"));

    let (code, info, _) = dramatis(home, &["model", "info", "./lora"]);
    assert_eq!(code, Some(0));
    assert!(info.contains("LoRA adapter") && info.contains("down_proj (30)"), "{info}");
    let merge = ["model", "merge", small, "lora", "-o", "merged.gguf"];
    let (code, stdout, stderr) = dramatis(home, &[&merge[..], &["--dry-run"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("GGUF q8_0, 210 of 272 tensors"), "{stdout}");
    assert!(!home.join("merged.gguf").exists());
    let (code, stdout, stderr) = dramatis(home, &[&merge[..], &["--json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let report: Json = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["num_changed"], &report["weights"]), (&210.into(), &"q8_0".into()));
    assert!(report["modules"][0]["relative_norms"]["median"].as_f64().unwrap() > 0.0);
    let size = std::fs::metadata(home.join("merged.gguf")).unwrap().len();
    assert_eq!(report["size_bytes"], size);
    let (code, _, stderr) = dramatis(home, &merge);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--force"), "{stderr}");
    let (code, _, stderr) = dramatis(home, &[&merge[..], &["--scale", "1,2"]].concat());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("2 numbers, but there are 1 adapters"), "{stderr}");

    // The file is the same model that the settings make, with its tokenizer.
    let loaded = LoadedModel::load(&home.join("merged.gguf"), &LoadOptions::default()).unwrap();
    let tokens = loaded.tokenizer.encode_start("Once upon a time");
    let added =
        LoadOptions { weight_type: Some(WeightType::Q8_0), ..with(std::slice::from_ref(&lora)) };
    let added = Model::load(&small_model(), &added).unwrap();
    assert_eq!(logits(&loaded.model, &tokens), logits(&added, &tokens));

    std::fs::write(home.join("prompts.json"), r#"["The storm came at night, and"]"#).unwrap();
    let greedy = |more: &[&str]| {
        let bench = ["bench", "greedy", "--prompts", "prompts.json", "--tokens", "8", "--json"];
        let (code, stdout, stderr) =
            dramatis(home, &[more, &bench[..], &["--weights", "q8_0"]].concat());
        assert_eq!(code, Some(0), "{stderr}");
        let report: Json = serde_json::from_str(&stdout).unwrap();
        report["continuations"].clone()
    };
    let model = format!("model.name={small}");
    let plain = greedy(&["--set", &model]);
    let adapted = greedy(&["--set", &model, "--set", "model.adapters=[\"lora\"]"]);
    assert_ne!(adapted, plain);
    assert_eq!(adapted, greedy(&["--set", "model.name=./merged.gguf"]));
}
