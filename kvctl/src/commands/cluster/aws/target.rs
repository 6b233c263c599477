//! Which AWS cluster a command means, what it shall look like, and the way to its account.
//!
//! The file given wins over the one remembered in the cluster's folder, that over the default network. What is
//! remembered is the wish alone (`cluster.yaml`) and the secrets; what exists is asked from AWS each time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use infra::desired::{self, Inputs};
use infra::network::{Draft, Network};
use infra::provider::aws::{Aws, Caller, Clients, Options};
use infra::resource::{Kind, Resource};
use infra::spec::{self, Specification};
use infra::topology::ClusterName;
use kvnode::certificates::write_private;

use super::failure::Stage;
use crate::commands::cluster::target::{Layout, impossible, read_specification};
use crate::context::{AwsPlace, Context, Contexts};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::aws::material::{self, FolderMaterial};
use crate::provider::local::launch;
use crate::provider::local::secrets;
use crate::provider::local::state::Folder;
use crate::session::Session;

/// Folder of AWS clusters below the state folder; no cluster can have this name.
const FOLDER: &str = ".aws";

/// A cluster as meant.
pub(super) struct Target {
    /// Its name, `project-environment`.
    pub(super) name: ClusterName,
    /// What it shall look like.
    pub(super) network: Network,
    /// Where its wish and secrets are kept.
    pub(super) folder: Folder,
    /// The account and region it was made in, if this machine knows.
    pub(super) pinned: Option<AwsPlace>,
}

/// A cluster and the way to it.
pub(super) struct Connected {
    /// The engine's cloud.
    pub(super) cloud: Aws,
    /// Who we are.
    pub(super) caller: Caller,
    /// What is wanted.
    pub(super) wanted: Vec<Resource>,
}

/// The folder of an AWS cluster.
pub(super) fn folder(session: &Session, name: &ClusterName) -> Folder {
    Folder::new(&session.settings.state_dir.join(FOLDER), name)
}

fn remembered_file(folder: &Folder) -> PathBuf {
    folder.root().join("cluster.yaml")
}

/// Finds out what a command means.
///
/// # Errors
/// The file is wrong, names another cluster or another provider, or nobody knows the cluster.
pub(super) fn resolve(session: &Session, named: Option<&str>, layout: &Layout) -> Result<Target, CommandError> {
    let contexts = Contexts::load(&session.settings.state_dir)?;
    let network = match &layout.file {
        Some(path) => read(path)?,
        None => remembered(session, named, &contexts)?,
    };
    let mut draft = layout.apply_to_network(network.draft().clone())?;
    if layout.file.is_some() {
        keep_addresses(session, &network, &mut draft);
    }
    let network = Network::parse(draft).map_err(|problems| impossible(&problems))?;
    let name: ClusterName = network.cluster().parse().expect("invariant: a network's cluster is a cluster name");
    if let Some(named) = named.filter(|named| *named != name.as_str()) {
        let message = format!("the file describes cluster {name}, the command names {named}");
        return Err(CommandError::usage(message).hint("leave the name out"));
    }
    let pinned = contexts.contexts.get(name.as_str()).and_then(|context| context.aws.clone());
    Ok(Target { folder: folder(session, &name), name, network, pinned })
}

/// Blocks that a file leaves open are those that the cluster has, if this machine knows them: a zone added to the file
/// must not move the subnets of the others.
fn keep_addresses(session: &Session, network: &Network, draft: &mut Draft) {
    let Ok(cluster) = network.cluster().parse() else { return };
    let Ok(known) = read(&remembered_file(&folder(session, &cluster))) else { return };
    let known = known.draft();
    if known.vpc_cidr != draft.vpc_cidr {
        return;
    }
    for zone in &mut draft.zones {
        if let Some(before) = known.zones.iter().find(|one| one.name == zone.name) {
            zone.private_cidr = zone.private_cidr.take().or_else(|| before.private_cidr.clone());
            zone.public_cidr = zone.public_cidr.take().or_else(|| before.public_cidr.clone());
        }
    }
}

fn remembered(session: &Session, named: Option<&str>, contexts: &Contexts) -> Result<Network, CommandError> {
    let of_context = || {
        let chosen = session.settings.context.clone().or_else(|| contexts.current.clone())?;
        contexts.contexts.get(&chosen).filter(|context| context.aws.is_some()).map(|context| context.cluster.clone())
    };
    let default = Network::parse(Draft::default()).expect("invariant: the default network can be built");
    let Some(name) = named.map(str::to_owned).or_else(of_context) else { return Ok(default) };
    let cluster: ClusterName =
        name.parse().map_err(|error| CommandError::usage(format!("{name:?} is no cluster")).because(&error))?;
    let path = remembered_file(&folder(session, &cluster));
    if path.exists() {
        return read(&path);
    }
    if name == default.cluster() {
        return Ok(default);
    }
    Err(CommandError::usage(format!("this machine does not know the AWS cluster {name}"))
        .hint("say what it looks like: -f cluster.yaml; see which there are: kvctl cluster list --provider aws"))
}

fn read(path: &Path) -> Result<Network, CommandError> {
    match read_specification(path)? {
        Specification::Aws(network) => Ok(*network),
        Specification::Local(_) => Err(CommandError::usage(format!("{} describes a local cluster", path.display()))
            .hint("write one for AWS: kvctl cluster init --provider aws")),
    }
}

