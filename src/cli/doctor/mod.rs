//! `dramatis doctor`: checks everything that a start needs, and says what to do.
//!
//! Each check is a function that returns a [`Finding`]; one that fails does not
//! stop the others.

mod classifier;
mod database;
mod engine;
mod model;
mod storage;
mod workers;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::output::line;
use super::{GlobalArgs, Session};

/// Check everything that a start needs, and say what to do.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// A start works, but not as well as it could.
    Warning,
    /// A start would fail.
    Failed,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked, in a word or two.
    pub(super) check: &'static str,
    /// How bad it is.
    pub(super) status: Status,
    /// What was found.
    pub(super) detail: String,
    /// What to do, if something is to be done.
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, detail: detail.into(), advice: None }
    }

    pub(super) fn warning(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (detail, advice) = (detail.into(), Some(advice.into()));
        Self { check, status: Status::Warning, detail, advice }
    }

    /// Most of our errors say what to do themselves: then `advice` is empty.
    pub(super) fn failed(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into()).filter(|advice: &String| !advice.is_empty());
        Self { check, status: Status::Failed, detail: detail.into(), advice }
    }
}

pub(super) fn run(global: &GlobalArgs, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let findings = match Session::open(global) {
        Ok(session) => check(&session),
        Err(error) => vec![Finding::failed("settings", error.to_string(), "")],
    };
    if args.json {
        line(serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(show);
    }
    let failed = findings.iter().any(|finding| finding.status == Status::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(session: &Session) -> Vec<Finding> {
    let mut findings = vec![
        settings(session),
        storage::directory(session),
        storage::space(session),
        database::check(session),
        engine::threads(session),
    ];
    findings.extend(model::check(session));
    findings.extend(workers::check(session));
    findings.extend(classifier::check(session));
    findings
}

fn settings(session: &Session) -> Finding {
    let changed = session.config.describe().iter().filter(|setting| setting.origin != "default");
    Finding::ok("settings", format!("valid; {} differ from the defaults", changed.count()))
}

/// One finding, as people read it.
pub(super) fn show(finding: &Finding) {
    let mark = match finding.status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failed => "FAILED",
    };
    line(format_args!("{mark:<8} {:<15} {}", finding.check, finding.detail));
    if let Some(advice) = &finding.advice {
        line(format_args!("{:24} → {advice}", ""));
    }
}
