//! Which template the settings name, and what is in it.

use std::path::Path;

use anyhow::Context as _;

use crate::config::Config;
use crate::domain::Template;
use crate::prompt::{check_template, shipped_template, shipped_templates};

/// The template that the settings or the model's profile name, LimaRP's where neither
/// does.
///
/// # Errors
/// It is no shipped one and no file that can be read, or its story string is wrong.
pub fn load(config: &Config) -> anyhow::Result<Template> {
    let profile = config.profile();
    let Some(wanted) = config.model.template.set().or(profile.template.as_ref()) else {
        return Ok(Template::default());
    };
    named(wanted).with_context(|| format!("the template \"{wanted}\" cannot be used"))
}

/// A shipped template by its name, or one from a file.
///
/// # Errors
/// As [`load`].
pub fn named(wanted: &str) -> anyhow::Result<Template> {
    if let Some(shipped) = shipped_template(wanted) {
        return Ok(shipped);
    }
    let path = Path::new(wanted);
    if !path.exists() {
        let shipped: Vec<_> = shipped_templates().collect();
        anyhow::bail!(
            "there is no such file, and no such template; there are {}",
            shipped.join(", ")
        );
    }
    let text = std::fs::read_to_string(path)?;
    let template = toml::from_str(&text)?;
    check_template(&template)?;
    Ok(template)
}
