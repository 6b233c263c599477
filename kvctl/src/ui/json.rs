//! One JSON document on standard output, or one a line: the machine's form of what people see.
//!
//! A command prints exactly one document in `json` mode, and one per item in `jsonl` mode.

use serde::Serialize;

use super::Ui;
use crate::error::CommandError;

impl Ui {
    /// Writes one document, indented.
    ///
    /// # Errors
    /// As [`Ui::line`].
    pub fn json<T: Serialize>(&self, document: &T) -> Result<(), CommandError> {
        self.line(serde_json::to_string_pretty(document).map_err(|error| unserializable(&error))?)
    }

    /// Writes one document on one line.
    ///
    /// # Errors
    /// As [`Ui::line`].
    pub fn json_line<T: Serialize>(&self, document: &T) -> Result<(), CommandError> {
        self.line(serde_json::to_string(document).map_err(|error| unserializable(&error))?)
    }
}

fn unserializable(error: &serde_json::Error) -> CommandError {
    CommandError::failed("the answer cannot be written as JSON").because(error)
}
