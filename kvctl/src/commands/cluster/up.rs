//! `kvctl cluster up`: brings a cluster up, or repairs it; calling it again does nothing or goes on.
//!
//! Looks, plans, checks everything that can be checked without changing anything, then carries out the very plan it
//! made. The plan is `infra`'s, the work the provider's; this file is their order and what is shown of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use infra::processes::{Action, Plan as Decided, Step};
use infra::topology::Node;
use kvnode::runtime::clock;
use serde::Serialize;

use super::plan;
use super::target::{self, Layout, Provider, Target};
use crate::context::{Context, Contexts};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::bootstrap::Wait;
use crate::provider::local::launch::{self, Started};
use crate::provider::local::observe::{Clients, endpoint};
use crate::provider::local::process::Record;
use crate::provider::local::state::{Lock, Saved};
use crate::provider::local::{ports, secrets};
use crate::session::Session;
use crate::ui::progress::{Progress, Task};
use crate::units;

/// How long a node that is to be restarted may take to end.
const RESTART_GRACE: Duration = Duration::from_secs(20);
/// Longest time unless said otherwise: a start takes seconds, a large store to recover some more.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bring a cluster up, or repair it.
#[derive(Debug, clap::Args)]
pub struct Up {
    /// Name of the cluster [default: that of the context, or local]
    pub name: Option<String>,
    /// The daemon's program [default: beside kvctl, then in PATH]
    #[arg(long, value_name = "PATH")]
    pub kvnode: Option<PathBuf>,
    /// Show the plan and do nothing (exit 10: changes pending)
    #[arg(long)]
    pub dry_run: bool,
    /// Carry out this plan, written by `plan --out`, if nothing has changed since (aws)
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub plan: Option<PathBuf>,
    /// Longest time for all of it [default: 60s; in aws 45m]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub timeout: Option<Duration>,
    /// What it shall look like.
    #[command(flatten)]
    pub layout: Layout,
}

/// What is told to programs.
#[derive(Serialize)]
struct Document {
    cluster: String,
    changed: bool,
    seconds: f64,
    endpoints: Vec<String>,
    ca_file: PathBuf,
    token_file: PathBuf,
    nodes: Vec<NodeDocument>,
}

#[derive(Serialize)]
struct NodeDocument {
    name: String,
    zone: String,
    pid: Option<u32>,
    api: String,
    peer: String,
    gossip: String,
}

pub(super) async fn run(session: &Session, up: &Up) -> Result<Exit, CommandError> {
    let began = clock::monotonic_now();
    let layout = &up.layout;
    if target::provider(session, up.name.as_deref(), layout.provider, layout.file.as_deref())? == Provider::Aws {
        #[cfg(feature = "aws")]
        return super::aws::up(session, up).await;
        #[cfg(not(feature = "aws"))]
        return Err(target::without_aws());
    }
    if up.plan.is_some() {
        return Err(
            CommandError::usage("--plan is for clusters in AWS").hint("up plans a local cluster anew each time")
        );
    }
    let mut target = target::resolve(session, up.name.as_deref(), &up.layout)?;
    if up.dry_run {
        let decided = plan::decide(&target).await;
        return plan::show(session, &target, &decided);
    }
    let lock = target.folder.prepare()?;
    // Another kvctl may have changed what was remembered until the lock was ours.
    target.saved = target.folder.load()?;
    let decided = plan::decide(&target).await;
    refuse_blocked(&decided)?;
    if decided.is_empty() {
        remember_context(session, &target)?;
        return report(session, &target, false, began);
    }
    let program = plan::program(session, &target, up.kvnode.as_deref())?;
    refuse_taken_ports(&plan::troubles(&target, &decided))?;
    let run =
        Run { session, target: &target, progress: session.ui.progress(), began, limit: up.timeout.unwrap_or(TIMEOUT) };
    run.carry_out(&decided, &program, up.kvnode.as_ref(), &lock).await?;
    remember_context(session, &target)?;
    report(session, &target, true, began)
}

fn refuse_blocked(decided: &Decided) -> Result<(), CommandError> {
    if decided.blockers.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = decided.blockers.iter().map(ToString::to_string).collect();
    Err(CommandError::new(Exit::Refused, reasons.join("\n")).hint("nothing was changed"))
}

fn refuse_taken_ports(troubles: &[ports::Trouble]) -> Result<(), CommandError> {
    let Some(first) = troubles.first() else { return Ok(()) };
    let lines: Vec<String> = troubles.iter().map(ToString::to_string).collect();
    let other = first.wanted.address.port().checked_add(1000).unwrap_or(9080);
    let hint = format!("nothing was changed; other ports: kvctl cluster up --{} {other}", first.wanted.option);
    Err(CommandError::failed(lines.join("\n")).hint(hint))
}

