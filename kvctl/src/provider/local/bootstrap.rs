//! From started daemons to a serving cluster: each answers, each sees all others, the ring is formed once, each is
//! ready, and a quorum write and read goes through each.
//!
//! Every wait has a deadline and says what it waits for; a daemon that ends meanwhile ends the wait with its last
//! words. Every step may be repeated: forming a ring that stands changes nothing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use infra::topology::{NodeName, Topology};
use kvnode::api::types::{BootstrapRequest, BootstrapResponse, NodeState};
use kvnode::client::{self, Client, Consistency, Options, PutOptions};
use kvnode::runtime::clock;

use super::launch::{self, Started};
use super::observe::Clients;
use crate::ui::progress::Task;

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(25);
/// Keys of the probe; deleted after use.
const PROBE_PREFIX: &str = "kvctl.probe/";

/// Why the cluster does not serve. What was started goes on; calling again continues.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A daemon ended.
    #[error(transparent)]
    Launch(#[from] launch::Error),
    /// The time was up.
    #[error("the time was up ({} s); still waiting: {awaited}", limit.as_secs())]
    TimedOut {
        /// What was waited for.
        awaited: String,
        /// How long.
        limit: Duration,
    },
    /// The ring was not formed.
    #[error("the ring was not formed")]
    NotFormed {
        /// Why.
        source: Box<client::Error>,
    },
    /// What was read is not what was written.
    #[error("{node} read something else than was written through it: {read}")]
    WrongRead {
        /// The node.
        node: NodeName,
        /// What it read.
        read: String,
    },
}

/// A wait with an end.
pub struct Wait<'a> {
    /// Daemons started by this run, which must not end.
    pub started: &'a mut [Started],
    /// When to give up.
    pub deadline: Instant,
    /// How long the whole was given, for messages.
    pub limit: Duration,
    /// Where it is shown.
    pub task: &'a Task,
}

impl Wait<'_> {
    /// Repeats a look until it says `Ok`; what it says otherwise is what is waited for.
    async fn until<T>(&mut self, mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, Error> {
        loop {
            let awaited = match look().await {
                Ok(done) => return Ok(done),
                Err(awaited) => awaited,
            };
            for started in self.started.iter_mut() {
                started.check()?;
            }
            if clock::monotonic_now() >= self.deadline {
                return Err(Error::TimedOut { awaited, limit: self.limit });
            }
            self.task.waiting(&awaited);
            clock::sleep(POLL).await;
        }
    }

    /// Waits until a node answers at all.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn answers(&mut self, node: &NodeName, client: &Client) -> Result<(), Error> {
        self.until(async || match client.livez().await {
            Ok(probe) if probe.ok => Ok(()),
            Ok(probe) => Err(format!("{node} says: {}", probe.text.trim())),
            Err(_) => Err(format!("{node} does not answer yet")),
        })
        .await
    }

    /// Waits until every node sees every other alive.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn all_see_all(&mut self, clients: &Clients) -> Result<(), Error> {
        self.until(async || {
            let views = join_all(clients.all().map(|(name, client)| async move { (name, client.nodes().await) })).await;
            for (viewer, view) in views {
                let view = view.map_err(|error| format!("{viewer} tells no members: {error}"))?;
                for (name, _) in clients.all() {
                    let seen = view.iter().find(|one| one.name == name.as_str()).map(|one| one.state);
                    if !matches!(seen, Some(NodeState::Alive | NodeState::Draining)) {
                        return Err(format!("{viewer} sees {name} as {}", seen.map_or("unknown", state_name)));
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Forms the ring; one that stands is left as it is.
    ///
    /// # Errors
    /// See [`Error`]; a ring of other nodes is never changed.
    pub async fn form_ring(&mut self, topology: &Topology, clients: &Clients) -> Result<BootstrapResponse, Error> {
        let draft = topology.draft();
        let names = topology.nodes().iter().map(|node| node.name.to_string()).collect();
        let request = BootstrapRequest { nodes: names, replicas: draft.replicas, partitions: draft.partitions };
        let mut refused = None;
        let formed = self
            .until(async || {
                let Some((_, client)) = clients.all().next() else { return Err("there is no node".to_owned()) };
                match client.bootstrap(&request).await {
                    Ok(formed) => Ok(Some(formed)),
                    // Not yet agreed or not yet seen may come right; a refusal for good does not.
                    Err(error) if error.problem().is_some_and(|problem| (400..409).contains(&problem.status)) => {
                        refused = Some(error);
                        Ok(None)
                    }
                    Err(error) => Err(format!("the ring to be formed: {error}")),
                }
            })
            .await?;
        match (formed, refused) {
            (Some(formed), _) => Ok(formed),
            (None, Some(source)) => Err(Error::NotFormed { source: Box::new(source) }),
            (None, None) => Err(Error::TimedOut { awaited: "the ring to be formed".to_owned(), limit: self.limit }),
        }
    }

    /// Waits until every node says that it is ready.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn all_ready(&mut self, clients: &Clients) -> Result<(), Error> {
        self.until(async || {
            let looks = clients.all().map(|(name, client)| async move { (name, super::observe::health(client).await) });
            for (name, health) in join_all(looks).await {
                match health {
                    infra::processes::Health::Ready => {}
                    infra::processes::Health::Silent => return Err(format!("{name} does not answer")),
                    infra::processes::Health::NotReady { why } | infra::processes::Health::Failing { why } => {
                        return Err(format!("{name} is not ready: {why}"));
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Writes, reads and deletes a key with a quorum through each node.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn probe(&mut self, clients: &Clients) -> Result<(), Error> {
        let wrong = self
            .until(async || {
                let probes = clients.all().map(|(name, client)| probe_node(name, client));
                match try_join_all(probes).await {
                    Ok(reads) => Ok(reads.into_iter().flatten().next()),
                    Err(awaited) => Err(awaited),
                }
            })
            .await?;
        match wrong {
            None => Ok(()),
            Some((node, read)) => Err(Error::WrongRead { node, read }),
        }
    }
}

/// Tells what was read if it is wrong.
async fn probe_node(name: &NodeName, client: &Client) -> Result<Option<(NodeName, String)>, String> {
    let key = format!("{PROBE_PREFIX}{name}");
    let value = Bytes::from(format!("{name} {}", clock::wall_micros()));
    let options = Options { consistency: Some(Consistency::Quorum), timeout: None };
    let put = PutOptions { options, ..PutOptions::default() };
    let failed = |error: client::Error| format!("a quorum write and read through {name}: {error}");
    client.put(key.as_bytes(), value.clone(), &put).await.map_err(failed)?;
    let found = client.get(key.as_bytes(), options).await.map_err(failed)?;
    client.delete(key.as_bytes(), options).await.map_err(failed)?;
    Ok(match found {
        Some(found) if found.value == value => None,
        Some(found) => Some((name.clone(), format!("{} other bytes", found.value.len()))),
        None => Some((name.clone(), "nothing".to_owned())),
    })
}

/// The name of a state, as people read it.
#[must_use]
pub fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Alive => "alive",
        NodeState::Suspect => "suspect",
        NodeState::Dead => "dead",
        NodeState::Left => "left",
        NodeState::Draining => "draining",
    }
}
