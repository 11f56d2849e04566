//! Replies that are written elsewhere: by our own worker as a process of its own, and by
//! llama-server where one is given. What servers do to each other's requests when they are
//! killed, held and started again, while scenes play.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dramatis::engine::{FinishReason, GenerationRequest, GenerationSummary, load_tokenizer};
use dramatis::pool::{
    Dialect, LocalOptions, Place, Pool, PoolError, PoolEvent, PoolOptions, RemoteErrorKind,
    RemoteOptions, ServerReport, WorkerStatus,
};
use dramatis::sampling::SamplerParams;
use dramatis::store::Job;
use dramatis::tokenizer::Tokenizer;

use super::house::House;
use super::stage::PATIENCE;
use crate::support::models::{mistral_tokenizer_model, small_model};
use crate::support::sentencepiece;
use crate::support::server::{self, Program, Server};

fn remote(server: &Server) -> RemoteOptions {
    remote_at(&server.url())
}

/// A server of the small model.
pub(super) fn remote_at(url: &str) -> RemoteOptions {
    RemoteOptions {
        url: url.parse().unwrap(),
        api_key: None,
        model: None,
        tokenizer: load_tokenizer(&small_model()).unwrap(),
        context_tokens: None,
        max_requests: None,
        stall: Duration::from_secs(3),
    }
}

fn options(places: Vec<Place>) -> PoolOptions {
    PoolOptions {
        patience: PATIENCE,
        stall: Duration::from_secs(3),
        ..PoolOptions::new("small", places)
    }
}

async fn start(options: PoolOptions) -> Result<Pool, PoolError> {
    tokio::task::spawn_blocking(|| Pool::start(options)).await.unwrap()
}

async fn pool_of(servers: &[Server]) -> Pool {
    start(options(servers.iter().map(|one| Place::Remote(remote(one))).collect())).await.unwrap()
}

/// A few words in the format that scenes have.
fn request(pool: &Pool, words: &str) -> GenerationRequest {
    let transcript = format!(
        "### Instruction:\nMara's Persona: A lighthouse keeper of few words.\n\n### Input:\n\
         Tom: {words}\n\n### Response: (length = short)\nMara:"
    );
    GenerationRequest {
        max_tokens: 24,
        stop: vec!["\n### Input".into(), "\nTom:".into()],
        trim_start_space: true,
        trim_end: true,
        seed: 11,
        ..GenerationRequest::new(pool.tokenizer().encode_start(&transcript))
    }
}

async fn finish(pool: &Pool, request: GenerationRequest) -> GenerationSummary {
    let stream = pool.generate(&pool.model(), request).unwrap();
    tokio::time::timeout(PATIENCE, stream.finish()).await.expect("it ends").unwrap()
}

#[tokio::test]
async fn our_own_worker_writes_what_an_engine_here_writes() {
    let servers = [Server::start(Program::Worker).await];
    let there = pool_of(&servers).await;
    let here = start(PoolOptions::from(LocalOptions {
        model_name: "small".into(),
        model_path: small_model(),
        load: Default::default(),
        engine: super::models::engine(),
    }));
    let here = here.await.unwrap();
    assert_eq!(there.model().fingerprint, here.model().fingerprint);
    assert_eq!(there.model().context_tokens, server::CONTEXT_TOKENS);
    let sampler = SamplerParams {
        temperature: 0.9,
        top_p: 0.9,
        repetition_penalty: 1.1,
        ..SamplerParams::default()
    };
    for words in ["Is the light on?", "Who goes there? 🌙", "Sing."] {
        let asked = GenerationRequest { sampler: sampler.clone(), ..request(&there, words) };
        let (a, b) = (finish(&there, asked.clone()).await, finish(&here, asked).await);
        assert_eq!((a.text, a.token_ids), (b.text, b.token_ids), "{words}");
        assert_eq!((a.finish_reason, a.num_prompt_tokens), (b.finish_reason, b.num_prompt_tokens));
    }
    // A prompt that is computed before it is needed is found there.
    let asked = GenerationRequest { cache_owner: 7, ..request(&there, "And what then, I wonder?") };
    let warm = GenerationRequest { prefill_only: true, ..asked.clone() };
    assert_eq!(finish(&there, warm).await.finish_reason, FinishReason::Prefilled);
    assert!(finish(&there, asked.clone()).await.num_cached_tokens > 0);
    there.forget_owner(7).await.unwrap();
    assert_eq!(finish(&there, asked).await.num_cached_tokens, 0);
}

#[allow(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
fn print_figures(figures: &str) {
    println!("{figures}");
}

