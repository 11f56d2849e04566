//! The template's own words with names and the length put in.

use std::sync::LazyLock;

use regex::Regex;

use super::Instruct;
use crate::prompt::alpaca;
use crate::prompt::rendered::Rendered;

/// A name's place, or the length's with the brackets around it, written out or not.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\{\{(name|char|user|length)\}\}| ?\(length = (?:\{\{length\}\}|[a-z]{1,20})\)")
        .expect("the pattern is constant and valid")
});

impl Instruct<'_> {
    /// A sequence as it stands in the prompt: the words are structure, the names in it
    /// are not. `name` is who speaks.
    pub(super) fn filled(&self, words: &str, name: &str) -> Rendered {
        let mut out = Rendered::default();
        if !self.sequences().expands_macros {
            out.push_structure(words);
            return out;
        }
        let mut from = 0;
        for place in PLACE.captures_iter(words) {
            let whole = place.get(0).expect("a match has its whole");
            out.push_structure(&self.stage.words(&words[from..whole.start()]));
            from = whole.end();
            let length = self.stage.inputs.length.map(|length| length.as_str());
            match place.get(1).map(|word| word.as_str().to_ascii_lowercase()).as_deref() {
                Some("name") => out.push_text(name),
                Some("char") => out.push_text(&alpaca::join_names(&self.stage.cast)),
                Some("user") => out.push_text(&alpaca::join_names(&self.stage.people)),
                Some(_) => out.push_structure(length.unwrap_or_default()),
                None => {
                    let space = if whole.as_str().starts_with(' ') { " " } else { "" };
                    let tag = length.map(|length| format!("{space}(length = {length})"));
                    out.push_structure(&tag.unwrap_or_default());
                }
            }
        }
        out.push_structure(&self.stage.words(&words[from..]));
        out
    }
}
