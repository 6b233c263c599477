//! Why a command failed, for the person who reads it: the kind decides the exit code, the chain of causes is printed
//! once, hints name the next command.
//!
//! The only place where errors of libraries become errors of commands.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::path::Path;

use kvnode::client;

use crate::exit_code::Exit;
use crate::provider::local::{bootstrap, launch, observe, secrets, state};

/// A failed command.
#[derive(Debug)]
pub struct CommandError {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    quiet: bool,
}

impl CommandError {
    /// An error with its exit code; `message` is a lower-case sentence without a full stop.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hints: Vec::new(), quiet: false }
    }

    /// A plain failure: exit 1.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    /// A wrong command line or specification: exit 2.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The reader of our output went away: nothing more is printed and nothing is wrong.
    #[must_use]
    pub(crate) fn reader_gone() -> Self {
        Self { quiet: true, ..Self::new(Exit::Ok, "") }
    }

    /// No client can be made of an authority's certificate and a token: exit 15.
    #[must_use]
    pub fn unusable(ca_file: &Path, source: &client::BuildError) -> Self {
        let message = format!("{} or the token beside it cannot be used", ca_file.display());
        Self::new(Exit::Credentials, message).because(source).hint("see: kvctl context show, kvctl certs show")
    }

    /// Adds the chain of causes.
    #[must_use]
    pub fn because(mut self, source: &dyn StdError) -> Self {
        let mut next = Some(source);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds the chain of causes below an error whose own text is the message.
    #[must_use]
    pub(crate) fn because_of_source(self, error: &dyn StdError) -> Self {
        match error.source() {
            Some(source) => self.because(source),
            None => self,
        }
    }

    /// Adds a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The text for a person; empty if there is nothing to say.
    #[must_use]
    pub fn render(&self) -> String {
        if self.quiet {
            return String::new();
        }
        let mut text = format!("error: {}", self.message.replace('\n', "\n       "));
        let mut last = self.message.as_str();
        for cause in self.causes.iter().filter(|cause| !cause.is_empty()) {
            // Some libraries repeat their source in their own text.
            if !last.contains(cause.as_str()) {
                let _infallible = write!(text, ": {}", cause.replace('\n', "\n       "));
            }
            last = cause;
        }
        for hint in &self.hints {
            let _infallible = write!(text, "\n       {}", hint.replace('\n', "\n       "));
        }
        text
    }
}

impl From<client::Error> for CommandError {
    fn from(error: client::Error) -> Self {
        let Some(problem) = error.problem() else {
            let exit =
                if error.outcome() == kvnode::api::types::Outcome::Unknown { Exit::Undetermined } else { Exit::Error };
            let hint = match exit {
                Exit::Undetermined => "it may or may not have been carried out; read before you repeat it",
                _ => "nothing was changed; see: kvctl cluster status",
            };
            return Self::new(exit, error.to_string()).hint(hint);
        };
        let exit = match problem.status {
            401 | 403 => Exit::Credentials,
            400 | 404 | 405 | 413 => Exit::Usage,
            504 => Exit::TimedOut,
            _ => Exit::Error,
        };
        let outcome = match problem.outcome {
            kvnode::api::types::Outcome::NotApplied => "it was not carried out",
            kvnode::api::types::Outcome::Unknown => {
                "it may or may not have been carried out; read before you repeat it"
            }
        };
        let command = Self::new(exit, error.to_string()).hint(outcome);
        match &problem.hint {
            Some(hint) => command.hint(hint.clone()),
            None => command,
        }
    }
}

impl From<state::Error> for CommandError {
    fn from(error: state::Error) -> Self {
        let (exit, hint) = match &error {
            state::Error::Open { path, wanted, .. } => {
                (Exit::Refused, format!("nothing was changed; close it: chmod {wanted:03o} {}", path.display()))
            }
            state::Error::OtherOwner { .. } => {
                (Exit::Refused, "nothing was changed; another folder: kvctl --state-dir DIR".to_owned())
            }
            state::Error::HalfWritten { .. } => (
                Exit::Refused,
                "nothing was changed; move it away, or use another folder: kvctl --state-dir DIR".to_owned(),
            ),
            state::Error::Busy { .. } => (Exit::Error, "nothing was changed; wait for it to end".to_owned()),
            state::Error::Io { .. } | state::Error::Write(_) => {
                (Exit::Error, "another folder: kvctl --state-dir DIR".to_owned())
            }
        };
        Self::new(exit, error.to_string()).because_of_source(&error).hint(hint)
    }
}

impl From<secrets::Error> for CommandError {
    fn from(error: secrets::Error) -> Self {
        match error {
            secrets::Error::State(error) => error.into(),
            secrets::Error::Lost { .. } | secrets::Error::Damaged { .. } => Self::new(
                Exit::Credentials,
                error.to_string(),
            )
            .because_of_source(&error)
            .hint(
                "nothing was changed; put it back from a copy, or give the data up: kvctl cluster down --delete-data",
            ),
            other => Self::failed(other.to_string()).because_of_source(&other),
        }
    }
}

impl From<launch::Error> for CommandError {
    fn from(error: launch::Error) -> Self {
        let hint = match &error {
            launch::Error::State(_) => None,
            launch::Error::NoProgram { .. } => Some("nothing was changed; name it: kvctl cluster up --kvnode PATH"),
            launch::Error::Spawn { .. } | launch::Error::Ended { .. } => Some("once it is mended: kvctl cluster up"),
            launch::Error::Hangs { .. } => Some("end it without grace: kvctl cluster down --grace 0s"),
            launch::Error::Signal { .. } => Some("is it another user's?"),
        };
        let exit = match &error {
            launch::Error::Hangs { .. } => Exit::TimedOut,
            launch::Error::Ended { .. } => Exit::Partial,
            _ => Exit::Error,
        };
        match (error, hint) {
            (launch::Error::State(error), _) => error.into(),
            (error, None) => Self::new(exit, error.to_string()).because_of_source(&error),
            (error, Some(hint)) => Self::new(exit, error.to_string()).because_of_source(&error).hint(hint),
        }
    }
}

impl From<bootstrap::Error> for CommandError {
    fn from(error: bootstrap::Error) -> Self {
        match error {
            bootstrap::Error::Launch(error) => error.into(),
            bootstrap::Error::TimedOut { .. } => Self::new(Exit::TimedOut, error.to_string())
                .hint("what was started goes on; look: kvctl logs; go on: kvctl cluster up"),
            bootstrap::Error::NotFormed { .. } | bootstrap::Error::WrongRead { .. } => {
                Self::failed(error.to_string()).because_of_source(&error).hint("look: kvctl cluster status, kvctl logs")
            }
        }
    }
}

impl From<observe::ClientsError> for CommandError {
    fn from(error: observe::ClientsError) -> Self {
        match error {
            observe::ClientsError::State(error) => error.into(),
            observe::ClientsError::Build { ca_file, source } => Self::unusable(&ca_file, &source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_top_down() {
        let source = std::io::Error::other("permission denied");
        let error = CommandError::failed("cannot write cluster.json").because(&source).hint("nothing was changed");
        insta::assert_snapshot!(error.render(), @r"
        error: cannot write cluster.json: permission denied
               nothing was changed
        ");
    }

    #[test]
    fn a_gone_reader_is_no_failure() {
        let error = CommandError::reader_gone();
        assert_eq!((error.exit(), error.render().as_str()), (Exit::Ok, ""));
    }
}
