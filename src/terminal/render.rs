//! What the screen says about the story: tables of receipts, help, the cast.
//!
//! Pure: data in, text out; every line ends in a line break.

use std::fmt::Write;

use crate::chat::{LoreReport, ReplyReceipt};
use crate::domain::{CastMember, Participant, Scene};
use crate::prompt::PromptReceipt;
use crate::store::{ListedLorebook, LoreUse};

use super::commands::{COMMANDS, CommandSpec};
use super::style::Style;

/// A bar as wide as `part` is of `whole`, `width` columns at the most.
fn bar(part: usize, whole: usize, width: usize) -> String {
    let eighths = (part * width * 8).checked_div(whole).unwrap_or(0);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8) {
        bar.push_str(rest);
    }
    bar
}

/// What the model sees, section by section, and what it does not.
pub(crate) fn context(receipt: &PromptReceipt, reply_tokens: usize, style: Style) -> String {
    let mut out = String::new();
    let budget = receipt.budget_tokens;
    let _ = writeln!(out, "{}", style.heading("What the model sees"));
    for section in &receipt.sections {
        let kind = section.kind.to_string();
        let title =
            if section.label.is_empty() { kind } else { format!("{kind}: {}", section.label) };
        let bar = bar(section.num_tokens, budget, 24);
        let _ = writeln!(out, "  {title:<42} {:>6}  {}", section.num_tokens, style.aside(bar));
    }
    let free = budget.saturating_sub(receipt.num_tokens);
    let _ = writeln!(out, "  {:<42} {:>6}", "all together", receipt.num_tokens);
    let _ = writeln!(out, "  {:<42} {free:>6}", "still free");
    let _ = writeln!(out, "  {:<42} {reply_tokens:>6}", "kept for the reply");
    let trimmed = &receipt.trimmed;
    if trimmed.num_turns > 0 || trimmed.num_examples > 0 || !trimmed.lore.is_empty() {
        let mut left_out = format!(
            "  left out for want of room: {} of the oldest turns, {} example dialogues",
            trimmed.num_turns, trimmed.num_examples
        );
        for lore in &trimmed.lore {
            let _ = write!(left_out, "\n    lore: {} ({} tokens)", lore.label, lore.num_tokens);
        }
        let _ = writeln!(out, "{}", style.warning(left_out));
    } else {
        let _ = writeln!(out, "{}", style.aside("  nothing was left out"));
    }
    out
}

/// How a reply was made.
pub(crate) fn why(receipt: &ReplyReceipt, style: Style) -> String {
    let mut out = String::new();
    let timings = &receipt.timings;
    let mut row = |title: &str, value: String| {
        let _ = writeln!(out, "  {title:<10} {value}");
    };
    row("model", format!("{} ({})", receipt.model, short(&receipt.model_fingerprint)));
    row("template", receipt.prompt.template.clone());
    row("preset", format!("{} ({})", receipt.preset, receipt.sampler));
    row("seed", receipt.seed.to_string());
    let length = receipt.length.map_or("the model's choice", |length| length.as_str());
    let range = receipt.length_range.map_or_else(String::new, |range| range.to_string() + ", ");
    row("length", format!("{length}, {range}at most {} tokens", receipt.max_tokens));
    let cached = 100.0 * timings.num_cached_tokens as f64 / timings.num_prompt_tokens.max(1) as f64;
    row(
        "prompt",
        format!(
            "{} tokens, {} of them cached ({cached:.0} %)",
            timings.num_prompt_tokens, timings.num_cached_tokens
        ),
    );
    let rate = timings
        .decode_tokens_per_s()
        .map_or_else(String::new, |rate| format!(" ({rate:.1} tokens a second)"));
    row(
        "reply",
        format!("{} tokens{rate}, ended by {}", timings.num_generated_tokens, receipt.finish),
    );
    row(
        "time",
        format!(
            "queue {} ms, prompt {} ms, waiting {} ms, prefill {} ms, decode {} ms",
            timings.lane_ms,
            timings.prompt_ms,
            timings.queue_ms,
            timings.prefill_ms,
            timings.decode_ms
        ),
    );
    if receipt.repetition.is_any() {
        row("repeats", receipt.repetition.to_string());
    }
    format!("{}\n{out}", style.heading("How the latest reply was made"))
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

/// What lore did for a reply; nothing where it did nothing.
pub(crate) fn lore(report: &LoreReport, style: Style) -> String {
    if report.is_empty() {
        return String::new();
    }
    format!("{}\n{}", style.heading("Lore"), lore_lines(report, style))
}

/// What a text would call, and why the rest stays silent.
pub(crate) fn lore_test(report: &LoreReport, style: Style) -> String {
    if report.is_empty() {
        return style.aside("this scene uses no lorebook with entries\n").to_string();
    }
    lore_lines(report, style)
}

/// Names of a book may hold what terminals obey.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn lore_lines(report: &LoreReport, style: Style) -> String {
    let mut out = String::new();
    for told in &report.told {
        let name = style.name(plain(&told.name));
        let about = plain(&format!("({}): {}", told.book, told.cause));
        let _ = writeln!(out, "  {name} {about}, {} tokens", told.num_tokens);
    }
    for left in &report.left_out {
        let line = plain(&format!("{} ({}) {}", left.name, left.book, left.reason));
        let _ = writeln!(out, "  {}", style.aside(&line));
    }
    if let Some(slow) = report.slow_regexes() {
        let _ = writeln!(out, "  {}", style.aside(&slow));
    }
    let _ = writeln!(out, "  {} of {} tokens", report.num_tokens, report.budget_tokens);
    out
}

