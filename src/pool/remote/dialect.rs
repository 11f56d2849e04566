//! What servers call things, and what each of them lacks. Pure: parameters in, a request's
//! fields out.
//!
//! Every field that a server knows is sent, also where it is off: defaults differ, and a
//! model's own `generation_config.json` may change them.

use serde_json::{Map, Value, json};

use crate::completions::{Bias, CompletionRequest, Extension, LogitBias, OneOrMany, TokenIds};
use crate::engine::GenerationRequest;
use crate::sampling::{SamplerParams, SamplerStage};

/// Whose completions server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `dramatis worker`.
    Dramatis,
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's llama-server.
    LlamaServer,
    /// KoboldCpp.
    KoboldCpp,
    /// TabbyAPI.
    TabbyApi,
    /// Another: only what OpenAI's own description has is sent.
    Plain,
}

impl Dialect {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Dramatis,
        Self::Vllm,
        Self::Sglang,
        Self::LlamaServer,
        Self::KoboldCpp,
        Self::TabbyApi,
        Self::Plain,
    ];

    /// By what a server's list of models says of its owner.
    pub(super) fn of_owner(owner: &str) -> Self {
        match owner {
            "dramatis" => Self::Dramatis,
            "vllm" => Self::Vllm,
            "sglang" => Self::Sglang,
            "llamacpp" => Self::LlamaServer,
            "koboldcpp" => Self::KoboldCpp,
            "tabbyAPI" => Self::TabbyApi,
            _ => Self::Plain,
        }
    }

    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dramatis => "dramatis",
            Self::Vllm => "vLLM",
            Self::Sglang => "SGLang",
            Self::LlamaServer => "llama-server",
            Self::KoboldCpp => "KoboldCpp",
            Self::TabbyApi => "TabbyAPI",
            Self::Plain => "an unknown server",
        }
    }

    /// Whether it takes a prompt as token ids, so that its tokenizer does not matter.
    pub(super) fn takes_ids(self) -> bool {
        matches!(self, Self::Dramatis | Self::Vllm | Self::Sglang | Self::LlamaServer)
    }

    /// Whether it can hold back the end of a reply. Where a reply is over its range we end
    /// it ourselves.
    fn takes_min_tokens(self) -> bool {
        matches!(self, Self::Vllm | Self::Sglang | Self::TabbyApi)
    }

    /// Stop strings that it takes; we look for all of them in any case.
    fn max_stops(self) -> usize {
        if self == Self::Plain { 4 } else { usize::MAX }
    }

    /// Which of our settings it does not have, by name; what they ask for does not happen
    /// there.
    pub fn lacks(self) -> &'static [&'static str] {
        match self {
            Self::Dramatis => &[],
            Self::Vllm => &[
                "dynatemp",
                "top_a",
                "tfs",
                "typical_p",
                "dry",
                "xtc",
                "mirostat",
                "repetition_penalty_range",
                "repetition_penalty_slope",
                "order",
            ],
            Self::Sglang => &[
                "seed",
                "dynatemp",
                "top_a",
                "tfs",
                "typical_p",
                "dry",
                "xtc",
                "mirostat",
                "repetition_penalty_range",
                "repetition_penalty_slope",
                "banned_strings",
                "order",
                "cache_salt",
            ],
            Self::LlamaServer => &[
                "min_tokens",
                "top_a",
                "tfs",
                "repetition_penalty_slope",
                "banned_strings",
                "cache_salt",
            ],
            Self::KoboldCpp => &["min_tokens", "frequency_penalty", "ids", "cache_salt"],
            Self::TabbyApi => &["seed", "repetition_penalty_slope", "order", "ids", "cache_salt"],
            Self::Plain => &[
                "min_tokens",
                "top_k",
                "min_p",
                "repetition_penalty",
                "repetition_penalty_range",
                "repetition_penalty_slope",
                "dynatemp",
                "top_a",
                "tfs",
                "typical_p",
                "dry",
                "xtc",
                "mirostat",
                "banned_strings",
                "banned_tokens",
                "order",
                "ignore_eos",
                "ids",
                "cache_salt",
            ],
        }
    }

    /// The body of a request, all but its prompt.
    pub(super) fn request(
        self,
        model: &str,
        context_tokens: usize,
        request: &GenerationRequest,
    ) -> CompletionRequest {
        let stops: Vec<_> = request.stop.iter().take(self.max_stops()).cloned().collect();
        let mut body = CompletionRequest {
            model: Some(model.to_owned()),
            max_tokens: Some(signed(request.max_tokens)),
            stream: Some(true),
            stream_options: Some(crate::completions::StreamOptions { include_usage: Some(true) }),
            stop: (!stops.is_empty()).then_some(OneOrMany(stops)),
            ..CompletionRequest::default()
        };
        if self == Self::Dramatis {
            body.seed = Some(request.seed);
            body.ignore_eos = Some(request.ignore_eos);
            body.return_token_ids = Some(true);
            body.cache_salt = Some(format!("{:016x}", request.cache_salt));
            body.cache_owner =
                (request.cache_owner != 0).then(|| format!("{:016x}", request.cache_owner));
            body.dramatis = Some(Extension {
                sampler: Some(request.sampler.clone()),
                trim_start_space: request.trim_start_space,
                trim_end: request.trim_end,
                length_range: request.length_range.map(|it| [it.min_tokens, it.max_tokens]),
            });
            return body;
        }
        // Others read seeds as signed numbers of 32 or 64 bits.
        let seed = request.seed & u64::from(i32::MAX.unsigned_abs());
        match self {
            Self::Sglang | Self::TabbyApi => {}
            _ => body.seed = Some(seed),
        }
        if request.ignore_eos {
            match self {
                Self::KoboldCpp | Self::TabbyApi => body.ban_eos_token = Some(true),
                Self::Plain => {}
                _ => body.ignore_eos = Some(true),
            }
        }
        if let Some(range) = request.length_range.filter(|_| self.takes_min_tokens()) {
            // A reply that is cut short must not be asked to be longer.
            let min_tokens = range.min_tokens.min(request.max_tokens);
            body.other.insert("min_tokens".into(), min_tokens.into());
        }
        if self == Self::Vllm {
            body.cache_salt = Some(format!("{:016x}", request.cache_salt));
        }
        if self == Self::LlamaServer {
            body.other.insert("cache_prompt".into(), Value::Bool(true));
        }
        self.fill(&mut body, context_tokens, &request.sampler);
        body
    }

    /// How tokens are drawn.
    fn fill(self, body: &mut CompletionRequest, context_tokens: usize, params: &SamplerParams) {
        let is_greedy = params.temperature < 0.01;
        body.temperature = Some(if is_greedy { 0.0 } else { params.temperature });
        body.top_p = Some(params.top_p);
        // A window of nothing switches the three off.
        let has_window = params.repetition_penalty_range > 0;
        let penalty = |value: f32, off: f32| Some(if has_window { value } else { off });
        body.presence_penalty = penalty(params.presence_penalty, 0.0);
        if self != Self::KoboldCpp {
            body.frequency_penalty = penalty(params.frequency_penalty, 0.0);
        }
        body.logit_bias = self.logit_bias(params);
        if self == Self::Plain {
            return;
        }
        let range = signed(params.repetition_penalty_range);
        let top_k = signed(params.top_k);
        body.min_p = Some(params.min_p);
        body.top_k = Some(match self {
            Self::Vllm | Self::Sglang if top_k == 0 => -1,
            _ => top_k,
        });
        let repetition = penalty(params.repetition_penalty, 1.0);
        match self {
            Self::LlamaServer => body.repeat_penalty = repetition,
            Self::KoboldCpp => body.rep_pen = repetition,
            _ => body.repetition_penalty = repetition,
        }
        if matches!(self, Self::Vllm | Self::Sglang) {
            if self == Self::Vllm {
                body.bad_words = strings(&params.banned_strings);
            }
            return;
        }
        // What llama-server, KoboldCpp and TabbyAPI call alike.
        body.dry_multiplier = Some(params.dry.multiplier);
        body.dry_base = Some(params.dry.base);
        body.dry_allowed_length = Some(signed(params.dry.allowed_length));
        // llama-server refuses a list of none.
        body.dry_sequence_breakers = strings(&params.dry.breakers);
        body.xtc_threshold = Some(params.xtc.threshold);
        body.xtc_probability = Some(params.xtc.probability);
        match self {
            // KoboldCpp's completions read that name alone (`transform_genparams`).
            Self::TabbyApi | Self::KoboldCpp => body.mirostat_mode = Some(mirostat_mode(params)),
            _ => body.mirostat = Some(mirostat_mode(params)),
        }
        if let Some(mirostat) = params.mirostat {
            body.mirostat_tau = Some(mirostat.tau);
            body.mirostat_eta = Some(mirostat.eta);
        }
        match self {
            Self::TabbyApi => body.dry_range = Some(dry_range(params, 0)),
            // There 0 is off, and −1 is refused by newer ones.
            Self::LlamaServer => {
                body.dry_penalty_last_n = Some(dry_range(params, signed(context_tokens)));
            }
            _ => body.dry_penalty_last_n = Some(dry_range(params, 0)),
        }
        match (self, params.dynatemp) {
            (_, None) => {}
            (Self::TabbyApi, Some(temp)) => {
                body.min_temp = Some(temp.min);
                body.max_temp = Some(temp.max);
                body.temp_exponent = Some(temp.exponent);
            }
            (_, Some(temp)) => {
                body.temperature = Some(f32::midpoint(temp.min, temp.max));
                body.dynatemp_range = Some((temp.max - temp.min) / 2.0);
                body.dynatemp_exponent = Some(temp.exponent);
            }
        }
        if self == Self::LlamaServer {
            body.typical_p = Some(params.typical_p);
            body.repeat_last_n = Some(range);
            body.other.extend(llama_samplers(params));
            return;
        }
        body.typical = Some(params.typical_p);
        body.top_a = Some(params.top_a);
        body.tfs = Some(params.tfs);
        body.banned_strings = strings(&params.banned_strings);
        if self == Self::TabbyApi {
            let last = params.order.iter().rev().find(|stage| **stage != SamplerStage::Xtc);
            body.penalty_range = Some(range);
            body.temperature_last = Some(last == Some(&SamplerStage::Temperature));
            let tokens: Vec<_> = params.banned_tokens.iter().copied().collect();
            body.banned_tokens = (!tokens.is_empty()).then_some(TokenIds::Ids(tokens));
        } else {
            body.rep_pen_range = Some(range);
            body.rep_pen_slope = Some(params.repetition_penalty_slope);
            body.sampler_order = kobold_order(&params.order);
        }
    }

    /// Biases, and where there is no better word, bans as biases.
    fn logit_bias(self, params: &SamplerParams) -> Option<LogitBias> {
        let mut biases: Vec<_> =
            params.logit_bias.iter().map(|(&id, &bias)| (id, Bias::Add(bias))).collect();
        if self != Self::TabbyApi {
            biases.extend(params.banned_tokens.iter().map(|&id| (id, Bias::Never)));
        }
        (!biases.is_empty()).then_some(LogitBias(biases))
    }
}