/// One carrying-out.
struct Run<'a> {
    session: &'a Session,
    target: &'a Target,
    progress: Progress,
    began: Instant,
    limit: Duration,
}

impl Run<'_> {
    async fn carry_out(
        &self,
        decided: &Decided,
        program: &std::path::Path,
        named_program: Option<&PathBuf>,
        _lock: &Lock,
    ) -> Result<(), CommandError> {
        let Target { folder, topology, saved } = self.target;
        let remembered = saved.as_ref();
        let mut saved = Saved::new(
            topology.draft().clone(),
            named_program.map(|_| program.to_owned()).or_else(|| remembered.and_then(|saved| saved.program.clone())),
        );
        saved.formed = remembered.is_some_and(|saved| saved.formed);
        // First, so that a folder with anything in it always has a cluster.json.
        folder.save(&saved)?;
        secrets::ensure(folder, topology, saved.formed)?;
        if remembered.is_none() {
            self.progress.task("certificates, keys, tokens").done(&folder.root().display().to_string());
        }
        let clients = Clients::new(folder, topology)?;
        let work: Vec<_> = decided.steps.iter().map(|step| (&step.action, self.node_of(step))).collect();
        // All before the first start: what is wrong with the last node's folder leaves no half of a cluster running.
        for (_, node) in work.iter().filter(|(action, _)| starts(action)) {
            launch::prepare(node, folder)?;
        }
        let work = work.into_iter().map(|(action, node)| self.step(action, node, program, &clients));
        let mut started: Vec<Started> = try_join_all(work).await?.into_iter().flatten().collect();
        self.serve(&mut saved, &clients, &mut started).await
    }

    fn node_of(&self, step: &Step) -> &Node {
        let node = self.target.topology.node(&step.node);
        node.expect("invariant: a plan has steps for nodes of its topology only")
    }

    fn wait<'b>(&self, started: &'b mut [Started], task: &'b Task) -> Wait<'b> {
        Wait { started, deadline: self.began + self.limit, limit: self.limit, task }
    }

    /// Brings one node to where it answers.
    async fn step(
        &self,
        action: &Action,
        node: &Node,
        program: &std::path::Path,
        clients: &Clients,
    ) -> Result<Option<Started>, CommandError> {
        let task = self.progress.task(format!("zone {}  {}  {}", node.zone, node.name, endpoint(node)));
        let folder = &self.target.folder;
        let begun = clock::monotonic_now();
        match action {
            Action::Keep => return Ok(None),
            Action::Await => {}
            Action::Adopt { pid } => {
                if let Some(record) = Record::of_running(*pid) {
                    record.save(&folder.process_file(&node.name))?;
                }
            }
            Action::Restart { .. } => {
                if let Some(record) = Record::load(&folder.process_file(&node.name))? {
                    launch::stop(node.name.as_str(), &record, RESTART_GRACE, |what| task.waiting(what)).await?;
                }
                refuse_taken_ports(&ports::troubles(ports::of_node(node)))?;
            }
            Action::Start => {}
        }
        let mut started = Vec::new();
        if starts(action) {
            let arguments = launch::arguments(&self.target.topology, node, folder, plan::cores());
            started.push(Started::start(program, node, folder, arguments)?);
        }
        let client = clients.of(&node.name).expect("invariant: every node of the topology has a client");
        let answered = self.wait(&mut started, &task).answers(&node.name, client).await;
        match &answered {
            Ok(()) => task.done(&format!("up in {:.1} s", seconds_since(begun))),
            Err(_) => task.failed("does not answer"),
        }
        answered?;
        Ok(started.pop())
    }

    /// From answering nodes to a cluster that serves.
    async fn serve(&self, saved: &mut Saved, clients: &Clients, started: &mut [Started]) -> Result<(), CommandError> {
        let Target { folder, topology, .. } = self.target;
        let task = self.progress.task("members");
        self.wait(started, &task).all_see_all(clients).await.inspect_err(|_| task.failed(""))?;
        task.done("each node sees all others");
        if !saved.formed {
            let task = self.progress.task("ring");
            let formed = self.wait(started, &task).form_ring(topology, clients).await;
            let formed = formed.inspect_err(|_| task.failed("was not formed"))?;
            saved.formed = true;
            folder.save(saved)?;
            task.done(&ring_line(formed.epoch, topology));
        }
        let task = self.progress.task("ready");
        self.wait(started, &task).all_ready(clients).await.inspect_err(|_| task.failed(""))?;
        task.done("every node");
        let task = self.progress.task("probe");
        self.wait(started, &task).probe(clients).await.inspect_err(|_| task.failed(""))?;
        task.done("a quorum write and read through each node");
        self.session.ui.note("");
        Ok(())
    }
}

