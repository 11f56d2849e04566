//! The data card: what is in a dataset, and why the rest is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::{GuildId, Length, PersonId};

use super::lengths::LengthRanges;
use super::reason::LeftOut;
use super::scrub::Replaced;
use super::window::Sample;

/// What is in a dataset. Numbers only: nobody's name, and no place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataCard {
    /// The format of the text, and of its lines.
    pub format: &'static str,
    /// The most tokens of a sample.
    pub max_tokens: usize,
    /// The fingerprint of the tokenizer that counted them.
    pub tokenizer: String,
    /// What begins each sample; empty where the model wants nothing.
    pub bos: String,
    /// What ends each response.
    pub eos: String,
    /// Guilds that were looked at.
    pub guilds: usize,
    /// Scenes that were looked at.
    pub scenes: usize,
    /// Scenes that are in it.
    pub scenes_taken: usize,
    /// Scenes that are not, by the reason.
    pub scenes_left_out: BTreeMap<LeftOut, usize>,
    /// Lines of the dataset.
    pub samples: usize,
    /// Turns in them.
    pub turns: usize,
    /// Replies that the model is taught to write.
    pub responses: usize,
    /// People whose words are in it.
    pub people: usize,
    /// Tokens of all samples.
    pub tokens: usize,
    /// Tokens of the longest.
    pub longest_tokens: usize,
    /// The lengths that the responses have.
    pub lengths: Vec<LengthCount>,
    /// What was replaced in the samples' texts.
    pub replaced: Replaced,
    /// Turns of the scenes taken that wait for approval.
    pub turns_waiting: usize,
    /// Turns of the scenes taken that were played elsewhere and are left out.
    pub turns_imported: usize,
    /// Turns of the scenes taken that fit into no sample.
    pub turns_left_over: usize,
    #[serde(skip)]
    speakers: BTreeSet<(GuildId, PersonId)>,
}

/// How many responses have a length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LengthCount {
    /// Which.
    pub length: Length,
    /// From so many tokens.
    pub from: usize,
    /// To so many; `None` has no end.
    pub to: Option<usize>,
    /// How many responses.
    pub responses: usize,
}

/// The transcript's format, and the lines'.
const FORMAT: &str = "limarp-alpaca/1, a length in every response; Axolotl input_output";

impl DataCard {
    pub(super) fn new(tokenizer: &str, max_tokens: usize, ranges: &LengthRanges) -> Self {
        let lengths = ranges.iter().map(|(length, range)| LengthCount {
            length: *length,
            from: *range.start(),
            to: Some(*range.end()).filter(|end| *end != usize::MAX),
            responses: 0,
        });
        Self {
            format: FORMAT,
            max_tokens,
            tokenizer: tokenizer.to_owned(),
            bos: String::new(),
            eos: String::new(),
            guilds: 0,
            scenes: 0,
            scenes_taken: 0,
            scenes_left_out: BTreeMap::new(),
            samples: 0,
            turns: 0,
            responses: 0,
            people: 0,
            tokens: 0,
            longest_tokens: 0,
            lengths: lengths.collect(),
            replaced: Replaced::default(),
            turns_waiting: 0,
            turns_imported: 0,
            turns_left_over: 0,
            speakers: BTreeSet::new(),
        }
    }

    pub(super) fn leave_out(&mut self, reason: LeftOut) {
        *self.scenes_left_out.entry(reason).or_default() += 1;
    }

    pub(super) fn take(&mut self, guild: GuildId, speakers: &[PersonId], samples: &[Sample]) {
        self.scenes_taken += 1;
        self.speakers.extend(speakers.iter().map(|person| (guild, *person)));
        self.people = self.speakers.len();
        for sample in samples {
            self.samples += 1;
            self.turns += sample.num_turns;
            self.responses += sample.lengths.len();
            self.tokens += sample.num_tokens;
            self.longest_tokens = self.longest_tokens.max(sample.num_tokens);
            for length in &sample.lengths {
                let known = self.lengths.iter_mut().find(|count| count.length == *length);
                if let Some(count) = known {
                    count.responses += 1;
                }
            }
        }
    }

