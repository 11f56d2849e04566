//! Long texts in parts that a classifier reads whole.

/// The longest part, in bytes.
const MAX_PART_BYTES: usize = 6_000;

/// The parts of a text that are not blank, cut between words where there is a place.
pub(super) fn parts_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let parts = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.floor_char_boundary(MAX_PART_BYTES);
        let end = match rest.len() > end {
            true => rest[..end].rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(end),
            false => end,
        };
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_lost_and_no_part_too_long() {
        assert_eq!(parts_of(" \n").count(), 0);
        assert_eq!(parts_of("One word.").collect::<Vec<_>>(), ["One word."]);
        let text = "The lamp burns low, éàü. ".repeat(1_000);
        let parts: Vec<&str> = parts_of(&text).collect();
        assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= MAX_PART_BYTES));
        assert_eq!(parts.join(" "), text.trim_end());
        let unbroken = "é".repeat(MAX_PART_BYTES);
        assert_eq!(parts_of(&unbroken).collect::<String>(), unbroken);
    }
}
