//! Which version of the specification a card is written in.

use crate::formats::FormatError;
use crate::formats::fields::Object;

use super::{OLD_NAMES, V1_FIELDS};

/// A version of the character card specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// A flat object.
    V1,
    /// `chara_card_v2`.
    V2,
    /// `chara_card_v3`.
    V3,
}

impl Version {
    /// What `spec` says in it, if anything.
    pub fn spec(self) -> Option<&'static str> {
        match self {
            Self::V1 => None,
            Self::V2 => Some("chara_card_v2"),
            Self::V3 => Some("chara_card_v3"),
        }
    }

    /// What `spec_version` says in it, if anything.
    pub fn spec_version(self) -> Option<&'static str> {
        match self {
            Self::V1 => None,
            Self::V2 => Some("2.0"),
            Self::V3 => Some("3.0"),
        }
    }

    /// The version that a document is read as. What it says of itself counts where its
    /// data are there; a version that is not known reads as the newest.
    pub(super) fn detect(root: &Object) -> Result<Self, FormatError> {
        let spec = root.text("spec").ok().flatten();
        let data = root.object("data").ok().flatten();
        // Many a document has a name and a description.
        let mut telling = V1_FIELDS[2..].iter().chain(OLD_NAMES.iter().map(|(_, old)| old));
        let is_flat = !root.has("entries") && telling.any(|key| root.has(key));
        match (spec.as_deref(), data) {
            (Some("chara_card_v2"), Some(_)) => Ok(Self::V2),
            (Some(spec), Some(_)) if spec.starts_with("chara_card_v") => Ok(Self::V3),
            (_, Some(data)) if data.has("name") && V1_FIELDS[1..].iter().any(|k| data.has(k)) => {
                Ok(Self::V2)
            }
            _ if is_flat => Ok(Self::V1),
            _ => Err(FormatError::Unknown {
                wanted: "character card",
                what: found(root, spec.as_deref()),
            }),
        }
    }
}

/// What a document that is no card looks like.
fn found(root: &Object, spec: Option<&str>) -> String {
    if spec == Some("lorebook_v3") || root.has("entries") {
        return "it is a lorebook; import it as one".to_owned();
    }
    if let Some(spec) = spec {
        let spec: String = spec.chars().take(40).collect();
        return format!("its spec is {spec:?} and it has no data of a character");
    }
    let keys: Vec<String> = root.keys().take(6).map(|key| key.chars().take(20).collect()).collect();
    format!("it has none of a card's fields (first_mes, personality, scenario …), but {keys:?}")
}
