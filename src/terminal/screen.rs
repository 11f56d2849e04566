//! What is printed, and how: story text wrapped as it streams, asides beside it.

use std::io::{self, IsTerminal, Write};

use crate::domain::Turn;

use super::style::Style;
use super::wrap::Wrap;

/// Stands under a name until its first words come, which take its place.
const WAITING: &str = "…";
const ERASE_LINE: &str = "\r\x1b[K";

/// The screen, or a pipe in its place.
pub(crate) struct Screen {
    out: io::Stdout,
    pub(crate) style: Style,
    width: usize,
    wrap: Wrap,
    streamed: bool,
}

impl Screen {
    /// Standard output; `columns` wide where it is a terminal.
    pub(crate) fn new(colour: bool, columns: usize) -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let width = if terminal { columns } else { 0 };
        let style = Style::new(terminal && colour);
        Self { out, style, width, wrap: Wrap::new(width), streamed: false }
    }

    /// Prints lines that are not story.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A paragraph beside the story.
    pub(crate) fn aside(&mut self, text: &str) -> io::Result<()> {
        let text = self.wrapped(text);
        let text = format!("{}\n", self.style.aside(text));
        self.print(&text)
    }

    /// A paragraph to notice.
    pub(crate) fn warn(&mut self, text: &str) -> io::Result<()> {
        let text = self.wrapped(text);
        let text = format!("{}\n", self.style.warning(text));
        self.print(&text)
    }

    fn wrapped(&self, text: &str) -> String {
        let mut wrap = Wrap::new(self.width);
        let text = wrap.push(text);
        text + &wrap.finish()
    }

    /// A finished turn.
    pub(crate) fn turn(&mut self, turn: &Turn) -> io::Result<()> {
        let name = turn.speaker.name();
        let heading = if turn.speaker.is_character() {
            self.style.name(name).to_string()
        } else {
            self.style.person(name).to_string()
        };
        let swipes = match turn.num_swipes {
            0 | 1 => String::new(),
            all => format!(" {}", self.style.aside(format!("({}/{all})", turn.swipe.ordinal + 1))),
        };
        self.print(&format!("{heading}{swipes}\n"))?;
        self.wrap = Wrap::new(self.width);
        self.streamed = true;
        self.words(&turn.swipe.text)?;
        self.end_words()
    }

    /// Somebody starts to speak.
    pub(crate) fn begin_words(&mut self, name: &str) -> io::Result<()> {
        self.wrap = Wrap::new(self.width);
        self.streamed = false;
        let mut heading = format!("{}\n", self.style.name(name));
        if self.width > 0 {
            heading.push_str(WAITING);
        }
        self.print(&heading)
    }

    /// More words of whoever speaks.
    pub(crate) fn words(&mut self, text: &str) -> io::Result<()> {
        if self.width > 0 && !self.streamed {
            self.print(ERASE_LINE)?;
        }
        self.streamed = true;
        // A terminal obeys control characters; a model may write some.
        let text: String =
            text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        let ready = self.wrap.push(&text);
        self.print(&ready)
    }

    /// The end of a turn, and an empty line.
    pub(crate) fn end_words(&mut self) -> io::Result<()> {
        let rest = self.wrap.finish();
        self.streamed = false;
        self.print(&format!("{rest}\n\n"))
    }

    /// Nothing came after somebody began.
    pub(crate) fn drop_words(&mut self) -> io::Result<()> {
        if self.width > 0 { self.print(ERASE_LINE) } else { Ok(()) }
    }

    /// Whether words have been shown since somebody began.
    pub(crate) fn has_words(&self) -> bool {
        self.streamed
    }
}
