//! The exit codes of every command: one table, a stable contract with scripts.
//!
//! `kvctl help` prints it. A number never gets another meaning.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing was to be done.
    Ok = 0,
    /// It failed; the message says whether anything was changed.
    Error = 1,
    /// The command line or the specification is wrong; nothing was changed.
    Usage = 2,
    /// Findings, changes pending, or unhealthy.
    Findings = 10,
    /// The answer could not be determined.
    Undetermined = 11,
    /// The time was up; what was begun may go on.
    TimedOut = 12,
    /// Refused as unsafe; nothing was changed.
    Refused = 13,
    /// Stopped part-way; calling again goes on.
    Partial = 14,
    /// Credentials are missing, wrong or too weak.
    Credentials = 15,
    /// Interrupted by the user.
    Interrupted = 130,
}

/// The table as help shows it.
pub const HELP: &str = "\
Exit codes: 0 ok, 1 error, 2 usage or bad specification, 10 findings, changes pending or unhealthy,
11 could not determine, 12 timeout, 13 refused as unsafe, 14 stopped part-way (call again), 15 credentials,
130 interrupted.";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_code() {
        let codes = [
            Exit::Ok,
            Exit::Error,
            Exit::Usage,
            Exit::Findings,
            Exit::Undetermined,
            Exit::TimedOut,
            Exit::Refused,
            Exit::Partial,
            Exit::Credentials,
            Exit::Interrupted,
        ];
        for code in codes.map(|code| code as u8) {
            let told = HELP.split([' ', ',', '\n']).any(|word| word == code.to_string());
            assert!(told, "{code} is not in the help");
        }
    }
}
