//! What of a message belongs to the story: out-of-character words do not.

use std::str::Lines;

/// The text without lines that begin with `//` and without `((…))`, which may span
/// lines; `None` where nothing is left. What is left stays as it was written, but
/// for the gaps that the cuts leave.
pub fn story_text(text: &str) -> Option<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if is_aside(line) {
            continue;
        }
        let mut left = String::new();
        let mut rest = line.to_owned();
        let mut was_cut = false;
        while let Some(opened) = rest.find("((") {
            left.push_str(&rest[..opened]);
            let inside = rest.split_off(opened);
            match closed(&inside, lines.clone()) {
                Some((after, num_lines)) => {
                    lines.by_ref().take(num_lines).for_each(drop);
                    was_cut = true;
                    rest = join(&mut left, &after);
                }
                // Nothing closes it: it is of the story.
                None => {
                    left.push_str(&inside);
                    rest = String::new();
                }
            }
        }
        left.push_str(&rest);
        if was_cut && (left.trim().is_empty() || is_aside(&left)) {
            continue;
        }
        kept.push(if was_cut { left.trim_end().to_owned() } else { left });
    }
    let story = kept.join("\n");
    let story = story.trim();
    (!story.is_empty()).then(|| story.to_owned())
}

fn is_aside(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// What follows the end of a `((` with which `inside` begins, and how many of the
/// lines after it belong to it; `None` where it has no end.
fn closed(inside: &str, lines: Lines<'_>) -> Option<(String, usize)> {
    // As many as stand together: `((as (here)))` is one aside.
    let after =
        |line: &str| line.find("))").map(|end| line[end..].trim_start_matches(')').to_owned());
    if let Some(after) = after(&inside[2..]) {
        return Some((after, 0));
    }
    lines.zip(1..).find_map(|(line, number)| Some((after(line)?, number)))
}

/// Gives what follows a cut, without a second space where one stands before it; a
/// mark that ends a clause stands right behind the words.
fn join(left: &mut String, after: &str) -> String {
    if after.starts_with(['.', ',', ';', ':', '!', '?', '…']) {
        left.truncate(left.trim_end().len());
    }
    if left.is_empty() || left.ends_with(char::is_whitespace) {
        after.trim_start_matches([' ', '\t']).to_owned()
    } else {
        after.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left(text: &str) -> String {
        story_text(text).expect("something is left")
    }

    #[test]
    fn asides_are_cut_and_the_story_is_left() {
        assert_eq!(left("Hello there."), "Hello there.");
        assert_eq!(left("Hello ((brb, phone)) there."), "Hello there.");
        assert_eq!(left("Hello((!))."), "Hello.");
        assert_eq!(left("((ooc)) Hello ((ooc))"), "Hello");
        assert_eq!(left("One.\n// an aside\nTwo."), "One.\nTwo.");
        assert_eq!(left("One.\n   // an aside\n\nTwo."), "One.\n\nTwo.");
        assert_eq!(left("One.\n((two\nlines))\nTwo."), "One.\nTwo.");
        assert_eq!(left("A ((long\n\naside)) ends."), "A ends.");
        assert_eq!(left("She left ((as (always)))."), "She left.");
        assert_eq!(left("  **Bold**  and   _wide_"), "**Bold**  and   _wide_");
    }

    #[test]
    fn nothing_but_asides_leaves_nothing() {
        for text in ["", " \n ", "// brb", "((brb))", " ((a))\n// b\n((c\nd)) ", "((a)) // b"] {
            assert_eq!(story_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_an_aside_stays() {
        for text in [
            "https://example.org is where",
            "f(g(x)) is a function",
            "a ((never closed",
            "(one) (two)",
            "5 // 2 is 2",
            "closed)) only",
        ] {
            assert_eq!(left(text), text);
        }
    }

    proptest! {
        /// What is left has no aside in it: cutting again changes nothing.
        #[test]
        fn cutting_twice_is_cutting_once(text in "[a/() \n]{0,40}") {
            let once = story_text(&text);
            prop_assert_eq!(once.as_deref().and_then(story_text), once);
        }

        /// Text without marks is left alone, but for the space around it.
        #[test]
        fn a_story_without_asides_is_untouched(text in "[a-z ().*_\n]{0,40}") {
            prop_assume!(!text.contains("((") && !text.contains("//"));
            let expected = text.trim();
            prop_assert_eq!(story_text(&text).unwrap_or_default(), expected);
        }
    }
}
