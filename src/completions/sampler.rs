//! From a request's many names to our sampling parameters.

use std::fmt::Display;

use super::ignored::ignored;
use super::lenient::{Bias, TokenIds};
use super::{CompletionRequest, RequestError};
use crate::sampling::{Dry, DynamicTemperature, Mirostat, SamplerParams, SamplerStage, Xtc};

/// A window that reaches over any history.
const WHOLE: usize = 1_000_000;

/// How tokens are drawn for a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Checked parameters.
    pub params: SamplerParams,
    /// Fields that were meant to change how the text is written and do not, by name.
    pub ignored: Vec<&'static str>,
}

impl CompletionRequest {
    /// How tokens are drawn; what a request does not say is off, at temperature 1.
    ///
    /// The three penalties look over prompt and completion alike (KoboldCpp,
    /// llama-server), and 512 tokens back unless a range is given.
    ///
    /// # Errors
    /// A field out of its range, by the name that the request gave it.
    pub fn sampling(&self) -> Result<Sampling, RequestError> {
        if let Some(params) = self.dramatis.as_ref().and_then(|ours| ours.sampler.clone()) {
            params.validate().map_err(|error| RequestError::from_sampler(&error, &[]))?;
            return Ok(Sampling { params, ignored: ignored(self) });
        }
        let mut reader = Reader { params: SamplerParams::default(), given: Vec::new() };
        reader.temperature(self);
        reader.truncation(self)?;
        reader.penalties(self);
        reader.dry(self)?;
        reader.xtc(self);
        reader.mirostat(self)?;
        reader.bans(self);
        if let Some(ids) = &self.sampler_order {
            reader.given.push(("order", "sampler_order"));
            let order = SamplerStage::order_from_koboldcpp(ids);
            reader.params.order = order.map_err(|error| reader.wrong(&error))?;
        }
        reader.params.validate().map_err(|error| reader.wrong(&error))?;
        Ok(Sampling { params: reader.params, ignored: ignored(self) })
    }
}

