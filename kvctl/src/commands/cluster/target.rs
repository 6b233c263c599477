//! Which cluster a command means, and what it shall look like: options over the file over what is remembered over
//! the default.
//!
//! What cannot be changed once the ring is formed is refused here, before anything is looked at.

use std::path::{Path, PathBuf};

use clap::Args;
use infra::network;
use infra::spec::{self, Specification};
use infra::topology::{ClusterName, Draft, Impossible, Topology, ZoneDraft};

use crate::context::Contexts;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::state::{Folder, Saved, read_bounded};
use crate::session::Session;

/// What a cluster shall look like.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Layout")]
pub struct Layout {
    /// Specification to read; options win over it
    #[arg(short, long, value_name = "CLUSTER.YAML")]
    pub file: Option<PathBuf>,
    /// Where: local (daemons of this machine) or aws [default: as the file or the context says, else local]
    #[arg(long, value_enum, value_name = "PROVIDER", hide_possible_values = true)]
    pub provider: Option<Provider>,
    /// Zones: how many, or their names separated by commas [default: a,b,c]
    #[arg(long, value_name = "N|NAMES")]
    pub zones: Option<String>,
    /// Nodes in each zone [default: 1]
    #[arg(long, value_name = "N")]
    pub nodes_per_zone: Option<u8>,
    /// Copies of each key [default: 3]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u8>,
    /// Partitions of the key space, a power of two, fixed for ever [default: 256]
    #[arg(long, value_name = "N")]
    pub partitions: Option<u32>,
    /// TCP port of the REST API [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// TCP port between nodes [default: 7946]
    #[arg(long, value_name = "PORT")]
    pub peer_port: Option<u16>,
    /// UDP port of gossip [default: 7947]
    #[arg(long, value_name = "PORT")]
    pub gossip_port: Option<u16>,
    /// Accept a layout that the loss of one zone stops
    #[arg(long)]
    pub accept_zone_outage: bool,
}

/// Where a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Provider {
    /// Daemons of this machine.
    Local,
    /// Machines in AWS.
    Aws,
}

/// Finds out where the cluster that a command means is: as said, else as the file says, else as the context of that
/// name says, else here.
///
/// # Errors
/// The file cannot be read, or says something else than the option.
pub(super) fn provider(
    session: &Session,
    named: Option<&str>,
    said: Option<Provider>,
    file: Option<&Path>,
) -> Result<Provider, CommandError> {
    let of_file = match file.map(read_specification).transpose()? {
        Some(Specification::Local(_)) => Some(Provider::Local),
        Some(Specification::Aws(_)) => Some(Provider::Aws),
        None => None,
    };
    if let (Some(said), Some(of_file)) = (said, of_file)
        && said != of_file
    {
        let message = "the file and --provider say different things";
        return Err(CommandError::usage(message).hint("leave --provider out, or change `provider` in the file"));
    }
    if let Some(known) = said.or(of_file) {
        return Ok(known);
    }
    let contexts = Contexts::load(&session.settings.state_dir)?;
    let chosen = named.map(str::to_owned).or_else(|| session.settings.context.clone()).or(contexts.current.clone());
    let context = chosen.and_then(|name| contexts.contexts.get(&name).cloned());
    Ok(if context.is_some_and(|context| context.provider == "aws") { Provider::Aws } else { Provider::Local })
}

/// Says how to get the commands for AWS, in a build that has none.
#[cfg(not(feature = "aws"))]
pub(super) fn without_aws() -> CommandError {
    CommandError::usage("this build of kvctl knows local clusters only")
        .hint("build it with AWS: make aws, or cargo build --release; it takes some minutes and 8 GB of memory")
}

/// A cluster as meant.
#[derive(Debug)]
pub(super) struct Target {
    /// Its state folder.
    pub(super) folder: Folder,
    /// What was remembered of it.
    pub(super) saved: Option<Saved>,
    /// What it shall look like.
    pub(super) topology: Topology,
}

