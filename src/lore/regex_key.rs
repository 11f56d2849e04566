//! Keys that are regular expressions, each with a bound on what it may cost.
//!
//! What needs no look-around runs on the engine that is linear in the text; the rest
//! backtracks, up to a limit.

use super::javascript::{Flags, RegexError, translate};

/// How often the backtracking engine may go back in one search.
const BACKTRACK_LIMIT: usize = 50_000;
/// How large a compiled regular expression may be.
const SIZE_LIMIT_BYTES: usize = 1 << 20;
/// What one search with the backtracking engine counts for at least; at its limit it
/// takes about as long as the other engine takes for so much text.
const BACKTRACK_COST_BYTES: u64 = 1 << 19;

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
    Backtracking(Box<fancy_regex::Regex>),
}

impl RegexKey {
    /// Compiles a pattern with its flags.
    ///
    /// # Errors
    /// If it is no valid pattern, or larger than we bear.
    pub(super) fn new(pattern: &str, flags: &str) -> Result<Self, RegexError> {
        let translated = translate(pattern, Flags::parse(flags)?)?;
        let engine = if translated.needs_backtracking {
            let compiled = fancy_regex::RegexBuilder::new(&translated.pattern)
                .backtrack_limit(BACKTRACK_LIMIT)
                .delegate_size_limit(SIZE_LIMIT_BYTES)
                .build();
            Engine::Backtracking(Box::new(compiled.map_err(|_| RegexError::Unsupported)?))
        } else {
            let compiled = regex::RegexBuilder::new(&translated.pattern)
                .size_limit(SIZE_LIMIT_BYTES)
                .dfa_size_limit(SIZE_LIMIT_BYTES)
                .build();
            Engine::Linear(compiled.map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => RegexError::TooLarge,
                _ => RegexError::Unsupported,
            })?)
        };
        Ok(Self { engine, literal: translated.literal, num_atoms: translated.num_atoms })
    }

    /// What a search of so long a text counts for.
    pub(super) fn cost_bytes(&self, text_len: usize) -> u64 {
        match self.engine {
            Engine::Linear(_) => text_len as u64,
            Engine::Backtracking(_) => (text_len as u64 * 16).max(BACKTRACK_COST_BYTES),
        }
    }

    /// Whether it matches anywhere; `None` if that took too long to find out.
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        match &self.engine {
            Engine::Linear(regex) => Some(regex.is_match(text)),
            Engine::Backtracking(regex) => regex.is_match(text).ok(),
        }
    }
}

/// The pattern and the flags of a key that is written `/…/flags`; `None` if it is not.
/// A slash within must stand behind a backslash.
pub(super) fn parse_slashes(key: &str) -> Option<(&str, &str)> {
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
        RegexKey::new(pattern, flags).unwrap().is_match(text).unwrap()
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
        assert!(matches(r"/(a)\10/", "aa0"));
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
    fn catastrophic_patterns_end() {
        let text = "a".repeat(10_000) + "!";
        let linear = RegexKey::new("(a+)+$", "").unwrap();
        assert_eq!(linear.is_match(&text), Some(false));
        let backtracking = RegexKey::new("(a|aa)+(?=!)x", "").unwrap();
        assert_eq!(backtracking.is_match(&text), None);
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
