//! Every question alike: it takes no longer than allowed, how it ended is counted, and what
//! failed is logged.

use std::sync::Arc;
use std::time::Duration;

use super::ClassifierError;
use crate::telemetry::metrics::{self, Metrics};

/// How questions are watched.
pub(super) struct Watch {
    /// Who is asked.
    name: String,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Watch {
    pub(super) fn new(name: String, timeout: Duration, metrics: Arc<Metrics>) -> Self {
        Self { name, timeout, metrics }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long a question may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The answer, if it comes in time.
    pub(super) async fn over<T>(
        &self,
        question: impl Future<Output = Result<T, ClassifierError>>,
    ) -> Result<T, ClassifierError> {
        let answer = match tokio::time::timeout(self.timeout, question).await {
            Ok(answer) => answer,
            Err(_) => Err(ClassifierError::Timeout(self.timeout)),
        };
        let outcome = answer.as_ref().map_or_else(ClassifierError::kind, |_| "answered");
        self.metrics.count(metrics::CLASSIFICATIONS, outcome, 1);
        if let Err(error) = &answer
            && *error != ClassifierError::Resting
        {
            tracing::warn!(classifier = self.name(), error.kind = outcome, %error, "classifier");
        }
        answer
    }
}
