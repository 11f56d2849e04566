//! What a server says of itself.

use serde::{Deserialize, Serialize};

/// `GET /v1/models` (OpenAI).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// `list`.
    #[serde(default)]
    pub object: String,
    /// The models.
    pub data: Vec<ModelCard>,
}

/// One model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelCard {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: String,
    /// When it was made or loaded, in seconds since 1970.
    pub created: u64,
    /// Who serves it.
    pub owned_by: String,
    /// The most tokens of prompt and completion together (vLLM).
    pub max_model_len: Option<usize>,
    /// What is in its files (ours): two workers with the same write the same.
    pub fingerprint: Option<String>,
}

impl ModelList {
    /// A list of one.
    pub fn of(card: ModelCard) -> Self {
        Self { object: "list".into(), data: vec![card] }
    }
}

/// `GET /health` (llama-server: `{"status": "ok"}`); an error instead where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// `GET /version` (vLLM).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The server's version.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_others_are_read() {
        let json = r#"{"object":"list","data":[{"id":"m","object":"model","created":7,
            "owned_by":"llamacpp","meta":{"n_ctx_train":4096}}]}"#;
        let list: ModelList = serde_json::from_str(json).unwrap();
        assert_eq!((list.data[0].id.as_str(), list.data[0].max_model_len), ("m", None));
    }
}
