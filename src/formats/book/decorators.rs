//! The decorators that V3 puts before an entry's content, as far as V2 must not see them.

/// The content without the lines that begin with `@@` before it, and without the empty
/// lines around those.
pub(super) fn strip(content: &str) -> &str {
    let mut rest = content;
    let mut is_decorated = false;
    loop {
        let line_end = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let line = rest[..line_end].trim();
        let is_decorator = line.starts_with("@@");
        if rest.is_empty() || !(is_decorator || line.is_empty()) {
            return if is_decorated { rest } else { content };
        }
        is_decorated |= is_decorator;
        rest = &rest[line_end..];
    }
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn decorators_and_the_empty_lines_around_them_go() {
        assert_eq!(strip("@@depth 3\n@@@role user\n\nText\n@@x"), "Text\n@@x");
        assert_eq!(strip("\n@@depth 3\r\nText"), "Text");
        assert_eq!(strip("@@depth 3"), "");
        assert_eq!(strip("\n\nText"), "\n\nText");
        assert_eq!(strip(""), "");
    }
}
