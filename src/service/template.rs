//! Which template the settings name, and what is in it.

use std::path::Path;

use anyhow::Context as _;

use crate::config::Config;
use crate::domain::Template;
use crate::formats::Limits;
use crate::formats::template::TemplateFile;
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

/// A shipped template by its name, or one from a file. Several, with commas between,
/// are laid over one another: people keep instruct and context in two files.
///
/// # Errors
/// As [`load`].
pub fn named(wanted: &str) -> anyhow::Result<Template> {
    let mut parts = wanted.split(',').map(str::trim).filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    let mut template = one(first)?;
    for over in parts {
        let Template::Instruct(instruct) = &mut template else {
            anyhow::bail!("nothing can be laid over LimaRP's template, which is built in");
        };
        let file = TemplateFile::read_json(&text_of(Path::new(over))?, &Limits::default())?;
        file.apply_to(instruct)?;
    }
    check_template(&template)?;
    Ok(template)
}

fn one(wanted: &str) -> anyhow::Result<Template> {
    if let Some(shipped) = shipped_template(wanted) {
        return Ok(shipped);
    }
    let path = Path::new(wanted);
    let text = text_of(path)?;
    if !text.trim_start().starts_with('{') {
        return Ok(toml::from_str(&text)?);
    }
    let mut template = TemplateFile::read_json(&text, &Limits::default())?.to_template()?;
    if template.name.is_empty() {
        let stem = path.file_stem().unwrap_or_default();
        template.name = stem.to_string_lossy().into_owned();
    }
    Ok(Template::Instruct(Box::new(template)))
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    if !path.exists() {
        let shipped: Vec<_> = shipped_templates().collect();
        anyhow::bail!(
            "there is no file {}, and no template of that name; there are {}",
            path.display(),
            shipped.join(", ")
        );
    }
    Ok(std::fs::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_found_by_name_and_by_path_and_laid_over_one_another() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mine.json");
        std::fs::write(&path, r#"{"input_sequence": "<in>", "output_sequence": "<out>"}"#)
            .expect("written");
        let path = path.to_string_lossy();
        let Template::Instruct(mine) = named(&path).expect("a file") else { panic!("instruct") };
        assert_eq!((mine.name.as_str(), mine.instruct.output_sequence.as_str()), ("mine", "<out>"));
        let both = named(&format!("chatml, {path}")).expect("both");
        let Template::Instruct(both) = both else { panic!("instruct") };
        assert_eq!(both.instruct.input_sequence, "<in>");
        assert!(!both.context.story_string.is_empty(), "what the file does not say stays");
        assert_eq!(named("limarp").expect("shipped"), Template::Limarp);
        let unknown = named("chatmll").expect_err("none").to_string();
        assert!(unknown.contains("chatml, "), "{unknown}");
        assert!(named(&format!("limarp, {path}")).is_err());
    }
}
