//! The words of a template that make its structure, so that nobody else can write them.
//!
//! Taken from the template's sequences line by line: what has signs of its own
//! (`### Scene:`) is broken anywhere, as headers are; what is only a word and a colon
//! (`USER:`) is quoted at the beginning of a line in any spelling, and within a line
//! where it is written in capitals as the template does. Lines without a letter (`***`)
//! part scenes, as they do in people's prose, and stay free.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::skeleton::Skeleton;
use super::{HEADER, MARKER};
use crate::domain::{InstructTemplate, Template};

/// Markers that are looked for; a template has about ten.
const MAX_MARKERS: usize = 64;
const MAX_MARKER_BYTES: usize = 120;

/// What of a template nobody but it may write. Folded as [`Skeleton`] folds.
#[derive(Debug, Default)]
pub(crate) struct Markers {
    /// Words that may not begin a line before a colon.
    labels: BTreeSet<String>,
    /// Words that may not be a whole line.
    lines: BTreeSet<String>,
    /// What may stand nowhere.
    signs: Option<Regex>,
    /// Words before a colon that are written in capitals.
    capitals: Option<Regex>,
    /// Lines with a name in them, as the template spells them.
    headers: Vec<String>,
}

impl Markers {
    /// The markers of a template; LimaRP's own are always known.
    pub(in crate::prompt) fn new(template: &Template) -> Self {
        match template {
            Template::Limarp => Self::default(),
            Template::Instruct(template) => Self::of(template),
        }
    }

    fn of(template: &InstructTemplate) -> Self {
        let mut markers = Self::default();
        let (mut signs, mut capitals) = (Vec::new(), Vec::new());
        for line in lines(template).into_iter().take(MAX_MARKERS) {
            if PLACEHOLDER.is_match(&line) {
                markers.headers.push(line);
                continue;
            }
            let folded = fold(&line);
            if HEADER.is_match(&folded) || MARKER.is_match(&folded) {
                continue; // No spelling of it gets by without those.
            }
            let Some(first) = folded.chars().next() else { continue };
            if !first.is_alphanumeric() {
                signs.push(spaced(&folded));
            } else if let Some(word) = folded.strip_suffix(':') {
                if !line.chars().any(char::is_lowercase) {
                    capitals.push(format!("{}:", spaced(word.trim_end())));
                }
                markers.labels.insert(word.trim_end().to_owned());
            } else {
                markers.lines.insert(folded);
            }
        }
        markers.signs = any_of(&signs);
        markers.capitals = any_of(&capitals);
        markers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.lines.is_empty() && self.signs.is_none()
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &String> {
        self.labels.iter()
    }

    /// The lines that have a name in them, for each of these names, up to the colon.
    pub(in crate::prompt) fn headers(&self, names: &BTreeSet<String>) -> Vec<String> {
        let lines = self.headers.iter();
        let named = lines.flat_map(|line| {
            names.iter().map(|name| PLACEHOLDER.replace_all(line, regex::NoExpand(name)))
        });
        named.map(|line| line.trim().trim_end_matches(':').to_owned()).collect()
    }

    /// Whether a whole line is one of the template's.
    pub(super) fn is_line(&self, line: &str) -> bool {
        !self.lines.is_empty()
            && Skeleton::forms(line).iter().any(|form| self.lines.contains(form.text.trim()))
    }

    /// Where a text has to be broken so that none of the markers is in it.
    pub(super) fn breaks(&self, text: &str, form: &Skeleton) -> Vec<usize> {
        let mut breaks = Vec::new();
        for found in self.signs.iter().flat_map(|signs| signs.find_iter(&form.text)) {
            breaks.extend(form.borders(found.range()).find(|at| is_inside_a_word(text, *at)));
        }
        for found in self.capitals.iter().flat_map(|words| words.find_iter(&form.text)) {
            let is_written = form.origins(found.range());
            if !text[is_written].chars().any(char::is_lowercase) {
                // Before the colon, which is the last of its characters.
                breaks.extend(form.borders(found.range()).last());
            }
        }
        breaks
    }
}

/// What stands for a name, or for something else that is not the template's own.
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{[^{}]*\}\}").expect("the pattern is constant and valid"));

/// The sequences' lines, those with letters, up to the length they may ask for.
fn lines(template: &InstructTemplate) -> Vec<String> {
    let instruct = &template.instruct;
    let sequences = [
        &instruct.input_sequence,
        &instruct.input_suffix,
        &instruct.output_sequence,
        &instruct.output_suffix,
        &instruct.system_sequence,
        &instruct.system_suffix,
        &instruct.first_input_sequence,
        &instruct.last_input_sequence,
        &instruct.first_output_sequence,
        &instruct.last_output_sequence,
        &instruct.last_system_sequence,
        &instruct.story_string_prefix,
        &instruct.story_string_suffix,
        &instruct.stop_sequence,
        &template.context.example_separator,
        &template.context.chat_start,
    ];
    let lines = sequences.iter().flat_map(|sequence| sequence.lines()).map(|line| {
        let line = line.split("(length").next().unwrap_or_default().trim();
        let line = line.strip_suffix("(").unwrap_or(line).trim_end();
        line.to_owned()
    });
    let mut lines: Vec<_> = lines
        .filter(|line| line.len() <= MAX_MARKER_BYTES && line.chars().any(char::is_alphanumeric))
        .filter(|line| {
            // A name alone is nothing of the template's own.
            let words = PLACEHOLDER.replace_all(line, "");
            words.chars().any(|c| !c.is_whitespace() && c != ':')
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn fold(line: &str) -> String {
    Skeleton::forms(line)[0].text.trim().to_owned()
}

/// The pattern of a folded line, with as much white space as anybody likes.
fn spaced(folded: &str) -> String {
    folded.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(" *")
}

fn any_of(patterns: &[String]) -> Option<Regex> {
    // Sixty lines of a hundred bytes are far below the limit, which then never fails.
    let built = RegexBuilder::new(&patterns.join("|")).size_limit(1 << 24).build();
    (!patterns.is_empty()).then(|| built.ok()).flatten()
}

/// Whether a break here cannot be taken for white space that was there already.
fn is_inside_a_word(text: &str, at: usize) -> bool {
    let (before, after) = (text[..at].chars().next_back(), text[at..].chars().next());
    before.is_some_and(|c| !c.is_whitespace()) && after.is_some_and(|c| !c.is_whitespace())
}
