//! The classifier: whether it answers, and what it tells, where there is to be one.

use std::sync::Arc;
use std::time::Instant;

use super::super::{Session, database};
use super::Finding;
use crate::classifier::{Classifier, ClassifierError, Labels};
use crate::moderation::Category;

const CHECK: &str = "classifier";
/// What is asked: nobody's words.
const QUESTION: &str = "The lamp burns, and the sea is calm tonight.";

/// One finding, or none where there is to be no classifier.
pub(super) fn check(session: &Session) -> Option<Finding> {
    let (moderation, models) = (&session.config.moderation, session.config.classifiers_dir());
    let classifier = match Classifier::open(moderation, &models, Arc::default()) {
        Ok(classifier) => classifier?,
        // Nothing is fetched to look whether all is well.
        Err(error @ ClassifierError::NotHere(_)) => {
            return Some(Finding::warning(CHECK, error.to_string(), "the next start fetches it"));
        }
        Err(error) => return Some(Finding::failed(CHECK, error.to_string(), "")),
    };
    let runtime = match database::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Finding::failed(CHECK, format!("{error:#}"), "")),
    };
    let began = Instant::now();
    let answer = runtime.block_on(classifier.classify(&[QUESTION]));
    Some(match answer {
        Ok(_) => Finding::ok(
            CHECK,
            format!(
                "{} answers, in {} ms{}",
                classifier.name(),
                began.elapsed().as_millis(),
                classifier.labels().map(told).unwrap_or_default()
            ),
        ),
        Err(error) => {
            Finding::warning(CHECK, format!("{}: {error}", classifier.name()), advice(&error))
        }
    })
}

/// What a model's labels are to us.
fn told(labels: &Labels) -> String {
    let told: Vec<_> = labels.categories().into_iter().map(Category::as_str).collect();
    let ignored = labels.ignored();
    let ignored = match ignored.is_empty() {
        true => String::new(),
        false => format!("; its labels {} count for nothing", ignored.join(", ")),
    };
    format!("; tells {}{ignored}", told.join(", "))
}

fn advice(error: &ClassifierError) -> &'static str {
    match error {
        ClassifierError::Status(401 | 403) => "set moderation.api_key or api_key_file",
        ClassifierError::Status(404) => {
            "the server has no /v1/moderations, or not that moderation.classifier_model"
        }
        _ => {
            "until it answers, nothing anybody says is taken, but among adults by a moderator's \
             approval; moderation.classifier = \"off\" does without"
        }
    }
}
