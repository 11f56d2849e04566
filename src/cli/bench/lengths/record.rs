//! What was written, line by line in a file, so that a run can go on.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation as _;

use super::super::play::Written;
use super::cells::Cell;
use crate::prose::Scan;

/// What is known of one reply: numbers, not words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) cell: Cell,
    pub(super) tokens: usize,
    pub(super) words: usize,
    /// Whether it ends where a sentence does, with nothing left open.
    pub(super) is_whole: bool,
    pub(super) finish: String,
    /// The mean logarithm of its tokens' probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) likelihood: Option<f64>,
}

impl Line {
    pub(super) fn of(cell: &Cell, written: &Written, likelihood: Option<f64>) -> Self {
        Self {
            cell: *cell,
            tokens: written.token_ids.len(),
            words: written.text.unicode_words().count(),
            is_whole: Scan::of(&written.text).is_at_end,
            finish: written.finish_reason.kind().to_owned(),
            likelihood,
        }
    }
}

/// The lines so far, in memory and in the file.
#[derive(Debug)]
pub(super) struct Record {
    lines: Vec<Line>,
    file: File,
}

impl Record {
    /// Reads what is there, or begins a file with `key`: what the lines depend on.
    ///
    /// # Errors
    /// The file cannot be read or written, or is one of other settings.
    pub(super) fn open(path: &Path, key: &Value) -> anyhow::Result<Self> {
        let shown = path.display();
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        let head = format!("{key}\n");
        let mut record = Vec::new();
        let mut kept_bytes = 0;
        // A file that was begun and broken off at once is begun again.
        if !head.starts_with(&text) || text == head {
            let Some(rest) = text.strip_prefix(&head) else {
                bail!(
                    "{shown} is of another model or of other settings, or no record at all; give \
                     --record another name, or delete it"
                );
            };
            kept_bytes = head.len();
            // The last may have been broken off.
            for line in rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
                let line_of = serde_json::from_str(line)
                    .with_context(|| format!("{shown} has a line that is none of this bench's"))?;
                record.push(line_of);
                kept_bytes += line.len() + 1;
            }
        }
        let open = OpenOptions::new().create(true).append(true).open(path);
        let mut file = open.with_context(|| format!("cannot write {shown}"))?;
        file.set_len(kept_bytes as u64).with_context(|| format!("cannot write {shown}"))?;
        if kept_bytes == 0 {
            write!(file, "{head}").with_context(|| format!("cannot write {shown}"))?;
        }
        Ok(Self { lines: record, file })
    }

    /// How many lines of a cell there are.
    pub(super) fn count(&self, cell: &Cell) -> usize {
        self.lines.iter().filter(|line| line.cell == *cell).count()
    }

    /// Adds a line, in the file first.
    pub(super) fn add(&mut self, line: Line) -> anyhow::Result<()> {
        let text = serde_json::to_string(&line)?;
        writeln!(self.file, "{text}").context("cannot write the record")?;
        self.lines.push(line);
        Ok(())
    }

    /// The first `replies` lines of each cell.
    pub(super) fn lines(&self, replies: usize) -> Vec<Line> {
        let of = |cell: Cell| self.lines.iter().filter(move |line| line.cell == cell);
        Cell::all().into_iter().flat_map(|cell| of(cell).take(replies).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(tokens: usize) -> Line {
        Line {
            cell: Cell::all()[3],
            tokens,
            words: 2,
            is_whole: true,
            finish: "eos".into(),
            likelihood: None,
        }
    }

    #[test]
    fn a_record_goes_on_where_it_was_broken_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/record.jsonl");
        let key = json!({ "model": 1 });
        let mut record = Record::open(&path, &key).unwrap();
        record.add(line(7)).unwrap();
        record.add(line(8)).unwrap();
        drop(record);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();

        let mut record = Record::open(&path, &key).unwrap();
        assert_eq!(record.lines(9), [line(7)]);
        record.add(line(9)).unwrap();
        drop(record);
        let record = Record::open(&path, &key).unwrap();
        assert_eq!(record.lines(9), [line(7), line(9)]);
        assert_eq!((record.lines(1).len(), record.count(&Cell::all()[0])), (1, 0));
    }

    #[test]
    fn a_record_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.jsonl");
        Record::open(&path, &json!(1)).unwrap().add(line(7)).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let error = Record::open(&path, &json!(2)).unwrap_err().to_string();
        assert!(error.contains("--record another name"), "{error}");
        for notes in ["no record\n", "no record", "1\nno line\n", "12"] {
            let other = dir.path().join("other");
            fs::write(&other, notes).unwrap();
            assert!(Record::open(&other, &json!(1)).is_err(), "{notes:?}");
            assert_eq!(fs::read_to_string(&other).unwrap(), notes);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
