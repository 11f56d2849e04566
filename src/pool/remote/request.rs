//! One reply at a server: sent, read as it comes, ended as soon as nobody wants it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::error::first_line;
use super::probe::Server;
use super::sse::EventParser;
use super::{Client, Dialect, RemoteError, RemoteErrorKind};
use crate::completions::{
    Completion, CompletionChunk, ErrorBody, FinishReason as Ending, Prompt, Receipt, StopReason,
    Usage,
};
use crate::engine::{FinishReason, GenerationRequest, GenerationSummary, TextFilter};
use crate::pool::PoolError;
use crate::pool::stream::PoolEvent;
use crate::tokenizer::Tokenizer;

/// How long what follows the text may take: the usage, and the word that it is over.
const AFTERWORD: Duration = Duration::from_secs(2);

/// How many times as long the first word may take as any later one: a prompt is read for it,
/// and others may be before it.
const FIRST_WORD: u32 = 5;

pub(super) struct Exchange {
    pub(super) client: Client,
    pub(super) server: Arc<Server>,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) request: GenerationRequest,
    /// How long the server may be silent.
    pub(super) stall: Duration,
    pub(super) events: mpsc::UnboundedSender<PoolEvent>,
    /// Whether the text so far is all that is wanted.
    pub(super) stopped: watch::Receiver<bool>,
}

/// What was read so far.
struct Reading {
    filter: TextFilter,
    began: Instant,
    first_text: Option<Instant>,
    num_pieces: usize,
    token_ids: Vec<u32>,
    usage: Option<Usage>,
    receipt: Option<Receipt>,
    ending: Option<FinishReason>,
    /// The server said that this is all.
    is_done: bool,
}

impl Exchange {
    pub(super) async fn run(self) {
        let events = self.events.clone();
        let closed = self.events.clone();
        let event = tokio::select! {
            outcome = self.converse() => match outcome {
                Ok(summary) => PoolEvent::Finished(summary),
                Err(error) => PoolEvent::Failed(PoolError::Remote(Arc::new(error))),
            },
            // Leaving the conversation closes the connection.
            () = closed.closed() => return,
        };
        // Nobody may wait any more.
        let _ = events.send(event);
    }

    async fn converse(self) -> Result<GenerationSummary, RemoteError> {
        let is_ours = self.server.dialect == Dialect::Dramatis;
        let trims = |wanted: bool| wanted && !is_ours;
        let mut reading = Reading {
            filter: TextFilter::new(
                self.request.stop.clone(),
                trims(self.request.trim_start_space),
                trims(self.request.trim_end),
                // A server of ours does it itself.
                self.request.length_range.filter(|_| !is_ours),
                self.request.max_tokens,
            ),
            began: Instant::now(),
            first_text: None,
            num_pieces: 0,
            token_ids: Vec::new(),
            usage: None,
            receipt: None,
            ending: None,
            is_done: false,
        };
        let failed = |error: reqwest::Error| RemoteError::of_exchange(&self.client.name, &error);
        let sending = self.client.posting("/v1/completions", &self.body()).send();
        let mut stopped = self.stopped.clone();
        let mut answer = tokio::select! {
            answer = self.in_time(FIRST_WORD, sending) => answer?.map_err(failed)?,
            () = raised(&mut stopped) => return Ok(self.summary(reading, FinishReason::Aborted)),
        };
        let status = answer.status();
        if !status.is_success() {
            let body = self.in_time(1, answer.bytes()).await?.unwrap_or_default();
            return Err(RemoteError::of_answer(&self.client.name, status, &body));
        }
        self.send(PoolEvent::Started { num_cached_tokens: 0, queue_ms: 0 });
        let mut parser = EventParser::default();
        while !reading.is_done {
            let patience = if reading.first_text.is_some() { 1 } else { FIRST_WORD };
            let chunk = tokio::select! {
                chunk = self.in_time(patience, answer.chunk()) => chunk?.map_err(failed)?,
                () = raised(&mut stopped) => {
                    return Ok(self.summary(reading, FinishReason::Aborted));
                }
                // The text is complete; what it cost need not come.
                () = tokio::time::sleep(AFTERWORD), if reading.ending.is_some() => break,
            };
            let Some(bytes) = chunk else { break };
            let mut datas = Vec::new();
            parser
                .push(&bytes, |data| datas.push(data.to_vec()))
                .map_err(|_| self.protocol("an event without end"))?;
            for data in datas {
                self.read(&mut reading, &data)?;
            }
        }
        match reading.ending.take() {
            Some(FinishReason::Aborted) => {
                Err(self.client.error(RemoteErrorKind::Failed, "it gave the reply up"))
            }
            Some(reason) => Ok(self.summary(reading, reason)),
            None => {
                Err(self.client.error(RemoteErrorKind::Unreachable, "it broke off in mid-reply"))
            }
        }
    }

    /// Waits for the server, so many times as long as it may be silent.
    async fn in_time<T>(
        &self,
        times: u32,
        work: impl Future<Output = T>,
    ) -> Result<T, RemoteError> {
        let silent = |_| self.client.error(RemoteErrorKind::Stalled, "it says nothing");
        tokio::time::timeout(self.stall * times, work).await.map_err(silent)
    }

