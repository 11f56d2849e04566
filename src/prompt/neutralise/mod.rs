//! People's text is data: nothing in it may read as structure of a transcript.
//!
//! Forgeries are looked for in what the text *looks like* ([`skeleton`]) and
//! broken in the text itself by the least visible mark that also breaks the
//! tokens: `###` headers become `# # #`, a control marker gets a space after its
//! first character (`< |im_start|>`), and a line that begins like a speaker's is
//! quoted (`> Mira: …`), as people quote one another anyway. Spaces and `>` are
//! in every vocabulary, and Markdown headings, quotes and code stay as they are.
//! Only what cannot be seen is removed ([`clean()`]). Neutralising twice changes
//! nothing.

mod clean;
mod markers;
mod skeleton;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use self::clean::clean;
pub(super) use self::markers::Markers;
use self::skeleton::Skeleton;

/// A text without what nobody sees, as it stands in prompts.
pub(super) fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    clean(text)
}

/// Makes texts harmless for one scene: it knows whose lines could be forged.
#[derive(Debug, Default)]
pub(super) struct Neutraliser {
    labels: BTreeSet<String>,
    markers: Arc<Markers>,
}

impl Neutraliser {
    /// `labels` are what may not begin a line before a colon: the speakers'
    /// names, or other words that head a part of the prompt.
    pub(super) fn new<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let forms = labels.into_iter().flat_map(|label| Skeleton::forms(label.trim()));
        let labels = forms.map(|form| form.text).filter(|text| !text.is_empty()).collect();
        Self { labels, markers: Arc::default() }
    }

    /// The same, with a template's own words out of reach, too.
    pub(super) fn with_markers(mut self, markers: &Arc<Markers>) -> Self {
        self.markers = Arc::clone(markers);
        self
    }

    /// The text, harmless, without white space at its ends.
    pub(super) fn neutralise(&self, text: &str) -> String {
        let unmarked = break_markers(clean(text).trim(), &self.markers);
        let mut harmless = String::with_capacity(unmarked.len());
        for (i, line) in unmarked.split('\n').enumerate() {
            if i > 0 {
                harmless.push('\n');
            }
            self.push_line(line, &mut harmless);
        }
        harmless
    }

    fn push_line(&self, line: &str, out: &mut String) {
        let start = out.len();
        out.push_str(line);
        // A name may itself begin with the mark, so one mark may not be enough.
        while self.is_labelled(&out[start..]) || self.markers.is_line(&out[start..]) {
            out.insert_str(start, "> ");
        }
    }

    fn is_labelled(&self, line: &str) -> bool {
        let labels = || self.labels.iter().chain(self.markers.labels());
        labels().next().is_some()
            && (line.contains(':') || !line.is_ascii())
            && Skeleton::forms(line).iter().any(|form| {
                let line = form.text.trim_start();
                labels().any(|label| {
                    line.strip_prefix(label.as_str())
                        .is_some_and(|rest| rest.trim_start().starts_with(':'))
                })
            })
    }
}

/// What a line or a name looks like, in each form in which it is to be compared.
pub(super) fn looks(text: &str) -> Vec<String> {
    Skeleton::forms(text).into_iter().map(|form| form.text).collect()
}

/// A name as it stands in prompts: one harmless line without a colon, since the
/// first colon of a turn ends its name. Empty if nothing visible is left.
#[cfg(test)]
pub(super) fn neutral_name(name: &str) -> String {
    neutral_name_among(name, &Arc::default())
}

/// The same beside a template's own words: a name that would be one of them before a
/// colon stands in brackets.
pub(super) fn neutral_name_among(name: &str, markers: &Arc<Markers>) -> String {
    let neutraliser = Neutraliser::default().with_markers(markers);
    let harmless = neutraliser.neutralise(name);
    if Skeleton::forms(&harmless)[0].text.trim().is_empty() {
        return String::new();
    }
    let one_line = harmless.split_whitespace().collect::<Vec<_>>().join(" ");
    let name =
        one_line.replace([':', '\u{ff1a}', '\u{fe55}', '\u{fe13}', '\u{2236}', '\u{a789}'], "-");
    let headed = format!("{name}:");
    if markers.is_empty() || neutraliser.neutralise(&headed) == headed {
        name
    } else {
        format!("({name})")
    }
}

/// Headers of the transcript, wherever they stand; [`ends_header`] has the rest.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("#{3,} *(?:instruction|input|response)").expect("the pattern is constant and valid")
});

/// Whether a header may end before this: `### Responses`, `### Response's end` and
/// `### Response to the crisis` are headings of people's own.
fn ends_header(rest: &str) -> bool {
    let next = rest.trim_start_matches(' ').chars().next();
    next.is_none_or(|c| !c.is_alphanumeric() && c != '\'')
}

/// Markers of other formats, which a model may know from its training: ChatML
/// and its kin, Mistral's and Llama's brackets, sentencepiece's control tokens, and those
/// by which StarCoder's kin part files.
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    // As the skeleton spells them: `l` is `i`, `m` is `rn`.
    let brackets = "inst|systern_prornpt|avaiiabie_toois|tooi_caiis|tooi_resuits";
    let tags = "s|unk|pad|bos|eos|rnask|irn_start|irn_end|irn_sep|start_of_turn|end_of_turn|\
                endoftext";
    let files = "fiie_sep|fiienarne|repo_?narne|gh_stars|issue_(?:start|cornrnent|ciosed)|\
                 jupyter_(?:start|text|code|output|script)|ernpty_output|\
                 firn_(?:prefix|rniddie|suffix|pad)";
    Regex::new(&format!(
        r"<\|[^|<>\n]{{1,64}}\|>|<</?sys>>|\[/?(?:{brackets})\]|</?(?:{tags}|{files})>"
    ))
    .expect("the pattern is constant and valid")
});

/// Puts a space into every header and marker, and into the template's own words.
fn break_markers(text: &str, markers: &Markers) -> String {
    let mut breaks = BTreeSet::new();
    for form in Skeleton::forms(text) {
        let headers = HEADER.find_iter(&form.text);
        for header in headers.filter(|header| ends_header(&form.text[header.end()..])) {
            let hashes = header.as_str().bytes().take_while(|byte| *byte == b'#').count();
            breaks.extend(form.borders(header.start()..header.start() + hashes));
        }
        for marker in MARKER.find_iter(&form.text) {
            let border = form.borders(marker.range()).next();
            // In code a capital S is a type parameter, as in `Vec<S>`.
            let is_code = |at: &usize| text[*at..].starts_with("S>");
            breaks.extend(border.filter(|at| !is_code(at)));
        }
        breaks.extend(markers.breaks(text, &form));
    }
    let mut broken = String::with_capacity(text.len() + breaks.len());
    let mut from = 0;
    for at in breaks {
        broken.push_str(&text[from..at]);
        broken.push(' ');
        from = at;
    }
    broken.push_str(&text[from..]);
    broken
}
