//! The layout of the source tree: who may see whom.
//!
//! Paths are found in the text: every `crate::ROOM` and `dramatis::ROOM`, and
//! `use crate::{…}` lists; comments and texts are left out.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Every room with its floor. A room sees the floors below it and itself.
const FLOORS: [(&str, u8); 29] = [
    ("clock", 0),
    ("config", 0),
    ("domain", 0),
    ("fetch", 0),
    ("gpu", 0),
    ("kernels", 0),
    ("telemetry", 0),
    ("formats", 1),
    ("lore", 1),
    ("moderation", 1),
    ("model", 1),
    ("prompt", 1),
    ("prose", 1),
    ("sampling", 1),
    ("store", 1),
    ("tokenizer", 1),
    ("classifier", 2),
    ("completions", 2),
    ("engine", 2),
    ("pool", 3),
    ("chat", 4),
    ("discord", 5),
    ("http", 5),
    ("terminal", 5),
    ("cli", 6),
    ("service", 6),
    // Not rooms: the roots, which see everything.
    ("lib", 9),
    ("main", 9),
    ("tests", 9),
];

/// Rooms of one floor that see each other all the same.
const SAME_FLOOR: [(&str, &str); 4] =
    [("prompt", "tokenizer"), ("formats", "lore"), ("formats", "sampling"), ("cli", "service")];

/// The rooms that know nothing of the bot, and all that they may see.
const INFERENCE: [&str; 8] =
    ["kernels", "gpu", "tokenizer", "sampling", "model", "prose", "engine", "completions"];

/// One source file.
struct Source {
    path: PathBuf,
    room: String,
    /// Its lines without comments and texts, numbered from 1.
    lines: Vec<(usize, String)>,
}

impl Source {
    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let files = files_below(&src);
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let source = |path: PathBuf| {
        let inner = path.strip_prefix(&src).unwrap();
        let room = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = room.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let texts = Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap();
        let code = |line: &str| {
            let line = texts.replace_all(line, "\"\"");
            line.split("//").next().unwrap_or_default().to_owned()
        };
        let lines = text.lines().map(code).enumerate().map(|(i, line)| (i + 1, line)).collect();
        Source { path: path.strip_prefix(root()).unwrap().into(), room, lines }
    };
    rust.map(source).collect()
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|&(_, floor)| floor)
}

fn may_see(from: &str, to: &str) -> bool {
    let (Some(above), Some(below)) = (floor(from), floor(to)) else { return false };
    let inference = !INFERENCE.contains(&from) || INFERENCE.contains(&to);
    from == to || (inference && (below < above || SAME_FLOOR.contains(&(from, to))))
}

/// The rooms that a source names, with the line.
fn named_rooms(source: &Source) -> Vec<(usize, String)> {
    let path = Regex::new(r"(^|[^$\w])(crate|dramatis)::").unwrap();
    let text = source.lines.iter().map(|(_, line)| format!("{line}\n")).collect::<String>();
    let mut named = Vec::new();
    for found in path.find_iter(&text) {
        let line = 1 + text[..found.end()].matches('\n').count();
        named.extend(first_segments(&text[found.end()..]).into_iter().map(|name| (line, name)));
    }
    named
}

