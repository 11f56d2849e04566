//! Models made of random weights, so that a bench needs no download.

use std::fmt;
use std::str::FromStr;

use crate::model::ModelConfig;

/// A decoder's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A hundred thousand weights: whether it works, not how fast it is.
    Tiny,
    /// Mistral-7B's, with so many of its layers.
    Mistral7B {
        /// From 1 to all of them.
        layers: usize,
    },
}

impl Shape {
    /// The numbers of the shape.
    pub(super) fn config(self) -> ModelConfig {
        match self {
            Self::Tiny => ModelConfig::tiny(),
            Self::Mistral7B { layers } => {
                ModelConfig { num_layers: layers, ..ModelConfig::mistral_7b() }
            }
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tiny => f.write_str("tiny"),
            Self::Mistral7B { layers } => write!(f, "mistral-7b:{layers}"),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = ModelConfig::mistral_7b().num_layers;
        let layers = |text: &str| text.parse().ok().filter(|layers| (1..=all).contains(layers));
        match text.split_once(':') {
            None if text == "tiny" => Ok(Self::Tiny),
            None if text == "mistral-7b" => Ok(Self::Mistral7B { layers: all }),
            Some(("mistral-7b", number)) => layers(number)
                .map(|layers| Self::Mistral7B { layers })
                .ok_or_else(|| format!("mistral-7b has 1 to {all} layers: mistral-7b:4")),
            _ => Err("there are tiny, mistral-7b and mistral-7b:LAYERS".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_and_shown() {
        for text in ["tiny", "mistral-7b:4", "mistral-7b:32"] {
            assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
        }
        assert_eq!("mistral-7b".parse::<Shape>().unwrap().config(), ModelConfig::mistral_7b());
        assert!("mistral-7b:33".parse::<Shape>().unwrap_err().contains("1 to 32"));
        assert!("llama".parse::<Shape>().unwrap_err().contains("tiny"));
    }
}
