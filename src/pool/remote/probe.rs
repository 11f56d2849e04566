//! What a server is and can: asked once, and again now and then.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ANSWER, Client, Dialect, RemoteError, RemoteErrorKind, RemoteOptions, UNKNOWN};
use crate::completions::{ModelCard, ModelList};
use crate::tokenizer::Tokenizer;

/// Requests that a server is given at once if nobody says how many it can.
const MAX_REQUESTS: usize = 64;

/// Text that tokenizers differ on: case, digits, spaces, line ends, marks, scripts, a
/// symbol of four bytes, and the format's own heads.
const TELLING_TEXT: &str = "### Instruction:\nMara's Persona: 1234567 tall-ish…  \n\n### Response: \
    (length = medium)\nMara: Grüße, “wörld”!\tНочь, 夜, 🌙 don't\u{301} I'll";

/// A server, as it was when it was reached.
pub(super) struct Server {
    pub(super) dialect: Dialect,
    pub(super) model: String,
    pub(super) context_tokens: usize,
    pub(super) max_requests: usize,
    /// What its model is, as far as it can be told.
    pub(super) fingerprint: String,
}

impl Server {
    pub(super) async fn probe(
        client: &Client,
        options: &RemoteOptions,
    ) -> Result<Self, RemoteError> {
        let card = card(client, options).await?;
        let dialect = Dialect::of_owner(&card.owned_by);
        let limits = Limits::ask(client, dialect, &card).await?;
        let Some(context_tokens) = options.context_tokens.or(limits.context_tokens) else {
            return Err(client.error(
                RemoteErrorKind::Unfit,
                "it does not say how long its context is; set model.context_tokens",
            ));
        };
        if let Some(can) = limits.context_tokens.filter(|&can| can < context_tokens) {
            return Err(client.error(
                RemoteErrorKind::Unfit,
                format!(
                    "it has {can} tokens of context, and model.context_tokens asks for \
                     {context_tokens}: set that to {can} or less, or give it more"
                ),
            ));
        }
        compare_tokenizers(client, dialect, &card.id, &options.tokenizer).await?;
        Ok(Self {
            dialect,
            context_tokens,
            max_requests: options.max_requests.or(limits.max_requests).unwrap_or(MAX_REQUESTS),
            fingerprint: card.fingerprint.unwrap_or_else(|| format!("{UNKNOWN}{}", card.id)),
            model: card.id,
        })
    }

    /// Whether it answers and serves the same model still.
    pub(super) async fn check(
        &self,
        client: &Client,
        options: &RemoteOptions,
    ) -> Result<(), RemoteError> {
        if matches!(
            self.dialect,
            Dialect::Dramatis | Dialect::Vllm | Dialect::Sglang | Dialect::LlamaServer
        ) {
            client.get_bytes("/health").await?;
        }
        let card = card(client, options).await?;
        let same = card.fingerprint.is_none_or(|fingerprint| fingerprint == self.fingerprint);
        if card.id != self.model || !same {
            return Err(client.error(RemoteErrorKind::Unfit, "it serves another model now"));
        }
        Ok(())
    }
}

/// The model that is asked for, as the server describes it.
async fn card(client: &Client, options: &RemoteOptions) -> Result<ModelCard, RemoteError> {
    let list: ModelList = client.get("/v1/models").await?;
    let names = list.data.iter().map(|card| card.id.clone()).collect::<Vec<_>>().join(", ");
    let found = match &options.model {
        Some(wanted) => list.data.into_iter().find(|card| card.id == *wanted),
        None => list.data.into_iter().next(),
    };
    found.ok_or_else(|| {
        let wanted = options.model.as_deref().unwrap_or("any");
        let message = format!(
            "it does not serve {wanted}, but {}; set workers.remote_model",
            if names.is_empty() { "nothing" } else { &names }
        );
        client.error(RemoteErrorKind::Unfit, message)
    })
}

/// What a server says that it can do at most.
#[derive(Default)]
struct Limits {
    context_tokens: Option<usize>,
    max_requests: Option<usize>,
}