/// The lorebooks of the library; those that the scene uses are marked.
pub(crate) fn lorebooks(books: &[ListedLorebook], used: &[LoreUse], style: Style) -> String {
    if books.is_empty() {
        let hint = "  there are no lorebooks yet; `dramatis lore import FILE` brings one in\n";
        return style.aside(hint).to_string();
    }
    let mut out = String::new();
    for book in books {
        let is_used = used.iter().any(|it| it.id == book.id);
        let about = if is_used { "used in this scene" } else { "not used here" };
        let _ = writeln!(out, "  {}  {}", style.name(&book.name), style.aside(about));
    }
    out
}

/// Who is in the scene.
pub(crate) fn cast(cast: &[CastMember], people: &[Participant], style: Style) -> String {
    let mut out = String::new();
    for member in cast {
        let name = member.character.sheet.stage_name();
        let about = first_sentence(&member.character.sheet.description);
        let _ = writeln!(out, "  {}  {}", style.name(name), style.aside(about));
    }
    for person in people {
        let about = match person.description() {
            "" => "no description; /persona NAME: DESCRIPTION gives one",
            description => first_sentence(description),
        };
        let _ = writeln!(out, "  {}  {}", style.person(person.name()), style.aside(about));
    }
    out
}

/// Up to the end of the first sentence.
pub(crate) fn first_sentence(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or("");
    line.split_inclusive(". ").next().unwrap_or(line).trim_end()
}

/// One line about the scene's settings.
pub(crate) fn settings(scene: &Scene) -> String {
    let length = scene.length.map_or("auto", |length| length.as_str());
    format!("length {length} · preset {} · /help lists the commands", scene.preset)
}

/// All commands, or one.
pub(crate) fn help(command: Option<&str>, style: Style) -> String {
    let line = |spec: &CommandSpec| format!("  {:<32} {}\n", spec.usage, spec.summary);
    match command {
        None => {
            let mut out = COMMANDS.iter().map(line).collect::<String>();
            let notes = "  Anything else is your turn in the story. A line that ends in \\ goes on \
                         in the next.\n  // or ((…)) is beside the story. Tab completes. Ctrl-C stops a \
                         reply; what is written stays.\n";
            let _ = write!(out, "{}", style.aside(notes));
            out
        }
        Some(name) => COMMANDS
            .iter()
            .find(|spec| spec.name == name)
            .map_or_else(|| format!("  there is no command /{name}\n"), line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::{Section, SectionKind, Trimmed};

    fn receipt() -> PromptReceipt {
        let section =
            |kind, label: &str, num_tokens| Section { kind, label: label.to_owned(), num_tokens };
        PromptReceipt {
            template: "limarp-alpaca/1".into(),
            sections: vec![
                section(SectionKind::Bos, "", 1),
                section(SectionKind::Character, "Maren Holt", 199),
                section(SectionKind::Turns, "12 turns", 800),
            ],
            num_tokens: 1000,
            budget_tokens: 1728,
            trimmed: Trimmed { num_turns: 9, num_examples: 1, ..Trimmed::default() },
        }
    }

    #[test]
    fn the_context_adds_up_and_names_what_was_left_out() {
        let shown = context(&receipt(), 320, Style::new(false));
        insta::assert_snapshot!(shown, @r"
        What the model sees
          beginning of text                               1  
          character: Maren Holt                         199  ██▊
          turns: 12 turns                               800  ███████████
          all together                                 1000
          still free                                    728
          kept for the reply                            320
          left out for want of room: 9 of the oldest turns, 1 example dialogues
        ");
    }

    #[test]
    fn help_knows_every_command_and_one() {
        let all = help(None, Style::new(false));
        assert!(COMMANDS.iter().all(|spec| all.contains(spec.usage)));
        assert_eq!(help(Some("undo"), Style::new(false)).lines().count(), 1);
        assert!(help(Some("dance"), Style::new(false)).contains("no command /dance"));
    }

    #[test]
    fn an_introduction_is_one_sentence() {
        assert_eq!(first_sentence("She waits. She listens."), "She waits.");
        assert_eq!(first_sentence("  One line\nanother"), "One line");
        assert_eq!(first_sentence(""), "");
    }
}
