//! The training recipes keep what the model card records; `check_recipe.py` beside them
//! holds them against Axolotl's schema.

use std::fs;
use std::path::Path;

/// "Training hyperparameters" of LimaRP-Mistral-7B-v0.1, as Axolotl spells them.
const CARD: [&str; 17] = [
    "learning_rate: 0.0005",
    "lr_scheduler: cosine",
    "num_epochs: 2",
    "sequence_len: 9000",
    "lora_r: 256",
    "lora_alpha: 16",
    "lora_dropout: 0.05",
    "lora_target_linear: true",
    "bf16: true",
    "fp16: false",
    "tf32: true",
    "load_in_8bit: true",
    "adapter: lora",
    "micro_batch_size: 2",
    "gradient_accumulation_steps: 32",
    "warmup_steps: 2",
    "optimizer: adamw_torch",
];

/// The settings of a recipe, without comments.
fn settings(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/training").join(name);
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn every_hyperparameter_of_the_card_is_in_both_passes() {
    let first = settings("axolotl-limarp-mistral-7b.yaml");
    let second = settings("axolotl-limarp-mistral-7b-second-pass.yaml");
    for wanted in CARD {
        for recipe in [&first, &second] {
            assert_eq!(recipe.iter().filter(|line| *line == wanted).count(), 1, "{wanted}");
        }
    }
    // The second goes on with the adapter of the first, and differs in nothing else.
    let own: Vec<&String> = second.iter().filter(|line| !first.contains(line)).collect();
    assert_eq!(own, ["lora_model_dir: ./first-pass", "output_dir: ./second-pass"]);
    let own: Vec<&String> = first.iter().filter(|line| !second.contains(line)).collect();
    assert_eq!(own, ["output_dir: ./first-pass"]);
}
