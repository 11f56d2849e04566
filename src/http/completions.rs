//! `POST /v1/completions`: a request becomes a generation, and that an answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::backend::{End, Event, public_name};
use super::refusal::Refusal;
use super::shared::Shared;
use super::work::Work;
use super::{body, stream};
use crate::clock::{Clock as _, SystemClock};
use crate::completions::{Choice, Completion, CompletionRequest, Prompt, Receipt, Usage};
use crate::engine::{GenerationRequest, LengthRange};

/// Stop strings of one request, and the bytes of each: all are looked for at every token.
const MAX_STOPS: usize = 64;
const MAX_STOP_BYTES: usize = 500;

/// Names the fields that were meant to have an effect and have none (ours).
const IGNORED: &str = "x-dramatis-ignored";

/// Writes a completion.
pub(super) async fn complete(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body::read(request, shared.max_body_bytes).await?;
    let at_work = shared.at_work();
    let request = CompletionRequest::from_json(&body)?;
    drop(body);
    request.refuse_unsupported()?;
    let sampling = request.sampling()?;
    let stops = checked_stops(&request)?;
    let max_tokens = request.max_tokens()?.unwrap_or(usize::MAX);
    let prompt = prompt_tokens(&shared, &request).await?;
    let echo = echo(&shared, &request)?;
    let ours = request.dramatis.as_ref();
    let generation = GenerationRequest {
        cache_salt: shared.salts.salt(request.user.as_deref(), request.cache_salt.as_deref()),
        cache_owner: shared.salts.owner(request.cache_owner.as_deref()),
        // None asked for: the prompt is made ready.
        prefill_only: max_tokens == 0,
        max_tokens: max_tokens.max(1),
        length_range: ours
            .and_then(|ours| ours.length_range)
            .map(|[min_tokens, max_tokens]| LengthRange { min_tokens, max_tokens }),
        stop: stops,
        sampler: sampling.params,
        seed: request.seed().unwrap_or_else(random),
        ignore_eos: request.ignore_eos(),
        trim_start_space: ours.is_some_and(|ours| ours.trim_start_space),
        trim_end: ours.is_some_and(|ours| ours.trim_end),
        ..GenerationRequest::new(prompt)
    };
    let work = Work::begin(&shared, generation, at_work)?;
    let told = Told::new(&shared, &request, echo);
    let mut response = match request.stream {
        Some(true) => stream::respond(work, told),
        _ => whole(work, told).await?,
    };
    if !sampling.ignored.is_empty() {
        let names = sampling.ignored.join(", ");
        tracing::debug!(http.ignored = names, "http.completion.ignored");
        let names = HeaderValue::from_str(&names).expect("names are plain");
        response.headers_mut().insert(IGNORED, names);
    }
    Ok(response)
}

/// Waits for the end, and tells all at once.
async fn whole(mut work: Work, mut told: Told) -> Result<Response, Refusal> {
    let mut text = told.echo.take().unwrap_or_default();
    loop {
        match work.next().await {
            Some(Ok(Event::Text(more))) => text.push_str(&more),
            Some(Ok(Event::End(end))) => {
                let usage = end.usage;
                let (choice, receipt) = told.choice(text, *end);
                let completion = told.completion(vec![choice], Some(usage));
                return Ok(body::json(&Completion { dramatis: receipt, ..completion }));
            }
            Some(Err(refusal)) => return Err(refusal),
            None => unreachable!("a generation ends with its end or an error"),
        }
    }
}

fn checked_stops(request: &CompletionRequest) -> Result<Vec<String>, Refusal> {
    let stops = request.stops();
    if stops.len() > MAX_STOPS {
        let message = format!("`stop` has {} strings; at most {MAX_STOPS} may be", stops.len());
        return Err(Refusal::param("invalid_value", "stop", message));
    }
    if stops.iter().any(|stop| stop.len() > MAX_STOP_BYTES) {
        let message = format!("`stop` has a string of more than {MAX_STOP_BYTES} bytes");
        return Err(Refusal::param("invalid_value", "stop", message));
    }
    Ok(stops)
}

async fn prompt_tokens(shared: &Shared, request: &CompletionRequest) -> Result<Vec<u32>, Refusal> {
    match &request.prompt {
        Some(Prompt::Tokens(ids)) => Ok(ids.clone()),
        Some(Prompt::Text(text)) => shared.backend.tokenize(text.clone(), request.adds_bos()).await,
        None => Err(Refusal::param(
            "invalid_value",
            "prompt",
            "`prompt` is missing: a text or token ids to be continued",
        )),
    }
}

/// The prompt's text, if it is to come first.
fn echo(shared: &Shared, request: &CompletionRequest) -> Result<Option<String>, Refusal> {
    match (request.echo, &request.prompt) {
        (Some(true), Some(Prompt::Text(text))) => Ok(Some(text.clone())),
        (Some(true), Some(Prompt::Tokens(ids))) => shared.backend.detokenize(ids).map(Some),
        _ => Ok(None),
    }
}

/// What stands in every piece of one answer, and what it holds.
pub(super) struct Told {
    head: Completion,
    /// What comes before the text.
    pub(super) echo: Option<String>,
    pub(super) includes_usage: bool,
    token_ids: bool,
    receipt: bool,
}

impl Told {
    fn new(shared: &Shared, request: &CompletionRequest, echo: Option<String>) -> Self {
        Self {
            head: Completion {
                id: format!("cmpl-{:016x}{:016x}", random(), random()),
                object: Completion::OBJECT.into(),
                created: SystemClock.now().timestamp().unsigned_abs(),
                model: public_name(&shared.backend.model().name).to_owned(),
                ..Completion::default()
            },
            echo,
            includes_usage: request.includes_usage(),
            token_ids: request.return_token_ids.unwrap_or(false),
            receipt: request.dramatis.is_some(),
        }
    }

    pub(super) fn completion(&self, choices: Vec<Choice>, usage: Option<Usage>) -> Completion {
        Completion { choices, usage, ..self.head.clone() }
    }

    /// The text with its end, and the receipt if one was asked for.
    pub(super) fn choice(&self, text: String, end: End) -> (Choice, Option<Receipt>) {
        let choice = Choice {
            text,
            finish_reason: Some(end.finish_reason),
            stop_reason: end.stop_reason,
            token_ids: self.token_ids.then_some(end.token_ids),
            ..Choice::default()
        };
        (choice, self.receipt.then_some(end.receipt))
    }
}

fn random() -> u64 {
    OsRng.try_next_u64().expect("the system gives random bytes")
}
