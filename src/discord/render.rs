//! What people are told, as text.
//!
//! Pure: data in, one message out, never longer than Discord takes. Only the one
//! who asked sees it. Names and words of people are shown as they are: none of
//! them can become formatting.

mod boundaries;
mod help;
mod lore;
mod policy;
mod queue;
mod story;

use std::fmt::Write;

use super::names::{length, line};
use super::split::MAX_MESSAGE;
use crate::chat::ReplyReceipt;
use crate::prompt::PromptReceipt;

pub(super) use boundaries::boundaries;
pub(super) use help::{help, help_topics};
pub(super) use lore::{
    entries, lore, lore_entry, lore_name, lore_test, lore_title, lorebook, lorebooks,
};
pub(super) use policy::{policy_trial, rule_hits};
pub(super) use queue::queue;
pub(super) use story::{
    Personas, Status, cast, character, characters, personas, presets, setup, status,
};

/// How wide a bar is at most: a phone still shows its line whole.
const BAR_WIDTH: usize = 12;

/// What the model sees, section by section, and what it does not. `num_cached` is
/// how much of it was still computed from earlier, where a reply was made of it.
pub(super) fn context(
    receipt: &PromptReceipt,
    reply_tokens: usize,
    num_cached: Option<usize>,
) -> String {
    let budget = receipt.budget_tokens;
    let row = |title: &str, num_tokens: usize| {
        let title = line(&code(title), 24, "");
        let bar = bar(num_tokens, budget);
        format!("{title:<24} {num_tokens:>6} {bar}").trim_end().to_owned()
    };
    let sections = receipt.sections.iter().map(|section| {
        let kind = section.kind.to_string();
        let title =
            if section.label.is_empty() { kind } else { format!("{kind}: {}", section.label) };
        row(&title, section.num_tokens)
    });
    let mut end = String::new();
    let free = budget.saturating_sub(receipt.num_tokens);
    for (title, num_tokens) in [
        ("all together", receipt.num_tokens),
        ("still free", free),
        ("for the reply", reply_tokens),
    ] {
        let _ = writeln!(end, "{title:<24} {num_tokens:>6}");
    }
    end.push_str("```\n");
    let trimmed = &receipt.trimmed;
    if trimmed.num_turns > 0 || trimmed.num_examples > 0 || !trimmed.lore.is_empty() {
        let turns = count(trimmed.num_turns, "old turn");
        let examples = count(trimmed.num_examples, "example dialogue");
        let lore = match trimmed.lore.len() {
            0 => String::new(),
            1 => ", 1 piece of lore".to_owned(),
            number => format!(", {number} pieces of lore"),
        };
        let _ = write!(end, "Left out for want of room: {turns}, {examples}{lore}.");
    } else {
        end.push_str("Nothing was left out.");
    }
    if let Some(num_cached) = num_cached {
        let share = percent(num_cached, receipt.num_tokens);
        let _ = write!(end, " {share} was still known from an earlier reply.");
    }
    lines_within("**What the model sees**, in tokens\n```\n", sections, &end)
}

/// How a reply was made.
pub(super) fn why(receipt: &ReplyReceipt) -> String {
    let timings = &receipt.timings;
    let asked = receipt.length.map_or("left to the model", |length| length.as_str());
    let range = receipt.length_range.map_or_else(String::new, |range| format!("{range}; "));
    let speed = timings
        .decode_tokens_per_s()
        .map_or_else(String::new, |rate| format!(", {rate:.1} a second"));
    let fingerprint = receipt.model_fingerprint.get(..12).unwrap_or(&receipt.model_fingerprint);
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1e3);
    let rows = [
        ("model", format!("{} ({fingerprint})", receipt.model)),
        ("template", receipt.prompt.template.clone()),
        ("preset", receipt.preset.clone()),
        ("sampling", receipt.sampler.to_string()),
        ("seed", receipt.seed.to_string()),
        ("length", format!("{asked}; {range}cut at {}", count(receipt.max_tokens, "token"))),
        (
            "prompt",
            format!(
                "{}, {} still known",
                count(timings.num_prompt_tokens, "token"),
                percent(timings.num_cached_tokens, timings.num_prompt_tokens)
            ),
        ),
        ("reply", format!("{}{speed}", count(timings.num_generated_tokens, "token"))),
        ("ended by", receipt.finish.clone()),
        ("waited", seconds(timings.lane_ms + timings.queue_ms)),
        ("reading", seconds(timings.prompt_ms + timings.prefill_ms)),
        ("writing", seconds(timings.decode_ms)),
    ];
    let repeats = receipt.repetition.is_any().then(|| ("repeats", receipt.repetition.to_string()));
    let rows = rows.into_iter().chain(repeats);
    let rows = rows.map(|(title, value)| format!("{title:<9} {}", code(&value)));
    lines_within("**How this reply was made**\n```\n", rows, "```")
}

/// A bar as wide as `part` is of `whole`.
fn bar(part: usize, whole: usize) -> String {
    let halves = (part * BAR_WIDTH * 2).checked_div(whole).unwrap_or(0).min(BAR_WIDTH * 2);
    "█".repeat(halves / 2) + ["", "▌"][halves % 2]
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// `1 turn`, `2 turns`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A text that stands in a code block: nothing in it can end the block.
fn code(text: &str) -> String {
    text.replace('`', "'")
}

/// A text of people's as one line: nothing in it is formatting, or becomes a
/// mention, a link or a picture.
fn plain(text: &str, limit: usize) -> String {
    let mut escaped = String::new();
    for c in line(text, limit, "…").chars() {
        if c.is_ascii_punctuation() && !".,;!?'\"/&+$%=^".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// `begin`, as many of the lines as there is room for, a line that counts the
/// others, and `end`.
fn lines_within(begin: &str, lines: impl Iterator<Item = String>, end: &str) -> String {
    let lines: Vec<String> = lines.collect();
    let all: usize = lines.iter().map(|line| length(line) + 1).sum();
    let room = MAX_MESSAGE.saturating_sub(length(begin) + length(end));
    let more = |num_left: usize| format!("… and {num_left} more\n");
    let mut out = begin.to_owned();
    let mut used = 0;
    for (shown, line) in lines.iter().enumerate() {
        used += length(line) + 1;
        let reserved = if all > room { length(&more(lines.len())) } else { 0 };
        if used + reserved > room {
            out.push_str(&more(lines.len() - shown));
            break;
        }
        out.push_str(line);
        out.push('\n');
    }
    out + end
}

#[cfg(test)]
mod tests;
