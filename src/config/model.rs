//! `[model]`: which model, and how much of its context is used.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::error::require;
use super::{Auto, Invalid};

/// Which model, and how much of its context is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name of a pulled model, or a path.
    pub name: String,
    /// The most tokens that prompt and reply may take together; `Auto` is what
    /// the model was trained for.
    pub context_tokens: Auto<usize>,
    /// How many tokens back each token may look.
    pub sliding_window: SlidingWindow,
    /// How its prompts are laid out: a template's name or the path of one; `Auto` is what
    /// the model's profile says, else LimaRP's.
    pub template: Auto<String>,
    /// In which form the weights are computed with.
    pub weights: Weights,
    /// Adapters that are added to the weights, all of them together.
    #[serde(deserialize_with = "adapters")]
    pub adapters: Vec<AdapterConfig>,
}

/// An adapter that is added to the model's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterConfig {
    /// Its directory; absolute.
    pub path: PathBuf,
    /// What it is multiplied with; 1 is as it was trained.
    pub scale: f32,
}

/// How adapters may be written down.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a path, or a list of paths and of { path = …, scale = … }")]
enum Adapters {
    One(PathBuf),
    List(Vec<AdapterForm>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a path or { path = …, scale = … }")]
enum AdapterForm {
    Path(PathBuf),
    Scaled(Scaled),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaled {
    path: PathBuf,
    #[serde(default = "as_trained")]
    scale: f32,
}

fn as_trained() -> f32 {
    1.0
}

fn adapters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AdapterConfig>, D::Error> {
    let forms = match Adapters::deserialize(deserializer)? {
        Adapters::One(path) => vec![AdapterForm::Path(path)],
        Adapters::List(forms) => forms,
    };
    let adapter = |form| match form {
        AdapterForm::Path(path) => AdapterConfig { path, scale: as_trained() },
        AdapterForm::Scaled(Scaled { path, scale }) => AdapterConfig { path, scale },
    };
    Ok(forms.into_iter().map(adapter).collect())
}

/// In which form the weights are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// As the model's file holds them.
    Stored,
    /// Eight bits and a scale for each 32: about 1.06 bytes a weight.
    #[serde(rename = "q8_0")]
    Q8,
    /// The upper half of a 32-bit float, two bytes a weight.
    Bf16,
    /// 32-bit floating point, four bytes a weight.
    F32,
}

/// How many tokens back each token may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlidingWindow {
    /// As the model's own files say.
    Auto,
    /// Every token sees all before it.
    Off,
    /// This many tokens.
    Tokens(usize),
}

impl ModelConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            !self.name.trim().is_empty(),
            "model.name",
            "empty",
            "the name of a model or a path; `dramatis model list` shows the names",
        )?;
        if let Auto::Set(tokens) = self.context_tokens {
            require(
                tokens >= 512,
                "model.context_tokens",
                tokens,
                "\"auto\" or a number from 512 up",
            )?;
        }
        for AdapterConfig { path, scale } in &self.adapters {
            let key = "model.adapters";
            require(!path.as_os_str().is_empty(), key, "an empty path", "paths of adapters")?;
            let allowed = "scales that are numbers other than 0";
            require(scale.is_finite() && *scale != 0.0, key, format!("scale {scale}"), allowed)?;
        }
        let window = match self.sliding_window {
            SlidingWindow::Tokens(tokens) => tokens,
            SlidingWindow::Auto | SlidingWindow::Off => return Ok(()),
        };
        require(
            window >= 1,
            "model.sliding_window",
            window,
            "\"auto\", \"off\" or a number from 1 up",
        )
    }
}

impl<'de> Deserialize<'de> for SlidingWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WindowVisitor)
    }
}

struct WindowVisitor;

impl Visitor<'_> for WindowVisitor {
    type Value = SlidingWindow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\", \"off\" or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SlidingWindow, E> {
        match text {
            "auto" => Ok(SlidingWindow::Auto),
            "off" => Ok(SlidingWindow::Off),
            _ => text
                .parse()
                .map(SlidingWindow::Tokens)
                .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<SlidingWindow, E> {
        usize::try_from(number)
            .map(SlidingWindow::Tokens)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}
