//! Discord's markdown, as far as it matters where a text is cut: which marks
//! belong together, and how lines begin.
//!
//! Marks count only in pairs, as in Discord: an asterisk without a partner is an
//! asterisk. What opens inside a quote or a heading closes there.

use std::ops::Range;

/// What a pair of marks does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    StarItalic,
    Bold,
    LineItalic,
    Underline,
    Strike,
    Spoiler,
    Code,
    DoubleCode,
    Fence,
}

impl Kind {
    fn mark(self) -> &'static str {
        match self {
            Self::StarItalic => "*",
            Self::Bold => "**",
            Self::LineItalic => "_",
            Self::Underline => "__",
            Self::Strike => "~~",
            Self::Spoiler => "||",
            Self::Code => "`",
            Self::DoubleCode => "``",
            Self::Fence => "```",
        }
    }
}

/// A pair of marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) kind: Kind,
    /// The language of a fence.
    language: String,
    /// The opening mark; with a fence its language and line break.
    pub(super) opener: Range<usize>,
    /// The closing mark; empty, at the end, in a text that is unfinished.
    pub(super) closer: Range<usize>,
}

impl Span {
    /// What opens it once more.
    pub(super) fn opening(&self) -> String {
        match self.kind {
            Kind::Fence => format!("```{}\n", self.language),
            kind => kind.mark().to_owned(),
        }
    }

    /// What closes it before its end.
    pub(super) fn closing(&self) -> &'static str {
        if self.kind == Kind::Fence { "\n```" } else { self.kind.mark() }
    }
}

/// What was found in a text.
#[derive(Debug, Default)]
pub(super) struct Markdown {
    /// The pairs, by where they begin.
    pub(super) spans: Vec<Span>,
    /// How lines begin: marks of quotes, headings and small text.
    pub(super) lines: Vec<Range<usize>>,
    /// Where the rest of the text became a quote.
    quote: Option<Range<usize>>,
}

impl Markdown {
    /// The pairs that have something on both sides of `at`, outermost first.
    pub(super) fn spans_across(&self, at: usize) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.opener.end < at && at <= span.closer.start)
    }

    /// What has to begin a part at `at` so that it stands in the line that it was
    /// taken from.
    pub(super) fn line_at(&self, text: &str, at: usize) -> String {
        let quote = self.quote.as_ref().filter(|quote| quote.end <= at);
        let mut line = quote.map_or("", |quote| &text[quote.clone()]).to_owned();
        let is_fenced = self.spans_across(at).any(|span| span.kind == Kind::Fence);
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let own = self.lines.iter().find(|own| own.start == line_start && own.end <= at);
        if let Some(own) = own.filter(|own| !is_fenced && Some(*own) != self.quote.as_ref()) {
            line.push_str(text[own.clone()].trim_start());
        }
        line
    }

    /// The marks of a line that begins at `at`.
    pub(super) fn own_line(&self, at: usize) -> Option<Range<usize>> {
        self.lines.iter().find(|line| line.start == at).cloned()
    }
}

/// Reads a text that is complete.
pub(super) fn parse(text: &str) -> Markdown {
    Scanner::new(text, false).run()
}

/// Reads a text that is being written: what is open will be closed.
pub(super) fn parse_unfinished(text: &str) -> Markdown {
    Scanner::new(text, true).run()
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Plain,
    Quote,
    Heading,
}

