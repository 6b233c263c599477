//! Failures of AWS as errors of commands: the cause in AWS's words, the exit code, the next command.
//!
//! Nothing is decided here but words and codes; what was done before a failure stays done and is told.

use infra::apply::{Outcome, Reason, StepFailure};
use infra::network::Network;
use infra::provider::{Class, Failure};

use crate::error::CommandError;
use crate::exit_code::Exit;

/// Most failed steps that are told one by one.
const MOST_TOLD: usize = 5;

/// What was done before something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was changed.
    Untouched,
    /// Something was, by this command.
    Changed(&'static str),
}

impl Stage {
    /// What a person has to know of it.
    pub(super) fn hint(self) -> String {
        match self {
            Self::Untouched => "nothing was changed".to_owned(),
            Self::Changed(command) => format!("what was done stays; go on: {command}"),
        }
    }

    /// The exit code of what could not be found out.
    pub(super) const fn exit(self) -> Exit {
        match self {
            Self::Untouched => Exit::Undetermined,
            Self::Changed(_) => Exit::Partial,
        }
    }
}

/// A look that failed.
pub(super) fn of_call(failure: &Failure, network: &Network, stage: Stage) -> CommandError {
    let error = match failure.class {
        Class::Credentials => credentials(&failure.to_string(), network),
        Class::Denied => CommandError::new(Exit::Credentials, format!("not allowed: {failure}"))
            .hint(format!("allow {} to this identity", failure.action)),
        Class::Throttled | Class::Transient | Class::Unknown => {
            CommandError::new(stage.exit(), format!("AWS does not answer: {failure}"))
                .hint("is there a way to it? see AWS_ENDPOINT_URL, AWS_CA_BUNDLE, proxies; then call again")
        }
        _ => CommandError::new(stage.exit(), failure.to_string()),
    };
    error.hint(stage.hint())
}

/// Codes that a machine with a wrong clock gets as well.
const CLOCK_CODES: [&str; 5] =
    ["RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"];

fn credentials(why: &str, network: &Network) -> CommandError {
    let profile = network.draft().profile.as_deref();
    let tried = profile.map_or_else(
        || "tried: the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE), the shared files, the machine's role".to_owned(),
        |profile| format!("tried: profile {profile} of the shared files, as cluster.yaml says"),
    );
    let error = CommandError::new(Exit::Credentials, format!("AWS does not accept these credentials: {why}"))
        .hint(format!("{tried}; region {}", network.region()));
    let error = match CLOCK_CODES.iter().any(|code| why.contains(code)) {
        true => error.hint("a machine whose clock is wrong by minutes is refused the same way: date -u"),
        false => error,
    };
    error.hint("log in again (aws sso login), or choose others: AWS_PROFILE=NAME kvctl …")
}

/// Work that stopped part-way; none if it did not.
pub(super) fn of_outcome(outcome: &Outcome, command: &str, network: &Network) -> Option<CommandError> {
    let left = outcome.not_started.len();
    let done = format!("{} steps are done and stay, {left} were not begun", outcome.done.len());
    let Some(first) = outcome.failed.first() else {
        let (exit, message) = match (outcome.interrupted, outcome.late && !outcome.is_complete()) {
            (true, _) => (Exit::Interrupted, "interrupted; what was begun was brought to an end"),
            (_, true) => (Exit::TimedOut, "the time is up; what was begun was brought to an end, what waits was left"),
            _ => return None,
        };
        return Some(CommandError::new(exit, message).hint(done).hint(format!("go on: {command}")));
    };
    let mut lines: Vec<String> = outcome.failed.iter().take(MOST_TOLD).map(line).collect();
    if outcome.failed.len() > MOST_TOLD {
        lines.push(format!("and {} more", outcome.failed.len() - MOST_TOLD));
    }
    let error = match &first.reason {
        Reason::Credentials { .. } => credentials(&lines.join("\n"), network),
        _ => CommandError::new(exit(outcome), lines.join("\n")),
    };
    Some(error.hint(first.reason.next(command)).hint(done))
}

fn line(failure: &StepFailure) -> String {
    format!("{}: {}", failure.key, failure.reason)
}

/// The first failure decides; that work was done before makes most of them "part-way".
fn exit(outcome: &Outcome) -> Exit {
    match outcome.failed.first().map(|failure| &failure.reason) {
        Some(Reason::Denied { .. } | Reason::Credentials { .. }) => Exit::Credentials,
        Some(Reason::TimedOut { .. } | Reason::Blocked { .. }) => Exit::TimedOut,
        Some(Reason::Invalid { .. } | Reason::Foreign { .. }) => Exit::Error,
        _ => Exit::Partial,
    }
}

#[cfg(test)]
mod tests {
    use infra::network::Draft;
    use infra::provider::Ids;

    use super::*;

    const AFTER: Stage = Stage::Changed("kvctl cluster up");

    fn network() -> Network {
        Network::parse(Draft::default()).expect("the default can be built")
    }

    fn failure(code: &str, class: Class) -> Failure {
        Failure { action: "ec2:DescribeVpcs".to_owned(), code: code.to_owned(), message: "no".to_owned(), class }
    }

    #[test]
    fn what_was_done_before_is_never_denied() {
        for (class, untouched, after) in [
            (Class::Credentials, Exit::Credentials, Exit::Credentials),
            (Class::Denied, Exit::Credentials, Exit::Credentials),
            (Class::Throttled, Exit::Undetermined, Exit::Partial),
            (Class::Invalid, Exit::Undetermined, Exit::Partial),
        ] {
            for (stage, exit, told) in
                [(Stage::Untouched, untouched, "nothing was changed"), (AFTER, after, "go on: kvctl cluster up")]
            {
                let error = of_call(&failure("Code", class), &network(), stage);
                assert_eq!(error.exit(), exit, "{class:?} {stage:?}");
                assert!(error.render().contains(told), "{}", error.render());
                assert_eq!(error.render().contains("nothing was changed"), stage == Stage::Untouched);
            }
        }
    }

    #[test]
    fn a_wrong_clock_is_thought_of() {
        for (code, clock) in [("RequestExpired", true), ("InvalidSignatureException", true), ("ExpiredToken", false)] {
            let text = of_call(&failure(code, Class::Credentials), &network(), Stage::Untouched).render();
            assert_eq!(text.contains("date -u"), clock, "{text}");
            assert!(text.contains("tried: ") && text.contains("us-east-1"), "{text}");
        }
    }

    #[test]
    fn work_that_ran_out_of_time_is_not_done() {
        let outcome = |interrupted, late, left: Vec<usize>| Outcome {
            done: vec![0],
            failed: Vec::new(),
            left,
            not_started: Vec::new(),
            ids: Ids::new(),
            interrupted,
            late,
        };
        for (outcome, exit) in [
            (outcome(false, false, vec![]), None),
            (outcome(false, true, vec![]), None),
            (outcome(false, true, vec![1]), Some(Exit::TimedOut)),
            (outcome(true, false, vec![1]), Some(Exit::Interrupted)),
        ] {
            let error = of_outcome(&outcome, "kvctl cluster up", &network());
            assert_eq!(error.map(|error| error.exit()), exit, "{outcome:?}");
        }
    }
}