fn starts(action: &Action) -> bool {
    matches!(action, Action::Start | Action::Restart { .. })
}

fn ring_line(epoch: u64, topology: &infra::topology::Topology) -> String {
    let draft = topology.draft();
    let spread = if topology.zone_count() >= usize::from(draft.replicas) { ", each in another zone" } else { "" };
    format!("epoch {epoch}, {} partitions × {} replicas{spread}", draft.partitions, draft.replicas)
}

fn seconds_since(begun: Instant) -> f64 {
    clock::monotonic_now().duration_since(begun).as_secs_f64()
}

fn context_of(target: &Target) -> Context {
    Context {
        provider: "local".to_owned(),
        cluster: target.folder.cluster().to_string(),
        endpoints: target.topology.nodes().iter().map(endpoint).collect(),
        ca_file: secrets::ca_file(&target.folder),
        token_file: target.folder.admin_token_file(),
        aws: None,
    }
}

/// Makes the cluster's context and chooses it.
fn remember_context(session: &Session, target: &Target) -> Result<(), CommandError> {
    let before = Contexts::load(&session.settings.state_dir)?;
    let mut after = before.clone();
    let name = target.folder.cluster().to_string();
    after.contexts.insert(name.clone(), context_of(target));
    after.current = Some(name);
    if after == before { Ok(()) } else { after.save(&session.settings.state_dir) }
}

fn pid_of(target: &Target, node: &Node) -> Option<u32> {
    Record::load(&target.folder.process_file(&node.name)).ok().flatten().map(|record| record.pid)
}

fn report(session: &Session, target: &Target, changed: bool, began: Instant) -> Result<Exit, CommandError> {
    let context = context_of(target);
    if session.machine() {
        let nodes = target.topology.nodes().iter().map(|node| NodeDocument {
            name: node.name.to_string(),
            zone: node.zone.to_string(),
            pid: pid_of(target, node),
            api: node.api.to_string(),
            peer: node.peer.to_string(),
            gossip: node.gossip.to_string(),
        });
        session.ui.json(&Document {
            cluster: context.cluster,
            changed,
            seconds: seconds_since(began),
            endpoints: context.endpoints,
            ca_file: context.ca_file,
            token_file: context.token_file,
            nodes: nodes.collect(),
        })?;
    } else {
        let first = target.topology.nodes().first().map(|node| (node.name.to_string(), pid_of(target, node)));
        session.ui.line(advice(session, target, &context, first, changed))?;
    }
    Ok(Exit::Ok)
}

fn advice(
    session: &Session,
    target: &Target,
    context: &Context,
    first: Option<(String, Option<u32>)>,
    changed: bool,
) -> String {
    let topology = &target.topology;
    let tolerance =
        if topology.survives_zone_loss() { "any one zone may fail" } else { "the loss of one zone stops it" };
    let (nodes, zones) = (topology.nodes().len(), topology.zone_count());
    let state = if changed { "is up" } else { "was up already, nothing to do" };
    let cluster = &context.cluster;
    let mut text = format!("Cluster {cluster} {state}: {nodes} nodes in {zones} zones; {tolerance}.\n\n");
    let kvctl = command_prefix(session);
    let endpoint = context.endpoints.first().cloned().unwrap_or_default();
    text.push_str(&format!(
        "  use it    curl --cacert {} -H \"Authorization: Bearer $(cat {})\" -X PUT -d world {endpoint}/v1/kv/hello\n            {kvctl} kv get hello\n",
        quoted(&context.ca_file),
        quoted(&context.token_file),
    ));
    text.push_str(&format!("  see it    {kvctl} cluster status        {kvctl} ring show\n"));
    if let Some((name, Some(pid))) = first {
        text.push_str(&format!("  break it  kill -9 {pid}              {kvctl} cluster up    (brings {name} back)\n"));
    }
    text.push_str(&format!("  stop it   {kvctl} cluster down          (data stays; --delete-data removes it)"));
    text
}

/// How this kvctl was called, as far as the next call needs it too.
fn command_prefix(session: &Session) -> String {
    match &session.settings.state_dir_option {
        Some(folder) => format!("kvctl --state-dir {}", quoted(folder)),
        None => "kvctl".to_owned(),
    }
}

/// A path as a shell reads it back.
fn quoted(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    let plain = |one: char| one.is_ascii_alphanumeric() || "/._-+=:@%".contains(one);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_shell() {
        for (path, shown) in [("/a/b.pem", "/a/b.pem"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("", "''")] {
            assert_eq!(quoted(std::path::Path::new(path)), shown);
        }
    }
}
