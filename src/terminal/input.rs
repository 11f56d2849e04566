//! Lines from a person at a terminal, or from a pipe.
//!
//! The line editor blocks, so it lives on a thread of its own and answers one
//! question at a time. Invariant: nobody prints while a question is open.

use std::io;
use std::sync::{Arc, RwLock};
use std::thread;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::sync::{mpsc, oneshot};

use super::completion::{self, Names};

/// What came of asking for a line.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A line.
    Line(String),
    /// The person pressed Ctrl-C.
    Interrupted,
    /// There is no more.
    End,
}

/// Where lines come from: a thread that reads one when asked.
pub(crate) struct Input {
    questions: mpsc::Sender<Question>,
}

struct Question {
    prompt: String,
    initial: String,
    answer: oneshot::Sender<io::Result<Answer>>,
}

impl Input {
    /// A person at a terminal, with an editor that completes the names in `names`.
    ///
    /// # Errors
    /// The terminal cannot be set up.
    pub(crate) fn editor(names: Arc<RwLock<Names>>) -> io::Result<Self> {
        let config = Config::builder().completion_type(CompletionType::List).build();
        let mut editor: Editor<Completion, _> =
            Editor::with_config(config).map_err(io::Error::other)?;
        editor.set_helper(Some(Completion { names }));
        Self::start(move |question| {
            let read = editor.readline_with_initial(&question.prompt, (&question.initial, ""));
            if let Ok(line) = &read
                && !line.trim().is_empty()
            {
                // Recall by arrow keys is a comfort; without it the line still counts.
                let _ = editor.add_history_entry(line);
            }
            match read {
                Ok(line) => Ok(Answer::Line(line.replace("\\\n", "\n"))),
                Err(ReadlineError::Interrupted) => Ok(Answer::Interrupted),
                Err(ReadlineError::Eof) => Ok(Answer::End),
                Err(error) => Err(io::Error::other(error)),
            }
        })
    }

    /// Standard input, line by line.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn pipe() -> io::Result<Self> {
        Self::start(|_| {
            let mut line = String::new();
            Ok(match io::stdin().read_line(&mut line)? {
                0 => Answer::End,
                _ => Answer::Line(line),
            })
        })
    }

    fn start(
        mut read: impl FnMut(&Question) -> io::Result<Answer> + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, mut inbox) = mpsc::channel::<Question>(1);
        thread::Builder::new().name("input".into()).spawn(move || {
            while let Some(question) = inbox.blocking_recv() {
                let answer = read(&question);
                // The asker may have left on a signal.
                let _ = question.answer.send(answer);
            }
        })?;
        Ok(Self { questions })
    }

    /// Asks for a line under `prompt`, with `initial` already written.
    ///
    /// # Errors
    /// The terminal or pipe fails, or holds something that is not text.
    pub(crate) async fn ask(&self, prompt: &str, initial: &str) -> io::Result<Answer> {
        let (answer, reply) = oneshot::channel();
        let question = Question { prompt: prompt.to_owned(), initial: initial.to_owned(), answer };
        let gone = || io::Error::other("nobody reads the input any more");
        self.questions.send(question).await.map_err(|_| gone())?;
        reply.await.map_err(|_| gone())?
    }
}

struct Completion {
    names: Arc<RwLock<Names>>,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let names = self.names.read().expect("no writer of the names panics");
        Ok(completion::complete(&line[..cursor], &names))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

/// A line that ends in a backslash goes on in the next.
impl Validator for Completion {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if context.input().ends_with('\\') {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Helper for Completion {}