    /// Takes in one event.
    fn read(&self, reading: &mut Reading, data: &[u8]) -> Result<(), RemoteError> {
        if data == CompletionChunk::DONE.as_bytes() {
            reading.is_done = true;
            return Ok(());
        }
        let chunk: Completion = serde_json::from_slice(data).map_err(|_| self.unreadable(data))?;
        if chunk.choices.is_empty() && chunk.usage.is_none() && chunk.dramatis.is_none() {
            // Some wrap an error in an event.
            if let Ok(body) = serde_json::from_slice::<ErrorBody>(data) {
                return Err(self
                    .client
                    .error(RemoteErrorKind::Failed, first_line(&body.error.message)));
            }
        }
        reading.usage = chunk.usage.or(reading.usage);
        reading.receipt = chunk.dramatis.or(reading.receipt.take());
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        reading.token_ids.extend(choice.token_ids.unwrap_or_default());
        if !choice.text.is_empty() {
            reading.first_text.get_or_insert_with(Instant::now);
            reading.num_pieces += 1;
            // Other servers send a token in each event, or say which.
            let num_tokens = reading.num_pieces.max(reading.token_ids.len());
            if let Some(ending) = reading.filter.push(&choice.text, num_tokens) {
                // The server does not know this end, or finds it later than we do.
                reading.ending = Some(ending);
                reading.is_done = true;
            }
            self.send_text(reading.filter.take_delta());
        }
        if let (Some(ending), None) = (choice.finish_reason, &reading.ending) {
            reading.ending = Some(match (ending, choice.stop_reason) {
                (Ending::Stop, Some(StopReason::Text(stop))) => FinishReason::Stop(stop),
                (Ending::Stop | Ending::Other(_), _) => FinishReason::Eos,
                (Ending::Length, _) => FinishReason::Length,
                (Ending::Abort, _) => FinishReason::Aborted,
            });
        }
        Ok(())
    }

    fn summary(&self, mut reading: Reading, mut reason: FinishReason) -> GenerationSummary {
        let rest = reading.filter.finish(&reason);
        self.send_text(rest);
        let text = reading.filter.into_text();
        let num_prompt_tokens =
            reading.usage.map_or(self.request.prompt.len(), |usage| usage.prompt_tokens);
        let num_generated_tokens = match reading.usage {
            Some(usage) if usage.completion_tokens > 0 => usage.completion_tokens,
            _ if !reading.token_ids.is_empty() => reading.token_ids.len(),
            _ => self.tokenizer.count(&text).max(reading.num_pieces.min(1)),
        };
        if self.request.prefill_only {
            reason = FinishReason::Prefilled;
        } else if let Some(told) = &reading.receipt {
            reason = told_reason(&told.finish_reason, reason);
        } else if reason == FinishReason::Length
            && num_prompt_tokens + num_generated_tokens >= self.server.context_tokens
        {
            reason = FinishReason::Context;
        }
        let receipt = reading.receipt.unwrap_or_else(|| {
            let first = reading.first_text.unwrap_or_else(Instant::now);
            let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            Receipt {
                prefill_ms: ms(first - reading.began),
                decode_ms: ms(first.elapsed()),
                ..Receipt::default()
            }
        });
        let details = reading.usage.and_then(|usage| usage.prompt_tokens_details);
        GenerationSummary {
            text,
            finish_reason: reason,
            token_ids: reading.token_ids,
            num_prompt_tokens,
            num_cached_tokens: details.map_or(0, |details| details.cached_tokens),
            num_restored_tokens: receipt.num_restored_tokens,
            num_generated_tokens,
            num_preemptions: receipt.num_preemptions,
            num_rewinds: receipt.num_rewinds,
            num_banned_passed: receipt.num_banned_passed,
            queue_ms: receipt.queue_ms,
            prefill_ms: receipt.prefill_ms,
            decode_ms: receipt.decode_ms,
        }
    }

    fn body(&self) -> crate::completions::CompletionRequest {
        let mut request = self.request.clone();
        let room = self.server.context_tokens.saturating_sub(request.prompt.len()).max(1);
        request.max_tokens = match (request.prefill_only, self.server.dialect) {
            (true, Dialect::Dramatis) => 0,
            (true, _) => 1,
            (false, _) => request.max_tokens.min(room),
        };
        let mut body =
            self.server.dialect.request(&self.server.model, self.server.context_tokens, &request);
        body.prompt = Some(match self.server.dialect.takes_ids() {
            true => Prompt::Tokens(request.prompt),
            // It puts BOS there itself.
            false => {
                let ids = &request.prompt[..];
                let bos = self.tokenizer.bos_id();
                let ids = match ids.first() {
                    Some(first) if Some(*first) == bos => &ids[1..],
                    _ => ids,
                };
                Prompt::Text(self.tokenizer.decode_start(ids))
            }
        });
        body
    }

    fn send_text(&self, text: String) {
        if !text.is_empty() && !self.request.prefill_only {
            self.send(PoolEvent::Text(text));
        }
    }

    fn send(&self, event: PoolEvent) {
        // The other end is watched beside this.
        let _ = self.events.send(event);
    }

    /// What an event says that is no completion: an error, most likely.
    fn unreadable(&self, data: &[u8]) -> RemoteError {
        match serde_json::from_slice::<ErrorBody>(data) {
            Ok(body) => self.client.error(RemoteErrorKind::Failed, first_line(&body.error.message)),
            Err(_) => self.protocol("an event that is no completion"),
        }
    }

    fn protocol(&self, message: &str) -> RemoteError {
        self.client.error(RemoteErrorKind::Protocol, message)
    }
}

/// Why our own worker says that it ended.
fn told_reason(told: &str, read: FinishReason) -> FinishReason {
    match told {
        "eos" => FinishReason::Eos,
        "sentence" => FinishReason::Sentence,
        "length" => FinishReason::Length,
        "context" => FinishReason::Context,
        _ => read,
    }
}

/// Resolves once the flag is raised; never if nobody can raise it any more.
async fn raised(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|raised| *raised).await.is_err() {
        std::future::pending().await
    }
}
