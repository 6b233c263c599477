//! How a cluster is, judged from what was seen: the verdict, its reasons, and what one more failure would do.
//!
//! Pure: facts in, judgement out. A node counts as usable only if it answers and says that it is ready; what others
//! believe of it explains its state but does not make it usable. What could not be seen is said to be so.

use infra::processes::{Health, Observed};
use kvnode::api::types::{NodeState, PartitionsDocument};
use serde::Serialize;

use crate::provider::local::bootstrap::state_name;
use crate::ui::table::age;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Everything is as wanted.
    Healthy,
    /// Everything works, but something is missing.
    Degraded,
    /// Some or all keys cannot be read or written with a quorum.
    Unavailable,
    /// Stopped on purpose.
    Stopped,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Stopped => "STOPPED",
        }
    }
}

/// One node, as it was seen.
#[derive(Debug, Clone)]
pub(super) struct NodeFacts {
    pub(super) name: String,
    /// Its process and what it says of itself.
    pub(super) observed: Observed,
    /// What the others believe: state, since how many seconds, and who says so.
    pub(super) believed: Option<Belief>,
    /// Epoch it says it has; none if it does not answer.
    pub(super) epoch: Option<u64>,
}

/// What most others believe of a node.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    pub(super) state: NodeState,
    pub(super) seconds: u64,
    pub(super) by: Vec<String>,
}

/// Everything the judgement rests on.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) cluster: String,
    pub(super) replicas: u8,
    pub(super) nodes: Vec<NodeFacts>,
    /// Who holds what; none if no node could tell.
    pub(super) partitions: Option<PartitionsDocument>,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// False if too little could be seen to be sure.
    pub(super) certain: bool,
    pub(super) reasons: Vec<String>,
    pub(super) counts: Counts,
}

/// Partitions by what they can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Counts {
    /// All of them.
    pub(super) total: usize,
    /// With less than a quorum.
    pub(super) without_quorum: usize,
    /// That the worst single failure would bring below a quorum.
    pub(super) at_risk: usize,
}

impl NodeFacts {
    fn usable(&self) -> bool {
        match &self.observed {
            Observed::Running { health, .. } => *health == Health::Ready,
            Observed::Unrecorded { .. } => self.epoch.is_some_and(|epoch| epoch > 0),
            _ => false,
        }
    }

    /// Its state in one word.
    pub(super) fn state(&self) -> &'static str {
        match &self.observed {
            Observed::Absent | Observed::Stopped => "stopped",
            Observed::Died { .. } | Observed::ForeignPid { .. } => "dead",
            Observed::NotSeen { .. } => "unknown",
            Observed::Unrecorded { .. } => self.believed_state().unwrap_or("unknown"),
            Observed::Running { health: Health::Ready, .. } => self.believed_state().unwrap_or("alive"),
            Observed::Running { health: Health::NotReady { .. }, .. } => match self.believed_state() {
                Some("draining") => "draining",
                _ => "starting",
            },
            Observed::Running { health: Health::Failing { .. }, .. } => "failing",
            Observed::Running { health: Health::Silent, .. } => "silent",
        }
    }

    fn believed_state(&self) -> Option<&'static str> {
        self.believed.as_ref().map(|belief| state_name(belief.state))
    }

    /// What is wrong with it, in words; none if nothing is.
    fn trouble(&self) -> Option<String> {
        let name = &self.name;
        let text = match &self.observed {
            Observed::Absent | Observed::Stopped => format!("{name} is stopped"),
            Observed::Died { pid } => {
                format!("{name} is dead ({})", self.others().unwrap_or(format!("its process {pid} is gone")))
            }
            Observed::ForeignPid { pid, program } => format!("{name} is dead (its pid {pid} is {program} now)"),
            Observed::NotSeen { why } => format!("{name} could not be looked at: {why}"),
            Observed::Unrecorded { pid } => format!("{name} runs as pid {pid}, which no record says"),
            Observed::Running { pid, health: Health::Silent, .. } => format!("{name} (pid {pid}) does not answer"),
            Observed::Running { health: Health::NotReady { why } | Health::Failing { why }, .. } => {
                format!("{name} is not ready: {why}")
            }
            Observed::Running { health: Health::Ready, .. } => {
                let belief = self.believed.as_ref().filter(|belief| belief.state != NodeState::Alive)?;
                format!("{name} answers, but is {} to {}", state_name(belief.state), belief.by.join(" and "))
            }
        };
        Some(text)
    }

    /// `b1 and c1 agree, 3s ago`; none if the others have not noticed.
    fn others(&self) -> Option<String> {
        let belief = self.believed.as_ref().filter(|belief| belief.state == NodeState::Dead)?;
        let agree = if belief.by.len() == 1 { "says so" } else { "agree" };
        Some(format!("{} {agree}, {} ago", belief.by.join(" and "), age(belief.seconds)))
    }
}