impl Limits {
    async fn ask(client: &Client, dialect: Dialect, card: &ModelCard) -> Result<Self, RemoteError> {
        let number = |value: &Value, pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_u64);
            found.and_then(|number| usize::try_from(number).ok()).filter(|&number| number > 0)
        };
        Ok(match dialect {
            // Each slot has a window of its own.
            Dialect::LlamaServer => {
                let props: Value = client.get("/props").await?;
                Self {
                    context_tokens: number(&props, "/default_generation_settings/n_ctx"),
                    max_requests: number(&props, "/total_slots"),
                }
            }
            Dialect::KoboldCpp => {
                let length: Value = client.get("/api/extra/true_max_context_length").await?;
                // It works on one text at a time.
                Self { context_tokens: number(&length, "/value"), max_requests: Some(1) }
            }
            Dialect::TabbyApi => {
                let model: Value = client.get("/v1/model").await?;
                Self {
                    context_tokens: number(&model, "/parameters/max_seq_len"),
                    max_requests: number(&model, "/parameters/max_batch_size"),
                }
            }
            Dialect::Dramatis | Dialect::Vllm | Dialect::Sglang | Dialect::Plain => {
                Self { context_tokens: card.max_model_len, max_requests: None }
            }
        })
    }
}

/// Lets the server count a text, and compares.
async fn compare_tokenizers(
    client: &Client,
    dialect: Dialect,
    model: &str,
    tokenizer: &Tokenizer,
) -> Result<(), RemoteError> {
    let (path, body, pointer) = match dialect {
        Dialect::Dramatis | Dialect::Vllm | Dialect::Sglang => (
            "/tokenize",
            json!({ "model": model, "prompt": TELLING_TEXT, "add_special_tokens": false }),
            "/tokens",
        ),
        Dialect::LlamaServer => (
            "/tokenize",
            json!({ "content": TELLING_TEXT, "add_special": false, "parse_special": false }),
            "/tokens",
        ),
        Dialect::KoboldCpp => {
            ("/api/extra/tokencount", json!({ "prompt": TELLING_TEXT, "special": false }), "/ids")
        }
        Dialect::TabbyApi => (
            "/v1/token/encode",
            json!({ "text": TELLING_TEXT, "add_bos_token": false, "encode_special_tokens": false }),
            "/tokens",
        ),
        Dialect::Plain => return Ok(()),
    };
    let theirs: Value = match client.post_for(path, &body).await {
        Ok(answer) => answer,
        // Older ones have no such endpoint.
        Err(error) if error.kind == RemoteErrorKind::Protocol => {
            tracing::warn!(worker = %client.name, "pool.tokenizer_unchecked");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let ids = theirs.pointer(pointer).and_then(Value::as_array).map(|ids| {
        ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect::<Vec<_>>()
    });
    let ours = tokenizer.encode(TELLING_TEXT);
    let ours = &ours[..];
    match ids {
        // KoboldCpp's older versions put BOS there all the same.
        Some(ids) if ids == ours || ids.get(1..).is_some_and(|rest| rest == ours) => Ok(()),
        Some(ids) => Err(client.error(
            RemoteErrorKind::Unfit,
            format!(
                "its model counts other tokens than ours ({} and {} in the same text): set \
                 workers.tokenizer, or model.name, to the tokenizer or the model that it serves",
                ids.len(),
                ours.len()
            ),
        )),
        None => Err(client.error(RemoteErrorKind::Protocol, format!("no tokens in {path}"))),
    }
}

impl Client {
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        self.read(path, &self.get_bytes(path).await?)
    }

    pub(super) async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        self.answer(self.http.get(self.url.join(path))).await
    }

    pub(super) async fn post_for<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, RemoteError> {
        self.read(path, &self.post(path, body).await?)
    }

    pub(super) async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, RemoteError> {
        self.answer(self.posting(path, body)).await
    }

    /// A request with a body of JSON.
    pub(super) fn posting(&self, path: &str, body: &impl Serialize) -> reqwest::RequestBuilder {
        let body = serde_json::to_vec(body).expect("our bodies have text for keys");
        self.http
            .post(self.url.join(path))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, RemoteError> {
        let failed = |error: reqwest::Error| RemoteError::of_exchange(&self.name, &error);
        let answer = request.timeout(ANSWER).send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        match status.is_success() {
            true => Ok(body.into()),
            false => Err(RemoteError::of_answer(&self.name, status, &body)),
        }
    }

    fn read<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, RemoteError> {
        serde_json::from_slice(body)
            .map_err(|error| self.error(RemoteErrorKind::Protocol, format!("{path}: {error}")))
    }
}