/// Greedy words are the same wherever they are computed, up to near ties; here only that
/// both speak, stop and count alike is held.
async fn speaks_stops_and_cancels(program: Program) {
    let servers = [Server::start(program).await];
    let pool = pool_of(&servers).await;
    let greedy = SamplerParams { temperature: 0.0, ..SamplerParams::default() };
    let asked = GenerationRequest { sampler: greedy, ..request(&pool, "Is the light on?") };
    let told = finish(&pool, asked.clone()).await;
    assert!(!told.text.is_empty() && told.num_generated_tokens <= 24, "{told:?}");
    assert_eq!(told.num_prompt_tokens, asked.prompt.len(), "ids are taken as they are");
    assert_eq!(finish(&pool, asked.clone()).await.text, told.text);
    // A word of it as a stop: nothing of it is in the text.
    let word = told.text.split_whitespace().nth(2).unwrap().to_owned();
    let stopped = GenerationRequest { stop: vec![word.clone()], ..asked.clone() };
    let stopped = finish(&pool, stopped).await;
    assert!(!matches!(stopped.finish_reason, FinishReason::Length), "{stopped:?}");
    assert_eq!(stopped.text, told.text.split(&word).next().unwrap().trim_end());
    // Called off in mid-reply: the text so far, and the place is free at once.
    let endless = GenerationRequest { max_tokens: 600, ignore_eos: true, stop: vec![], ..asked };
    let mut stream = pool.generate(&pool.model(), endless).unwrap();
    while !matches!(stream.recv().await, Some(PoolEvent::Text(_))) {}
    let called_off = Instant::now();
    stream.aborter().abort();
    let cut = tokio::time::timeout(PATIENCE, stream.finish()).await.unwrap().unwrap();
    assert_eq!(cut.finish_reason, FinishReason::Aborted);
    assert!(!cut.text.is_empty() && cut.num_generated_tokens < 600);
    while pool.workers_report()[0].num_in_flight > 0 {
        assert!(called_off.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    print_figures(&format!("called off after {:?}", called_off.elapsed()));
}

#[tokio::test]
async fn our_own_worker_speaks_stops_and_cancels() {
    speaks_stops_and_cancels(Program::Worker).await;
}

#[tokio::test]
async fn llama_server_speaks_stops_and_cancels() {
    let Some(program) = Program::llama_server() else { return };
    speaks_stops_and_cancels(program.clone()).await;
    let server = Server::start(program).await;
    let report = ServerReport::ask(&remote(&server)).await.unwrap();
    assert_eq!(report.dialect, Dialect::LlamaServer);
    assert_eq!((report.context_tokens, report.max_requests), (server::CONTEXT_TOKENS, 4));
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_refused_with_the_reason() {
    let server = Server::start(Program::Worker).await;
    let refused = async |options: RemoteOptions| {
        let error = ServerReport::ask(&options).await.unwrap_err();
        let PoolError::Remote(told) = &error else { panic!("{error}") };
        (told.kind, error.to_string())
    };
    let tokenizer = mistral_tokenizer();
    let (kind, told) = refused(RemoteOptions { tokenizer, ..remote(&server) }).await;
    assert_eq!(kind, RemoteErrorKind::Unfit);
    assert!(told.contains("workers.tokenizer"), "{told}");
    let (kind, told) =
        refused(RemoteOptions { model: Some("other".into()), ..remote(&server) }).await;
    assert_eq!(kind, RemoteErrorKind::Unfit);
    assert!(told.contains("workers.remote_model"), "{told}");
    let (kind, told) =
        refused(RemoteOptions { context_tokens: Some(100_000), ..remote(&server) }).await;
    assert_eq!(kind, RemoteErrorKind::Unfit);
    assert!(told.contains("model.context_tokens"), "{told}");
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let (kind, _) = refused(RemoteOptions { url: nowhere, ..remote(&server) }).await;
    assert_eq!(kind, RemoteErrorKind::Unreachable);
}

/// A tokenizer that counts otherwise than the small model's.
fn mistral_tokenizer() -> Arc<Tokenizer> {
    let pieces = sentencepiece::pieces(&mistral_tokenizer_model());
    Arc::new(Tokenizer::from_gguf(&sentencepiece::gguf_metadata(&pieces)).unwrap())
}

/// Twenty scenes play on two servers that are killed, held and started again: everybody is
/// answered once, in order.
async fn nothing_is_lost_or_doubled(program: Program) {
    const SCENES: usize = 20;
    const ROUNDS: usize = 3;
    let mut servers = vec![Server::start(program.clone()).await, Server::start(program).await];
    let pool = pool_of(&servers).await;
    let mut house = House::open(pool.clone()).await;
    let mut scenes = Vec::new();
    for _ in 0..SCENES {
        scenes.push(house.scene().await);
    }
    house.run_at_most(12);
    for round in 0..ROUNDS {
        for scene in &scenes {
            house.say(*scene, &format!("Word {round}.")).await;
        }
        // In the middle of it, where some have begun and others wait.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        match round {
            0 => {
                servers[0].kill();
                tokio::time::sleep(Duration::from_secs(1)).await;
                servers[0].begin();
            }
            1 => {
                servers[1].hold();
                tokio::time::sleep(Duration::from_secs(6)).await;
                servers[1].release();
            }
            _ => {
                servers[0].kill();
                servers[1].kill();
                tokio::time::sleep(Duration::from_secs(2)).await;
                servers.iter_mut().for_each(Server::begin);
            }
        }
        for scene in &scenes {
            house.wait_until(*scene, <[Job]>::is_empty).await;
        }
    }
    for scene in &scenes {
        let speakers = house.speakers(*scene).await;
        let wanted: Vec<_> = ["Ann", "Mira"].into_iter().cycle().take(2 * ROUNDS).collect();
        assert_eq!(speakers, wanted, "{:?}", house.stage.notices(*scene));
        assert_eq!(house.stage.finished(*scene).len(), ROUNDS, "each is shown once");
    }
    for server in &servers {
        server.until_ready().await;
    }
    let begun = Instant::now();
    while pool.workers_report().iter().any(|worker| worker.status != WorkerStatus::Ready) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", pool.workers_report());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_survive_what_happens_to_our_workers() {
    nothing_is_lost_or_doubled(Program::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_survive_what_happens_to_llama_servers() {
    if let Some(program) = Program::llama_server() {
        nothing_is_lost_or_doubled(program).await;
    }
}
