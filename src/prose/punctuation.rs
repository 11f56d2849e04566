//! Which characters end sentences, and which may stand behind those that do.

/// Ends a sentence wherever it stands.
pub(super) fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '‽' | '。' | '！' | '？' | '।' | '؟' | '۔')
}

/// Ends a sentence without a space behind it, as in scripts that have none.
pub(super) fn is_wide_terminator(c: char) -> bool {
    matches!(c, '。' | '！' | '？')
}

/// May stand between the end of a sentence and the space behind it.
pub(super) fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | '«' | '“' | ')' | ']' | '*' | '_' | '`' | '」' | '』'
    )
}

/// Whether a piece of text, such as a token, does nothing but end a sentence: `.`, `!”`,
/// `..."`.
pub fn ends_sentence(piece: &str) -> bool {
    piece.starts_with(is_terminator) && piece.chars().all(|c| is_terminator(c) || is_closer(c))
}

/// Whether a piece of text that follows a word leaves it whole: it begins with a space or
/// with punctuation, or with a character of a script that puts no spaces between words.
pub fn begins_word(piece: &str) -> bool {
    let joins = |c: char| (c.is_alphanumeric() && !is_unspaced(c)) || matches!(c, '\'' | '’' | '-');
    !piece.starts_with(joins)
}

/// Han, kana and Thai: words follow one another without a space.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2ffff}')
}

/// Words before a full stop that ends no sentence.
const ABBREVIATIONS: [&str; 13] =
    ["mr", "mrs", "ms", "dr", "st", "prof", "capt", "lt", "sgt", "vs", "e.g", "i.e", "mt"];

/// Whether the full stop behind `before` belongs to its last word: a title, an initial.
pub(super) fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || "\"“(*".contains(c)).next();
    let word = word.unwrap_or_default();
    let mut letters = word.chars();
    let is_initial =
        letters.next().is_some_and(|c| c.is_uppercase() && c != 'I') && letters.next().is_none();
    is_initial || ABBREVIATIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_end_sentences_are_nothing_else() {
        for piece in [".", "...", "!\"", "?”", "…*", "。"] {
            assert!(ends_sentence(piece), "{piece}");
        }
        for piece in ["", "\"", " .", "a.", ". ", ".5", "*"] {
            assert!(!ends_sentence(piece), "{piece}");
        }
    }

    #[test]
    fn a_word_goes_on_with_letters_and_hyphens() {
        for piece in [" the", "\n", ".", ",", "\"", "雨", "*"] {
            assert!(begins_word(piece), "{piece}");
        }
        for piece in ["ing", "'s", "’t", "-like", "9"] {
            assert!(!begins_word(piece), "{piece}");
        }
    }
}
