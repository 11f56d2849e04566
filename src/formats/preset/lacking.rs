//! What presets can ask for and we do not do, with the value at which it asks nothing.

use super::{Lacking, PresetFile, PresetKind};
use crate::formats::fields::Object;

/// A key, the values at which it has no effect, and why it has none here either way.
const WITHOUT: [(&str, &[&str], &str); 33] = [
    ("epsilon_cutoff", &["0"], NOT_A_STAGE),
    ("eta_cutoff", &["0"], NOT_A_STAGE),
    ("smoothing_factor", &["0"], NOT_A_STAGE),
    ("smoothing_curve", &["1"], "it belongs to smoothing, which is no stage here"),
    ("no_repeat_ngram_size", &["0"], "DRY is there for repeats"),
    ("penalty_alpha", &["0"], "contrastive search is no sampling"),
    ("num_beams", &["1", "0"], "beams are no sampling"),
    ("length_penalty", &["1", "0"], "it belongs to beams"),
    ("early_stopping", &["false"], "it belongs to beams"),
    ("encoder_rep_pen", &["1", "0"], NOT_A_STAGE),
    ("rep_pen_decay", &["0"], "the penalty's window ends at its range"),
    ("rep_pen_size", &["0"], "the penalty's window ends at its range"),
    ("skew", &["0"], NOT_A_STAGE),
    ("nsigma", &["0", "-1"], NOT_A_STAGE),
    ("min_length", &["0", "1"], "lengths are asked for by scene"),
    ("guidance_scale", &["1", "0"], "there is no second prompt to be guided away from"),
    ("negative_prompt", &["", "\"\""], "there is no second prompt to be guided away from"),
    ("grammar_string", &["\"\""], "replies follow no grammar"),
    ("grammar", &["\"\""], "replies follow no grammar"),
    ("json_schema", &["{}", "\"\"", "null"], "replies follow no schema"),
    ("seed", &["-1"], "every reply has a seed of its own, which its receipt names"),
    ("add_bos_token", &["true"], "the model says whether it wants one"),
    ("ban_eos_token", &["false"], "a reply ends where the model ends it"),
    ("ignore_eos_token", &["false"], "a reply ends where the model ends it"),
    ("use_default_badwordsids", &["false"], "only what is named is banned"),
    ("speculative_ngram", &["false"], "the server decides how it goes about it"),
    ("do_sample", &["true"], "the likeliest token is taken: temperature 0"),
    ("math1_temp", &["1", "0"], NOT_A_STAGE),
    ("math1_quad", &["0"], NOT_A_STAGE),
    ("math1_quad_entropy_scale", &["0"], NOT_A_STAGE),
    ("phrase_rep_pen", &["\"off\"", "\"\""], "DRY is there for repeats"),
    ("cfg_scale", &["1", "0"], "there is no second prompt to be guided away from"),
    ("bad_words_ids", &["[]", "\"\""], "the ids are another tokenizer's"),
];
const NOT_A_STAGE: &str = "no stage of that kind is there";

/// What an object of that kind asks for in vain.
pub(super) fn without_effect(root: &Object, kind: PresetKind) -> Vec<Lacking> {
    let file = PresetFile { kind, root: root.clone() };
    let asked = WITHOUT.iter().filter(|(key, neutral, _)| {
        root.raw(key).is_some_and(|value| !is_neutral(value.get().trim(), neutral))
    });
    asked.map(|(key, _, why)| file.lack(key, why)).collect()
}

fn is_neutral(value: &str, neutral: &[&str]) -> bool {
    let number = value.parse::<f64>();
    value == "null"
        || neutral.iter().any(|neutral| {
            let same_number = number.as_ref().is_ok_and(|n| neutral.parse() == Ok(*n));
            *neutral == value || same_number
        })
}
