//! The model: is it here, whole, and of use?

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::Session;
use super::super::output::bytes;
use super::{Finding, engine};
use crate::fetch::{Digest, ModelStoreError};
use crate::model::{self, ModelFile, ModelInfo};
use crate::service;

/// All that can be said of the configured model.
pub(super) fn check(session: &Session) -> Vec<Finding> {
    let path = match session.models().resolve(&session.config.model.name) {
        Ok(path) => path,
        Err(error) => return vec![absent(session, &error)],
    };
    let info = match model::inspect(&path) {
        Ok(info) => info,
        Err(error) => return vec![unreadable(session, &path, &error.to_string())],
    };
    let mut findings = vec![described(&info), checksum(session, &path), context(session, &info)];
    findings.extend(adapters(session, &path));
    findings.push(engine::memory(session, &info));
    findings.push(engine::kv_cache(session, &info));
    findings
}

fn absent(session: &Session, error: &ModelStoreError) -> Finding {
    let dir = session.config.models_dir();
    Finding::failed("model", error.to_string(), format!("models are kept in {}", dir.display()))
}

fn unreadable(session: &Session, path: &Path, problem: &str) -> Finding {
    let pulled = session.models().get(&session.config.model.name).ok().flatten();
    let advice = match pulled {
        Some(model) => format!(
            "remove {} and pull it again: dramatis model pull {}",
            path.display(),
            model.name
        ),
        None => "choose another with --set model.name=…; `dramatis model list` shows some".into(),
    };
    Finding::failed("model", problem.to_owned(), advice)
}

fn described(info: &ModelInfo) -> Finding {
    let detail = format!(
        "{} ({} {}, {:.1} M parameters, {})",
        info.path.display(),
        info.config.architecture,
        info.quantization,
        info.num_parameters as f64 / 1e6,
        bytes(info.size_bytes),
    );
    match info.tokenizer {
        Some(_) => Finding::ok("model", detail),
        None => Finding::failed(
            "model",
            format!("{detail} brings no tokenizer"),
            "put its tokenizer.json beside it",
        ),
    }
}

/// Whether a pulled model still has the sum with which it came.
fn checksum(session: &Session, path: &PathBuf) -> Finding {
    let pulled = session.models().get(&session.config.model.name).ok().flatten();
    let Some(pulled) = pulled.filter(|pulled| pulled.path == *path) else {
        return Finding::ok("model sum", "not pulled by us: nothing to compare with");
    };
    match File::open(path).and_then(|file| Digest::of_reader(file, |_| ())) {
        Ok(actual) if actual == pulled.sha256 => Finding::ok("model sum", actual.to_string()),
        Ok(actual) => Finding::failed(
            "model sum",
            format!("{actual}, but it came with {}", pulled.sha256),
            format!("the file changed: pull it again: dramatis model pull {}", pulled.name),
        ),
        Err(error) => Finding::failed(
            "model sum",
            format!("{} cannot be read: {error}", path.display()),
            "make it readable for you",
        ),
    }
}

/// Whether the configured adapters fit the model; nothing where there are none.
fn adapters(session: &Session, path: &Path) -> Option<Finding> {
    let adapters = service::adapters(&session.config);
    let names: Vec<_> = adapters.iter().map(|a| a.path.display().to_string()).collect();
    let checked = ModelFile::open(path).and_then(|base| base.check_adapters(&adapters));
    match checked {
        _ if adapters.is_empty() => None,
        Ok(()) => Some(Finding::ok("adapters", format!("{} fit the model", names.join(", ")))),
        Err(error) => Some(Finding::failed(
            "adapters",
            error.to_string(),
            "take it out of model.adapters, or choose its base with model.name",
        )),
    }
}

fn context(session: &Session, info: &ModelInfo) -> Finding {
    let trained = info.config.context_length;
    match session.config.model.context_tokens.set() {
        Some(&asked) if asked > trained => Finding::warning(
            "context",
            format!("{asked} tokens asked for, but the model was made for {trained}"),
            "set model.context_tokens to \"auto\" or lower",
        ),
        Some(asked) => Finding::ok("context", format!("{asked} of {trained} tokens")),
        None => Finding::ok("context", format!("{trained} tokens")),
    }
}
