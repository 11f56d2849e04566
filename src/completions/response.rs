//! What comes back: a completion, whole or in chunks.

use serde::{Deserialize, Serialize};

/// A completion (OpenAI's `text_completion`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Completion {
    /// The server's name for it, the same in all chunks of a stream.
    pub id: String,
    /// `text_completion`.
    pub object: String,
    /// When it was begun, in seconds since 1970.
    pub created: u64,
    /// Which model wrote it.
    pub model: String,
    /// The text; one, as nobody can ask for more. None in a stream's chunk of the usage.
    pub choices: Vec<Choice>,
    /// What it took; in a stream only where it was asked for, in the last chunk.
    pub usage: Option<Usage>,
    /// What our own pools want to know besides; for those who sent
    /// [`super::Extension`], with the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dramatis: Option<Receipt>,
}

/// One event of a stream: a completion that holds the next piece of the text. The last
/// event is not one but the word [`CompletionChunk::DONE`].
pub type CompletionChunk = Completion;

impl Completion {
    /// What `object` says.
    pub const OBJECT: &str = "text_completion";
    /// What ends a stream (OpenAI: `data: [DONE]`).
    pub const DONE: &str = "[DONE]";
}

/// One text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Which of several; 0.
    pub index: u32,
    /// The text, or its next piece.
    pub text: String,
    /// Nobody can ask for them: null.
    pub logprobs: Option<()>,
    /// Why it ended; null while it goes on.
    pub finish_reason: Option<FinishReason>,
    /// Which stop string or token ended it, if one did (vLLM).
    pub stop_reason: Option<StopReason>,
    /// The tokens as drawn, those of stops included, where they were asked for (vLLM's
    /// `return_token_ids`). vLLM sends them piece by piece, we send all with the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<Vec<u32>>,
}

/// Why a text ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string did (OpenAI).
    Stop,
    /// `max_tokens` were generated, or the context is full (OpenAI).
    Length,
    /// Somebody wanted it to end (vLLM, SGLang).
    Abort,
    /// What another server says.
    #[serde(untagged)]
    Other(String),
}

/// What ended a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StopReason {
    /// A stop string.
    Text(String),
    /// A token.
    Token(u32),
}

/// Tokens that were used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the prompt, BOS included.
    pub prompt_tokens: usize,
    /// Generated, those of stops and EOS included.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
    /// Of the prompt, in detail.
    pub prompt_tokens_details: Option<PromptTokensDetails>,
}

/// Tokens of the prompt, in detail (OpenAI, vLLM).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptTokensDetails {
    /// Those that need not be computed.
    pub cached_tokens: usize,
}

impl Usage {
    /// What a prompt and its completion took.
    pub fn new(prompt_tokens: usize, cached_tokens: usize, completion_tokens: usize) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: Some(PromptTokensDetails { cached_tokens }),
        }
    }
}

/// What our own pools want to know of a completion (ours).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// Why it ended, more exactly than OpenAI has words: `eos`, `stop`, `length`,
    /// `context`, `aborted` or `prefilled`.
    pub finish_reason: String,
    /// Tokens of the prompt that came back from the disk.
    pub num_restored_tokens: usize,
    /// How often it lost its KV blocks and was computed again.
    pub num_preemptions: usize,
    /// How often a banned string was taken back.
    pub num_rewinds: usize,
    /// Banned strings that stand in the text because going back did not help.
    pub num_banned_passed: usize,
    /// From the request to its first step.
    pub queue_ms: u64,
    /// From there to the first token.
    pub prefill_ms: u64,
    /// From there to the end.
    pub decode_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_written_as_openai_writes_it() {
        let completion = Completion {
            id: "cmpl-1".into(),
            object: Completion::OBJECT.into(),
            created: 7,
            model: "m".into(),
            choices: vec![Choice {
                text: "Hi".into(),
                finish_reason: Some(FinishReason::Stop),
                stop_reason: Some(StopReason::Text("\n".into())),
                ..Choice::default()
            }],
            usage: Some(Usage::new(5, 4, 2)),
            dramatis: None,
        };
        let json = serde_json::to_string(&completion).unwrap();
        assert_eq!(
            json,
            r#"{"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{"index":0,"text":"Hi","logprobs":null,"finish_reason":"stop","stop_reason":"\n"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}}"#
        );
        assert_eq!(serde_json::from_str::<Completion>(&json).unwrap(), completion);
    }

    #[test]
    fn other_servers_are_read_too() {
        // SGLang leaves the usage null, KoboldCpp most fields out; vLLM's stop may be a token.
        let json = r#"{"choices":[{"text":"Hi","finish_reason":"eos_token","stop_reason":2}]}"#;
        let chunk: CompletionChunk = serde_json::from_str(json).unwrap();
        let choice = &chunk.choices[0];
        assert_eq!(choice.finish_reason, Some(FinishReason::Other("eos_token".into())));
        assert_eq!(choice.stop_reason, Some(StopReason::Token(2)));
        assert_eq!(chunk.usage, None);
    }
}
