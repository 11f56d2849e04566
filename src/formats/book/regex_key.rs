//! Keys that are regular expressions between slashes, JavaScript's way.

use crate::lore::parse_slashes;

/// Whether a key is an expression between slashes.
pub(super) fn is_regex(key: &str) -> bool {
    parse_slashes(key.trim()).is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_keys_are_expressions() {
        for key in ["a|b", "a/b", "a\\/b", "/x/i"] {
            assert!(is_regex(&wrap(key, None)), "{key}");
        }
        assert_eq!(wrap("a/b", Some(true)), "/a\\/b/");
        assert_eq!(wrap("/x/i", None), "/x/i");
    }
}