/// The first names of the path, or of each path in the braces, that `text`
/// begins with.
fn first_segments(text: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let Some(list) = text.strip_prefix('{') else { return vec![word(text)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(word(list[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
        if c == '}' && start == at + 1 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Fails with every offence, one a line.
fn assert_none(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n{}", offences.join("\n"));
}

#[test]
fn every_room_has_a_floor_and_lib_rs_names_them_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = Regex::new(r"(?m)^pub mod (\w+);").unwrap();
    let rooms: Vec<_> = modules.captures_iter(&lib).map(|found| found[1].to_owned()).collect();
    let floors: Vec<_> = rooms.iter().map(|room| floor(room)).collect();
    assert!(floors.iter().all(Option::is_some), "{rooms:?}: {floors:?}");
    assert!(floors.is_sorted(), "lib.rs lists rooms out of floor order: {rooms:?}");
    let missing = sources().into_iter().map(|source| source.room);
    let missing: Vec<_> = missing.filter(|room| floor(room).is_none()).collect();
    assert_none("rooms without a floor", &missing);
}

#[test]
fn a_file_sees_only_lower_floors_and_its_own_room() {
    let mut offences = Vec::new();
    for source in sources() {
        for (line, room) in named_rooms(&source) {
            if floor(&room).is_some() && !may_see(&source.room, &room) {
                offences.push(format!("{}: {} must not see {room}", source.at(line), source.room));
            }
        }
    }
    assert_none("floors", &offences);
}

/// `super::` may lead up to the room's own `mod.rs`, not out of it.
#[test]
fn no_file_climbs_out_of_its_room() {
    let climb = Regex::new(r"(?:super::)+").unwrap();
    let inline_module = Regex::new(r"^\s*(pub(\([a-z]+\))? )?mod \w+ \{").unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        let depth = source.path.components().count() - 2;
        let is_mod = source.path.ends_with("mod.rs");
        let mut allowed = depth - usize::from(is_mod);
        for (number, line) in &source.lines {
            // An inline module, such as `mod tests`, is one level deeper.
            allowed += usize::from(inline_module.is_match(line));
            for climbed in climb.find_iter(line) {
                let levels = climbed.as_str().matches("super").count();
                if levels > allowed {
                    offences.push(format!("{}: {}", source.at(*number), line.trim()));
                }
            }
        }
    }
    assert_none("`super::` leads out of the room", &offences);
}

/// What only one room (or a few) may do, by a sign of it in the text.
#[test]
fn crafts_stay_in_their_rooms() {
    let only = [
        (r"\bsqlx::|\bPgPool\b", &["store"][..]),
        (
            r"\bcandle_(core|nn)::",
            &["kernels", "gpu", "model", "tokenizer", "engine", "classifier"],
        ),
        (r"\bhf_hub::", &["fetch"]),
        (r"\blibloading::", &["gpu"]),
        (r"\bzip::", &["fetch", "formats"]),
        (r"\bindicatif::", &["cli"]),
        (r"\bclap::", &["cli", "main"]),
        (r"\brustyline::", &["terminal"]),
        (r"\bserenity::", &["discord"]),
        // What Discord is spoken to with, and servers of models.
        (r"\breqwest::", &["classifier", "discord", "pool"]),
        (r"\b(axum|hyper|hyper_util)::", &["http"]),
        (r"\b(print|println)!\(", &["cli", "terminal", "main"]),
        (r"\b(eprint|eprintln)!\(", &["cli", "terminal", "main"]),
        (r"\banyhow::", &["cli", "service", "main"]),
        (r"\benv::(var|vars|var_os|vars_os|home_dir)\b", &["config"]),
    ];
    let mut offences = Vec::new();
    for (sign, rooms) in only {
        let sign = Regex::new(sign).unwrap();
        for source in sources().iter().filter(|source| !rooms.contains(&source.room.as_str())) {
            let hits = source.lines.iter().filter(|(_, line)| sign.is_match(line));
            offences.extend(hits.map(|(number, line)| {
                format!("{}: only {rooms:?}: {}", source.at(*number), line.trim())
            }));
        }
    }
    assert_none("crafts outside their rooms", &offences);
}

/// The one file of the engine that sees a tensor.
#[test]
fn only_the_model_runner_of_the_engine_sees_tensors() {
    let tensor = Regex::new(r"\bcandle_(core|nn)::|\bTensor\b").unwrap();
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.room == "engine") {
        if source.path.ends_with("model_runner.rs") {
            continue;
        }
        let hits = source.lines.iter().filter(|(_, line)| tensor.is_match(line));
        offences.extend(hits.map(|(number, line)| format!("{}: {line}", source.at(*number))));
    }
    assert_none("tensors", &offences);
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut offences = Vec::new();
    for source in sources() {
        let is_test = source.path.ends_with("tests.rs")
            || source.path.components().any(|part| part.as_os_str() == "tests");
        let text = fs::read_to_string(root().join(&source.path)).unwrap();
        if !is_test && !text.starts_with("//! ") {
            offences.push(source.path.display().to_string());
        }
    }
    assert_none("no `//!` header", &offences);
}

#[test]
fn every_migration_says_what_it_changes() {
    let dir = root().join("migrations");
    if !dir.is_dir() {
        return;
    }
    let name = Regex::new(r"^\d{14}_[a-z0-9_]+\.sql$").unwrap();
    let mut offences = Vec::new();
    for path in files_below(&dir) {
        let file = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        if !name.is_match(file) || !text.starts_with("--") {
            offences.push(format!("{file}: <timestamp>_<what>.sql that begins with a comment"));
        }
    }
    assert_none("migrations", &offences);
}

/// The rules themselves, on texts that break them.
#[test]
fn the_scan_finds_what_it_is_for() {
    let source = |room: &str, text: &str| Source {
        path: format!("src/{room}/x.rs").into(),
        room: room.into(),
        lines: text.lines().enumerate().map(|(i, line)| (i + 1, line.to_owned())).collect(),
    };
    let text = "use crate::store::Store;\nuse crate::{\n    chat::{a, b},\n    clock,\n};\n\
                let x = dramatis::pool::P; $crate::cli";
    let named = named_rooms(&source("prompt", text));
    let rooms: Vec<_> = named.iter().map(|(line, room)| (*line, room.as_str())).collect();
    assert_eq!(rooms, [(1, "store"), (2, "chat"), (2, "clock"), (6, "pool")]);
    for (from, to) in [
        ("prompt", "store"),
        ("store", "chat"),
        ("engine", "config"),
        ("engine", "domain"),
        ("tokenizer", "prompt"),
        ("config", "fetch"),
        ("terminal", "cli"),
    ] {
        assert!(!may_see(from, to), "{from} sees {to}");
    }
    for (from, to) in [("prompt", "tokenizer"), ("engine", "model"), ("chat", "store")] {
        assert!(may_see(from, to), "{from} does not see {to}");
    }
}
