//! How things look. Data goes to standard output, everything else to standard error; nothing here decides anything.
//!
//! `table` draws rows, `progress` shows what is awaited, `json` writes documents. The only module that prints.
//! A reader that went away (`kvctl … | head`) ends the command quietly.

pub mod json;
pub mod progress;
pub mod table;

use std::io::{self, Write};

use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::settings::Settings;

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Bad,
}

/// The two streams of one run.
#[derive(Debug, Clone)]
pub struct Ui {
    color: bool,
    quiet: bool,
    terminal: bool,
    interactive: bool,
    yes: bool,
}

impl Ui {
    /// Draws as the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let Settings { color, quiet, terminal, interactive, yes, .. } = *settings;
        Self { color, quiet, terminal, interactive, yes }
    }

    /// Writes a line of data.
    ///
    /// # Errors
    /// The reader went away or the device failed.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        settle(writeln!(stdout, "{}", text.as_ref()).and_then(|()| stdout.flush()))
    }

    /// Writes raw bytes of data, without an end of line.
    ///
    /// # Errors
    /// As [`Ui::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        settle(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Says something to the person; left out when quiet. A closed standard error is nobody's loss.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            say(text.as_ref());
        }
    }

    /// Says something that matters even when quiet.
    pub fn warn(&self, text: impl AsRef<str>) {
        say(text.as_ref());
    }

    /// A word in a colour, if colours are wanted.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        format!("\x1b[1;{code}m{text}\x1b[0m")
    }

    /// Shows progress of several things at once.
    #[must_use]
    pub fn progress(&self) -> progress::Progress {
        progress::Progress::new(self.terminal, self.quiet)
    }

    /// Asks for a word to be typed before something that cannot be undone.
    ///
    /// # Errors
    /// Another word was typed, or nobody can be asked: refused.
    pub fn confirm(&self, what: &str, word: &str) -> Result<(), CommandError> {
        if self.yes {
            return Ok(());
        }
        let refused = |message: String| CommandError::new(Exit::Refused, message).hint("nothing was changed");
        if !self.interactive {
            return Err(
                refused(format!("{what} needs a confirmation and there is no terminal")).hint("to consent: --yes")
            );
        }
        say(&format!("{what}. To go on, type {word}:"));
        let mut typed = String::new();
        match io::stdin().read_line(&mut typed) {
            Ok(_) if typed.trim() == word => Ok(()),
            Ok(_) => Err(refused(format!("{word} was not typed"))),
            Err(error) => Err(refused("no answer could be read".to_owned()).because(&error)),
        }
    }
}

fn say(text: &str) {
    let _nobody_listens = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error at the very end of a run.
pub(crate) fn report(error: &CommandError) {
    let text = error.render();
    if !text.is_empty() {
        say(&text);
    }
}

fn settle(written: io::Result<()>) -> Result<(), CommandError> {
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CommandError::reader_gone(),
        _ => CommandError::failed("cannot write to standard output").because(&error),
    })
}
