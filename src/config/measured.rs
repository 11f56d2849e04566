//! What was measured of models, kept in the data directory: a file of profiles, before which
//! come those of the operator's own settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::generation::check_lengths;
use super::{Config, ConfigError};

const FILE: &str = "profiles.toml";
const HEAD: &str = "# Ranges of lengths that `dramatis bench lengths --save` measured, in tokens.\n\
    # [profiles.NAME.lengths] of a configuration comes before them.\n";

/// The file, by the names of models.
type Profiles = BTreeMap<String, Measured>;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    lengths: BTreeMap<String, [usize; 2]>,
}

/// Where measured profiles lie.
pub fn profiles_file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Keeps the ranges of a model's lengths, in tokens from and to.
///
/// # Errors
/// What is there is no such file, or it cannot be written.
pub fn save_lengths(
    path: &Path,
    model: &str,
    lengths: &BTreeMap<String, [usize; 2]>,
) -> Result<(), ConfigError> {
    let mut profiles = read(path)?;
    profiles.insert(model.to_owned(), Measured { lengths: lengths.clone() });
    let text = toml::to_string(&profiles).expect("names and numbers can be written");
    let unwritable = |source| ConfigError::Unwritable { path: path.to_owned(), source };
    let new = path.with_extension("toml.new");
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.map_err(unwritable)?;
    fs::write(&new, format!("{HEAD}{text}")).map_err(unwritable)?;
    fs::rename(&new, path).map_err(unwritable)
}

/// Gives profiles what was measured of lengths that they do not name.
pub(super) fn add_to(config: &mut Config) -> Result<(), ConfigError> {
    let path = profiles_file(&config.data_dir);
    for (model, measured) in read(&path)? {
        let known = &config.generation.max_tokens;
        check_lengths(&model, &BTreeMap::new(), &measured.lengths, known).map_err(|invalid| {
            ConfigError::Invalid { origin: path.display().to_string(), invalid }
        })?;
        let profile = config.profiles.entry(model).or_default();
        for (length, range) in measured.lengths {
            profile.lengths.entry(length).or_insert(range);
        }
    }
    Ok(())
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::Measured { path: path.to_owned(), reason: reason.to_string().trim().to_owned() }
}

fn read(path: &Path) -> Result<Profiles, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Profiles::new()),
        Err(error) => return Err(unusable(path, &error)),
    };
    toml::from_str(&text).map_err(|error| unusable(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_models_are_kept_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let path = profiles_file(dir.path());
        let ranges = |to| BTreeMap::from([("medium".to_owned(), [90, to])]);
        save_lengths(&path, "small.gguf", &ranges(180)).unwrap();
        save_lengths(&path, "large", &ranges(300)).unwrap();
        save_lengths(&path, "small.gguf", &ranges(200)).unwrap();
        let profiles = read(&path).unwrap();
        assert_eq!(profiles["small.gguf"].lengths, ranges(200));
        assert_eq!(profiles["large"].lengths, ranges(300));
        fs::write(&path, "lengths = 3").unwrap();
        let error = save_lengths(&path, "large", &ranges(1)).unwrap_err().to_string();
        assert!(error.contains("profiles.toml") && error.contains("delete it"), "{error}");
    }
}
