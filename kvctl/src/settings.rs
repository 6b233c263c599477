//! Where things are and how to show them: flags, then environment, then the XDG rules.
//!
//! The only reader of environment variables. It touches no file; missing folders are made by who writes to them.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Color, Global, Output};
use crate::error::CommandError;
use crate::units;

/// Settings of one run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of all clusters' state and of the contexts.
    pub state_dir: PathBuf,
    /// That folder, if it was named by an option: advice repeats it.
    pub state_dir_option: Option<PathBuf>,
    /// The context asked for; none means the current one.
    pub context: Option<String>,
    /// Form of the answer on standard output.
    pub output: Output,
    /// Whether questions are answered with yes.
    pub yes: bool,
    /// Whether progress is left out.
    pub quiet: bool,
    /// Whether standard output may be coloured.
    pub color: bool,
    /// Whether standard error is a terminal that shows progress in place.
    pub terminal: bool,
    /// Whether standard input can answer questions.
    pub interactive: bool,
    /// Folders in which programs are looked for.
    pub search_path: Vec<PathBuf>,
    /// How to reach AWS, as far as the SDK does not find it out by itself.
    pub aws: AwsSettings,
}

/// What kvctl itself reads about AWS. Region, profile, credentials and endpoints are the SDK's to find.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsSettings {
    /// `AWS_CA_BUNDLE`: certificates to trust besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// `KVCTL_AWS_LOOPBACK_ONLY`: nothing may be sent to another machine. For tests.
    pub loopback_only: bool,
    /// `KVCTL_AWS_RATE`: most calls a second.
    pub rate: Option<f64>,
    /// `KVCTL_AWS_CALL_TIMEOUT`: longest time for one call.
    pub call_timeout: Option<Duration>,
    /// `KVCTL_AWS_HASTE`: how many times faster the engine's waits pass. For tests: 1 unless nothing leaves loopback.
    pub haste: f64,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self { ca_bundle: None, loopback_only: false, rate: None, call_timeout: None, haste: 1.0 }
    }
}

/// The environment, as far as settings depend on it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `KVCTL_STATE_DIR`.
    pub state_dir: Option<PathBuf>,
    /// `KVCTL_CONTEXT`.
    pub context: Option<String>,
    /// `XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// `PATH`.
    pub path: Vec<PathBuf>,
    /// `AWS_CA_BUNDLE`.
    pub aws_ca_bundle: Option<PathBuf>,
    /// `KVCTL_AWS_LOOPBACK_ONLY` is set and not empty.
    pub aws_loopback_only: bool,
    /// `KVCTL_AWS_RATE`.
    pub aws_rate: Option<String>,
    /// `KVCTL_AWS_CALL_TIMEOUT`.
    pub aws_call_timeout: Option<String>,
    /// `KVCTL_AWS_HASTE`.
    pub aws_haste: Option<String>,
    /// Standard input, output and error are terminals.
    pub terminals: [bool; 3],
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        use std::io::IsTerminal;
        let text = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            state_dir: text("KVCTL_STATE_DIR").map(PathBuf::from),
            context: text("KVCTL_CONTEXT").and_then(|value| value.into_string().ok()),
            data_home: text("XDG_DATA_HOME").map(PathBuf::from),
            home: text("HOME").map(PathBuf::from),
            no_color: text("NO_COLOR").is_some(),
            dumb: text("TERM").is_some_and(|term| term == "dumb"),
            path: text("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            aws_ca_bundle: text("AWS_CA_BUNDLE").map(PathBuf::from),
            aws_loopback_only: text("KVCTL_AWS_LOOPBACK_ONLY").is_some(),
            aws_rate: text("KVCTL_AWS_RATE").and_then(|value| value.into_string().ok()),
            aws_call_timeout: text("KVCTL_AWS_CALL_TIMEOUT").and_then(|value| value.into_string().ok()),
            aws_haste: text("KVCTL_AWS_HASTE").and_then(|value| value.into_string().ok()),
            terminals: [
                std::io::stdin().is_terminal(),
                std::io::stdout().is_terminal(),
                std::io::stderr().is_terminal(),
            ],
        }
    }
}

