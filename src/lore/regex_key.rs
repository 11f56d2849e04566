//! Keys that are regular expressions, each with a bound on what it may cost.
//!
//! What needs no look-around runs on the engine that is linear in the text; the rest
//! backtracks, and every step is counted.

use super::backtrack::Program;
use super::javascript::{Flags, RegexError, read};
use super::pattern::Node;

/// How large a compiled regular expression may be.
const SIZE_LIMIT_BYTES: usize = 1 << 20;
/// How many steps one search may take.
const MAX_STEPS: u64 = 2_000_000;

/// What all searches of an activation may still cost together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// How much text the linear engine may go through.
    bytes_left: u64,
    /// How many steps the backtracking engine may take.
    steps_left: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { bytes_left: 256 << 20, steps_left: 20_000_000 }
    }
}

/// A compiled key.
#[derive(Debug, Clone)]
pub(super) struct RegexKey {
    engine: Engine,
    /// Lower-case ASCII that is in every text that matches, if any is.
    pub(super) literal: Option<String>,
    /// A measure of its size.
    pub(super) num_atoms: u64,
}

#[derive(Debug, Clone)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(Box<Program>),
}

impl RegexKey {
    /// Compiles a pattern with its flags.
    ///
    /// # Errors
    /// If it is no valid pattern, or larger than we bear.
    pub(super) fn new(pattern: &str, flags: &str) -> Result<Self, RegexError> {
        let flags = Flags::parse(flags)?;
        let node = read(pattern, flags)?;
        let engine = if node.needs_backtracking() {
            let program = Program::new(&node, flags).ok_or(RegexError::Unsupported)?;
            Engine::Backtracking(Box::new(program))
        } else {
            Engine::Linear(linear(&node, flags)?)
        };
        Ok(Self { engine, literal: node.common_literal(), num_atoms: node.num_atoms() })
    }

    /// Whether it matches anywhere; `None` if what work is left did not suffice.
    pub(super) fn is_match(&self, text: &str, work: &mut Work) -> Option<bool> {
        match &self.engine {
            Engine::Linear(regex) => {
                work.bytes_left = work.bytes_left.checked_sub(text.len() as u64)?;
                Some(regex.is_match(text))
            }
            Engine::Backtracking(program) => {
                let most = work.steps_left.min(MAX_STEPS);
                let mut left = most;
                let found = program.is_match(text, &mut left);
                work.steps_left -= most - left;
                found
            }
        }
    }
}

/// Compiles a tree for the linear engine.
fn linear(node: &Node, flags: Flags) -> Result<regex::Regex, RegexError> {
    let mut pattern = String::from(if flags.sticky { r"\A(?:" } else { "(?:" });
    node.write(&mut pattern);
    pattern.push(')');
    regex::RegexBuilder::new(&pattern)
        .case_insensitive(flags.ignore_case)
        .size_limit(SIZE_LIMIT_BYTES)
        .dfa_size_limit(SIZE_LIMIT_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RegexError::TooLarge,
            _ => RegexError::Unsupported,
        })
}

/// Whether a pattern with its flags can be a key.
///
/// # Errors
/// If it is no valid pattern, or larger than we bear.
pub fn check_regex(pattern: &str, flags: &str) -> Result<(), RegexError> {
    RegexKey::new(pattern, flags).map(|_| ())
}