/// One of several names of a field, with its value.
type Named<T> = (&'static str, Option<T>);

/// What was read so far.
struct Reader {
    params: SamplerParams,
    /// Our names beside those of the request, for errors.
    given: Vec<(&'static str, &'static str)>,
}

impl Reader {
    /// The first that is given of several names of our `field`.
    fn first<T: Copy, const N: usize>(
        &mut self,
        field: &'static str,
        names: [Named<T>; N],
    ) -> Option<T> {
        let (name, value) = names.into_iter().find_map(|(name, value)| Some((name, value?)))?;
        self.given.push((field, name));
        Some(value)
    }

    fn wrong(&self, error: &crate::sampling::SamplerParamsError) -> RequestError {
        RequestError::from_sampler(error, &self.given)
    }

    fn temperature(&mut self, request: &CompletionRequest) {
        let temperature = self.first("temperature", [("temperature", request.temperature)]);
        let temperature = temperature.unwrap_or(1.0);
        self.params.temperature = if request.do_sample == Some(false) { 0.0 } else { temperature };
        let exponent = self.first(
            "dynatemp.exponent",
            [
                ("dynatemp_exponent", request.dynatemp_exponent),
                ("temp_exponent", request.temp_exponent),
            ],
        );
        let low = self.first(
            "dynatemp.min",
            [
                ("dynatemp_low", request.dynatemp_low),
                ("dynatemp_min", request.dynatemp_min),
                ("min_temp", request.min_temp),
            ],
        );
        let high = self.first(
            "dynatemp.max",
            [
                ("dynatemp_high", request.dynatemp_high),
                ("dynatemp_max", request.dynatemp_max),
                ("max_temp", request.max_temp),
            ],
        );
        let range = request.dynatemp_range.filter(|&range| range != 0.0);
        let bounds = match (low, high, range) {
            // TabbyAPI's default is 1 to 1, which is off.
            (Some(low), Some(high), _) if low != high => Some((low, high)),
            (_, _, Some(range)) => {
                self.given.extend([
                    ("dynatemp.min", "dynatemp_range"),
                    ("dynatemp.max", "dynatemp_range"),
                ]);
                Some(((temperature - range).max(0.0), temperature + range))
            }
            _ => None,
        };
        let on = request.dynamic_temperature != Some(false) && request.do_sample != Some(false);
        self.params.dynatemp = bounds.filter(|_| on).map(|(min, max)| DynamicTemperature {
            min,
            max,
            exponent: exponent.unwrap_or(1.0),
        });
    }

    fn truncation(&mut self, request: &CompletionRequest) -> Result<(), RequestError> {
        if let Some(top_k) = self.first("top_k", [("top_k", request.top_k)]) {
            // vLLM: −1 is off as 0 is.
            self.params.top_k = if top_k == -1 { 0 } else { whole("top_k", top_k)? };
        }
        let typical = [("typical_p", request.typical_p), ("typical", request.typical)];
        self.set("top_p", [("top_p", request.top_p)], |params| &mut params.top_p);
        self.set("min_p", [("min_p", request.min_p)], |params| &mut params.min_p);
        self.set("top_a", [("top_a", request.top_a)], |params| &mut params.top_a);
        let tfs = [("tfs", request.tfs), ("tfs_z", request.tfs_z)];
        self.set("tfs", tfs, |params| &mut params.tfs);
        self.set("typical_p", typical, |params| &mut params.typical_p);
        Ok(())
    }

    fn penalties(&mut self, request: &CompletionRequest) {
        let repetition = [
            ("repetition_penalty", request.repetition_penalty),
            ("rep_pen", request.rep_pen),
            ("repeat_penalty", request.repeat_penalty),
        ];
        let slope = [("rep_pen_slope", request.rep_pen_slope)];
        let frequency = [("frequency_penalty", request.frequency_penalty)];
        let presence = [("presence_penalty", request.presence_penalty)];
        // The range before the penalty, whose name begins its own.
        let range = self.first(
            "repetition_penalty_range",
            [
                ("repetition_penalty_range", request.repetition_penalty_range),
                ("rep_pen_range", request.rep_pen_range),
                ("penalty_range", request.penalty_range),
                ("repetition_range", request.repetition_range),
                // For llama-server 0 is none, not all.
                ("repeat_last_n", request.repeat_last_n.filter(|&tokens| tokens != 0)),
            ],
        );
        if let Some(range) = range {
            self.params.repetition_penalty_range = window(range).unwrap_or(WHOLE);
        } else if request.repeat_last_n == Some(0) {
            self.params.repetition_penalty_range = 0;
        }
        self.set("repetition_penalty_slope", slope, |p| &mut p.repetition_penalty_slope);
        self.set("repetition_penalty", repetition, |p| &mut p.repetition_penalty);
        self.set("frequency_penalty", frequency, |p| &mut p.frequency_penalty);
        self.set("presence_penalty", presence, |p| &mut p.presence_penalty);
        // KoboldCpp: a slope of 0 is none, as 1 is.
        if self.params.repetition_penalty_slope == 0.0 {
            self.params.repetition_penalty_slope = 1.0;
        }
    }

    fn dry(&mut self, request: &CompletionRequest) -> Result<(), RequestError> {
        let multiplier = self.first("dry.multiplier", [("dry_multiplier", request.dry_multiplier)]);
        let Some(multiplier) = multiplier.filter(|&multiplier| multiplier != 0.0) else {
            // Off: clients send the rest all the same, with values that mean nothing.
            return Ok(());
        };
        let usual = Dry::default();
        let base = self.first("dry.base", [("dry_base", request.dry_base)]);
        let length = self
            .first("dry.allowed_length", [("dry_allowed_length", request.dry_allowed_length)])
            .map(|length| whole("dry_allowed_length", length));
        let range = self.first(
            "dry.range",
            [("dry_penalty_last_n", request.dry_penalty_last_n), ("dry_range", request.dry_range)],
        );
        if request.dry_sequence_breakers.is_some() {
            self.given.push(("dry.breakers", "dry_sequence_breakers"));
        }
        let breakers = request.dry_sequence_breakers.as_ref().map(|breakers| breakers.unfolded());
        self.params.dry = Dry {
            multiplier,
            base: base.unwrap_or(usual.base),
            allowed_length: length.transpose()?.unwrap_or(usual.allowed_length),
            range: range.and_then(window).unwrap_or(usual.range),
            breakers: breakers.unwrap_or(usual.breakers),
        };
        self.params.dry.breakers.retain(|breaker| !breaker.is_empty());
        Ok(())
    }

    fn xtc(&mut self, request: &CompletionRequest) {
        let threshold = [("xtc_threshold", request.xtc_threshold)];
        let probability = [("xtc_probability", request.xtc_probability)];
        let usual = Xtc::default();
        self.params.xtc = Xtc {
            threshold: self.first("xtc.threshold", threshold).unwrap_or(usual.threshold),
            probability: self.first("xtc.probability", probability).unwrap_or(usual.probability),
        };
    }

    fn mirostat(&mut self, request: &CompletionRequest) -> Result<(), RequestError> {
        let names = [("mirostat", request.mirostat), ("mirostat_mode", request.mirostat_mode)];
        let Some((name, mode)) = names.into_iter().find_map(|(name, mode)| Some((name, mode?)))
        else {
            return Ok(());
        };
        match mode {
            0 => return Ok(()),
            2 => {}
            _ => {
                let message = format!("`{name}` is {mode}; it must be 0 or 2: Mirostat 2 alone");
                return Err(RequestError::param(name, message));
            }
        }
        // The defaults of llama-server and KoboldCpp.
        let tau = self.first("mirostat.tau", [("mirostat_tau", request.mirostat_tau)]);
        let eta = self.first("mirostat.eta", [("mirostat_eta", request.mirostat_eta)]);
        let mirostat = Mirostat { tau: tau.unwrap_or(5.0), eta: eta.unwrap_or(0.1) };
        self.params.mirostat = Some(mirostat);
        Ok(())
    }

    fn bans(&mut self, request: &CompletionRequest) {
        self.given.push(("logit_bias", "logit_bias"));
        for &(id, bias) in request.logit_bias.iter().flat_map(|biases| &biases.0) {
            match bias {
                Bias::Add(bias) => _ = self.params.logit_bias.insert(id, bias),
                Bias::Never => _ = self.params.banned_tokens.insert(id),
            }
        }
        let strings =
            [("banned_strings", &request.banned_strings), ("bad_words", &request.bad_words)];
        for (name, strings) in strings {
            if let Some(strings) = strings {
                self.given.push(("banned_strings", name));
                self.params.banned_strings.extend(strings.0.iter().cloned());
            }
        }
        let tokens = [
            ("banned_tokens", &request.banned_tokens),
            ("custom_token_bans", &request.custom_token_bans),
        ];
        for (name, banned) in tokens {
            match banned {
                None => {}
                Some(TokenIds::Ids(ids)) => self.params.banned_tokens.extend(ids),
                Some(TokenIds::Strings(strings)) => {
                    self.given.push(("banned_strings", name));
                    self.params.banned_strings.extend(strings.iter().cloned());
                }
            }
        }
        self.params.banned_strings.retain(|string| !string.is_empty());
        self.params.banned_strings.sort_unstable();
        self.params.banned_strings.dedup();
    }

    /// Sets our `field`, which lies at `slot`, if one of its names is given.
    fn set<const N: usize>(
        &mut self,
        field: &'static str,
        names: [Named<f32>; N],
        slot: impl FnOnce(&mut SamplerParams) -> &mut f32,
    ) {
        if let Some(value) = self.first(field, names) {
            *slot(&mut self.params) = value;
        }
    }
}

/// Tokens back from the end; `None` is all, which 0 and negative numbers mean
/// (text-generation-webui: 0, TabbyAPI and llama-server: −1).
fn window(tokens: i64) -> Option<usize> {
    usize::try_from(tokens).ok().filter(|&tokens| tokens > 0).map(|tokens| tokens.min(WHOLE))
}

fn whole<T: Copy + Display + TryInto<usize>>(name: &str, value: T) -> Result<usize, RequestError> {
    let message = || format!("`{name}` is {value}; it must not be negative");
    value.try_into().map_err(|_| RequestError::param(name, message()))
}

#[cfg(test)]
mod tests;
