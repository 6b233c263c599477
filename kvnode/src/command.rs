//! From the command line to an exit code: the only place that prints, and where chains of errors end.
//!
//! Exit codes: 0 done (also after SIGTERM), 1 the node could not start or had to stop, 2 bad flags or configuration.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::config::flags::{Action, CommandLine, MakeCredentials, RunFlags};
use crate::config::raw::{ConfigError, Place, RawSettings};
use crate::config::{Config, LogSettings, file, parse};
use crate::server;

/// Bad flags or configuration.
const USAGE: u8 = 2;

/// Runs what the arguments ask for.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version come this way too; clap knows where they go. A closed pipe is no error.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match line.action {
        Some(Action::CheckConfig(flags)) => match read_config(*flags) {
            Ok(config) => check(&config),
            Err(errors) => refuse(&errors),
        },
        Some(Action::MakeCredentials(make)) => make_credentials(&make),
        None => match read_config(line.run) {
            Ok(config) => serve(config),
            Err(errors) => refuse(&errors),
        },
    }
}

fn read_config(flags: RunFlags) -> Result<Config, Vec<ConfigError>> {
    let (mut settings, mut errors) = (RawSettings::default(), Vec::new());
    if let Some(path) = &flags.config {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => file::collect(&shown, &text, &mut settings, &mut errors),
            Err(error) => errors.push(ConfigError {
                place: Place::Flag("config".to_owned()),
                setting: "config".to_owned(),
                problem: format!("cannot read {shown}: {error}"),
            }),
        }
    }
    flags.collect(&mut settings);
    parse::parse(&settings, errors)
}

/// Says what is wrong, all of it.
fn refuse(errors: &[ConfigError]) -> ExitCode {
    let mut text = match errors.len() {
        1 => "error: the configuration has a problem\n".to_owned(),
        count => format!("error: the configuration has {count} problems\n"),
    };
    for error in errors {
        text.push_str(&format!("  {error}\n"));
    }
    complain(&text);
    ExitCode::from(USAGE)
}

/// The configuration is good; do the files it names exist and make sense?
fn check(config: &Config) -> ExitCode {
    if config.credentials.is_some()
        && let Err(error) = crate::credentials::load(config)
    {
        complain(&format!("error: {}\n", chain(&error)));
        return ExitCode::from(USAGE);
    }
    let addresses = &config.addresses;
    let text = format!(
        "ok: node {} in zone {}, data in {}, api {}, peers {}, gossip {}\n",
        config.name,
        config.zone,
        config.data_dir.display(),
        addresses.listen_api,
        addresses.listen_peer,
        addresses.listen_gossip
    );
    announce(&text);
    ExitCode::SUCCESS
}

fn make_credentials(make: &MakeCredentials) -> ExitCode {
    let name = match make.name.parse() {
        Ok(name) => name,
        Err(error) => {
            let error = ConfigError {
                place: Place::Flag("name".to_owned()),
                setting: "name".to_owned(),
                problem: crate::protocol::id::IdError::to_string(&error),
            };
            return refuse(&[error]);
        }
    };
    match crate::credentials::make_for_cluster(&make.authority, &make.out, &name, &make.host) {
        Ok(files) => {
            let credentials = &files.credentials;
            announce(&format!(
                "--ca-file {} --cert-file {} --key-file {} --gossip-key-file {} --tokens-file {}\n",
                credentials.ca_file.display(),
                credentials.cert_file.display(),
                credentials.key_file.display(),
                credentials.gossip_key_file.display(),
                files.tokens.display()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("error: {}\n", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> ExitCode {
    if let Err(problem) = start_log(&config.log) {
        complain(&format!("error: --log-filter: {problem}\n"));
        return ExitCode::from(USAGE);
    }
    spare_memory();
    match runtime(config.worker_threads).map(|runtime| runtime.block_on(server::run(config, announce))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            complain(&format!("error: {}\n", chain(&error)));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("error: cannot start the event loop: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Asks the kernel for small pages: with huge ones the storage engine's sparsely used log buffers alone keep an idle
/// node at 50 MiB instead of 10. A kernel that refuses costs memory, nothing else.
fn spare_memory() {
    let _kernel_refused = nix::sys::prctl::set_thp_disable(true);
}

/// One thread drives everything itself; more share the work. A single thread spares the hand-over between them.
fn runtime(worker_threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let threads = match worker_threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        given => given,
    };
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        more => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(more);
            builder
        }
    };
    builder.enable_all().build()
}

fn start_log(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if settings.json {
        builder.json().init();
    } else {
        builder.with_ansi(false).init();
    }
    Ok(())
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// To standard error; if that is closed there is nobody to tell.
fn complain(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// To standard output, for the line that a first start prints.
fn announce(text: &str) {
    let mut out = std::io::stdout();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
