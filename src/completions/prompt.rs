//! What is to be continued: a text, or tokens.

use std::fmt;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What is to be continued (OpenAI's `prompt`).
///
/// A list of one text, or of one list of tokens, is that one; more at once are refused.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Prompt {
    /// As text: the server's tokenizer makes tokens of it.
    Text(String),
    /// As the model's token ids, BOS included where it wants one.
    Tokens(Vec<u32>),
}

/// Sizes only: a prompt is people's text.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Tokens(ids) => write!(f, "Tokens({})", ids.len()),
        }
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PromptVisitor)
    }
}

struct PromptVisitor;

impl<'de> Visitor<'de> for PromptVisitor {
    type Value = Prompt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of token ids, or a list of one of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Prompt, E> {
        Ok(Prompt::Text(text.into()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Prompt, E> {
        Ok(Prompt::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Prompt, A::Error> {
        let first: Item = items
            .next_element()?
            .ok_or_else(|| de::Error::custom("the list is empty; give a text or token ids"))?;
        let one = match first {
            Item::Id(id) => {
                let mut ids = vec![id];
                while let Some(id) = items.next_element()? {
                    ids.push(id);
                }
                return Ok(Prompt::Tokens(ids));
            }
            Item::Text(text) => Prompt::Text(text),
            Item::Ids(ids) => Prompt::Tokens(ids),
        };
        match items.next_element::<IgnoredAny>()? {
            None => Ok(one),
            Some(_) => Err(de::Error::custom("one prompt a request; send the others beside it")),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text, a token id or a list of token ids")]
enum Item {
    Id(u32),
    Text(String),
    Ids(Vec<u32>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_prompt_is_read_in_every_shape() {
        let text = Prompt::Text("Hi".into());
        let tokens = Prompt::Tokens(vec![1, 2]);
        for (json, prompt) in
            [(r#""Hi""#, &text), (r#"["Hi"]"#, &text), ("[1, 2]", &tokens), ("[[1, 2]]", &tokens)]
        {
            assert_eq!(&serde_json::from_str::<Prompt>(json).unwrap(), prompt);
        }
        assert_eq!(serde_json::to_string(&text).unwrap(), r#""Hi""#);
        assert_eq!(serde_json::to_string(&tokens).unwrap(), "[1,2]");
    }

    #[test]
    fn several_and_none_are_refused() {
        for (json, reason) in [
            (r#"["a", "b"]"#, "one prompt a request"),
            ("[[1], [2]]", "one prompt a request"),
            ("[]", "empty"),
            ("[-1]", "token id"),
            (r#"[1, "a"]"#, "u32"),
            ("7", "a text, a list"),
        ] {
            let error = serde_json::from_str::<Prompt>(json).unwrap_err().to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }

    #[test]
    fn a_prompt_is_never_printed() {
        assert_eq!(format!("{:?}", Prompt::Text("canary".into())), "Text(6 bytes)");
    }
}
