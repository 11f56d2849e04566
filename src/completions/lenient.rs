//! Values that different clients write differently.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Strings: one, or a list. SillyTavern and text-generation-webui also write a list as
/// text, `"\n", ":"` with or without brackets; whoever wants that asks for
/// [`OneOrMany::unfolded`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl OneOrMany {
    /// The strings, after a single one that is itself a list in JSON was read as one
    /// (TabbyAPI's `dry_sequence_breakers`; brackets may be missing).
    pub fn unfolded(&self) -> Vec<String> {
        let [one] = self.0.as_slice() else { return self.0.clone() };
        let bracketed = match one.trim_start().starts_with('[') {
            true => one.clone(),
            false => format!("[{one}]"),
        };
        serde_json::from_str(&bracketed).unwrap_or_else(|_| self.0.clone())
    }
}

/// The number only: these are people's texts.
impl fmt::Debug for OneOrMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneOrMany({})", self.0.len())
    }
}

impl Serialize for OneOrMany {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a text or a list of texts")]
        enum Written {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::One(one) => vec![one],
            Written::Many(many) => many,
        }))
    }
}

/// What is banned: token ids, as a list or as text `"1, 2"` (text-generation-webui,
/// TabbyAPI), or strings (KoboldCpp's `banned_tokens`).
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// Ids of the model.
    Ids(Vec<u32>),
    /// Strings.
    Strings(Vec<String>),
}

impl fmt::Debug for TokenIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(ids) => write!(f, "Ids({})", ids.len()),
            Self::Strings(strings) => write!(f, "Strings({})", strings.len()),
        }
    }
}

impl<'de> Deserialize<'de> for TokenIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected token ids, as a list or with commas between")]
        enum Written {
            Text(String),
            Ids(Vec<u32>),
            Strings(Vec<String>),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Ids(ids) => Self::Ids(ids),
            Written::Strings(strings) => Self::Strings(strings),
            Written::Text(text) => {
                let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
                let id = |id: &str| {
                    id.parse().map_err(|_| de::Error::custom("there is something not a token id"))
                };
                Self::Ids(ids.map(id).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// What is added to tokens' logits: `{"13": -2.5}` (OpenAI), or `[[13, -2.5], [7, false]]`
/// (llama-server), where `false` is never.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogitBias(pub Vec<(u32, Bias)>);

/// One token's bias.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bias {
    /// Added to its logit, −100 to 100.
    Add(f32),
    /// It is never drawn.
    Never,
}

/// As OpenAI's map; never is −100, which is its word for that.
impl Serialize for LogitBias {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, bias)| match bias {
            Bias::Add(bias) => (id.to_string(), *bias),
            Bias::Never => (id.to_string(), -100.0),
        }))
    }
}

impl<'de> Deserialize<'de> for LogitBias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BiasVisitor)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, or false for never")]
enum WrittenBias {
    Add(f32),
    Never(bool),
}

impl WrittenBias {
    fn read<E: de::Error>(self) -> Result<Bias, E> {
        match self {
            Self::Add(bias) => Ok(Bias::Add(bias)),
            Self::Never(false) => Ok(Bias::Never),
            Self::Never(true) => Err(E::custom("a bias is a number, or false for never")),
        }
    }
}

struct BiasVisitor;

impl<'de> Visitor<'de> for BiasVisitor {
    type Value = LogitBias;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of token ids to numbers, or a list of pairs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LogitBias, A::Error> {
        let mut biases = Vec::new();
        while let Some((id, bias)) = map.next_entry::<String, WrittenBias>()? {
            let id = id.parse().map_err(|_| de::Error::custom("a key is not a token id"))?;
            biases.push((id, bias.read()?));
        }
        Ok(LogitBias(biases))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LogitBias, A::Error> {
        let mut biases = Vec::new();
        while let Some((id, bias)) = items.next_element::<(u32, WrittenBias)>()? {
            biases.push((id, bias.read()?));
        }
        Ok(LogitBias(biases))
    }
}

/// A seed; a negative one asks for any (llama-server, KoboldCpp, text-generation-webui:
/// −1), as leaving it out does.
pub(super) fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a whole number")]
    enum Written {
        Seed(u64),
        Any(i64),
    }
    let written = Option::<Written>::deserialize(deserializer)?;
    Ok(written.and_then(|written| match written {
        Written::Seed(seed) => Some(seed),
        Written::Any(seed) => u64::try_from(seed).ok(),
    }))
}

/// A mode that some write as a number and some as a word of yes or no: TabbyAPI's
/// `mirostat` is yes where others' is 2.
pub(super) fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected 0 or 2")]
    enum Written {
        Mode(i64),
        Switch(bool),
    }
    let written = Option::<Written>::deserialize(deserializer)?;
    Ok(written.map(|written| match written {
        Written::Mode(mode) => mode,
        Written::Switch(on) => 2 * i64::from(on),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn strings_are_one_or_many_or_a_list_in_a_text() {
        let unfolded = |json: &str| read::<OneOrMany>(json).unwrap().unfolded();
        assert_eq!(read::<OneOrMany>(r#""a""#).unwrap().0, ["a"]);
        assert_eq!(unfolded(r#"["a", "b"]"#), ["a", "b"]);
        assert_eq!(unfolded(r#""[\"\\n\", \":\"]""#), ["\n", ":"]);
        assert_eq!(unfolded(r#""\"\\n\", \":\"""#), ["\n", ":"]);
        assert_eq!(unfolded(r#""*""#), ["*"]);
        assert!(read::<OneOrMany>("[1]").unwrap_err().contains("list of texts"));
    }

    #[test]
    fn bans_are_ids_or_strings() {
        assert_eq!(read("[1, 2]"), Ok(TokenIds::Ids(vec![1, 2])));
        assert_eq!(read(r#"" 1,2, ""#), Ok(TokenIds::Ids(vec![1, 2])));
        assert_eq!(read(r#""""#), Ok(TokenIds::Ids(vec![])));
        assert_eq!(read(r#"["ab"]"#), Ok(TokenIds::Strings(vec!["ab".into()])));
        assert!(read::<TokenIds>(r#""1,x""#).unwrap_err().contains("not a token id"));
    }

    #[test]
    fn a_bias_is_a_map_or_pairs() {
        let add = LogitBias(vec![(13, Bias::Add(-2.5))]);
        assert_eq!(read(r#"{"13": -2.5}"#), Ok(add.clone()));
        assert_eq!(serde_json::to_string(&add).unwrap(), r#"{"13":-2.5}"#);
        let both = LogitBias(vec![(13, Bias::Add(1.0)), (7, Bias::Never)]);
        assert_eq!(read("[[13, 1], [7, false]]"), Ok(both));
        assert!(read::<LogitBias>(r#"{"the": 1}"#).unwrap_err().contains("token id"));
        assert!(read::<LogitBias>("[[7, true]]").unwrap_err().contains("never"));
    }
}
