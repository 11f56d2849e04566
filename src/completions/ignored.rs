//! Fields that others know and we do not, and when leaving them out changes anything.

use serde_json::Value;

use super::CompletionRequest;

/// Their names, each with the values that switch it off; null, false, "", [] and {}
/// always do. A request that holds another value is told that it was ignored.
const KNOWN: &[(&str, &[f64])] = &[
    // Samplers: KoboldCpp, text-generation-webui, TabbyAPI, llama-server.
    ("smoothing_factor", &[0.0]),
    ("epsilon_cutoff", &[0.0]),
    ("eta_cutoff", &[0.0]),
    ("nsigma", &[0.0, -1.0]),
    ("top_n_sigma", &[0.0, -1.0]),
    ("adaptive_target", &[0.0, -0.01, -1.0]),
    ("skew", &[0.0]),
    ("penalty_alpha", &[0.0]),
    ("no_repeat_ngram_size", &[0.0]),
    ("encoder_repetition_penalty", &[1.0]),
    ("repetition_decay", &[0.0]),
    ("guidance_scale", &[0.0, 1.0]),
    ("cfg_scale", &[0.0, 1.0]),
    ("negative_prompt", &[]),
    ("num_beams", &[0.0, 1.0]),
    ("use_beam_search", &[]),
    ("length_penalty", &[0.0, 1.0]),
    ("min_keep", &[0.0, 1.0]),
    ("samplers", &[]),
    ("sampler_priority", &[]),
    // What may be drawn: vLLM, SGLang, llama-server, KoboldCpp, TabbyAPI.
    ("allowed_token_ids", &[]),
    ("allowed_tokens", &[]),
    ("stop_token_ids", &[]),
    ("include_stop_str_in_output", &[]),
    ("min_tokens", &[0.0]),
    ("min_length", &[0.0]),
    ("bypass_eos", &[]),
    ("grammar", &[]),
    ("grammar_string", &[]),
    ("regex", &[]),
    ("regex_pattern", &[]),
    ("json_schema", &[]),
    ("ebnf", &[]),
    ("response_format", &[]),
    ("structured_outputs", &[]),
    ("guided_json", &[]),
    ("guided_regex", &[]),
    ("guided_choice", &[]),
    ("guided_grammar", &[]),
    // The prompt: KoboldCpp, vLLM, text-generation-webui.
    ("memory", &[]),
    ("images", &[]),
    ("prompt_embeds", &[]),
    ("truncate_prompt_tokens", &[0.0, -1.0]),
    ("token_healing", &[]),
    // What is told: vLLM, llama-server.
    ("prompt_logprobs", &[0.0]),
    ("n_probs", &[0.0]),
];

/// What of a request has no effect and was meant to have one.
pub(super) fn ignored(request: &CompletionRequest) -> Vec<&'static str> {
    let meant = |(name, off): &(&str, &[f64])| match request.other.get(*name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64().is_none_or(|number| !off.contains(&number)),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => {
            !fields.is_empty() && fields.get("type").and_then(Value::as_str) != Some("text")
        }
        Some(Value::Bool(true)) => true,
    };
    let mut names: Vec<_> =
        KNOWN.iter().filter(|known| meant(known)).map(|&(name, _)| name).collect();
    // Here the temperature comes after what truncates, whatever is asked for.
    if request.temperature_last == Some(false) {
        names.push("temperature_last");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<&'static str> {
        ignored(&CompletionRequest::from_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_switched_off_or_unknown_is_not_told() {
        let json = r#"{"smoothing_factor": 0, "guidance_scale": 1.0, "negative_prompt": "",
            "grammar": null, "sampler_priority": [], "use_beam_search": false,
            "response_format": {"type": "text"}, "nsigma": -1, "api_type": "ooba"}"#;
        assert_eq!(of(json), [""; 0]);
    }

    #[test]
    fn what_would_have_mattered_is_told() {
        let json = r#"{"smoothing_factor": 0.2, "grammar": "root ::= \"a\"", "min_tokens": 3,
            "response_format": {"type": "json_object"}, "temperature_last": false}"#;
        assert_eq!(
            of(json),
            ["smoothing_factor", "min_tokens", "grammar", "response_format", "temperature_last"]
        );
    }
}
