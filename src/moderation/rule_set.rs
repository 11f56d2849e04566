//! All rules of a guild, compiled to be looked for at once.
//!
//! One automaton over all terms in all their forms, run over each view of a text; patterns
//! one by one. Invariant: what is allowed suppresses only hits of its own rule, and only
//! those that lie within it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use super::needle::Needle;
use super::normal::{Folded, View};
use super::pattern;
use super::rules::{PatternRule, Rule, RuleError, WordRule, check_patterns, check_words};
use super::themes::Theme;
use super::verdict::{Finding, Verdict};

/// How many of the last words a growing text's reader holds back at least.
const HELD_WORDS: usize = 4;

/// What findings of a rule say.
#[derive(Debug, Clone)]
struct Label {
    name: String,
    theme: Option<Theme>,
    verdict: Verdict,
    dry_run: bool,
}

/// Compiled rules.
#[derive(Debug)]
pub struct RuleSet {
    labels: Vec<Label>,
    automaton: AhoCorasick,
    /// For each of the automaton's patterns: its forms, each with its rule and whether it is
    /// an allowed phrase.
    needles: Vec<Vec<(Needle, usize, bool)>>,
    /// The automaton's patterns in order, to look up what may still become one.
    sorted: Vec<String>,
    longest: usize,
    patterns: Vec<(Regex, usize)>,
}

impl RuleSet {
    /// Compiles rules, or says which of them cannot be.
    pub fn compile(rules: &[Rule]) -> Result<Self, RuleError> {
        let words = rules.iter().filter_map(|rule| match rule {
            Rule::Words(rule) => Some(rule),
            Rule::Pattern(_) => None,
        });
        let patterns = rules.iter().filter_map(|rule| match rule {
            Rule::Pattern(rule) => Some(rule),
            Rule::Words(_) => None,
        });
        check_words(words.clone())?;
        check_patterns(patterns.clone())?;
        Self::build(words, patterns)
    }

