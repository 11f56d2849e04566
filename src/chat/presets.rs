//! Which sampling parameters a preset's name means.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::GuildId;
use crate::sampling::SamplerParams;

use super::{Chat, ChatError};

impl Chat {
    /// The names that a guild can choose from: its own, the operator's, and ours.
    ///
    /// # Errors
    /// The database fails.
    pub async fn preset_names(&self, guild: GuildId) -> Result<Vec<String>, ChatError> {
        let own = self.store.list_presets(guild).await?.into_iter().map(|preset| preset.name);
        let mut names: Vec<String> = SamplerParams::PRESETS.map(str::to_owned).into();
        names.extend(self.settings.presets.keys().cloned());
        names.extend(own);
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.to_lowercase()));
        Ok(names)
    }

    /// The parameters of a preset: the guild's own of that name, else the
    /// operator's, else ours.
    ///
    /// # Errors
    /// There is none of that name, or what it says cannot be used.
    pub(super) async fn sampler_params(
        &self,
        guild: GuildId,
        name: &str,
    ) -> Result<SamplerParams, ChatError> {
        if let Some(preset) = self.store.get_preset(guild, name).await? {
            return read(name, preset.params);
        }
        if let Some(params) = self.settings.presets.get(name) {
            return Ok(params.clone());
        }
        match SamplerParams::preset(name) {
            Some(params) => Ok(params),
            None => {
                let known = self.preset_names(guild).await?.join(", ");
                Err(ChatError::refused(format!("there is no preset “{name}”; there are {known}")))
            }
        }
    }
}

/// Reads the operator's presets.
///
/// # Errors
/// One of them holds something that is no sampling parameter, or out of range.
pub(super) fn read_all(
    presets: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, SamplerParams>, ChatError> {
    presets.iter().map(|(name, value)| Ok((name.clone(), read(name, value.clone())?))).collect()
}

fn read(name: &str, value: Value) -> Result<SamplerParams, ChatError> {
    let params: SamplerParams = serde_json::from_value(value)
        .map_err(|error| ChatError::Preset { name: name.to_owned(), reason: error.to_string() })?;
    params.validate().map_err(|error| ChatError::preset(name, &error))?;
    Ok(params)
}
