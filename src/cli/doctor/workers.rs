//! The workers: which there are, and whether those elsewhere answer.

use super::super::{Session, database, model};
use super::Finding;
use crate::pool::{Place, ServerReport};
use crate::service;

/// One finding a worker.
pub(super) fn check(session: &Session) -> Vec<Finding> {
    match look(session) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::failed("worker", format!("{error:#}"), "")],
    }
}

fn look(session: &Session) -> anyhow::Result<Vec<Finding>> {
    // Nothing is fetched here; what is missing has a finding of its own.
    let Some(model_path) = model::present_path(session) else { return Ok(Vec::new()) };
    let options = service::pool_options(&session.config, model_path.as_deref())?;
    let runtime = database::runtime()?;
    let finding = |place: &Place| match place {
        Place::Local(local) => {
            Finding::ok("worker", format!("{} of this machine", local.load.backend))
        }
        Place::Remote(remote) => match runtime.block_on(ServerReport::ask(remote)) {
            Ok(report) => server(remote.url.to_string(), &report),
            Err(error) => Finding::failed("worker", error.to_string(), ""),
        },
    };
    Ok(options.places.iter().map(finding).collect())
}

fn server(url: String, report: &ServerReport) -> Finding {
    let ServerReport { dialect, model, context_tokens, max_requests } = report;
    let detail = format!(
        "{url} is {}, serves {model} with {context_tokens} tokens of context, {max_requests} at once",
        dialect.as_str()
    );
    match dialect.lacks() {
        [] => Finding::ok("worker", detail),
        lacks => Finding::warning(
            "worker",
            detail,
            format!("presets that use one of these are not followed there: {}", lacks.join(", ")),
        ),
    }
}
