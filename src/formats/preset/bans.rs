//! Texts of a preset: DRY's breakers, and what may not be said.

use serde_json::Value;

use super::{Lacking, PresetFile};
use crate::formats::FormatError;
use crate::sampling::SamplerParams;

const NEEDS_TOKENIZER: &str =
    "it names words, not token ids; which tokens were meant depends on the model";
const TOO_MANY: &str = "too many or too long; those beyond are left out";

impl PresetFile {
    /// DRY's breakers: a list, a list within a text, or texts between commas.
    pub(super) fn read_breakers(
        &self,
        params: &mut SamplerParams,
        lacking: &mut Vec<Lacking>,
    ) -> Result<(), FormatError> {
        const KEY: &str = "dry_sequence_breakers";
        let Some(texts) = self.root.texts(KEY)? else { return Ok(()) };
        let breakers = match texts.as_slice() {
            [one] if one.trim_start().starts_with('[') => match serde_json::from_str(one) {
                Ok(list) => list,
                Err(_) => {
                    lacking.push(self.lack(KEY, "no list of texts; the usual ones are taken"));
                    return Ok(());
                }
            },
            [one] if one.contains(',') => one
                .split(',')
                .map(|part| part.trim().trim_matches('"').replace("\\n", "\n"))
                .collect(),
            texts => texts.to_vec(),
        };
        let num_breakers = breakers.len();
        params.dry.breakers = breakers.into_iter().filter(|text| fits(text)).collect();
        params.dry.breakers.truncate(SamplerParams::MAX_STRINGS);
        if params.dry.breakers.len() < num_breakers {
            lacking.push(self.lack(KEY, TOO_MANY));
        }
        Ok(())
    }

    /// What may not be said: a line each, `[1, 2]` for token ids, `"…"` for a text.
    pub(super) fn read_bans(
        &self,
        params: &mut SamplerParams,
        lacking: &mut Vec<Lacking>,
    ) -> Result<(), FormatError> {
        let banned = self.root.texts("banned_tokens")?.unwrap_or_default();
        for line in banned.iter().flat_map(|text| text.lines()).map(str::trim) {
            if let Some(ids) = token_ids(line) {
                params.banned_tokens.extend(ids);
            } else if let Ok(text) = serde_json::from_str::<String>(line) {
                if fits(&text) && params.banned_strings.len() < SamplerParams::MAX_STRINGS {
                    params.banned_strings.push(text);
                } else {
                    lacking.push(self.lack("banned_tokens", TOO_MANY));
                }
            } else if !line.is_empty() {
                lacking.push(self.lack("banned_tokens", NEEDS_TOKENIZER));
            }
        }
        // SillyTavern keeps biases as a list, other software as an object; empty is none.
        let biases = self.root.items("logit_bias").ok().flatten().unwrap_or_default();
        for bias in biases {
            let Ok(bias) = serde_json::from_str::<Value>(bias.get()) else { continue };
            let ids = bias["text"].as_str().and_then(token_ids);
            match (ids, bias["value"].as_f64()) {
                (Some(ids), Some(value)) => {
                    let value = (value as f32).clamp(-100.0, 100.0);
                    params.logit_bias.extend(ids.into_iter().map(|id| (id, value)));
                }
                _ => lacking.push(self.lack("logit_bias", NEEDS_TOKENIZER)),
            }
        }
        Ok(())
    }

    /// Writes the bans that are not the old ones; lines that nobody understood go.
    pub(super) fn write_bans(&mut self, old: &SamplerParams, params: &SamplerParams) {
        if (&old.banned_tokens, &old.banned_strings)
            != (&params.banned_tokens, &params.banned_strings)
        {
            let texts = params.banned_strings.iter();
            let mut lines: Vec<_> = texts
                .map(|text| serde_json::to_string(text).expect("a text is writable"))
                .collect();
            if !params.banned_tokens.is_empty() {
                let ids: Vec<_> = params.banned_tokens.iter().collect();
                lines.insert(0, serde_json::to_string(&ids).expect("numbers are writable"));
            }
            self.root.set("banned_tokens", &lines.join("\n"));
        }
        if old.logit_bias != params.logit_bias {
            let biases: Vec<_> = params
                .logit_bias
                .iter()
                .map(|(id, value)| serde_json::json!({ "text": format!("[{id}]"), "value": value }))
                .collect();
            self.root.set("logit_bias", &biases);
        }
    }
}

fn fits(text: &str) -> bool {
    (1..=SamplerParams::MAX_STRING_BYTES).contains(&text.len())
}

/// The ids of `[1, 2]`.
fn token_ids(line: &str) -> Option<Vec<u32>> {
    let line = line.trim();
    line.starts_with('[').then(|| serde_json::from_str(line).ok())?
}