/// Judges.
pub(super) fn judge(facts: &Facts) -> Judgement {
    let counts = facts.partitions.as_ref().map(|partitions| count(facts, partitions)).unwrap_or_default();
    let judged = |verdict, certain, reasons| Judgement { verdict, certain, reasons, counts };
    let stopped = |node: &NodeFacts| matches!(node.observed, Observed::Stopped | Observed::Absent);
    if facts.nodes.iter().all(stopped) {
        return judged(Verdict::Stopped, true, vec!["every node is stopped".to_owned()]);
    }
    let mut reasons: Vec<String> = facts.nodes.iter().filter_map(NodeFacts::trouble).collect();
    if !facts.nodes.iter().any(NodeFacts::usable) {
        // A process that runs and is silent may serve others; one that is gone does not.
        let gone = |node: &NodeFacts| {
            !matches!(
                node.observed,
                Observed::Running { health: Health::Silent, .. }
                    | Observed::NotSeen { .. }
                    | Observed::Unrecorded { .. }
            )
        };
        return judged(Verdict::Unavailable, facts.nodes.iter().all(gone), reasons);
    }
    if counts.total == 0 {
        reasons.push("no ring was formed yet".to_owned());
        return judged(Verdict::Unavailable, facts.partitions.is_some(), reasons);
    }
    let mut epochs: Vec<u64> = facts.nodes.iter().filter(|node| node.usable()).filter_map(|node| node.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    if epochs.len() > 1 {
        reasons.push(format!("the nodes are at different epochs: {epochs:?}"));
    }
    if counts.without_quorum > 0 {
        reasons.push(format!("{} of {} partitions have no quorum", counts.without_quorum, counts.total));
        return judged(Verdict::Unavailable, true, reasons);
    }
    if reasons.is_empty() {
        return judged(Verdict::Healthy, true, reasons);
    }
    reasons.push("reads and writes go on".to_owned());
    if counts.at_risk > 0 {
        reasons.push(format!("one more failure would stop {} of {} partitions", counts.at_risk, counts.total));
    }
    judged(Verdict::Degraded, true, reasons)
}

fn count(facts: &Facts, document: &PartitionsDocument) -> Counts {
    let usable: Vec<&str> = facts.nodes.iter().filter(|node| node.usable()).map(|node| node.name.as_str()).collect();
    let alive = |replicas: &[String]| replicas.iter().filter(|name| usable.contains(&name.as_str())).count();
    let without_quorum =
        document.partitions.iter().filter(|partition| alive(&partition.replicas) < document.quorum).count();
    let edge = document.partitions.iter().filter(|partition| alive(&partition.replicas) == document.quorum);
    let edge: Vec<_> = edge.collect();
    let stopped_by = |node: &&str| edge.iter().filter(|one| one.replicas.iter().any(|name| name == node)).count();
    let at_risk = usable.iter().map(stopped_by).max().unwrap_or(0);
    Counts { total: document.partitions.len(), without_quorum, at_risk }
}

/// The first line: verdict and what it rests on.
pub(super) fn headline(facts: &Facts, judgement: &Judgement) -> String {
    let cluster = &facts.cluster;
    let sure = if judgement.certain { "" } else { " (not certain: too few nodes could be asked)" };
    match judgement.verdict {
        Verdict::Healthy => {
            let nodes = facts.nodes.len();
            let epoch = facts.nodes.iter().filter_map(|node| node.epoch).max().unwrap_or(0);
            let replicas = facts.replicas;
            format!(
                "{cluster}: {nodes} of {nodes} nodes, epoch {epoch}, every partition has {replicas} of {replicas} replicas"
            )
        }
        Verdict::Stopped => format!("{cluster}: every node is stopped, the data is kept; start: kvctl cluster up"),
        Verdict::Degraded | Verdict::Unavailable => format!("{cluster}: {}{sure}", judgement.reasons.join("; ")),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
