//! What would have to be done: the difference between a topology and an observation, for processes of one machine.
//!
//! [`Plan::between`] is pure and complete: every decision is in the plan, with its reason, and carrying it out takes
//! none. What could not be seen is never taken for absent: it blocks the plan.
//! Removing a node is not decided here; that is an operator's act on the ring.

mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::topology::{NodeName, Topology, ZoneName};

/// How long a running node may stay silent on its API before it is restarted: a start with a large store to recover
/// takes seconds, a minute of silence is a hang.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// What was seen of the cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Each node that left a trace. A node of the topology that is missing here counts as not seen.
    pub nodes: BTreeMap<NodeName, Observed>,
    /// Whether the ring was formed before.
    pub formed: bool,
}

/// What was seen of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// No folder, no process: never started.
    Absent,
    /// Its data is there and it was stopped on purpose.
    Stopped,
    /// It was started and its process is gone: killed, crashed, or the machine was restarted.
    Died {
        /// The process it was.
        pid: u32,
    },
    /// Its pid file names a process that is another program now. That program is never touched.
    ForeignPid {
        /// The process.
        pid: u32,
        /// What it is.
        program: String,
    },
    /// Its process runs.
    Running {
        /// The process.
        pid: u32,
        /// For how long.
        age: Duration,
        /// What it says of itself.
        health: Health,
        /// Settings it was started with that are no longer wanted, in words, for example `api port 8080, wanted 9080`.
        drift: Vec<String>,
    },
    /// A daemon works in its data folder, but no pid file says so.
    Unrecorded {
        /// The process.
        pid: u32,
    },
    /// It could not be looked at.
    NotSeen {
        /// Why.
        why: String,
    },
}

/// What a running node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Ready for requests.
    Ready,
    /// Lives, but is not ready (yet).
    NotReady {
        /// What it waits for.
        why: String,
    },
    /// Says itself that it cannot go on.
    Failing {
        /// What it says.
        why: String,
    },
    /// Does not answer at all.
    Silent,
}

/// What is to be done about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing; it is as wanted.
    Keep,
    /// Nothing but wait until it is ready.
    Await,
    /// Start its process.
    Start,
    /// Stop its process (this very one) and start it again.
    Restart {
        /// The process to stop.
        pid: u32,
    },
    /// Write down that this process is the node.
    Adopt {
        /// The process.
        pid: u32,
    },
}

/// How much a step can hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Nobody notices.
    Safe,
    /// Requests in flight through this node fail and are retried.
    Disruptive,
}

/// One decision, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: NodeName,
    /// Its zone.
    pub zone: ZoneName,
    /// What to do.
    pub action: Action,
    /// Why, for people.
    pub because: String,
    /// How much it can hurt.
    pub risk: Risk,
}

/// Why nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocker {
    /// A node could not be looked at; it might be running.
    #[error("{node} could not be looked at: {why}")]
    NotSeen {
        /// The node.
        node: NodeName,
        /// Why.
        why: String,
    },
    /// A node exists that the topology does not name.
    #[error("{node} exists but is not wanted; a node leaves a cluster only by an explicit act on the ring")]
    Unwanted {
        /// The node.
        node: NodeName,
    },
    /// A node is new, but the ring was formed without it.
    #[error(
        "{node} is new, but the ring is already formed; a node joins a cluster only by an explicit act on the ring"
    )]
    NewInFormedRing {
        /// The node.
        node: NodeName,
    },
}

/// Everything that would be done, and everything that forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One step for each node of the topology that was seen, in its order.
    pub steps: Vec<Step>,
    /// Whether the ring is to be formed, once all nodes are there.
    pub forms_ring: bool,
    /// Not empty: nothing may be done.
    pub blockers: Vec<Blocker>,
}

impl Plan {
    /// Compares what is wanted with what was seen.
    #[must_use]
    pub fn between(desired: &Topology, observation: &Observation) -> Self {
        let mut steps = Vec::new();
        let mut blockers = Vec::new();
        for node in desired.nodes() {
            let decided = match observation.nodes.get(&node.name) {
                None => Err(Blocker::NotSeen { node: node.name.clone(), why: "nobody looked".to_owned() }),
                Some(Observed::NotSeen { why }) => Err(Blocker::NotSeen { node: node.name.clone(), why: why.clone() }),
                Some(Observed::Absent) if observation.formed => {
                    Err(Blocker::NewInFormedRing { node: node.name.clone() })
                }
                Some(observed) => Ok(decide(observed)),
            };
            match decided {
                Err(blocker) => blockers.push(blocker),
                Ok((action, because)) => {
                    let risk = if matches!(action, Action::Restart { .. }) { Risk::Disruptive } else { Risk::Safe };
                    steps.push(Step { node: node.name.clone(), zone: node.zone.clone(), action, because, risk });
                }
            }
        }
        let unwanted = observation
            .nodes
            .iter()
            .filter(|(name, observed)| desired.node(name).is_none() && !matches!(observed, Observed::Absent));
        blockers.extend(unwanted.map(|(node, _)| Blocker::Unwanted { node: node.clone() }));
        Self { steps, forms_ring: !observation.formed, blockers }
    }

    /// Whether carrying it out would change nothing and wait for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Destructured, so that a new field does not compile until somebody decides whether it matters here.
        let Self { steps, forms_ring, blockers } = self;
        !forms_ring && blockers.is_empty() && steps.iter().all(|step| step.action == Action::Keep)
    }

    /// The steps that start, stop or record something.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !matches!(step.action, Action::Keep | Action::Await))
    }
}

/// The decision about a node that was seen.
fn decide(observed: &Observed) -> (Action, String) {
    match observed {
        Observed::Absent => (Action::Start, "it was never started".to_owned()),
        Observed::Stopped => (Action::Start, "it is stopped".to_owned()),
        Observed::Died { pid } => (Action::Start, format!("its process {pid} is gone")),
        Observed::ForeignPid { pid, program } => {
            (Action::Start, format!("it is not running; pid {pid} is {program} now and is left alone"))
        }
        Observed::Unrecorded { pid } => (Action::Adopt { pid: *pid }, format!("pid {pid} runs it without a pid file")),
        Observed::Running { pid, age, health, drift } => decide_running(*pid, *age, health, drift),
        Observed::NotSeen { why } => (Action::Await, why.clone()),
    }
}

fn decide_running(pid: u32, age: Duration, health: &Health, drift: &[String]) -> (Action, String) {
    if !drift.is_empty() {
        return (Action::Restart { pid }, drift.join("; "));
    }
    match health {
        Health::Ready => (Action::Keep, format!("running as pid {pid}")),
        Health::NotReady { why } => (Action::Await, format!("pid {pid} is not ready: {why}")),
        Health::Failing { why } => (Action::Restart { pid }, format!("pid {pid} cannot go on: {why}")),
        Health::Silent if age < SILENCE_LIMIT => {
            (Action::Await, format!("pid {pid} was started and does not answer yet"))
        }
        Health::Silent => {
            (Action::Restart { pid }, format!("pid {pid} has not answered; it runs since {} s", age.as_secs()))
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keep => "keep",
            Self::Await => "await",
            Self::Start => "start",
            Self::Restart { .. } => "restart",
            Self::Adopt { .. } => "adopt",
        })
    }
}