/// Finds out what a command means.
///
/// # Errors
/// The specification or the options are impossible, or would change what is fixed.
pub(super) fn resolve(session: &Session, named: Option<&str>, layout: &Layout) -> Result<Target, CommandError> {
    let from_file = layout.file.as_deref().map(read_file).transpose()?;
    let cluster = match (&from_file, named) {
        (Some(draft), Some(named)) if draft.cluster != named => {
            let message = format!("the file describes cluster {}, the command names {named}", draft.cluster);
            return Err(CommandError::usage(message).hint("leave the name out"));
        }
        (Some(draft), _) => session.cluster_name(Some(&draft.cluster))?,
        (None, named) => session.cluster_name(named)?,
    };
    let folder = session.folder(&cluster);
    let saved = folder.load()?;
    let remembered = saved.as_ref().map(|saved| saved.draft.clone());
    let base = from_file.or(remembered).unwrap_or_else(|| Draft { cluster: cluster.to_string(), ..Draft::default() });
    let topology = parse(layout.apply(base)?)?;
    if let Some(saved) = saved.as_ref().filter(|saved| saved.formed) {
        refuse_fixed(&cluster, &saved.draft, topology.draft())?;
    }
    Ok(Target { folder, saved, topology })
}

/// A cluster that exists, as it is remembered.
///
/// # Errors
/// There is none.
pub(crate) fn existing(session: &Session, named: Option<&str>) -> Result<(Folder, Saved, Topology), CommandError> {
    let cluster = session.cluster_name(named)?;
    let folder = session.folder(&cluster);
    let saved = folder.load()?.ok_or_else(|| {
        CommandError::usage(format!("there is no cluster {cluster} in {}", session.settings.state_dir.display()))
            .hint(format!("make it: kvctl cluster up {cluster}"))
    })?;
    let topology = parse(saved.draft.clone())?;
    Ok((folder, saved, topology))
}

fn parse(draft: Draft) -> Result<Topology, CommandError> {
    Topology::parse(draft).map_err(|problems| impossible(&problems))
}

/// Everything that is impossible about a draft, with the ways out.
pub(super) fn impossible(problems: &[Impossible]) -> CommandError {
    let lines: Vec<String> = problems.iter().map(|one| format!("{one}; {}", one.fix)).collect();
    CommandError::usage(format!("this cluster cannot be:\n{}", lines.join("\n")))
}

fn read_file(path: &Path) -> Result<Draft, CommandError> {
    match read_specification(path)? {
        Specification::Local(topology) => Ok(topology.draft().clone()),
        Specification::Aws(network) => {
            let message = format!("{} describes cluster {} on AWS", path.display(), network.cluster());
            Err(CommandError::usage(message).hint("this command is for clusters on this machine"))
        }
    }
}