    /// Compiles the lists that are shipped, which need not keep to people's limits.
    pub(super) fn build<'a>(
        words: impl Iterator<Item = &'a WordRule>,
        patterns: impl Iterator<Item = &'a PatternRule>,
    ) -> Result<Self, RuleError> {
        let mut builder = Builder::default();
        for rule in words {
            builder.add(rule)?;
        }
        let mut compiled = Vec::new();
        for rule in patterns {
            compiled.push((pattern::compile(rule)?, builder.labels.len()));
            builder.labels.push(Label {
                name: rule.label(),
                theme: rule.theme,
                verdict: rule.verdict,
                dry_run: rule.dry_run,
            });
        }
        builder.finish(compiled)
    }

    /// Where the rules are met, in the text's order.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let folded = Folded::new(text);
        self.find_in(text, &folded, &folded.views())
    }

    /// The same for a text that was folded already.
    pub(super) fn find_in(&self, text: &str, folded: &Folded, views: &[View<'_>]) -> Vec<Finding> {
        let mut hits = BTreeSet::new();
        let mut allowed = Vec::new();
        for view in views {
            self.collect(view, &mut hits, &mut allowed);
        }
        hits.retain(|(start, end, rule)| {
            let is_within = |(span, owner): &(Range<usize>, usize)| {
                owner == rule && span.start <= *start && *end <= span.end
            };
            !allowed.iter().any(is_within)
        });
        self.match_patterns(text, folded, &mut hits);
        let finding = |(start, end, rule): (usize, usize, usize)| {
            let Label { name, theme, verdict, dry_run } = self.labels[rule].clone();
            Finding { rule: name, theme, verdict, span: start..end, dry_run }
        };
        hits.into_iter().map(finding).collect()
    }

    fn collect(
        &self,
        view: &View<'_>,
        hits: &mut BTreeSet<(usize, usize, usize)>,
        allowed: &mut Vec<(Range<usize>, usize)>,
    ) {
        for found in self.automaton.find_overlapping_iter(&view.text) {
            for (needle, rule, is_allowed) in &self.needles[found.pattern().as_usize()] {
                let Some((a, b)) = needle.accept(view, found.start(), found.end()) else {
                    continue;
                };
                let (start, end) = bytes(view, a, b);
                match is_allowed {
                    true => allowed.push((start..end, *rule)),
                    false => drop(hits.insert((start, end, *rule))),
                }
            }
        }
    }

    fn match_patterns(
        &self,
        text: &str,
        folded: &Folded,
        hits: &mut BTreeSet<(usize, usize, usize)>,
    ) {
        if self.patterns.is_empty() {
            return;
        }
        let (line, at) = folded.line();
        for (regex, rule) in &self.patterns {
            let as_written = pattern::spans(regex, text);
            let plain = pattern::spans(regex, &line).into_iter().map(|span| {
                let glyphs = folded.glyphs();
                let (first, last) =
                    (glyphs[at[span.start] as usize], glyphs[at[span.end - 1] as usize]);
                first.start as usize..last.end as usize
            });
            hits.extend(
                as_written.into_iter().chain(plain).map(|span| (span.start, span.end, *rule)),
            );
        }
    }

    /// From which byte on the text may still become a hit as it grows.
    pub(super) fn held_from(&self, text: &str, views: &[View<'_>]) -> usize {
        let held = views.iter().filter_map(|view| self.open_from(view));
        let held = held.chain([last_words(text)]).min().unwrap_or(0);
        match self.patterns.is_empty() {
            true => held,
            false => held
                .min(text.floor_char_boundary(text.len().saturating_sub(pattern::LONGEST_MATCH))),
        }
    }

    /// Where the earliest term begins that this view breaks off in.
    fn open_from(&self, view: &View<'_>) -> Option<usize> {
        let from = view.text.ceil_char_boundary(view.text.len().saturating_sub(self.longest));
        let starts = view.text[from..].char_indices().map(|(offset, _)| from + offset);
        let is_open = |start: &usize| {
            let tail = &view.text[*start..];
            let next = self.sorted.partition_point(|term| term.as_str() < tail);
            self.sorted.get(next).is_some_and(|term| term.starts_with(tail))
        };
        let mut open = starts.filter(is_open);
        let first = open.next()?;
        Some(view.glyphs[view.at[first] as usize].start as usize)
    }
}

fn bytes(view: &View<'_>, a: usize, b: usize) -> (usize, usize) {
    // A word that was turned upright runs backwards.
    let run = &view.glyphs[a.min(b)..=a.max(b)];
    let start = run.iter().map(|glyph| glyph.start).min().unwrap_or(0);
    let end = run.iter().map(|glyph| glyph.end).max().unwrap_or(0);
    (start as usize, end as usize)
}

/// Where the last words begin, letters that stand alone not counted.
fn last_words(text: &str) -> usize {
    let mut words = 0;
    let mut end = text.len();
    for (at, c) in text.char_indices().rev() {
        if c.is_whitespace() {
            let word = &text[at + c.len_utf8()..end];
            words += usize::from(word.chars().filter(|c| c.is_alphanumeric()).count() > 2);
            end = at;
            if words == HELD_WORDS {
                return at + c.len_utf8();
            }
        }
    }
    0
}

#[derive(Default)]
struct Builder {
    labels: Vec<Label>,
    places: HashMap<String, usize>,
    needles: Vec<Vec<(Needle, usize, bool)>>,
}

impl Builder {
    fn add(&mut self, rule: &WordRule) -> Result<(), RuleError> {
        let owner = self.labels.len();
        self.labels.push(Label {
            name: rule.label(),
            theme: rule.theme,
            verdict: rule.verdict,
            dry_run: rule.dry_run,
        });
        let terms = rule.terms.iter().map(|term| (term, false));
        for (term, is_allowed) in terms.chain(rule.allow.iter().map(|term| (term, true))) {
            let forms = Needle::forms(term, !is_allowed);
            if forms.is_empty() {
                return Err(RuleError::ShortTerm(term.clone()));
            }
            for form in forms {
                let place = *self.places.entry(form.text.clone()).or_insert(self.needles.len());
                if place == self.needles.len() {
                    self.needles.push(Vec::new());
                }
                self.needles[place].push((form, owner, is_allowed));
            }
        }
        Ok(())
    }

    fn finish(self, patterns: Vec<(Regex, usize)>) -> Result<RuleSet, RuleError> {
        let mut texts = vec![String::new(); self.needles.len()];
        for (text, place) in self.places {
            texts[place] = text;
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&texts);
        // Only more terms than the limits let in could be too many for it.
        let automaton = built.map_err(|_| RuleError::TooManyTerms(texts.len()))?;
        let longest = texts.iter().map(String::len).max().unwrap_or(0);
        texts.sort_unstable();
        Ok(RuleSet {
            labels: self.labels,
            automaton,
            needles: self.needles,
            sorted: texts,
            longest,
            patterns,
        })
    }
}

#[cfg(test)]
mod tests;
