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
    /// Form of the answer on standard output: table, json or jsonl
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value_t, hide_possible_values = true)]
    pub output: Output,
    /// Answer questions with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Leave out progress and advice
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colour: auto (honours NO_COLOR), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, hide_possible_values = true)]
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut command = &mut command;
        for name in path {
            command = command.find_subcommand_mut(name).expect("a command");
        }
        command.render_help().to_string()
    }

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_first_help_fits_a_screen() {
        insta::assert_snapshot!(help(&[]), @r"
        Operates kvstore clusters: replicated, durable, linearizable key-value stores

        Usage: kvctl [OPTIONS] <COMMAND>

        Commands:
          cluster      Make, look at and stop clusters
          kv           Read and write keys
          node         Look at nodes
          ring         Look at who holds which partition
          logs         Show what the nodes log, merged by time
          token        Make, list and revoke tokens
          certs        Show and renew certificates
          context      Choose the cluster to work with
          bench        Measure a cluster
          doctor       Check this machine and the clusters on it
          completions  Print a shell's completions
          man          Print the manual page
          help         Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version

        Global options:
              --state-dir <DIR>  Folder of clusters' state and contexts [env: KVCTL_STATE_DIR] [default: the
                                 XDG data folder, kvctl]
              --context <NAME>   Cluster to work with, by the name of its context [env: KVCTL_CONTEXT]
                                 [default: the current one]
          -o, --output <FORM>    Form of the answer on standard output: table, json or jsonl [default:
                                 table]
          -y, --yes              Answer questions with yes
          -q, --quiet            Leave out progress and advice
              --color <WHEN>     Colour: auto (honours NO_COLOR), always or never [default: auto]

        Exit codes: 0 ok, 1 error, 2 usage or bad specification, 10 findings, changes pending or
        unhealthy, 11 could not determine, 12 timeout, 13 refused as unsafe, 14 stopped part-way (call
        again), 15 credentials, 130 interrupted.
        ");
    }

    #[test]
    fn up_tells_its_options_and_defaults() {
        insta::assert_snapshot!(help(&["cluster", "up"]), @r"
        Bring a cluster up, or repair it; a second time does nothing

        Usage: kvctl cluster up [OPTIONS] [NAME]

        Arguments:
          [NAME]  Name of the cluster [default: that of the context, or local]

        Options:
              --kvnode <PATH>       The daemon's program [default: beside kvctl, then in PATH]
              --dry-run             Show the plan and do nothing (exit 10: changes pending)
              --plan <FILE>         Carry out this plan, written by `plan --out`, if nothing has changed
                                    since (aws)
              --timeout <DURATION>  Longest time for all of it [default: 60s; in aws 45m]
          -h, --help                Print help

        Layout:
          -f, --file <CLUSTER.YAML>  Specification to read; options win over it
              --provider <PROVIDER>  Where: local (daemons of this machine) or aws [default: as the file or
                                     the context says, else local]
              --zones <N|NAMES>      Zones: how many, or their names separated by commas [default: a,b,c]
              --nodes-per-zone <N>   Nodes in each zone [default: 1]
              --replicas <N>         Copies of each key [default: 3]
              --partitions <N>       Partitions of the key space, a power of two, fixed for ever [default:
                                     256]
              --api-port <PORT>      TCP port of the REST API [default: 8080]
              --peer-port <PORT>     TCP port between nodes [default: 7946]
              --gossip-port <PORT>   UDP port of gossip [default: 7947]
              --accept-zone-outage   Accept a layout that the loss of one zone stops

        Global options:
              --state-dir <DIR>  Folder of clusters' state and contexts [env: KVCTL_STATE_DIR] [default: the
                                 XDG data folder, kvctl]
              --context <NAME>   Cluster to work with, by the name of its context [env: KVCTL_CONTEXT]
                                 [default: the current one]
          -o, --output <FORM>    Form of the answer on standard output: table, json or jsonl [default:
                                 table]
          -y, --yes              Answer questions with yes
          -q, --quiet            Leave out progress and advice
              --color <WHEN>     Colour: auto (honours NO_COLOR), always or never [default: auto]
        ");
    }

    #[test]
    fn put_tells_its_options_and_defaults() {
        insta::assert_snapshot!(help(&["kv", "put"]), @r"
        Store a value under a key

        Usage: kvctl kv put [OPTIONS] <KEY> [VALUE]

        Arguments:
          <KEY>    The key
          [VALUE]  The value; `-` reads it from standard input

        Options:
              --key-encoding <KEY_ENCODING>  How the key is written [default: text] [possible values: text,
                                             percent, base64]
              --file <FILE>                  Read the value from this file
              --ttl <DURATION>               Forget it after this time [default: never]
              --content-type <TYPE>          Content-Type to serve it with
              --dry-run                      Say what would be written and do nothing
              --consistency <CONSISTENCY>    Replicas to wait for; `one` may read an old value [default:
                                             quorum] [possible values: one, quorum, all]
              --timeout <DURATION>           Longest time for the operation, up to 30s [default: 2s]
          -h, --help                         Print help (see more with '--help')

        Global options:
              --state-dir <DIR>  Folder of clusters' state and contexts [env: KVCTL_STATE_DIR] [default: the
                                 XDG data folder, kvctl]
              --context <NAME>   Cluster to work with, by the name of its context [env: KVCTL_CONTEXT]
                                 [default: the current one]
          -o, --output <FORM>    Form of the answer on standard output: table, json or jsonl [default:
                                 table]
          -y, --yes              Answer questions with yes
          -q, --quiet            Leave out progress and advice
              --color <WHEN>     Colour: auto (honours NO_COLOR), always or never [default: auto]
        ");
    }

    #[test]
    fn daemons_get_their_arguments_untouched() {
        let cli = Cli::try_parse_from(["kvctl", "__detach", "--", "/bin/kvnode", "--name", "a1", "--yes"]);
        match cli.map(|cli| cli.command) {
            Ok(Command::Detach(detach)) => {
                assert_eq!(detach.program, PathBuf::from("/bin/kvnode"));
                assert_eq!(detach.arguments, ["--name", "a1", "--yes"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