/// The pattern and the flags of a key that is written `/…/flags`; `None` if it is not.
/// A slash within must stand behind a backslash.
pub fn parse_slashes(key: &str) -> Option<(&str, &str)> {
    let inner = key.strip_prefix('/')?;
    let end = inner.rfind('/').filter(|end| *end > 0)?;
    let (pattern, flags) = (&inner[..end], &inner[end + 1..]);
    let is_flag = |flag: char| matches!(flag, 'g' | 'i' | 'm' | 's' | 'u' | 'y');
    let has_bare_slash = pattern.match_indices('/').any(|(at, _)| !pattern[..at].ends_with('\\'));
    (flags.chars().all(is_flag) && !has_bare_slash).then_some((pattern, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(key: &str, text: &str) -> bool {
        let (pattern, flags) = parse_slashes(key).unwrap();
        RegexKey::new(pattern, flags).unwrap().is_match(text, &mut Work::default()).unwrap()
    }

    fn error(key: &str) -> RegexError {
        let (pattern, flags) = parse_slashes(key).unwrap();
        RegexKey::new(pattern, flags).unwrap_err()
    }

    #[test]
    fn slashes_make_a_regular_expression() {
        assert_eq!(parse_slashes("/a b/gi"), Some(("a b", "gi")));
        assert_eq!(parse_slashes(r"/a\/b/"), Some((r"a\/b", "")));
        for key in ["a", "/", "//", "/a", "a/i", "/a/x", "/a/b/", "/usr/bin", "/a/ i"] {
            assert_eq!(parse_slashes(key), None, "{key}");
        }
    }

    #[test]
    fn flags_do_what_they_say() {
        assert!(!matches("/dragon/", "Dragon") && matches("/dragon/gi", "Dragon"));
        assert!(!matches("/^b/", "a\nb") && matches("/^b/m", "a\nb"));
        assert!(!matches("/a.b/", "a\nb") && matches("/a.b/s", "a\nb"));
        assert!(!matches("/b/y", "ab") && matches("/a|b/y", "ba"));
        assert!(!matches(r"/^\u{41}$/", "A") && matches(r"/^\u{41}$/u", "A"));
        assert_eq!(error("/a/ii"), RegexError::Invalid("a flag stands twice"));
    }

    #[test]
    fn classes_and_boundaries_are_of_ascii() {
        assert!(!matches(r"/^\w+$/", "größe") && matches(r"/^\w+$/", "grue_5"));
        assert!(matches(r"/\bgr\b/", "größe") && !matches(r"/\bgr\b/", "groesse"));
        assert!(matches(r"/\bgr\b(?=ö)/", "größe") && !matches(r"/\Bgr(?=ö)/", "größe"));
        assert!(!matches(r"/\d/", "٣") && matches(r"/\s/", "\u{feff}"));
        assert!(matches(r"/^[\w-]+$/", "a-b") && matches(r"/^[^\W\d]$/", "a"));
    }

    #[test]
    fn what_only_our_engines_know_means_itself() {
        assert!(matches("/^[a&&b]$/", "&") && matches("/^[[a]$/", "["));
        assert!(matches("/^a#b c$/", "a#b c") && matches(r"/^\-\~$/", "-~"));
        assert!(matches("/^{a}$/", "{a}") && matches("/^a{,2}$/", "a{,2}"));
        assert_eq!(error("/(?i)a/"), RegexError::Invalid("a group is of no known kind"));
        assert_eq!(error("/a++/"), RegexError::Invalid("there is nothing to repeat"));
    }

    #[test]
    fn empty_classes_match_nothing_and_everything() {
        assert!(!matches("/[]/", "a") && matches("/^[^]$/", "\n"));
    }

    #[test]
    fn the_end_is_the_very_end() {
        assert!(!matches("/a$/", "a\n") && matches("/a$/m", "a\nb"));
    }

    #[test]
    fn look_around_and_references_work() {
        assert!(matches("/dragon(?!fly)/", "dragon") && !matches("/dragon(?!fly)/", "dragonfly"));
        assert!(matches("/(?<=red )dragon/", "red dragon"));
        assert!(!matches("/(?<!red )dragon/", "red dragon"));
        assert!(matches(r"/(a|b)x\1/", "axa") && !matches(r"/(a|b)x\1/", "axb"));
        assert!(matches(r"/(?<c>a|b)x\k<c>/", "bxb"));
        assert!(matches(r"/(a)\10/", "a\u{8}") && matches(r"/(a)\1(?:0)/", "aa0"));
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert!(matches(r"/^\x41\u0042\t\cA\0\/\.$/", "AB\t\u{1}\0/."));
        assert!(matches(r"/^\ud83d\ude00$/", "😀") && matches(r"/^[\b\n]$/", "\u{8}"));
        assert!(matches(r"/\x01Mira:/", "\u{1}Mira: hello"));
        assert!(matches(r"/^\p{Lu}$/u", "Ж") && matches(r"/^\p$/", "p"));
    }

    #[test]
    fn the_invalid_is_an_error() {
        for key in ["/(/", "/)/", "/[a/", "/*a/", "/[b-a]/", "/a{2,1}/", "/(?<n>a)(?<n>b)/"] {
            assert!(matches!(error(key), RegexError::Invalid(_)), "{key}");
        }
        assert_eq!(error(r"/\1/u"), RegexError::Invalid("a reference is to no group"));
    }

    #[test]
    fn the_too_large_is_refused() {
        let nested = format!("/{}a{}/", "(".repeat(100), ")".repeat(100));
        for key in ["/a{5000}/", "/((a{50}){50}){50}/", &format!("/{}/", "a".repeat(3000)), &nested]
        {
            assert_eq!(error(key), RegexError::TooLarge, "{key}");
        }
    }

    #[test]
    fn both_engines_agree() {
        let patterns = [
            "a+b",
            "(a|b)*c",
            "a{2,3}?b",
            "x|yz?",
            "[^a-c]d",
            "^a.c$",
            r"\bé",
            r"\w+\s\d",
            "(?:ab){2}",
            r"[\W_]x",
            "",
            "a*?",
            "(a*)*b",
            "(?:a?)+b",
            "[]|a",
            "É",
            "[À-Þ]",
            r"\u{1F600}+",
        ];
        let texts =
            ["", "aab", "abc", "ababc", "yz", "dd", "a\nc", "é x 5", "ÉTÉ", "_x", "😀b", "þ"];
        for pattern in patterns {
            for flags in ["", "i", "m", "s", "u", "iu", "y"] {
                let Ok(linear) = RegexKey::new(pattern, flags) else { continue };
                let other = RegexKey::new(&format!("(?=)(?:{pattern})"), flags).unwrap();
                assert!(matches!(linear.engine, Engine::Linear(_)));
                assert!(matches!(other.engine, Engine::Backtracking(_)));
                for text in texts {
                    let find = |key: &RegexKey| key.is_match(text, &mut Work::default());
                    assert_eq!(find(&linear), find(&other), "/{pattern}/{flags} on {text:?}");
                }
            }
        }
    }

    #[test]
    fn catastrophic_patterns_end() {
        let text = "a".repeat(10_000) + "!";
        let linear = RegexKey::new("(a+)+$", "").unwrap();
        assert_eq!(linear.is_match(&text, &mut Work::default()), Some(false));
        for pattern in ["(a|aa)+(?=!)x", "(?=(a+)+b)x", "(a*)*\\1b", "(?<!a+b)b", "(?:(a)|b)*\\1c"]
        {
            let mut work = Work::default();
            let before = work.steps_left;
            let found = RegexKey::new(pattern, "").unwrap().is_match(&text, &mut work);
            assert!(found != Some(true) && before - work.steps_left <= MAX_STEPS, "{pattern}");
        }
    }

    #[test]
    fn work_is_shared_and_ends() {
        let key = RegexKey::new("b", "").unwrap();
        let mut work = Work { bytes_left: 5, steps_left: 0 };
        assert_eq!(key.is_match("aaa", &mut work), Some(false));
        assert_eq!(key.is_match("aaa", &mut work), None);
        assert_eq!(RegexKey::new("(?=b)", "").unwrap().is_match("b", &mut work), None);
    }

    #[test]
    fn look_behind_may_be_of_any_length() {
        assert!(matches("/(?<=red|scarlet +)dragon/", "scarlet  dragon"));
        assert!(matches(r"/(?<=(\d)(\d))x\1\2/", "12x12") && !matches(r"/(?<!\d*)x/", "12x"));
        assert!(matches(r"/(?<=\1(a))b/", "aab") && !matches(r"/(?<=\1(a))b/", "ab"));
    }

    #[test]
    fn captures_are_those_of_the_last_time() {
        assert!(matches(r"/^(?:(a)|b)*\1$/", "ab"), "a group that took no part is nothing");
        assert!(!matches(r"/^(?:(a)|b)*\1$/", "aba\u{1}") && matches(r"/^(?:(a)|b)*\1c/", "baac"));
        assert!(matches(r"/(?=(a+))a*b\1/", "baaabac") && matches(r"/(?!(a)b)\1c/", "c"));
        assert!(matches(r"/(É)\1/i", "Éé") && !matches(r"/(É)\1/", "Éé"));
    }

    #[test]
    fn literals_are_in_every_match() {
        let literal = |pattern| RegexKey::new(pattern, "i").unwrap().literal;
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(literal(r"\bDragons?\b"), of("dragon"));
        assert_eq!(literal("ab+cde"), of("cde"));
        assert_eq!(literal("abc{0}d"), of("ab"));
        assert_eq!(literal("ab(?:cdef)?"), of("ab"));
        assert_eq!(literal("(?:abc|def)"), None);
        assert_eq!(literal("abc|def"), None);
        assert_eq!(literal("x[ab]y"), None);
        assert_eq!(literal("größe"), of("gr"));
    }
}
