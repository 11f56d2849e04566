//! Keys that are regular expressions between slashes, JavaScript's way.

use fancy_regex::{Regex, RegexBuilder};

/// What may stand behind the second slash.
const FLAGS: &str = "dgimsuvy";

/// The expression and the flags of a key between slashes; `None` for plain keys. A
/// slash in the expression must have a backslash before it, as SillyTavern has it.
pub(super) fn parts(key: &str) -> Option<(&str, &str)> {
    let inner = key.trim().strip_prefix('/')?;
    let (pattern, flags) = inner.rsplit_once('/')?;
    let is_flags = flags.chars().all(|flag| FLAGS.contains(flag));
    let mut is_escaped = false;
    let has_bare_slash = pattern.chars().any(|c| {
        let is_bare = c == '/' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_bare
    });
    (is_flags && !pattern.is_empty() && !has_bare_slash).then_some((pattern, flags))
}

/// Whether a key is an expression between slashes.
pub(super) fn is_regex(key: &str) -> bool {
    parts(key).is_some()
}

/// A key that is an expression, between slashes if it is not yet.
pub(super) fn wrap(key: &str, case_sensitive: Option<bool>) -> String {
    if is_regex(key) {
        return key.to_owned();
    }
    let flags = if case_sensitive == Some(true) { "" } else { "i" };
    let mut pattern = String::with_capacity(key.len() + 4);
    let mut is_escaped = false;
    for c in key.chars() {
        if c == '/' && !is_escaped {
            pattern.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        pattern.push(c);
    }
    format!("/{pattern}/{flags}")
}

/// What is wrong with an expression, if anything; only its syntax is looked at.
pub(super) fn fault(pattern: &str, flags: &str) -> Option<String> {
    // Longer ones take memory out of proportion, and nobody means them.
    const LONGEST: usize = 4096;
    if pattern.len() > LONGEST {
        return Some(format!("it is longer than {LONGEST} bytes"));
    }
    let builder: Result<Regex, _> = RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .delegate_size_limit(1 << 20)
        .build();
    builder.err().map(|error| error.to_string().chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_make_an_expression() {
        assert_eq!(parts("/a\\/b/i"), Some(("a\\/b", "i")));
        assert_eq!(parts("/a/"), Some(("a", "")));
        for plain in ["a", "/a", "//", "a/b/", "/a/b/i", "/a/x1"] {
            assert_eq!(parts(plain), None, "{plain}");
        }
    }

    #[test]
    fn wrapped_keys_are_expressions() {
        for key in ["a|b", "a/b", "a\\/b", "/x/i"] {
            assert!(is_regex(&wrap(key, None)), "{key}");
        }
        assert_eq!(wrap("a/b", Some(true)), "/a\\/b/");
        assert_eq!(wrap("/x/i", None), "/x/i");
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(fault("(?<=a)b", "i"), None);
        assert!(fault("(a", "").is_some());
        assert!(fault(&"a".repeat(5000), "").is_some());
    }
}
