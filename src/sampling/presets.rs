//! The presets that ship: `limarp`, `neutral`, `creative`.

use super::params::{Dry, SamplerParams, Xtc};

impl SamplerParams {
    /// The names that [`preset`](Self::preset) knows; the first is the one to
    /// start with.
    pub const PRESETS: [&str; 3] = ["limarp", "neutral", "creative"];

    /// A shipped preset by name; `None` if there is no such preset.
    ///
    /// - `limarp`: what the LimaRP model card suggests: temperature 0.50–0.55,
    ///   TFS 0.90–0.95, repetition penalty about 1.15 over about 512 tokens.
    ///   The livelier end of each range is taken, as the penalty is already
    ///   strong.
    /// - `neutral`: the model's own distribution.
    /// - `creative`: temperature 1 over a min-p floor, against repeats by DRY
    ///   (with its author's suggested values) and against clichés by XTC, at
    ///   half its author's suggested probability.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "limarp" => Some(Self {
                temperature: 0.55,
                tfs: 0.95,
                repetition_penalty: 1.15,
                repetition_penalty_range: 512,
                ..Self::default()
            }),
            "neutral" => Some(Self::default()),
            "creative" => Some(Self {
                min_p: 0.05,
                dry: Dry { multiplier: 0.8, ..Dry::default() },
                xtc: Xtc { threshold: 0.1, probability: 0.25 },
                ..Self::default()
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_survives_json() {
        for name in SamplerParams::PRESETS {
            let preset = SamplerParams::preset(name).expect("PRESETS names it");
            preset.validate().expect(name);
            let json = serde_json::to_string(&preset).unwrap();
            assert_eq!(serde_json::from_str::<SamplerParams>(&json).unwrap(), preset);
        }
        assert_eq!(SamplerParams::preset("Limarp"), None);
    }

    #[test]
    fn a_few_keys_are_enough_and_an_unknown_one_is_refused() {
        let json = r#"{"temperature": 0.7, "logit_bias": {"13": -2.5}, "dry": {"multiplier": 1}}"#;
        let params: SamplerParams = serde_json::from_str(json).unwrap();
        assert_eq!(params.logit_bias[&13], -2.5);
        assert_eq!(params.dry, Dry { multiplier: 1.0, ..Dry::default() });
        assert_eq!(params.tfs, 1.0);

        for json in [r#"{"temprature": 0.7}"#, r#"{"dry": {"length": 2}}"#] {
            let error = serde_json::from_str::<SamplerParams>(json).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
        let error = serde_json::from_str::<SamplerParams>(r#"{"logit_bias": {"the": 1}}"#);
        assert!(error.unwrap_err().to_string().contains("`the` is not a token id"));
    }
}