    /// Why there is nothing in it, in one sentence.
    pub fn why_empty(&self) -> String {
        if self.scenes == 0 {
            return "there are no scenes".to_owned();
        }
        let reasons = self.scenes_left_out.iter().map(|(reason, scenes)| {
            let plural = if *scenes == 1 { "scene" } else { "scenes" };
            format!("{scenes} {plural} because {}", reason.words())
        });
        format!("left out: {}", reasons.collect::<Vec<_>>().join("; "))
    }

    /// As a page to read.
    pub fn to_markdown(&self) -> String {
        let mut page = String::from("# Data card\n\n");
        let _ = writeln!(
            page,
            "Scenes of roleplay in LimaRP's format, one sample a line. Everybody who spoke in \
             them agreed to it, and a moderator approved every text. People's names are replaced \
             by plain names, another set in each scene; links, addresses, long numbers and \
             mentions by neutral words. Misspelled names and nicknames are not known to a \
             program: read it before you pass it on. Who withdraws is not in the next export; \
             delete this one then.\n"
        );
        let rows = |page: &mut String, title: &str, rows: &[(&str, String)]| {
            let _ = write!(page, "## {title}\n\n| | |\n|---|---:|\n");
            for (name, value) in rows {
                let _ = writeln!(page, "| {name} | {value} |");
            }
            page.push('\n');
        };
        let n = |number: usize| number.to_string();
        let mean = self.tokens.checked_div(self.samples).unwrap_or(0);
        rows(
            &mut page,
            "What is in it",
            &[
                ("samples", n(self.samples)),
                ("scenes", format!("{} of {}", self.scenes_taken, self.scenes)),
                ("guilds looked at", n(self.guilds)),
                ("people whose words are in it", n(self.people)),
                ("turns", n(self.turns)),
                ("responses that are taught", n(self.responses)),
                ("tokens", n(self.tokens)),
                ("tokens of a sample: mean", n(mean)),
                ("tokens of a sample: longest", n(self.longest_tokens)),
                ("tokens of a sample: limit", n(self.max_tokens)),
            ],
        );
        let left_out: Vec<(&str, String)> =
            self.scenes_left_out.iter().map(|(why, scenes)| (why.words(), n(*scenes))).collect();
        rows(&mut page, "Scenes that are left out, because …", &left_out);
        rows(
            &mut page,
            "Turns of the other scenes that are left out",
            &[
                ("said or changed since the approval", n(self.turns_waiting)),
                ("played elsewhere and imported", n(self.turns_imported)),
                ("fit into no sample", n(self.turns_left_over)),
            ],
        );
        let Replaced { names, mentions, links, addresses, numbers } = self.replaced;
        rows(
            &mut page,
            "What was replaced",
            &[
                ("names of people", n(names)),
                ("mentions", n(mentions)),
                ("links", n(links)),
                ("e-mail addresses", n(addresses)),
                ("telephone and other long numbers", n(numbers)),
            ],
        );
        page.push_str("## Lengths\n\n| length | tokens | responses |\n|---|---:|---:|\n");
        for LengthCount { length, from, to, responses } in &self.lengths {
            let to = to.map_or("…".to_owned(), n);
            let _ = writeln!(page, "| {length} | {from}–{to} | {responses} |");
        }
        let mark = |mark: &str| match mark {
            "" => "nothing".to_owned(),
            mark => format!("`{mark}`"),
        };
        let _ = write!(
            page,
            "\n## Format\n\n{}. A sample begins with {}, a response ends with {}; Axolotl adds \
             neither. Counted by the tokenizer {}, each segment as a text of its own.\n",
            self.format,
            mark(&self.bos),
            mark(&self.eos),
            self.tokenizer.get(..16).unwrap_or(&self.tokenizer),
        );
        page
    }
}
