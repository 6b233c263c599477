//! `kvctl cluster init`: writes a cluster.yaml that explains itself.
//!
//! It never replaces a file and starts nothing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use infra::spec;
use infra::topology::{Draft, Topology};

use super::target::Layout;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Write a cluster.yaml to start from.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Name of the cluster
    #[arg(default_value = "local")]
    pub name: String,
    /// File to write; `-` for standard output
    #[arg(long, default_value = "cluster.yaml", value_name = "FILE")]
    pub to: PathBuf,
    /// What it shall look like.
    #[command(flatten)]
    pub layout: Layout,
}

pub(super) fn run(session: &Session, init: &Init) -> Result<Exit, CommandError> {
    let draft = init.layout.apply(Draft { cluster: init.name.clone(), ..Draft::default() })?;
    let topology = Topology::parse(draft).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|one| format!("{one}; {}", one.fix)).collect();
        CommandError::usage(format!("this cluster cannot be:\n{}", lines.join("\n")))
    })?;
    let text = spec::render(topology.draft());
    if init.to.as_os_str() == "-" {
        session.ui.bytes(text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let shown = init.to.display();
    let opened = OpenOptions::new().write(true).create_new(true).open(&init.to);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| CommandError::failed(format!("cannot write {shown}")).because(&error))?;
    session.ui.note(format!("{shown} is written; see what it would do: kvctl cluster plan -f {shown}"));
    Ok(Exit::Ok)
}
