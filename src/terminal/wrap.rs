//! Wraps streaming text to the width of the screen, at words, as it arrives.
//!
//! A word is held until it is whole, so that nothing printed is ever taken back.
//! Width is counted in grapheme clusters; a wide script may wrap a little late.

use unicode_segmentation::UnicodeSegmentation;

/// Turns pieces of text into pieces of screen.
#[derive(Debug)]
pub(crate) struct Wrap {
    width: usize,
    column: usize,
    spaces: usize,
    word: String,
}

impl Wrap {
    /// Wraps at `width` columns; 0 never wraps.
    pub(crate) fn new(width: usize) -> Self {
        Self { width, column: 0, spaces: 0, word: String::new() }
    }

    /// What can be printed now that `text` has arrived.
    pub(crate) fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        for character in text.chars() {
            match character {
                '\n' => {
                    self.flush_word(&mut out);
                    out.push('\n');
                    self.column = 0;
                    self.spaces = 0;
                }
                ' ' => {
                    self.flush_word(&mut out);
                    self.spaces += 1;
                }
                _ => self.word.push(character),
            }
        }
        out
    }

    /// What was still held back.
    pub(crate) fn finish(&mut self) -> String {
        let mut out = String::new();
        self.flush_word(&mut out);
        self.column = 0;
        self.spaces = 0;
        out
    }

    fn flush_word(&mut self, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let length = self.word.graphemes(true).count();
        let overflows = self.width > 0 && self.column + self.spaces + length > self.width;
        if overflows && self.column > 0 {
            out.push('\n');
            self.column = 0;
        } else {
            out.extend(std::iter::repeat_n(' ', self.spaces));
            self.column += self.spaces;
        }
        self.spaces = 0;
        self.column += length;
        out.push_str(&std::mem::take(&mut self.word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(width: usize, pieces: &[&str]) -> String {
        let mut wrap = Wrap::new(width);
        let mut out: String = pieces.iter().map(|piece| wrap.push(piece)).collect();
        out.push_str(&wrap.finish());
        out
    }

    #[test]
    fn words_stay_whole_however_they_arrive() {
        let expected = "The door\ngave on the\nthird shove.\n\n\"Boots\"";
        let text = "The door gave on the third shove.\n\n\"Boots\"";
        assert_eq!(wrapped(12, &[text]), expected);
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(wrapped(12, &letters), expected);
    }

    #[test]
    fn without_a_width_the_text_is_itself() {
        let text = "  two  spaces\n   and a line that goes on and on ";
        assert_eq!(wrapped(0, &[text]), text.trim_end());
    }

    #[test]
    fn a_word_wider_than_the_screen_stands_alone() {
        assert_eq!(wrapped(4, &["a abcdefgh b"]), "a\nabcdefgh\nb");
    }
}