/// The specification in a file.
///
/// # Errors
/// There is none, it is too large, or has problems: all of them, with their lines.
pub(super) fn read_specification(path: &Path) -> Result<Specification, CommandError> {
    let bytes = read_bounded(path, spec::MAX_BYTES as u64)?.ok_or_else(|| {
        CommandError::usage(format!("there is no {}", path.display())).hint("write one: kvctl cluster init")
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CommandError::usage(format!("{} is not a text in UTF-8", path.display())))?;
    spec::parse(&text).map_err(|error| CommandError::usage(format!("{} has {error}", path.display())))
}

impl Layout {
    /// The draft with these options over it.
    ///
    /// # Errors
    /// `--zones` is neither a number nor names.
    pub fn apply(&self, mut draft: Draft) -> Result<Draft, CommandError> {
        let nodes = self.nodes_per_zone;
        if let Some(zones) = &self.zones {
            let nodes = nodes.or_else(|| draft.zones.first().map(|zone| zone.nodes)).unwrap_or(1);
            let names = zone_names(zones)?;
            draft.zones = names.into_iter().map(|name| ZoneDraft { name, nodes }).collect();
        }
        for zone in &mut draft.zones {
            zone.nodes = nodes.unwrap_or(zone.nodes);
        }
        draft.replicas = self.replicas.unwrap_or(draft.replicas);
        draft.partitions = self.partitions.unwrap_or(draft.partitions);
        draft.ports.api = self.api_port.unwrap_or(draft.ports.api);
        draft.ports.peer = self.peer_port.unwrap_or(draft.ports.peer);
        draft.ports.gossip = self.gossip_port.unwrap_or(draft.ports.gossip);
        draft.accept_zone_outage |= self.accept_zone_outage;
        Ok(draft)
    }

    /// The draft of a network with these options over it; zones that are only counted are the region's first ones.
    ///
    /// # Errors
    /// `--zones` is neither a number nor names.
    pub fn apply_to_network(&self, mut draft: network::Draft) -> Result<network::Draft, CommandError> {
        if let Some(zones) = &self.zones {
            let counted = zones.parse::<u8>().is_ok();
            let nodes = draft.zones.first().map_or(1, |zone| zone.nodes);
            let region = draft.region.clone();
            let zone = |name: String| {
                let name = if counted { format!("{region}{name}") } else { name };
                // A zone that stays keeps its addresses.
                let known = draft.zones.iter().find(|known| known.name == name).cloned();
                known.unwrap_or_else(|| network::ZoneDraft { nodes, ..network::ZoneDraft::new(name) })
            };
            draft.zones = zone_names(zones)?.into_iter().map(zone).collect();
        }
        for zone in &mut draft.zones {
            zone.nodes = self.nodes_per_zone.unwrap_or(zone.nodes);
        }
        draft.replicas = self.replicas.unwrap_or(draft.replicas);
        draft.partitions = self.partitions.unwrap_or(draft.partitions);
        draft.ports.api = self.api_port.unwrap_or(draft.ports.api);
        draft.ports.peer = self.peer_port.unwrap_or(draft.ports.peer);
        draft.ports.gossip = self.gossip_port.unwrap_or(draft.ports.gossip);
        draft.accept_zone_outage |= self.accept_zone_outage;
        Ok(draft)
    }
}

/// `3` means a, b, c; anything else is names.
fn zone_names(text: &str) -> Result<Vec<String>, CommandError> {
    match text.parse::<u8>() {
        Ok(count @ 1..=26) => Ok((0..count).map(|index| char::from(b'a' + index).to_string()).collect()),
        Ok(_) => Err(CommandError::usage(format!("--zones {text}: a cluster has 1 to 6"))),
        Err(_) => Ok(text.split(',').map(|name| name.trim().to_owned()).collect()),
    }
}

fn refuse_fixed(cluster: &ClusterName, formed: &Draft, wanted: &Draft) -> Result<(), CommandError> {
    let fixed = [
        ("replicas", u32::from(formed.replicas), u32::from(wanted.replicas)),
        ("partitions", formed.partitions, wanted.partitions),
    ];
    match fixed.into_iter().find(|(_, formed, wanted)| formed != wanted) {
        None => Ok(()),
        Some((what, formed, wanted)) => {
            let message = format!("cluster {cluster} was formed with {formed} {what}; up cannot make it {wanted}");
            Err(CommandError::new(Exit::Refused, message)
                .hint("nothing was changed; a new cluster beside it: kvctl cluster up NAME --api-port 9080 …"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_win_over_the_base() {
        let layout = Layout {
            zones: Some("x, y,z".to_owned()),
            nodes_per_zone: Some(2),
            api_port: Some(9080),
            ..Layout::default()
        };
        let draft = layout.apply(Draft::default()).expect("possible");
        let zones: Vec<_> = draft.zones.iter().map(|zone| (zone.name.as_str(), zone.nodes)).collect();
        assert_eq!(zones, [("x", 2), ("y", 2), ("z", 2)]);
        assert_eq!((draft.ports.api, draft.ports.peer), (9080, 7946));
        assert_eq!(Layout::default().apply(draft.clone()).expect("possible"), draft);
    }

    #[test]
    fn a_number_of_zones_gets_letters() {
        assert_eq!(zone_names("2").expect("good"), ["a", "b"]);
        assert!(zone_names("0").is_err());
        assert_eq!(zone_names("eu-1,eu-2").expect("good"), ["eu-1", "eu-2"]);
    }

    #[test]
    fn what_is_fixed_is_refused() {
        let cluster = "local".parse().expect("a name");
        let formed = Draft::default();
        let error = refuse_fixed(&cluster, &formed, &Draft { replicas: 1, ..formed.clone() }).expect_err("fixed");
        assert_eq!(error.exit(), Exit::Refused);
        insta::assert_snapshot!(error.render(), @r"
        error: cluster local was formed with 3 replicas; up cannot make it 1
               nothing was changed; a new cluster beside it: kvctl cluster up NAME --api-port 9080 …
        ");
    }
}
