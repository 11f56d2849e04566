//! Draws a fetch: a bar on a terminal, a line now and then elsewhere. Draws what is
//! counted: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{bytes, note};
use crate::fetch::{Progress, ProgressEvent};

const BAR: &str = "  {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const COUNTED_BAR: &str = "  {wide_bar} {pos} of {len} {msg}, {eta} left";

/// Shows one fetch on standard error.
pub(super) struct ShownProgress {
    /// `None` where nobody could see it move.
    bar: Option<ProgressBar>,
    /// The tenth of the whole that was last told in a line.
    last_tenth: Mutex<u64>,
}

/// A bar on standard error; `None` where nobody could see it move.
fn bar(template: &str, length: Option<u64>) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style)
    })
}

impl ShownProgress {
    pub(super) fn new() -> Self {
        Self { bar: bar(BAR, None), last_tenth: Mutex::new(0) }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    fn show_bytes(&self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
            return;
        }
        let Some(total) = total.filter(|&total| total > 0) else { return };
        let tenth = done.saturating_mul(10) / total;
        let mut last = self.last_tenth.lock().expect("no holder panics");
        if tenth > *last {
            *last = tenth;
            note(format_args!("  {} of {}", bytes(done), bytes(total)));
        }
    }
}

impl Progress for ShownProgress {
    fn report(&self, event: ProgressEvent<'_>) {
        match event {
            ProgressEvent::Waiting => {
                self.say("  another process is fetching it; waiting for that")
            }
            ProgressEvent::Trying(source) => {
                *self.last_tenth.lock().expect("no holder panics") = 0;
                self.bar.iter().for_each(ProgressBar::reset);
                self.say(&format!("  from {source}"));
            }
            ProgressEvent::Bytes { done, total } => self.show_bytes(done, total),
            ProgressEvent::Verifying => {
                self.bar.iter().for_each(ProgressBar::finish_and_clear);
                self.say("  checking its sum");
            }
            ProgressEvent::Failed(_, error) => self.say(&format!("  that did not work: {error}")),
            ProgressEvent::Placed => self.bar.iter().for_each(ProgressBar::finish_and_clear),
        }
    }
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Shows how far something is that consists of a known number of steps.
pub(super) struct Counted(Option<ProgressBar>);

impl Counted {
    /// None of the `count` things called `what` is done yet.
    pub(super) fn new(count: usize, what: &'static str) -> Self {
        let bar = bar(COUNTED_BAR, Some(count as u64)).map(|bar| bar.with_message(what));
        // Visible before the first of them is done, which may take long.
        bar.iter().for_each(ProgressBar::tick);
        Self(bar)
    }

    /// One more is done.
    pub(super) fn advance(&self) {
        self.0.iter().for_each(|bar| bar.inc(1));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}
