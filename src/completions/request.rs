//! The body of `POST /v1/completions`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lenient::{self, LogitBias, OneOrMany, TokenIds};
use super::{Prompt, RequestError};
use crate::sampling::SamplerParams;

/// A struct of optional fields: absent or null reads as `None`, `None` is not written.
macro_rules! optional_fields {
    (
        $(#[$outer:meta])* pub struct $name:ident {
            $($(#[$meta:meta])* $field:ident: $type:ty,)*
        }
        $(#[$rest_meta:meta])* $rest:ident: $rest_type:ty
    ) => {
        $(#[$outer])*
        pub struct $name {
            $($(#[$meta])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,)*
            $(#[$rest_meta])*
            pub $rest: $rest_type,
        }
    };
}

optional_fields! {
/// A request for one completion. All fields are optional here; a server asks for `prompt`.
///
/// Several names of one thing may stand side by side, as SillyTavern sends them: the
/// first that is given, in the order below, counts. Where a field has no source given it
/// is OpenAI's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionRequest {
    /// Which model; a server of one takes any name.
    model: String,
    /// What is to be continued.
    prompt: Prompt,
    /// Tokens to generate at most; 16 if nobody says. 0 computes the prompt into the
    /// cache and generates nothing.
    max_tokens: i64,
    /// The same (text-generation-webui, SillyTavern).
    max_new_tokens: i64,
    /// The same (KoboldCpp, TabbyAPI).
    max_length: i64,
    /// The same (llama-server); −1 is until something else ends it.
    n_predict: i64,
    /// Whether the text comes as it is written, as server-sent events.
    stream: bool,
    /// What else a stream tells.
    stream_options: StreamOptions,
    /// Strings that end the text; none is part of it.
    stop: OneOrMany,
    /// The same (text-generation-webui, SillyTavern).
    stopping_strings: OneOrMany,
    /// The same (KoboldCpp, TabbyAPI).
    stop_sequence: OneOrMany,
    /// Same seed, same text; negative or absent is any.
    #[serde(deserialize_with = "lenient::seed")]
    seed: u64,
    /// The same (KoboldCpp).
    #[serde(deserialize_with = "lenient::seed")]
    sampler_seed: u64,
    /// How many completions.
    n: i64,
    /// Of how many the best is given.
    best_of: i64,
    /// How many likely tokens are told with each.
    logprobs: i64,
    /// Whether the prompt comes before the completion.
    echo: bool,
    /// What follows the completion.
    suffix: String,
    /// For whom it is: keeps cached prompts apart.
    user: String,
    /// Keeps cached prompts apart (vLLM).
    cache_salt: String,
    /// With whose text cached prompts are forgotten (ours).
    cache_owner: String,
    /// Whether tokens that end a text are never drawn (vLLM, llama-server, TabbyAPI).
    ignore_eos: bool,
    /// The same (text-generation-webui, KoboldCpp, SillyTavern).
    ban_eos_token: bool,
    /// Whether a prompt that is text gets the model's BOS (vLLM).
    add_special_tokens: bool,
    /// The same (text-generation-webui, TabbyAPI, SillyTavern).
    add_bos_token: bool,
    /// Whether the generated tokens are told (vLLM); in a stream with the last chunk.
    return_token_ids: bool,
    /// Divides the logits; 0 takes the likeliest token.
    temperature: f32,
    /// No is temperature 0 (text-generation-webui).
    do_sample: bool,
    /// Whether the temperature comes after what truncates (text-generation-webui,
    /// TabbyAPI); it does.
    temperature_last: bool,
    /// Half the width of a temperature that follows the entropy (llama-server, KoboldCpp).
    dynatemp_range: f32,
    /// Whether low and high hold (text-generation-webui, SillyTavern).
    dynamic_temperature: bool,
    /// The temperature where the model is certain (text-generation-webui, SillyTavern).
    dynatemp_low: f32,
    /// The temperature where it is not (text-generation-webui, SillyTavern).
    dynatemp_high: f32,
    /// As low (Aphrodite).
    dynatemp_min: f32,
    /// As high (Aphrodite).
    dynatemp_max: f32,
    /// As low (TabbyAPI).
    min_temp: f32,
    /// As high (TabbyAPI).
    max_temp: f32,
    /// The curve between them (llama-server, KoboldCpp, text-generation-webui).
    dynatemp_exponent: f32,
    /// The same (TabbyAPI).
    temp_exponent: f32,
    /// Keeps the likeliest k; 0 and −1 are off (vLLM, SGLang, llama-server, all others).
    top_k: i64,
    /// Keeps the fewest that reach this probability.
    top_p: f32,
    /// Drops below this share of the highest probability (vLLM, SGLang, all others).
    min_p: f32,
    /// Drops below this × highest probability² (KoboldCpp, text-generation-webui, TabbyAPI).
    top_a: f32,
    /// Tail-free sampling (KoboldCpp, text-generation-webui, TabbyAPI).
    tfs: f32,
    /// The same (llama-server, before it was taken out there).
    tfs_z: f32,
    /// Locally typical sampling (llama-server, text-generation-webui).
    typical_p: f32,
    /// The same (KoboldCpp, TabbyAPI).
    typical: f32,
    /// Divides the logits of tokens seen before (vLLM, SGLang, text-generation-webui).
    repetition_penalty: f32,
    /// The same (KoboldCpp, TabbyAPI, SillyTavern).
    rep_pen: f32,
    /// The same (llama-server).
    repeat_penalty: f32,
    /// How many tokens back the three penalties look; 0 and below is all
    /// (text-generation-webui).
    repetition_penalty_range: i64,
    /// The same (KoboldCpp, SillyTavern).
    rep_pen_range: i64,
    /// The same (TabbyAPI).
    penalty_range: i64,
    /// The same (TabbyAPI).
    repetition_range: i64,
    /// The same, where 0 is none (llama-server).
    repeat_last_n: i64,
    /// The share of the repetition penalty in the window's older half (KoboldCpp).
    rep_pen_slope: f32,
    /// Taken from a logit for each time its token stands there.
    frequency_penalty: f32,
    /// Taken from a logit if its token stands there.
    presence_penalty: f32,
    /// "Don't repeat yourself": the penalty on the shortest repeat; 0 is off (all but
    /// vLLM and SGLang, also the other `dry_` fields).
    dry_multiplier: f32,
    /// How the penalty grows with the repeat.
    dry_base: f32,
    /// Repeats shorter than this are free.
    dry_allowed_length: i64,
    /// How many tokens back it looks; 0 and below is all (llama-server, KoboldCpp).
    dry_penalty_last_n: i64,
    /// The same (TabbyAPI).
    dry_range: i64,
    /// What a repeat does not reach across; a list, or one in a text.
    dry_sequence_breakers: OneOrMany,
    /// "Exclude top choices": from which probability one counts (llama-server, KoboldCpp,
    /// text-generation-webui, TabbyAPI).
    xtc_threshold: f32,
    /// How often they are dropped; 0 is off (as the threshold).
    xtc_probability: f32,
    /// 2 is Mirostat 2, 0 is off (llama-server, KoboldCpp).
    #[serde(deserialize_with = "lenient::mode")]
    mirostat: i64,
    /// The same (text-generation-webui, TabbyAPI, SillyTavern).
    #[serde(deserialize_with = "lenient::mode")]
    mirostat_mode: i64,
    /// The surprise to hold, in bits (all who have Mirostat).
    mirostat_tau: f32,
    /// How fast it follows (all who have Mirostat).
    mirostat_eta: f32,
    /// Added to the logits of these tokens.
    logit_bias: LogitBias,
    /// Strings that must not appear (KoboldCpp, TabbyAPI, SillyTavern).
    banned_strings: OneOrMany,
    /// The same (vLLM).
    bad_words: OneOrMany,
    /// Tokens that are never drawn (TabbyAPI), or strings (KoboldCpp).
    banned_tokens: TokenIds,
    /// Tokens that are never drawn (text-generation-webui, KoboldCpp, SillyTavern).
    custom_token_bans: TokenIds,
    /// The order of the stages by number (KoboldCpp).
    sampler_order: Vec<u32>,
    /// What our own workers and pools say to each other.
    dramatis: Extension,
}
/// Every other field, as it came.
#[serde(flatten)]
other: Map<String, Value>
}

/// What a stream tells besides the text (OpenAI's `stream_options`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Whether a last chunk, without choices, tells the usage.
    #[serde(default)]
    pub include_usage: Option<bool>,
}

/// What the protocol has no words for, between our own workers and pools. Whoever sends
/// it is told a [`super::Receipt`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extension {
    /// How tokens are drawn, exactly; the sampler fields beside it do not count then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerParams>,
    /// Whether one leading space is taken off the text.
    pub trim_start_space: bool,
    /// Whether the text ends without white space and without a begun stop string.
    pub trim_end: bool,
    /// The range of tokens in which the text is kept, from and to, and ended with a
    /// sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_range: Option<[usize; 2]>,
}

impl CompletionRequest {
    /// Tokens to generate where a request does not say (OpenAI, vLLM).
    pub const DEFAULT_MAX_TOKENS: usize = 16;

    /// Reads a body.
    ///
    /// # Errors
    /// It is not JSON, or a field has the wrong type, by its name.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        super::read(body)
    }

    /// Tokens to generate at most; `None` is until something else ends it.
    ///
    /// # Errors
    /// A negative number that is not llama-server's −1.
    pub fn max_tokens(&self) -> Result<Option<usize>, RequestError> {
        let names = [
            ("max_tokens", self.max_tokens),
            ("max_new_tokens", self.max_new_tokens),
            ("max_length", self.max_length),
            ("n_predict", self.n_predict),
        ];
        let Some((name, number)) = names.into_iter().find_map(|(name, n)| Some((name, n?))) else {
            return Ok(Some(Self::DEFAULT_MAX_TOKENS));
        };
        match usize::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) if number == -1 => Ok(None),
            Err(_) => {
                let message = format!("`{name}` is {number}; it must be 0 or more");
                Err(RequestError::param(name, message))
            }
        }
    }

    /// The strings that end the text: all that are given under any name, each once.
    pub fn stops(&self) -> Vec<String> {
        let given = [&self.stop, &self.stopping_strings, &self.stop_sequence];
        let mut stops = Vec::new();
        for stop in given.into_iter().flatten().flat_map(|stops| &stops.0) {
            if !stop.is_empty() && !stops.contains(stop) {
                stops.push(stop.clone());
            }
        }
        stops
    }

    /// The seed, if one is asked for.
    pub fn seed(&self) -> Option<u64> {
        self.seed.or(self.sampler_seed)
    }

    /// Whether tokens that end a text are never drawn.
    pub fn ignore_eos(&self) -> bool {
        self.ignore_eos.or(self.ban_eos_token).unwrap_or(false)
    }

    /// Whether a prompt that is text gets the model's BOS.
    pub fn adds_bos(&self) -> bool {
        self.add_special_tokens.or(self.add_bos_token).unwrap_or(true)
    }

    /// Whether a stream's last chunk tells the usage.
    pub fn includes_usage(&self) -> bool {
        self.stream_options.and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// Refuses what would change what the answer means, where it cannot be done.
    ///
    /// # Errors
    /// More than one completion, log probabilities, a suffix.
    pub fn refuse_unsupported(&self) -> Result<(), RequestError> {
        let unsupported = |param, reason| Err(RequestError::Unsupported { param, reason });
        if self.n.is_some_and(|n| n != 1) {
            return unsupported("n", "one completion a request; send several");
        }
        if self.best_of.is_some_and(|n| n != 1) {
            return unsupported("best_of", "one completion a request; send several");
        }
        if self.logprobs.is_some() {
            return unsupported("logprobs", "leave it out");
        }
        if self.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
            return unsupported("suffix", "text is only continued; leave it out");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<CompletionRequest, RequestError> {
        CompletionRequest::from_json(json.as_bytes())
    }

    #[test]
    fn the_shortest_request_has_openais_defaults() {
        let request = read(r#"{"prompt": "Hi"}"#).unwrap();
        assert_eq!(request.max_tokens(), Ok(Some(16)));
        assert!(request.stops().is_empty() && request.adds_bos() && !request.ignore_eos());
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"prompt":"Hi"}"#);
    }

    #[test]
    fn null_is_absent_and_unknown_fields_are_kept() {
        let json = r#"{"prompt": "Hi", "n": null, "seed": null, "stop": null, "api_type": "ooba"}"#;
        let request = read(json).unwrap();
        assert_eq!((request.n, request.seed()), (None, None));
        assert_eq!(request.other["api_type"], "ooba");
        let written = serde_json::to_string(&request).unwrap();
        assert_eq!(written, r#"{"prompt":"Hi","api_type":"ooba"}"#);
    }

    #[test]
    fn a_wrong_type_names_the_field() {
        for (json, name, reason) in [
            (r#"{"temperature": "hot"}"#, Some("temperature"), "f32"),
            (r#"{"prompt": ["a", "b"]}"#, Some("prompt"), "one prompt"),
            (r#"{"stop": 7}"#, Some("stop"), "list of texts"),
            (r#"{"temperature": 1e40}"#, Some("temperature"), "out of range"),
            (r#"{"stream_options": 7}"#, Some("stream_options"), "StreamOptions"),
            (r#"{"dramatis": {"sampler": {"top_q": 1}}}"#, Some("dramatis.sampler"), "top_q"),
            ("{", None, "EOF"),
            ("[]", None, "CompletionRequest"),
        ] {
            let error = read(json).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(reason), "{json}: {told}");
            assert!(error.name().unwrap_or_default().starts_with(name.unwrap_or("")), "{error:?}");
            assert_eq!(error.name().is_some(), name.is_some(), "{error:?}");
        }
    }

    #[test]
    fn every_name_of_a_limit_counts_and_the_first_wins() {
        for (json, tokens) in [
            (r#"{"max_new_tokens": 7, "n_predict": 9}"#, Some(7)),
            (r#"{"max_length": 8}"#, Some(8)),
            (r#"{"n_predict": -1}"#, None),
            (r#"{"max_tokens": 0}"#, Some(0)),
        ] {
            assert_eq!(read(json).unwrap().max_tokens(), Ok(tokens), "{json}");
        }
        let error = read(r#"{"max_tokens": -5}"#).unwrap().max_tokens().unwrap_err();
        assert_eq!(error.name(), Some("max_tokens"));
    }

    #[test]
    fn stops_under_several_names_are_each_taken_once() {
        let json = r####"{"stop": ["\n", ""], "stopping_strings": ["\n", "###"]}"####;
        assert_eq!(read(json).unwrap().stops(), ["\n", "###"]);
        assert_eq!(read(r#"{"stop": "."}"#).unwrap().stops(), ["."]);
    }

    #[test]
    fn a_negative_seed_is_any() {
        assert_eq!(read(r#"{"seed": -1}"#).unwrap().seed(), None);
        assert_eq!(read(r#"{"sampler_seed": 7}"#).unwrap().seed(), Some(7));
        let most = format!(r#"{{"seed": {}}}"#, u64::MAX);
        assert_eq!(read(&most).unwrap().seed(), Some(u64::MAX));
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for (json, name) in [
            (r#"{"n": 2}"#, "n"),
            (r#"{"n": 0}"#, "n"),
            (r#"{"best_of": 3}"#, "best_of"),
            (r#"{"logprobs": 0}"#, "logprobs"),
            (r#"{"suffix": "."}"#, "suffix"),
        ] {
            let error = read(json).unwrap().refuse_unsupported().unwrap_err();
            assert_eq!(error.name(), Some(name));
        }
        let json = r#"{"n": 1, "best_of": 1, "suffix": ""}"#;
        assert_eq!(read(json).unwrap().refuse_unsupported(), Ok(()));
    }
}
