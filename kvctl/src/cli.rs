//! The grammar of the command line. No logic: what a command does is in its file under `commands`.
//!
//! Options that every command takes are global and stand in a group of their own in help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{bench, certs, cluster, completions, context, doctor, kv, logs, man, node, ring, token};
use crate::exit_code;

/// Operates kvstore clusters: replicated, durable, linearizable key-value stores.
#[derive(Debug, Parser)]
#[command(name = "kvctl", version, after_help = exit_code::HELP, max_term_width = 110)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder of clusters' state and contexts [env: KVCTL_STATE_DIR] [default: the XDG data folder, kvctl]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Cluster to work with, by the name of its context [env: KVCTL_CONTEXT] [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Form of the answer on standard output
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value_t)]
    pub output: Output,
    /// Answer questions with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Leave out progress and advice
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colour; auto honours NO_COLOR
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,
}

/// Form of the answer on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One document.
    Json,
    /// One document a line.
    Jsonl,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, look at and stop clusters
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Read and write keys
    #[command(subcommand)]
    Kv(kv::Command),
    /// Look at nodes
    #[command(subcommand)]
    Node(node::Command),
    /// Look at who holds which partition
    #[command(subcommand)]
    Ring(ring::Command),
    /// Show what the nodes log, merged by time
    Logs(logs::Logs),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Show and renew certificates
    #[command(subcommand)]
    Certs(certs::Command),
    /// Choose the cluster to work with
    #[command(subcommand)]
    Context(context::Command),
    /// Measure a cluster
    Bench(bench::Bench),
    /// Check this machine and the clusters on it
    Doctor(doctor::Doctor),
    /// Print a shell's completions
    Completions(completions::Completions),
    /// Print the manual page
    Man(man::Man),
    /// Becomes a daemon; used by `cluster up`
    #[command(name = "__detach", hide = true)]
    Detach(Detach),
}

/// A program to become.
#[derive(Debug, Args)]
pub struct Detach {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}
