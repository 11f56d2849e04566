//! Sampling presets that come as files of other programs and go as such.

use serde_json::json;

use super::super::{ChatError, FileOut, clean_name, file_name};
use super::{Library, limits};
use crate::domain::{GuildId, PersonId};
use crate::formats::preset::PresetFile;
use crate::sampling::SamplerParams;
use crate::store::{Preset, name_key};

/// How many scenes are looked through for one that uses a preset.
const MAX_SCENES: u32 = 10_000;

/// A preset that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedPreset {
    /// Its name here.
    pub name: String,
    /// What of the file does nothing here, and why, in words.
    pub lacking: Vec<String>,
}

impl Library {
    /// Keeps a preset file of SillyTavern or KoboldCpp as one of the guild's, in place of
    /// an earlier one of that name.
    ///
    /// # Errors
    /// The file is no preset, says something impossible, or the database fails.
    pub async fn import_preset(
        &self,
        guild: GuildId,
        person: PersonId,
        bytes: &[u8],
        name: &str,
    ) -> Result<ImportedPreset, ChatError> {
        let name = clean_name(name)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ChatError::refused("a preset is a JSON file; this is none"))?;
        let file = PresetFile::read_json(text, &limits())?;
        let read = file.to_params()?;
        read.params.validate().map_err(|error| ChatError::preset(&name, &error))?;
        let params = serde_json::to_value(&read.params).expect("parameters are plain data");
        let source = Some(file.to_json());
        self.store.upsert_preset(guild, &Preset { name: name.clone(), params, source }).await?;
        self.note(guild, person, "preset.import", &json!({ "preset": name })).await?;
        let lacking = read.lacking.iter();
        let lacking = lacking.map(|it| format!("{} = {}: {}", it.key, it.value, it.why));
        Ok(ImportedPreset { name, lacking: lacking.collect() })
    }

    /// Drops one of the guild's presets; says whether there was one.
    ///
    /// # Errors
    /// A scene uses it, which says which; or the database fails.
    pub async fn delete_preset(
        &self,
        guild: GuildId,
        person: PersonId,
        name: &str,
    ) -> Result<bool, ChatError> {
        let scenes = self.store.list_scenes(guild, false, MAX_SCENES).await?;
        let used = scenes.iter().find(|scene| name_key(&scene.preset) == name_key(name));
        if let (Some(scene), None) = (used, SamplerParams::preset(name)) {
            return Err(ChatError::refused(format!(
                "the scene “{}” uses that preset; /preset choose gives it another",
                scene.title
            )));
        }
        let gone = self.store.delete_preset(guild, name).await?;
        if gone {
            self.note(guild, person, "preset.delete", &json!({ "preset": name })).await?;
        }
        Ok(gone)
    }

    /// A preset as a file that SillyTavern reads: the guild's own of that name as it
    /// came, else one of ours.
    ///
    /// # Errors
    /// There is none of that name, or the database fails.
    pub async fn export_preset(&self, guild: GuildId, name: &str) -> Result<FileOut, ChatError> {
        let text = match self.store.get_preset(guild, name).await? {
            Some(Preset { params, source, name }) => {
                let params: SamplerParams = serde_json::from_value(params).map_err(|error| {
                    ChatError::Preset { name: name.clone(), reason: error.to_string() }
                })?;
                match source {
                    Some(text) => {
                        PresetFile::read_json(&text, &limits())?.with_params(&params).to_json()
                    }
                    None => PresetFile::from_params(&params).to_json(),
                }
            }
            None => {
                let params = SamplerParams::preset(name).ok_or_else(|| {
                    ChatError::refused(format!("there is no preset “{name}” that can be written"))
                })?;
                PresetFile::from_params(&params).to_json()
            }
        };
        Ok(FileOut { name: file_name(name, "json"), bytes: text.into_bytes() })
    }
}
