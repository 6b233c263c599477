//! `kvctl cluster status`: the verdict first, then a line for each node.
//!
//! Looks at the processes and asks every node; changes nothing. The judgement is in `verdict`.

use std::path::PathBuf;

use futures_util::future::join_all;
use infra::processes::Observed;
use infra::topology::{Node, NodeName};
use kvnode::api::types::{ClusterDocument, NodeDocument, NodeState, PartitionsDocument};
use serde::Serialize;

use super::target::Provider;
use super::verdict::{self, Belief, Counts, Facts, Judgement, NodeFacts, Verdict};
use super::{plan, target};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::observe::{self, Clients, endpoint};
use crate::session::Session;
use crate::ui::Tone;
use crate::ui::table::{age, bytes, table};

/// Tell how a cluster is.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Name of the cluster [default: that of the context, or local]
    pub name: Option<String>,
    /// Specification to compare with (aws)
    #[arg(short, long, value_name = "CLUSTER.YAML")]
    pub file: Option<PathBuf>,
    /// Where: local or aws [default: as the file or the context says, else local]
    #[arg(long, value_enum, value_name = "PROVIDER", hide_possible_values = true)]
    pub provider: Option<Provider>,
}

#[derive(Serialize)]
struct Document {
    cluster: String,
    verdict: Verdict,
    certain: bool,
    reasons: Vec<String>,
    formed: bool,
    epoch: u64,
    replicas: u8,
    partitions: Counts,
    nodes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    zone: String,
    pid: Option<u32>,
    api: String,
    peer: String,
    gossip: String,
    state: &'static str,
    seconds: Option<u64>,
    version: Option<String>,
    data_bytes: Option<u64>,
    hints: Option<u64>,
    epoch: Option<u64>,
}

pub(super) async fn run(session: &Session, status: &Status) -> Result<Exit, CommandError> {
    if target::provider(session, status.name.as_deref(), status.provider, status.file.as_deref())? == Provider::Aws {
        #[cfg(feature = "aws")]
        return super::aws::status(session, status.name.as_deref(), status.file.as_deref()).await;
        #[cfg(not(feature = "aws"))]
        return Err(target::without_aws());
    }
    let (folder, saved, topology) = target::existing(session, status.name.as_deref())?;
    let observation = observe::observe(&folder, &saved, &topology, plan::cores()).await;
    let clients = Clients::new(&folder, &topology)?;
    let asked = join_all(clients.all().map(|(name, client)| async move { (name, client.cluster().await.ok()) })).await;
    let views: Vec<(&NodeName, ClusterDocument)> =
        asked.into_iter().filter_map(|(name, view)| Some((name, view?))).collect();
    let mut partitions = None;
    for (name, view) in &views {
        if let (None, true, Some(client)) = (&partitions, view.epoch > 0, clients.of(name)) {
            partitions = client.partitions().await.ok();
        }
    }
    let seen = Seen { views, partitions };
    let facts = Facts {
        cluster: folder.cluster().to_string(),
        replicas: topology.draft().replicas,
        nodes: topology.nodes().iter().map(|node| seen.facts(node, observation.nodes.get(&node.name))).collect(),
        partitions: seen.partitions.clone(),
    };
    let judgement = verdict::judge(&facts);
    let rows = topology.nodes().iter().zip(&facts.nodes).map(|(node, facts)| seen.row(node, facts)).collect();
    show(session, &facts, &judgement, rows, saved.formed)?;
    Ok(match (judgement.certain, judgement.verdict) {
        (false, _) => Exit::Undetermined,
        (true, Verdict::Healthy) => Exit::Ok,
        (true, _) => Exit::Findings,
    })
}

/// What the nodes said.
struct Seen<'a> {
    views: Vec<(&'a NodeName, ClusterDocument)>,
    partitions: Option<PartitionsDocument>,
}

