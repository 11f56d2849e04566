//! Sampling parameters in a line that a person can read.

use std::fmt;

use super::order::SamplerStage;
use super::params::SamplerParams;

/// What differs from `neutral`, such as
/// `temperature 0.55, TFS 0.95, repetition penalty 1.15 over 512 tokens`;
/// `neutral` if nothing does. Settings that are switched off do not show, nor the
/// words of banned strings.
impl fmt::Display for SamplerParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        self.explain_shape(&mut parts);
        self.explain_penalties(&mut parts);
        self.explain_bans(&mut parts);
        if self.order != SamplerStage::DEFAULT_ORDER {
            let stages: Vec<_> = self.order.iter().map(|stage| stage.as_str()).collect();
            parts.push(format!("order {}", stages.join(" → ")));
        }
        if parts.is_empty() {
            parts.push("neutral".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

impl SamplerParams {
    fn explain_shape(&self, parts: &mut Vec<String>) {
        match &self.dynatemp {
            Some(dynatemp) => parts.push(format!(
                "temperature {} to {} by entropy (exponent {})",
                dynatemp.min, dynatemp.max, dynatemp.exponent
            )),
            None if self.temperature != 1.0 => {
                parts.push(format!("temperature {}", self.temperature));
            }
            None => {}
        }
        if let Some(mirostat) = &self.mirostat {
            parts.push(format!("mirostat 2 (tau {}, eta {})", mirostat.tau, mirostat.eta));
        }
        if self.top_k > 0 {
            parts.push(format!("top-k {}", self.top_k));
        }
        for (stage, name, value) in [
            (SamplerStage::TopA, "top-a", self.top_a),
            (SamplerStage::Tfs, "TFS", self.tfs),
            (SamplerStage::TypicalP, "typical", self.typical_p),
            (SamplerStage::TopP, "top-p", self.top_p),
            (SamplerStage::MinP, "min-p", self.min_p),
        ] {
            if stage.is_on(self) {
                parts.push(format!("{name} {value}"));
            }
        }
        if SamplerStage::Xtc.is_on(self) {
            let xtc = &self.xtc;
            parts.push(format!("XTC {} (probability {})", xtc.threshold, xtc.probability));
        }
    }

    fn explain_penalties(&self, parts: &mut Vec<String>) {
        if SamplerStage::RepetitionPenalty.is_on(self) {
            let mut penalties = Vec::new();
            if self.repetition_penalty != 1.0 {
                penalties.push(format!("repetition penalty {}", self.repetition_penalty));
            }
            if self.repetition_penalty > 1.0 && self.repetition_penalty_slope != 1.0 {
                penalties.push(format!("slope {}", self.repetition_penalty_slope));
            }
            if self.frequency_penalty != 0.0 {
                penalties.push(format!("frequency penalty {}", self.frequency_penalty));
            }
            if self.presence_penalty != 0.0 {
                penalties.push(format!("presence penalty {}", self.presence_penalty));
            }
            let range = self.repetition_penalty_range;
            parts.push(format!("{} over {range} tokens", penalties.join(", ")));
        }
        if SamplerStage::Dry.is_on(self) {
            let dry = &self.dry;
            let mut part =
                format!("DRY {} × {}^(length − {})", dry.multiplier, dry.base, dry.allowed_length);
            if dry.range > 0 {
                part.push_str(&format!(" over {} tokens", dry.range));
            }
            parts.push(part);
        }
    }

    fn explain_bans(&self, parts: &mut Vec<String>) {
        for (count, what) in [
            (self.logit_bias.len(), "biased token"),
            (self.banned_tokens.len(), "banned token"),
            (self.banned_strings.len(), "banned string"),
        ] {
            match count {
                0 => {}
                1 => parts.push(format!("1 {what}")),
                _ => parts.push(format!("{count} {what}s")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_from_neutral_shows() {
        let line = |name| SamplerParams::preset(name).expect("a preset").to_string();
        assert_eq!(line("neutral"), "neutral");
        assert_eq!(
            line("limarp"),
            "temperature 0.55, TFS 0.95, repetition penalty 1.15 over 512 tokens"
        );
        assert_eq!(
            line("creative"),
            "min-p 0.05, XTC 0.1 (probability 0.25), DRY 0.8 × 1.75^(length − 2)"
        );
        let mut params = SamplerParams {
            repetition_penalty_range: 64,
            banned_strings: vec!["a secret".to_owned()],
            presence_penalty: 0.5,
            order: vec![SamplerStage::RepetitionPenalty, SamplerStage::TopK],
            ..SamplerParams::default()
        };
        params.logit_bias.extend([(1, 1.0), (2, 1.0)]);
        assert_eq!(
            params.to_string(),
            "presence penalty 0.5 over 64 tokens, 2 biased tokens, 1 banned string, \
             order repetition_penalty → top_k"
        );
    }
}
