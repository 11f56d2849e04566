//! Lore, as lists and reports.

use std::fmt::Write;

use super::{count, lines_within, plain};
use crate::chat::LoreReport;
use crate::domain::{LoreEntry, LorePosition, Lorebook};
use crate::store::ListedLorebook;

/// How much of an entry's text is shown in a list.
const SUMMARY: usize = 90;
/// How much of it is shown by itself.
const EXCERPT: usize = 900;
/// How much of a name, a key or a reason is shown.
const NAME: usize = 80;
/// How many entries a receipt names.
const MAX_NAMED: usize = 12;

/// A guild's lorebooks.
pub(in crate::discord) fn lorebooks(books: &[ListedLorebook]) -> String {
    if books.is_empty() {
        return "There are no lorebooks on this server yet; /lore add makes an entry, /lore import \
                brings a book in."
            .to_owned();
    }
    let lines = books.iter().map(|book| {
        let mut used: Vec<String> = Vec::new();
        if book.everywhere {
            used.push("everywhere".to_owned());
        }
        used.extend(book.characters.iter().map(|name| format!("with {}", plain(name, NAME))));
        match usize::try_from(book.num_scenes) {
            Ok(number) if number > 0 => used.push(format!("in {}", count(number, "scene"))),
            _ => {}
        }
        let used = if used.is_empty() { "nowhere".to_owned() } else { used.join(", ") };
        format!("- **{}** · used {used}", plain(&book.name, NAME))
    });
    lines_within("**Lorebooks**\n", lines, "/lore list book: shows what is in one.")
}

/// What is in a lorebook.
pub(in crate::discord) fn lorebook(book: &Lorebook) -> String {
    let mut begin = format!("**{}** · {}\n", plain(&book.name, NAME), entries(book.entries.len()));
    if !book.description.trim().is_empty() {
        let _ = writeln!(begin, "{}", plain(&book.description, SUMMARY));
    }
    let lines = book.entries.iter().map(|entry| {
        let off = if entry.enabled { "" } else { " (off)" };
        format!(
            "- **{}**{off} · {} · {}",
            lore_title(entry),
            called_by(entry),
            plain(&entry.content, SUMMARY)
        )
    });
    lines_within(&begin, lines, "")
}

/// One entry of a book.
pub(in crate::discord) fn lore_entry(book: &str, entry: &LoreEntry) -> String {
    let place = match entry.position {
        LorePosition::BeforeCharacters => "before the characters".to_owned(),
        LorePosition::AfterCharacters => "after the characters".to_owned(),
        LorePosition::BeforeExamples => "before the example dialogues".to_owned(),
        LorePosition::AfterExamples => "after the example dialogues".to_owned(),
        LorePosition::NoteTop | LorePosition::NoteBottom => "with the note".to_owned(),
        LorePosition::AtDepth { depth: 0, .. } => "right before the reply".to_owned(),
        LorePosition::AtDepth { depth, .. } => format!("{} before the end", count(depth, "turn")),
    };
    let off = if entry.enabled { "" } else { " · switched off" };
    format!(
        "**{}** in {} · {} · {place} · order {}{off}\n> {}",
        lore_title(entry),
        plain(book, NAME),
        called_by(entry),
        entry.order,
        plain(&entry.content, EXCERPT)
    )
}

/// A lorebook's name within a sentence.
pub(in crate::discord) fn lore_name(name: &str) -> String {
    plain(name, NAME)
}

/// What people call an entry, within a sentence.
pub(in crate::discord) fn lore_title(entry: &LoreEntry) -> String {
    plain(&entry.title(), NAME)
}

fn called_by(entry: &LoreEntry) -> String {
    if entry.constant {
        return "always".to_owned();
    }
    let keys = |keys: &[String]| plain(&keys.join(", "), NAME);
    if entry.selective && !entry.secondary_keys.is_empty() {
        return format!("{} & {}", keys(&entry.keys), keys(&entry.secondary_keys));
    }
    keys(&entry.keys)
}

/// `1 entry`, `2 entries`.
pub(in crate::discord) fn entries(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

/// What lore did for a reply; nothing where it did nothing.
pub(in crate::discord) fn lore(report: &LoreReport) -> String {
    if report.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\n**Lore**: {} told, {} of {} tokens",
        entries(report.told.len()),
        report.num_tokens,
        report.budget_tokens
    );
    for told in report.told.iter().take(MAX_NAMED) {
        let _ = write!(out, "\n- {} · {}", plain(&told.name, NAME), plain(&told.cause, NAME));
    }
    for left in report.left_out.iter().take(MAX_NAMED) {
        let _ = write!(out, "\n- ~~{}~~ {}", plain(&left.name, NAME), plain(&left.reason, NAME));
    }
    if let Some(slow) = report.slow_regexes() {
        let _ = write!(out, "\n- {slow}");
    }
    out
}

/// What a text would call, and why the rest stays silent.
pub(in crate::discord) fn lore_test(report: &LoreReport) -> String {
    if report.is_empty() {
        return "There is no lore to try: no scene here uses a lorebook with entries.".to_owned();
    }
    let begin = format!(
        "**{}** would be told, {} of {} tokens\n",
        entries(report.told.len()),
        report.num_tokens,
        report.budget_tokens
    );
    let told = report.told.iter().map(|told| {
        format!(
            "✅ **{}** · {} · {}",
            plain(&told.name, NAME),
            plain(&told.cause, NAME),
            count(told.num_tokens, "token")
        )
    });
    let left = report
        .left_out
        .iter()
        .map(|left| format!("▫️ {} {}", plain(&left.name, NAME), plain(&left.reason, NAME)));
    let slow = report.slow_regexes().map(|slow| format!("⚠️ {slow}"));
    lines_within(&begin, slow.into_iter().chain(told).chain(left), "")
}