impl Target {
    /// The daemon's program and its digest.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn program(&self, session: &Session, named: Option<&Path>) -> Result<(PathBuf, String), CommandError> {
        let program = launch::find_program(named, &session.settings.search_path)?;
        let digest = material::sha256(&program)?;
        Ok((program, digest))
    }

    /// Goes to AWS and finds out who we are.
    ///
    /// # Errors
    /// No credentials, credentials of another account than the cluster's (exit 15), or AWS cannot be reached.
    pub(super) async fn connect(&self, session: &Session, program: Option<&Path>) -> Result<Connected, CommandError> {
        let (program, digest) = self.program(session, program)?;
        self.connect_with(session, program, digest).await
    }

    /// As [`Target::connect`], for commands that hand nothing over: without a program its object is not looked for.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub(super) async fn connect_without_program(&self, session: &Session) -> Result<Connected, CommandError> {
        match self.program(session, None) {
            Ok((program, digest)) => self.connect_with(session, program, digest).await,
            Err(_) => {
                let mut connected = self.connect_with(session, PathBuf::new(), String::new()).await?;
                connected.wanted.retain(|resource| resource.key.kind != Kind::Object);
                Ok(connected)
            }
        }
    }

    async fn connect_with(
        &self,
        session: &Session,
        program: PathBuf,
        digest: String,
    ) -> Result<Connected, CommandError> {
        let clients = Clients::connect(&options(session, &self.network)).await.map_err(|error| {
            CommandError::failed(error.to_string()).because_of_source(&error).hint("nothing was changed")
        })?;
        let caller = clients
            .caller()
            .await
            .map_err(|failure| super::failure::of_call(&failure, &self.network, Stage::Untouched))?;
        self.refuse_other_account(&caller)?;
        let inputs = Inputs { account: caller.account.clone(), artifact_sha256: digest.clone() };
        let material = FolderMaterial::new(self.folder.clone(), program, digest);
        let cloud = Aws::new(clients, Arc::new(material));
        Ok(Connected { cloud, caller, wanted: desired::resources(&self.network, &inputs) })
    }

    fn refuse_other_account(&self, caller: &Caller) -> Result<(), CommandError> {
        let asked = self.network.draft().account.as_deref().map(|account| (account, "cluster.yaml"));
        let made = self.pinned.as_ref().map(|place| (place.account.as_str(), "its context"));
        for (account, who) in asked.into_iter().chain(made) {
            if account != caller.account {
                let message = format!(
                    "these credentials are of account {}, cluster {} is in account {account} ({who})",
                    caller.account, self.name
                );
                return Err(CommandError::new(Exit::Credentials, message)
                    .hint("nothing was changed; choose others: AWS_PROFILE, or `profile` in cluster.yaml"));
            }
        }
        Ok(())
    }

    /// Writes the wish and the context down, so that later commands need no file. `endpoint` is the load balancer's.
    ///
    /// # Errors
    /// The state folder cannot be written.
    pub(super) fn remember(
        &self,
        session: &Session,
        caller: &Caller,
        endpoint: Option<String>,
    ) -> Result<(), CommandError> {
        Folder::ensure_dir(self.folder.root())?;
        // Every derived address is written down, so that zones added later move nothing.
        let settled = Network::parse(self.network.settled_draft()).unwrap_or_else(|_| self.network.clone());
        let text = spec::render(&Specification::Aws(Box::new(settled)));
        let path = remembered_file(&self.folder);
        write_private(&path, text.as_bytes())
            .map_err(|error| CommandError::failed(error.to_string()).because_of_source(&error))?;
        let before = Contexts::load(&session.settings.state_dir)?;
        let mut after = before.clone();
        let context = Context {
            provider: "aws".to_owned(),
            cluster: self.name.to_string(),
            endpoints: endpoint.into_iter().collect(),
            ca_file: secrets::ca_file(&self.folder),
            token_file: self.folder.admin_token_file(),
            aws: Some(AwsPlace { account: caller.account.clone(), region: self.network.region().to_owned() }),
        };
        after.contexts.insert(self.name.to_string(), context);
        after.current = Some(self.name.to_string());
        if after == before { Ok(()) } else { after.save(&session.settings.state_dir) }
    }

    /// What stays the same until the cluster is removed with its data: its authority's certificate.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn lineage(&self) -> Result<String, CommandError> {
        material::sha256(&secrets::ca_file(&self.folder))
    }

    /// Forgets the context and removes the folder with its secrets.
    ///
    /// # Errors
    /// Something could not be removed; calling again goes on.
    pub(super) fn forget(&self, session: &Session) -> Result<(), CommandError> {
        let mut contexts = Contexts::load(&session.settings.state_dir)?;
        contexts.remove(self.name.as_str());
        contexts.save(&session.settings.state_dir)?;
        if self.folder.root().exists() {
            let lock = self.folder.lock()?;
            self.folder.remove(&lock)?;
        }
        Ok(())
    }
}

/// How to reach AWS for a network.
fn options(session: &Session, network: &Network) -> Options {
    let settings = &session.settings.aws;
    let mut options = Options::new(network.region());
    options.profile.clone_from(&network.draft().profile);
    options.ca_bundle.clone_from(&settings.ca_bundle);
    options.loopback_only = settings.loopback_only;
    options.rate = settings.rate.unwrap_or(options.rate);
    options.call_timeout = settings.call_timeout.unwrap_or(options.call_timeout);
    options
}
