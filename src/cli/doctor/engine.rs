//! The machine: threads and memory against what is asked of it.

use std::num::NonZeroUsize;

use super::super::Session;
use super::super::output::bytes;
use super::Finding;
use crate::model::{Backend, ModelInfo};
use crate::service;

/// The program, the database and a step's tensors beside model and KV cache.
const OTHER_BYTES: u64 = 400 << 20;

/// Whether as many threads compute as the machine has processors.
pub(super) fn threads(session: &Session) -> Finding {
    let machine = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let asked = session.config.engine.num_threads().get();
    let detail = format!("{asked} on {machine} processors");
    if asked <= machine {
        return Finding::ok("threads", detail);
    }
    Finding::warning("threads", detail, "more than processors is slower: set engine.threads lower")
}

/// Whether model, KV cache and host cache fit into the memory that is free. What the host
/// cache takes by itself leaves room for the others.
pub(super) fn memory(session: &Session, info: &ModelInfo) -> Finding {
    let host_cache_bytes = session.config.engine.host_cache_mib.set().map_or(0, |mib| mib << 20);
    let on_device = match service::local_backend(&session.config) {
        Ok(Backend::Gpu(_)) => 0,
        // Weights are packed at about the size they are stored in.
        Ok(backend) => {
            info.size_bytes + service::kv_cache_bytes(&session.config, &backend).unwrap_or(0)
        }
        Err(error) => return Finding::failed("memory", format!("{error:#}"), ""),
    };
    let needed = on_device + host_cache_bytes + OTHER_BYTES;
    let detail = format!("about {} needed", bytes(needed));
    let Some(available) = service::available_memory_bytes() else {
        return Finding::ok("memory", format!("{detail}; this machine does not tell what is free"));
    };
    let detail = format!("{detail}, {} available", bytes(available));
    if needed <= available {
        return Finding::ok("memory", detail);
    }
    Finding::failed(
        "memory",
        detail,
        "take a smaller model or quantisation, or lower engine.kv_cache_mib or host_cache_mib",
    )
}

/// Whether one conversation of full length fits into the KV cache.
pub(super) fn kv_cache(session: &Session, info: &ModelInfo) -> Finding {
    let config = &info.config;
    let context = match session.config.model.context_tokens.set() {
        Some(&tokens) => tokens.min(config.context_length),
        None => config.context_length,
    };
    // Keys and values in half precision.
    let token_bytes = 2 * config.num_layers * config.num_kv_heads * config.head_dim * 2;
    let backend = match service::local_backend(&session.config) {
        Ok(backend) => backend,
        Err(error) => return Finding::failed("kv cache", format!("{error:#}"), ""),
    };
    let Some(bytes) = service::kv_cache_bytes(&session.config, &backend) else {
        let detail = format!("what {backend} has free; one conversation may have {context}");
        return Finding::ok("kv cache", detail);
    };
    let fitting = usize::try_from(bytes).unwrap_or(usize::MAX) / token_bytes.max(1);
    let detail = format!("room for {fitting} tokens; one conversation may have {context}");
    if fitting >= context {
        return Finding::ok("kv cache", detail);
    }
    let mib = (context * token_bytes).div_ceil(1 << 20);
    Finding::warning(
        "kv cache",
        detail,
        format!("set engine.kv_cache_mib to {mib} or more, or model.context_tokens lower"),
    )
}
