//! `kvctl cluster init`: writes a cluster.yaml that explains itself.
//!
//! It never replaces a file and starts nothing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use infra::network::{self, Network};
use infra::spec::{self, Specification};
use infra::topology::{Draft, Topology};

use super::target::{Layout, Provider, impossible};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Write a cluster.yaml to start from.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Name of the cluster; on AWS project-environment [default: local, or kvstore-dev on AWS]
    pub name: Option<String>,
    /// Region of a cluster on AWS [default: us-east-1]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// File to write; `-` for standard output
    #[arg(long, default_value = "cluster.yaml", value_name = "FILE")]
    pub to: PathBuf,
    /// What it shall look like.
    #[command(flatten)]
    pub layout: Layout,
}

pub(super) fn run(session: &Session, init: &Init) -> Result<Exit, CommandError> {
    let text = spec::render(&specification(init)?);
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

fn specification(init: &Init) -> Result<Specification, CommandError> {
    match init.layout.provider.unwrap_or(Provider::Local) {
        Provider::Local if init.region.is_some() => {
            Err(CommandError::usage("--region is for clusters on AWS").hint("add --provider aws"))
        }
        Provider::Local => {
            let default = Draft::default();
            let cluster = init.name.clone().unwrap_or(default.cluster);
            let draft = init.layout.apply(Draft { cluster, ..Draft::default() })?;
            Topology::parse(draft).map(Specification::Local).map_err(|problems| impossible(&problems))
        }
        Provider::Aws => {
            let mut draft = init.region.as_deref().map_or_else(network::Draft::default, network::Draft::for_region);
            if let Some(name) = &init.name {
                (draft.project, draft.environment) = project_and_environment(name)?;
            }
            let draft = init.layout.apply_to_network(draft)?;
            let network = Network::parse(draft).map_err(|problems| impossible(&problems))?;
            Ok(Specification::Aws(Box::new(network)))
        }
    }
}

/// `kvstore-dev`: what follows the last hyphen is the environment, which has none.
fn project_and_environment(name: &str) -> Result<(String, String), CommandError> {
    let (project, environment) = name.rsplit_once('-').ok_or_else(|| {
        let message = format!("{name:?} is not project-environment, which names a cluster on AWS");
        CommandError::usage(message).hint("for example kvstore-dev")
    })?;
    Ok((project.to_owned(), environment.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(name: Option<&str>, provider: Provider, region: Option<&str>) -> Result<Specification, CommandError> {
        specification(&Init {
            name: name.map(str::to_owned),
            region: region.map(str::to_owned),
            to: PathBuf::new(),
            layout: Layout {
                provider: Some(provider),
                zones: Some("2".to_owned()),
                replicas: Some(1),
                accept_zone_outage: true,
                ..Layout::default()
            },
        })
    }

    #[test]
    fn a_cluster_on_aws_is_named_by_project_and_environment() {
        let made = init(Some("my-shop-prod"), Provider::Aws, Some("eu-west-1")).expect("possible");
        let Specification::Aws(network) = made else { panic!("not on AWS") };
        assert_eq!((network.draft().project.as_str(), network.draft().environment.as_str()), ("my-shop", "prod"));
        let zones: Vec<_> = network.zones().iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(zones, ["eu-west-1a", "eu-west-1b"]);
        assert_eq!(init(Some("shop"), Provider::Aws, None).expect_err("no environment").exit(), Exit::Usage);
    }

    #[test]
    fn a_region_is_of_the_cloud() {
        assert_eq!(init(None, Provider::Local, Some("eu-west-1")).expect_err("local").exit(), Exit::Usage);
        let made = init(None, Provider::Local, None).expect("possible");
        assert!(matches!(made, Specification::Local(topology) if topology.cluster().as_str() == "local"));
    }
}
