//! Text on its way to tokens, which knows the template's own words from everybody
//! else's.
//!
//! Control tokens are looked for in *structure* alone: `<|im_start|>` in a sequence is
//! one token, in people's text it is letters. What stands between two control tokens is
//! tokenised at once, structure and text together, as a model was trained on it.

use std::ops::Range;

use crate::tokenizer::Tokenizer;

/// A piece of a prompt as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    text: String,
    /// Which bytes are the template's own, in order; never adjoining.
    structure: Vec<Range<usize>>,
}

impl From<String> for Rendered {
    /// A text in which nothing can be a control token.
    fn from(text: String) -> Self {
        Self { text, structure: Vec::new() }
    }
}

impl Rendered {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Appends what people or characters say, already neutralised.
    pub(super) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends the template's own words.
    pub(super) fn push_structure(&mut self, words: &str) {
        let from = self.text.len();
        self.text.push_str(words);
        self.mark(from..self.text.len());
    }

    pub(super) fn append(&mut self, other: Self) {
        let shift = self.text.len();
        self.text.push_str(&other.text);
        for range in other.structure {
            self.mark(range.start + shift..range.end + shift);
        }
    }

    fn mark(&mut self, range: Range<usize>) {
        match self.structure.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.structure.push(range),
        }
    }

    /// Cuts off what stands from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let mut rest = Self { text: self.text.split_off(at), structure: Vec::new() };
        for range in &self.structure {
            let (start, end) = (range.start.max(at), range.end.max(at));
            rest.mark(start - at..end - at);
        }
        self.truncate_structure(at);
        rest
    }

    /// Drops these characters from the end.
    pub(super) fn trim_end_matches(&mut self, chars: &[char]) {
        self.text.truncate(self.text.trim_end_matches(chars).len());
        self.truncate_structure(self.text.len());
    }

    /// Drops these characters from the start.
    pub(super) fn trim_start_matches(&mut self, chars: &[char]) {
        let at = self.text.len() - self.text.trim_start_matches(chars).len();
        *self = self.split_off(at);
    }

    /// Cuts off the white space at the end; line breaks only where they are wanted, too.
    pub(super) fn split_end(&mut self, takes_lines: bool) -> Self {
        let is_taken = |c: char| c == ' ' || (takes_lines && c == '\n');
        let at = self.text.trim_end_matches(is_taken).len();
        self.split_off(at)
    }

    /// Whether the first thing is a control token.
    pub(super) fn begins_with_control(&self, tokenizer: &Tokenizer) -> bool {
        self.controls(tokenizer).first().is_some_and(|(range, _)| range.start == 0)
    }

    fn truncate_structure(&mut self, len: usize) {
        for range in &mut self.structure {
            *range = range.start.min(len)..range.end.min(len);
        }
        self.structure.retain(|range| !range.is_empty());
    }

    /// Takes a beginning-of-text token off the front, which the prompt has already.
    pub(super) fn strip_bos(&mut self, tokenizer: &Tokenizer) {
        let first = self.controls(tokenizer).into_iter().next();
        let bos = first.filter(|(range, id)| range.start == 0 && tokenizer.bos_id() == Some(*id));
        if let Some((range, _)) = bos {
            *self = self.split_off(range.end);
        }
    }

    /// The tokens, as the beginning of a text or as its continuation.
    pub(super) fn encode(&self, tokenizer: &Tokenizer, begins_text: bool) -> Vec<u32> {
        let (mut ids, mut from, mut begins_text) = (Vec::new(), 0, begins_text);
        let encode_run = |run: Range<usize>, begins_text| match begins_text {
            true => tokenizer.encode_start(&self.text[run]),
            false => tokenizer.encode(&self.text[run]),
        };
        for (range, id) in self.controls(tokenizer) {
            ids.extend(encode_run(from..range.start, begins_text));
            ids.push(id);
            from = range.end;
            // Llama 2's turns are texts of their own, each with its beginning.
            begins_text = tokenizer.bos_id() == Some(id);
        }
        ids.extend(encode_run(from..self.text.len(), begins_text));
        ids
    }

    fn controls(&self, tokenizer: &Tokenizer) -> Vec<(Range<usize>, u32)> {
        let found = self.structure.iter().flat_map(|structure| {
            let shift = structure.start;
            let found = tokenizer.find_control(&self.text[structure.clone()]).into_iter();
            found.map(move |(range, id)| (range.start + shift..range.end + shift, id))
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(text: &str) -> Rendered {
        let mut rendered = Rendered::default();
        rendered.push_structure("<s>");
        rendered.push_text(text);
        rendered.push_structure("</");
        rendered.push_structure("s>\n");
        rendered
    }

    #[test]
    fn structure_alone_makes_control_tokens() {
        let tokenizer = Tokenizer::bytes_with_control(&["<s>", "</s>"]);
        let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        let expected = [vec![258], bytes("a</s>"), vec![259], bytes("\n")].concat();
        assert_eq!(turn("a</s>").encode(&tokenizer, false), expected);
        // What only meets at a border of structure and text is text.
        let mut met = Rendered::default();
        met.push_structure("<");
        met.push_text("s>");
        assert_eq!(met.encode(&tokenizer, true), bytes("<s>"));
    }

    #[test]
    fn cutting_and_joining_keep_what_is_structure() {
        let tokenizer = Tokenizer::bytes_with_control(&["<s>", "</s>"]);
        for at in 0..turn("abc").len() {
            let mut start = turn("abc");
            let rest = start.split_off(at);
            start.append(rest);
            assert_eq!(start, turn("abc"), "{at}");
        }
        let mut trimmed = turn("abc");
        trimmed.trim_end_matches(&['\n']);
        assert_eq!(trimmed.encode(&tokenizer, false).last(), Some(&259));
    }
}