/// A mark whose partner was not seen yet.
#[derive(Debug)]
struct Open {
    kind: Kind,
    opener: Range<usize>,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    unfinished: bool,
    block: Block,
    open: Vec<Open>,
    found: Markdown,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, unfinished: bool) -> Self {
        let found = Markdown::default();
        Self { text, at: 0, unfinished, block: Block::Plain, open: Vec::new(), found }
    }

    fn run(mut self) -> Markdown {
        self.begin_line();
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\n' => {
                    self.at += 1;
                    self.begin_line();
                }
                '\\' => self.skip_escaped(),
                '`' => self.code(),
                '*' => self.emphasis(c, Kind::StarItalic, Kind::Bold),
                '_' => self.emphasis(c, Kind::LineItalic, Kind::Underline),
                '~' => self.pair(c, Kind::Strike),
                '|' => self.pair(c, Kind::Spoiler),
                'h' => self.skip_link(),
                c => self.at += c.len_utf8(),
            }
        }
        if self.unfinished {
            let end = self.text.len();
            for open in std::mem::take(&mut self.open) {
                self.push(open, end..end);
            }
        }
        self.found.spans.sort_by_key(|span| span.opener.start);
        self.found
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// How many of `c` stand here in a row.
    fn run_of(&self, c: char) -> usize {
        self.rest().len() - self.rest().trim_start_matches(c).len()
    }

    fn begin_line(&mut self) {
        let start = self.at;
        let line = self.rest();
        let mut block = Block::Plain;
        if self.found.quote.is_none() && line.starts_with(">>> ") {
            self.at += 4;
            self.found.quote = Some(start..self.at);
            self.open.clear();
        } else if self.found.quote.is_none() && line.trim_start_matches(' ').starts_with("> ") {
            self.at += line.len() - line.trim_start_matches(' ').len() + 2;
            block = Block::Quote;
        }
        let heading = ["# ", "## ", "### ", "-# "].into_iter().find(|h| self.rest().starts_with(h));
        if let Some(heading) = heading {
            self.at += heading.len();
            block = Block::Heading;
        }
        if self.at > start {
            self.found.lines.push(start..self.at);
        }
        if block != self.block || block == Block::Heading {
            self.open.clear();
        }
        self.block = block;
    }

    fn skip_escaped(&mut self) {
        self.at += 1;
        // An escaped line break still begins a line.
        let escaped = self.rest().chars().next().filter(|c| *c != '\n');
        self.at += escaped.map_or(0, char::len_utf8);
    }

    /// Marks within a link are letters of the link.
    fn skip_link(&mut self) {
        let is_link = ["http://", "https://"].iter().any(|begin| self.rest().starts_with(begin));
        let end = self.rest().find(|c: char| c.is_whitespace() || "<>*`|".contains(c));
        self.at += if is_link { end.unwrap_or(self.rest().len()) } else { 1 };
    }

    fn code(&mut self) {
        let start = self.at;
        let run = self.run_of('`');
        let (kind, language) = match run {
            1 => (Kind::Code, String::new()),
            2 => (Kind::DoubleCode, String::new()),
            _ => (Kind::Fence, self.language().to_owned()),
        };
        let opener = if kind == Kind::Fence {
            let line = if language.is_empty() { 0 } else { language.len() + 1 };
            start..start + 3 + line
        } else {
            start..start + run
        };
        let content = &self.text[opener.end..];
        let found = match kind {
            Kind::Fence => content.find("```").filter(|at| *at > 0),
            _ => closing_run(content, run),
        };
        match found {
            Some(at) => {
                let closer = opener.end + at..opener.end + at + kind.mark().len();
                self.at = closer.end;
                self.found.spans.push(Span { kind, language, opener, closer });
            }
            None if self.unfinished && (kind == Kind::Fence || !content.contains("\n\n")) => {
                let end = self.text.len();
                self.at = end;
                self.found.spans.push(Span { kind, language, opener, closer: end..end });
            }
            None => self.at += run,
        }
    }

    /// The language behind a fence, where a line break follows it.
    fn language(&self) -> &'a str {
        let rest = &self.rest()[3..];
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "_+-.#".contains(c);
        let language = &rest[..rest.len() - rest.trim_start_matches(is_letter).len()];
        // Without anything after it, the word is not the language but the code.
        let has_code = match rest[language.len()..].strip_prefix('\n') {
            Some(code) => !code.trim_start_matches('\n').starts_with("```"),
            None => false,
        };
        if has_code && language.len() <= 20 { language } else { "" }
    }

    /// A mark that comes in twos.
    fn pair(&mut self, c: char, kind: Kind) {
        let run = self.run_of(c);
        if run == 2 {
            let followed = self.text.len() > self.at + run;
            self.toggle(kind, followed, true);
        } else {
            self.at += run;
        }
    }

    /// A mark that comes alone, in twos, and in both.
    fn emphasis(&mut self, c: char, single: Kind, double: Kind) {
        let run = self.run_of(c);
        let before = self.text[..self.at].chars().next_back();
        let after = self.text[self.at + run..].chars().next();
        let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        // An underscore beside a letter is a part of the word.
        let sticks = |side: Option<char>| c == '_' && side.is_some_and(char::is_alphanumeric);
        let can_open = !(is_space(after) || sticks(before));
        let can_close = !(is_space(before) || sticks(after));
        match run {
            1 => self.toggle(single, can_open, can_close),
            2 => self.toggle(double, after.is_some(), true),
            3 => {
                let place = |kind| self.open.iter().position(|open| open.kind == kind);
                let single_first = place(single) > place(double);
                let (first, second) =
                    if single_first { (single, double) } else { (double, single) };
                self.toggle(first, can_open, can_close);
                self.toggle(second, can_open, can_close);
            }
            _ => self.at += run,
        }
    }

    /// Closes what is open, or opens; else the mark is a letter.
    fn toggle(&mut self, kind: Kind, can_open: bool, can_close: bool) {
        let mark = self.at..self.at + kind.mark().len();
        self.at = mark.end;
        let place = self.open.iter().position(|open| open.kind == kind);
        match place {
            Some(place) if can_close => {
                // What was opened since then has lost its chance.
                self.open.truncate(place + 1);
                let open = self.open.pop().expect("it has just been found");
                self.push(open, mark);
            }
            _ if can_open => {
                // An asterisk after a space opens again: the one before was alone.
                self.open.retain(|open| open.kind != kind);
                self.open.push(Open { kind, opener: mark });
            }
            _ => {}
        }
    }

    fn push(&mut self, open: Open, closer: Range<usize>) {
        let Open { kind, opener } = open;
        self.found.spans.push(Span { kind, language: String::new(), opener, closer });
    }
}

/// Where a run of exactly `run` backticks begins, in the same paragraph.
fn closing_run(content: &str, run: usize) -> Option<usize> {
    let paragraph = &content[..content.find("\n\n").unwrap_or(content.len())];
    let mut at = 0;
    while let Some(found) = paragraph[at..].find('`') {
        let begin = at + found;
        let rest = &paragraph[begin..];
        let length = rest.len() - rest.trim_start_matches('`').len();
        if length == run && begin > 0 {
            return Some(begin);
        }
        at = begin + length;
    }
    None
}