fn strings(strings: &[String]) -> Option<OneOrMany> {
    (!strings.is_empty()).then(|| OneOrMany(strings.to_vec()))
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn mirostat_mode(params: &SamplerParams) -> i64 {
    if params.mirostat.is_some() { 2 } else { 0 }
}

/// DRY's window, where `all` is the server's word for everything.
fn dry_range(params: &SamplerParams, all: i64) -> i64 {
    match params.dry.range {
        0 => all,
        range => signed(range),
    }
}

/// llama-server's `samplers`: the stages that it has, in our order (`common_sampler_types`).
fn llama_samplers(params: &SamplerParams) -> Map<String, Value> {
    let name = |stage: &SamplerStage| match stage {
        SamplerStage::Dry => Some("dry"),
        SamplerStage::RepetitionPenalty => Some("penalties"),
        SamplerStage::TopK => Some("top_k"),
        SamplerStage::TypicalP => Some("typ_p"),
        SamplerStage::TopP => Some("top_p"),
        SamplerStage::MinP => Some("min_p"),
        SamplerStage::Temperature => Some("temperature"),
        SamplerStage::Xtc => Some("xtc"),
        SamplerStage::TopA | SamplerStage::Tfs => None,
    };
    let names: Vec<_> = params.order.iter().filter_map(name).collect();
    Map::from_iter([("samplers".into(), json!(names))])
}

/// KoboldCpp's `sampler_order`, if it can say ours: all seven, min-p right after top-p.
fn kobold_order(order: &[SamplerStage]) -> Option<Vec<u32>> {
    let number = |stage: &SamplerStage| match stage {
        SamplerStage::TopK => Some(0),
        SamplerStage::TopA => Some(1),
        SamplerStage::TopP => Some(2),
        SamplerStage::Tfs => Some(3),
        SamplerStage::TypicalP => Some(4),
        SamplerStage::Temperature => Some(5),
        SamplerStage::RepetitionPenalty => Some(6),
        SamplerStage::Dry | SamplerStage::MinP | SamplerStage::Xtc => None,
    };
    let numbers: Vec<u32> = order.iter().filter_map(number).collect();
    let same = SamplerStage::order_from_koboldcpp(&numbers).is_ok_and(|theirs| theirs == order);
    (same && numbers.len() == 7).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::LengthRange;
    use crate::sampling::{DynamicTemperature, Mirostat};

    fn body(dialect: Dialect, params: SamplerParams) -> Value {
        let request = GenerationRequest {
            max_tokens: 77,
            stop: ["a", "b", "c", "d", "e"].map(String::from).to_vec(),
            sampler: params,
            seed: u64::MAX,
            cache_salt: 5,
            cache_owner: 6,
            ignore_eos: true,
            ..GenerationRequest::new(vec![1, 2])
        };
        serde_json::to_value(dialect.request("m", 4096, &request)).unwrap()
    }

    #[test]
    fn the_end_is_held_back_where_a_server_can() {
        let range = LengthRange { min_tokens: 8, max_tokens: 20 };
        let request =
            GenerationRequest { length_range: Some(range), ..GenerationRequest::new(vec![1]) };
        for dialect in Dialect::ALL {
            let body = serde_json::to_value(dialect.request("m", 4096, &request)).unwrap();
            match dialect {
                Dialect::Dramatis => assert_eq!(body["dramatis"]["length_range"], json!([8, 20])),
                Dialect::Vllm | Dialect::Sglang | Dialect::TabbyApi => {
                    assert_eq!(body["min_tokens"], 8, "{dialect:?}");
                }
                _ => {
                    assert!(body["min_tokens"].is_null() && dialect.lacks().contains(&"min_tokens"))
                }
            }
        }
    }

    #[test]
    fn every_server_gets_what_all_have() {
        for dialect in Dialect::ALL {
            let body = body(dialect, SamplerParams::default());
            assert_eq!((&body["model"], &body["max_tokens"]), (&json!("m"), &json!(77)));
            assert_eq!(
                (&body["stream"], &body["stream_options"]["include_usage"]),
                (&json!(true), &json!(true))
            );
            let num_stops = body["stop"].as_array().unwrap().len();
            assert_eq!(num_stops, if dialect == Dialect::Plain { 4 } else { 5 });
        }
    }

    #[test]
    fn our_own_worker_gets_everything_as_it_is() {
        let params = SamplerParams { top_a: 0.5, ..SamplerParams::default() };
        let body = body(Dialect::Dramatis, params.clone());
        assert_eq!(body["seed"], json!(u64::MAX));
        assert_eq!(body["dramatis"]["sampler"], serde_json::to_value(params).unwrap());
        assert_eq!(body["cache_salt"], "0000000000000005");
        assert_eq!(body["cache_owner"], "0000000000000006");
    }

    #[test]
    fn what_is_off_is_said_to_be_off_where_defaults_differ() {
        let vllm = body(Dialect::Vllm, SamplerParams::default());
        assert_eq!((&vllm["top_k"], &vllm["min_p"]), (&json!(-1), &json!(0.0)));
        let llama = body(Dialect::LlamaServer, SamplerParams::default());
        for (name, off) in [
            ("top_k", json!(0)),
            ("top_p", json!(1.0)),
            ("min_p", json!(0.0)),
            ("repeat_penalty", json!(1.0)),
            ("dry_multiplier", json!(0.0)),
            ("xtc_probability", json!(0.0)),
            ("dry_penalty_last_n", json!(4096)),
            ("mirostat", json!(0)),
            ("typical_p", json!(1.0)),
        ] {
            assert_eq!(llama[name], off, "{name}");
        }
    }

    #[test]
    fn each_name_of_a_penalty_and_its_window() {
        let params = SamplerParams {
            repetition_penalty: 1.25,
            repetition_penalty_range: 300,
            ..SamplerParams::default()
        };
        for (dialect, penalty, range) in [
            (Dialect::Vllm, "repetition_penalty", None),
            (Dialect::LlamaServer, "repeat_penalty", Some("repeat_last_n")),
            (Dialect::KoboldCpp, "rep_pen", Some("rep_pen_range")),
            (Dialect::TabbyApi, "repetition_penalty", Some("penalty_range")),
        ] {
            let body = body(dialect, params.clone());
            assert_eq!(body[penalty], json!(1.25), "{dialect:?}");
            assert!(range.is_none_or(|range| body[range] == json!(300)), "{dialect:?}");
        }
        let off = SamplerParams { repetition_penalty_range: 0, ..params };
        assert_eq!(body(Dialect::Vllm, off)["repetition_penalty"], json!(1.0));
    }

    #[test]
    fn temperatures_that_follow_the_entropy() {
        let dynatemp = Some(DynamicTemperature { min: 0.5, max: 1.5, exponent: 2.0 });
        let params = SamplerParams { dynatemp, ..SamplerParams::default() };
        let llama = body(Dialect::LlamaServer, params.clone());
        assert_eq!((&llama["temperature"], &llama["dynatemp_range"]), (&json!(1.0), &json!(0.5)));
        let tabby = body(Dialect::TabbyApi, params);
        assert_eq!((&tabby["min_temp"], &tabby["max_temp"]), (&json!(0.5), &json!(1.5)));
    }

    #[test]
    fn the_order_is_told_to_those_who_can_have_it() {
        let kobold = body(Dialect::KoboldCpp, SamplerParams::default());
        assert_eq!(kobold["sampler_order"], json!([6, 0, 1, 3, 4, 2, 5]));
        let llama = body(Dialect::LlamaServer, SamplerParams::default());
        let names = ["dry", "penalties", "top_k", "typ_p", "top_p", "min_p", "temperature", "xtc"];
        assert_eq!(llama["samplers"], json!(names));
        // Without a stage it has no words for ours.
        let mut order = SamplerStage::DEFAULT_ORDER.to_vec();
        order.retain(|stage| *stage != SamplerStage::TopA);
        let params = SamplerParams { order, ..SamplerParams::default() };
        assert!(body(Dialect::KoboldCpp, params)["sampler_order"].is_null());
    }

    #[test]
    fn a_setting_that_a_server_lacks_is_not_sent_to_it() {
        let params = SamplerParams {
            top_a: 0.5,
            tfs: 0.9,
            mirostat: Some(Mirostat { tau: 5.0, eta: 0.1 }),
            banned_strings: vec!["x".into()],
            ..SamplerParams::default()
        };
        let fields = [
            ("top_a", "top_a"),
            ("tfs", "tfs"),
            ("mirostat", "mirostat"),
            ("mirostat", "mirostat_mode"),
            ("banned_strings", "banned_strings"),
            ("banned_strings", "bad_words"),
            ("seed", "seed"),
            ("seed", "sampler_seed"),
            ("cache_salt", "cache_salt"),
            ("frequency_penalty", "frequency_penalty"),
            ("min_p", "min_p"),
            ("ignore_eos", "ignore_eos"),
            ("ignore_eos", "ban_eos_token"),
            ("dry", "dry_multiplier"),
            ("xtc", "xtc_probability"),
        ];
        for dialect in Dialect::ALL {
            let body = body(dialect, params.clone());
            for (setting, field) in fields {
                let lacks = dialect.lacks().contains(&setting);
                assert!(!lacks || body[field].is_null(), "{dialect:?} lacks {setting}: {body}");
            }
            // And every setting that it has is sent under some name.
            for (setting, _) in fields {
                let names = fields.iter().filter(|(name, _)| *name == setting);
                let is_sent = names.clone().any(|(_, field)| !body[*field].is_null());
                let by_extension = dialect == Dialect::Dramatis;
                let lacks = dialect.lacks().contains(&setting);
                assert!(is_sent || lacks || by_extension, "{dialect:?}: {setting} is lost");
            }
        }
    }

    #[test]
    fn greedy_is_a_temperature_of_zero_everywhere() {
        let params = SamplerParams { temperature: 0.005, ..SamplerParams::default() };
        for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::Dramatis) {
            assert_eq!(body(dialect, params.clone())["temperature"], json!(0.0));
        }
    }
}
