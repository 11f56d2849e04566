//! What a model's labels mean.

use std::path::Path;

use super::super::{ClassifierError, Scores};
use crate::moderation::Category;

/// Labels that are no categories' names, in lower case. What somebody is called in scorn
/// harasses; that a word is coarse is for the rules of words to say.
const KNOWN: [(&str, Category); 20] = [
    ("toxic", Category::Harassment),
    ("toxicity", Category::Harassment),
    ("severe_toxic", Category::Harassment),
    ("severe_toxicity", Category::Harassment),
    ("very_toxic", Category::Harassment),
    ("insult", Category::Harassment),
    ("offensive", Category::Harassment),
    ("bullying", Category::Harassment),
    ("threat", Category::HarassmentThreatening),
    ("identity_hate", Category::Hate),
    ("identity_attack", Category::Hate),
    ("hateful", Category::Hate),
    ("hate_speech", Category::Hate),
    ("sexual_explicit", Category::Sexual),
    ("sexually_explicit", Category::Sexual),
    ("nsfw", Category::Sexual),
    ("porn", Category::Sexual),
    ("suicide", Category::SelfHarm),
    ("suicidal", Category::SelfHarm),
    ("gore", Category::ViolenceGraphic),
];

/// The letters that stand for the categories of OpenAI's first data set.
const LETTERS: [(&str, Category); 8] = [
    ("S", Category::Sexual),
    ("S3", Category::SexualMinors),
    ("H", Category::Hate),
    ("H2", Category::HateThreatening),
    ("HR", Category::Harassment),
    ("SH", Category::SelfHarm),
    ("V", Category::Violence),
    ("V2", Category::ViolenceGraphic),
];

/// What a model tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// In the model's order.
    labels: Vec<(String, Option<Category>)>,
}

impl Labels {
    /// What these labels of that file mean.
    pub(super) fn read(names: &[String], path: &Path) -> Result<Self, ClassifierError> {
        let labels = names.iter().map(|name| (name.clone(), category(name)));
        let labels = Self { labels: labels.collect() };
        if labels.categories().is_empty() {
            return Err(ClassifierError::model(path)(format!(
                "none of its labels ({}) is known here; rename what they are in id2label to {}",
                names.join(", "),
                Category::ALL.map(Category::as_str).join(", "),
            )));
        }
        Ok(labels)
    }

    /// The categories that it tells, once each, in their order.
    pub fn categories(&self) -> Vec<Category> {
        let is_told = |category| self.labels.iter().any(|(_, told)| *told == Some(category));
        Category::ALL.into_iter().filter(|&category| is_told(category)).collect()
    }

    /// The labels that are no category of ours.
    pub fn ignored(&self) -> Vec<&str> {
        let ignored = self.labels.iter().filter(|(_, category)| category.is_none());
        ignored.map(|(name, _)| name.as_str()).collect()
    }

    /// The categories' scores; of labels of one category the highest counts.
    pub(super) fn scores(&self, probabilities: &[f64]) -> Scores {
        let mut scores = Scores::new();
        for ((_, category), &probability) in self.labels.iter().zip(probabilities) {
            if let Some(category) = category {
                super::keep_highest(&mut scores, [(*category, probability)].into());
            }
        }
        scores
    }
}

/// The category that a label is, if any: by its name however it is spelled, or as the field
/// names it.
fn category(label: &str) -> Option<Category> {
    let find = |table: &[(&str, Category)], label: &str| {
        table.iter().find(|(name, _)| *name == label).map(|&(_, category)| category)
    };
    let spelled = |text: &str| text.to_lowercase().replace(['/', '-', ' '], "_");
    let spelled_label = spelled(label);
    find(&LETTERS, label)
        .or_else(|| Category::ALL.into_iter().find(|it| spelled(it.as_str()) == spelled_label))
        .or_else(|| find(&KNOWN, &spelled_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Result<Labels, ClassifierError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Labels::read(&names, Path::new("config.json"))
    }

    #[test]
    fn categories_are_known_by_their_names_and_by_those_of_the_field() {
        for (name, wanted) in [
            ("S", Some(Category::Sexual)),
            ("s", None),
            ("S3", Some(Category::SexualMinors)),
            ("Self-Harm / Intent", None),
            ("self-harm/intent", Some(Category::SelfHarmIntent)),
            ("Hate Threatening", Some(Category::HateThreatening)),
            ("SEXUAL_MINORS", Some(Category::SexualMinors)),
            ("identity_hate", Some(Category::Hate)),
            ("very toxic", Some(Category::Harassment)),
            ("obscene", None),
            ("OK", None),
            ("LABEL_0", None),
        ] {
            assert_eq!(category(name), wanted, "{name}");
        }
        let labels = labels(&["OK", "insult", "toxic", "threat"]).unwrap();
        assert_eq!(labels.ignored(), ["OK"]);
        let told = [Category::Harassment, Category::HarassmentThreatening];
        assert_eq!(labels.categories(), told);
        let scores = labels.scores(&[0.9, 0.2, 0.7, 0.1]);
        assert_eq!(scores, Scores::from([(told[0], 0.7), (told[1], 0.1)]));
    }

    #[test]
    fn a_model_that_tells_nothing_of_ours_is_refused() {
        for names in [&["LABEL_0", "LABEL_1"][..], &["positive"], &[]] {
            let error = labels(names).unwrap_err().to_string();
            assert!(error.contains("config.json") && error.contains("id2label"), "{error}");
            assert!(names.iter().all(|name| error.contains(name)), "{error}");
        }
    }
}