impl Settings {
    /// Resolves the settings of one run.
    ///
    /// # Errors
    /// There is no home folder to keep state in and none was named.
    pub fn resolve(global: &Global, environment: &Environment) -> Result<Self, CommandError> {
        let [stdin, stdout, stderr] = environment.terminals;
        let state_dir = match (&global.state_dir, &environment.state_dir) {
            (Some(named), _) | (None, Some(named)) => named.clone(),
            (None, None) => default_state_dir(environment).ok_or_else(|| {
                CommandError::usage("there is no home folder to keep state in")
                    .hint("name a folder: kvctl --state-dir DIR, or set KVCTL_STATE_DIR")
            })?,
        };
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => stdout && !environment.no_color && !environment.dumb,
        };
        Ok(Self {
            // Daemons outlive this process and its working folder.
            state_dir: std::path::absolute(&state_dir).unwrap_or(state_dir),
            state_dir_option: global.state_dir.clone(),
            context: global.context.clone().or_else(|| environment.context.clone()),
            output: global.output,
            yes: global.yes,
            quiet: global.quiet,
            color,
            terminal: stderr && !environment.dumb,
            interactive: stdin && stderr,
            search_path: environment.path.clone(),
            aws: aws_settings(environment)?,
        })
    }
}

fn aws_settings(environment: &Environment) -> Result<AwsSettings, CommandError> {
    let wrong = |name: &str, value: &str, example: &str| {
        CommandError::usage(format!("{name}={value} cannot be read")).hint(format!("for example {name}={example}"))
    };
    let rate = environment.aws_rate.as_deref().map(|text| {
        let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
        rate.ok_or_else(|| wrong("KVCTL_AWS_RATE", text, "20"))
    });
    let call_timeout = environment
        .aws_call_timeout
        .as_deref()
        .map(|text| units::duration(text).map_err(|_| wrong("KVCTL_AWS_CALL_TIMEOUT", text, "30s")));
    let haste = environment.aws_haste.as_deref().map(|text| {
        let haste = text.parse().ok().filter(|haste| (1.0..=1000.0).contains(haste));
        haste.ok_or_else(|| wrong("KVCTL_AWS_HASTE", text, "1"))
    });
    let haste = haste.transpose()?.filter(|_| environment.aws_loopback_only);
    Ok(AwsSettings {
        haste: haste.unwrap_or(1.0),
        ca_bundle: environment.aws_ca_bundle.clone(),
        loopback_only: environment.aws_loopback_only,
        rate: rate.transpose()?,
        call_timeout: call_timeout.transpose()?,
    })
}

/// The XDG base directory rule: relative values are ignored.
fn default_state_dir(environment: &Environment) -> Option<PathBuf> {
    let data = environment.data_home.clone().filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(environment.home.as_ref()?.join(".local/share")))?;
    Some(data.join("kvctl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_environment_over_defaults() {
        let check = |flag: Option<&str>, environment: Environment, expected: Option<&str>| {
            let global = Global { state_dir: flag.map(PathBuf::from), ..Global::default() };
            let resolved = Settings::resolve(&global, &environment).ok().map(|settings| settings.state_dir);
            assert_eq!(resolved, expected.map(PathBuf::from));
        };
        let home = Environment { home: Some("/home/me".into()), ..Environment::default() };
        check(None, Environment::default(), None);
        check(None, home.clone(), Some("/home/me/.local/share/kvctl"));
        let xdg = Environment { data_home: Some("/data".into()), ..home };
        check(None, xdg.clone(), Some("/data/kvctl"));
        check(
            None,
            Environment { data_home: Some("relative".into()), ..xdg.clone() },
            Some("/home/me/.local/share/kvctl"),
        );
        let named = Environment { state_dir: Some("/state".into()), ..xdg };
        check(None, named.clone(), Some("/state"));
        check(Some("/flag"), named, Some("/flag"));
    }

    #[test]
    fn colour_needs_a_terminal_and_no_veto() {
        let check = |color: Color, stdout: bool, no_color: bool, expected: bool| {
            let global = Global { state_dir: Some("/s".into()), color, ..Global::default() };
            let environment = Environment { no_color, terminals: [false, stdout, false], ..Environment::default() };
            assert_eq!(Settings::resolve(&global, &environment).map(|settings| settings.color).ok(), Some(expected));
        };
        check(Color::Auto, true, false, true);
        check(Color::Auto, true, true, false);
        check(Color::Auto, false, false, false);
        check(Color::Always, false, true, true);
        check(Color::Never, true, false, false);
    }
}
