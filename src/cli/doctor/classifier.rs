//! The classifier: whether it answers, where there is to be one.

use std::sync::Arc;
use std::time::Instant;

use super::super::{Session, database};
use super::Finding;
use crate::classifier::{Classifier, ClassifierError};

/// What is asked: nobody's words.
const QUESTION: &str = "The lamp burns, and the sea is calm tonight.";

/// One finding, or none where there is to be no classifier.
pub(super) fn check(session: &Session) -> Option<Finding> {
    let classifier = match Classifier::new(&session.config.moderation, Arc::default()) {
        Ok(classifier) => classifier?,
        Err(error) => return Some(Finding::failed("classifier", error.to_string(), "")),
    };
    let runtime = match database::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Finding::failed("classifier", format!("{error:#}"), "")),
    };
    let began = Instant::now();
    let answer = runtime.block_on(classifier.classify(&[QUESTION]));
    Some(match answer {
        Ok(_) => Finding::ok(
            "classifier",
            format!("{} answers, in {} ms", classifier.url(), began.elapsed().as_millis()),
        ),
        Err(error) => {
            Finding::warning("classifier", format!("{}: {error}", classifier.url()), advice(&error))
        }
    })
}

fn advice(error: &ClassifierError) -> &'static str {
    match error {
        ClassifierError::Status(401 | 403) => "set moderation.api_key or api_key_file",
        ClassifierError::Status(404) => {
            "the server has no /v1/moderations, or not that moderation.classifier_model"
        }
        _ => {
            "until it answers, nothing anybody says is taken, but among adults by a moderator's \
             approval; moderation.classifier_url = \"off\" does without"
        }
    }
}