impl Seen<'_> {
    fn own_view(&self, node: &Node) -> Option<&ClusterDocument> {
        self.views.iter().find(|(name, _)| **name == node.name).map(|(_, view)| view)
    }

    /// What the others say of a node, with who says it.
    fn told_by_others<'b>(&'b self, node: &'b Node) -> impl Iterator<Item = (&'b NodeName, &'b NodeDocument)> {
        let others = self.views.iter().filter(|(name, _)| **name != node.name);
        others.filter_map(|(name, view)| Some((*name, view.nodes.iter().find(|one| one.name == node.name.as_str())?)))
    }

    /// What most others believe; of equally many, the worse.
    fn belief(&self, node: &Node) -> Option<Belief> {
        let said_by = |state: NodeState| self.told_by_others(node).filter(move |(_, said)| said.state == state);
        let worst_last = [NodeState::Alive, NodeState::Draining, NodeState::Suspect, NodeState::Left, NodeState::Dead];
        let state = worst_last.into_iter().max_by_key(|state| said_by(*state).count())?;
        let by: Vec<String> = said_by(state).map(|(name, _)| name.to_string()).collect();
        if by.is_empty() {
            return None;
        }
        let seconds = said_by(state).filter_map(|(_, said)| seconds_since(&said.since)).min().unwrap_or(0);
        Some(Belief { state, seconds, by })
    }

    fn facts(&self, node: &Node, observed: Option<&Observed>) -> NodeFacts {
        let not_seen = Observed::NotSeen { why: "nobody looked".to_owned() };
        NodeFacts {
            name: node.name.to_string(),
            observed: observed.cloned().unwrap_or(not_seen),
            believed: self.belief(node),
            epoch: self.own_view(node).map(|view| view.epoch),
        }
    }

    fn row(&self, node: &Node, facts: &NodeFacts) -> Row {
        let own = self.own_view(node);
        let (pid, running) = match &facts.observed {
            Observed::Running { pid, age, .. } => (Some(*pid), Some(age.as_secs())),
            Observed::Unrecorded { pid } => (Some(*pid), None),
            _ => (None, None),
        };
        let said = self.told_by_others(node).next().map(|(_, said)| said);
        let itself = own.and_then(|view| view.nodes.iter().find(|one| one.name == node.name.as_str()));
        let hints: u64 = self.told_by_others(node).map(|(_, said)| said.hints).sum();
        Row {
            name: node.name.to_string(),
            zone: node.zone.to_string(),
            pid,
            api: endpoint(node),
            peer: node.peer.to_string(),
            gossip: node.gossip.to_string(),
            state: facts.state(),
            seconds: running.or_else(|| facts.believed.as_ref().map(|belief| belief.seconds)),
            version: itself.or(said).map(|said| said.version.clone()),
            data_bytes: own.map(|view| view.this_node.store_bytes),
            hints: (!self.views.is_empty()).then_some(hints),
            epoch: facts.epoch,
        }
    }
}

/// Seconds since a moment in RFC 3339; none if it is not one.
fn seconds_since(text: &str) -> Option<u64> {
    let then = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    let now = kvnode::runtime::clock::wall_micros() / 1_000_000;
    Some(now.saturating_sub(u64::try_from(then.unix_timestamp()).ok()?))
}

fn show(
    session: &Session,
    facts: &Facts,
    judgement: &Judgement,
    rows: Vec<Row>,
    formed: bool,
) -> Result<(), CommandError> {
    let headline = verdict::headline(facts, judgement);
    if session.machine() {
        return session.ui.json(&Document {
            cluster: facts.cluster.clone(),
            verdict: judgement.verdict,
            certain: judgement.certain,
            reasons: judgement.reasons.clone(),
            formed,
            epoch: facts.nodes.iter().filter_map(|node| node.epoch).max().unwrap_or(0),
            replicas: facts.replicas,
            partitions: judgement.counts,
            nodes: rows,
        });
    }
    let tone = match judgement.verdict {
        Verdict::Healthy => Tone::Good,
        Verdict::Degraded | Verdict::Stopped => Tone::Warning,
        Verdict::Unavailable => Tone::Bad,
    };
    session.ui.line(format!("{}  {headline}", session.ui.paint(tone, judgement.verdict.word())))?;
    let rows: Vec<[String; 9]> = rows.into_iter().map(cells).collect();
    session.ui.line(table(["zone", "node", "state", "since", "pid", "api", "data", "hints", "version"], &rows))?;
    if matches!(judgement.verdict, Verdict::Degraded | Verdict::Unavailable) {
        session.ui.note("bring back what is missing: kvctl cluster up        what they say: kvctl logs");
    }
    Ok(())
}

fn cells(row: Row) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        row.zone,
        row.name,
        row.state.to_owned(),
        or_dash(row.seconds.map(age)),
        or_dash(row.pid.map(|pid| pid.to_string())),
        row.api,
        or_dash(row.data_bytes.map(bytes)),
        or_dash(row.hints.map(|hints| hints.to_string())),
        or_dash(row.version),
    ]
}
