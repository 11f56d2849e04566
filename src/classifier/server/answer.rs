//! The server's answer: a score for each category, or a yes or no.

use std::collections::HashMap;

use serde::Deserialize;

use super::super::{ClassifierError, Scores};
use crate::moderation::Category;

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

/// What one text was found to be. Categories that a model does not know may be null.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    categories: HashMap<String, Option<bool>>,
    #[serde(default)]
    category_scores: HashMap<String, Option<f64>>,
}

impl Found {
    fn score(&self, category: Category) -> Option<f64> {
        let name = category.as_str();
        let score = self.category_scores.get(name).copied().flatten();
        let flag = || self.categories.get(name).copied().flatten();
        score.or_else(|| flag().map(|is_so| if is_so { 1.0 } else { 0.0 }))
    }

    fn scores(&self) -> Result<Scores, ClassifierError> {
        let scores = Category::ALL.into_iter().filter_map(|it| Some((it, self.score(it)?)));
        let scores: Scores = scores.collect();
        match scores.is_empty() {
            true => Err(ClassifierError::Unreadable("names no category that is known here")),
            false => Ok(scores),
        }
    }
}

/// The scores of each of so many texts.
pub(super) fn read(bytes: &[u8], num_texts: usize) -> Result<Vec<Scores>, ClassifierError> {
    // The parser's words may quote the answer.
    let answer: Answer = serde_json::from_slice(bytes)
        .map_err(|_| ClassifierError::Unreadable("is not that of a moderation endpoint"))?;
    if answer.results.len() != num_texts {
        return Err(ClassifierError::Unreadable("is not of as many texts as were asked for"));
    }
    answer.results.iter().map(Found::scores).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(results: &Value, num_texts: usize) -> Result<Vec<Scores>, ClassifierError> {
        let answer = json!({ "id": "modr-1", "model": "m", "results": results });
        read(answer.to_string().as_bytes(), num_texts)
    }

    #[test]
    fn scores_count_and_flags_where_there_are_none() {
        let scores = json!([{
            "flagged": true,
            "categories": { "sexual": false, "violence": true, "illicit": null },
            "category_scores": { "sexual": 0.7, "violence": 0.1, "illicit": null, "new": 0.9 },
        }]);
        let wanted = [(Category::Sexual, 0.7), (Category::Violence, 0.1)];
        assert_eq!(found(&scores, 1).unwrap(), [Scores::from(wanted)]);
        let flags = json!([{ "categories": { "hate": true, "sexual": false } }]);
        let wanted = [(Category::Hate, 1.0), (Category::Sexual, 0.0)];
        assert_eq!(found(&flags, 1).unwrap(), [Scores::from(wanted)]);
    }

    #[test]
    fn what_cannot_be_read_is_never_fine() {
        for (results, num_texts) in [
            (json!([]), 1),
            (json!([{ "categories": { "hate": false } }]), 2),
            (json!([{ "flagged": false }]), 1),
            (json!([{ "categories": { "S1": false } }]), 1),
            (json!([{ "category_scores": { "hate": "none" } }]), 1),
            (json!({ "error": "secret words" }), 1),
        ] {
            let error = found(&results, num_texts).unwrap_err();
            assert_eq!(error.kind(), "unreadable");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
