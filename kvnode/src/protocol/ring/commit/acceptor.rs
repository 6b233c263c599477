//! The acceptor: what a node promises and accepts on the way to its first ring.
//!
//! A request changes nothing by itself: the [`Decision`] says what to store, and only [`Acceptor::stored`] and
//! [`Acceptor::adopted`] move the machine on. A store that fails leaves it as it was, and the reply unsent.

use std::sync::Arc;

use super::{Accepted, Durable, Reply, Request};
use crate::protocol::id::{EpochNumber, NodeId};
use crate::protocol::ring::epoch::RingEpoch;

/// One node's acceptor. Requests are handled one at a time, each to the end.
#[derive(Debug, Clone)]
pub struct Acceptor {
    me: NodeId,
    durable: Durable,
    committed: Option<Arc<RingEpoch>>,
}

/// What to do about one request, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Make this durable and call [`Acceptor::stored`] with it.
    pub persist: Option<Durable>,
    /// Make this the node's ring durably and call [`Acceptor::adopted`] with it.
    pub adopt: Option<Arc<RingEpoch>>,
    /// Only then send this.
    pub reply: Reply,
}

impl Decision {
    fn only(reply: Reply) -> Self {
        Self { persist: None, adopt: None, reply }
    }
}

impl Acceptor {
    /// The acceptor as it was stored; `committed` is the node's ring, of whatever number, if it has one.
    #[must_use]
    pub fn new(me: NodeId, durable: Durable, committed: Option<Arc<RingEpoch>>) -> Self {
        Self { me, durable, committed }
    }

    /// What it promised and accepted; a proposer on this node starts above `promised`.
    #[must_use]
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Answers a request; see [`Decision`]. Asking again is harmless.
    #[must_use]
    pub fn on_request(&self, request: &Request) -> Decision {
        if let Some(epoch) = &self.committed {
            return Decision::only(Reply::Committed { epoch: Arc::clone(epoch) });
        }
        let promised = self.durable.promised;
        match request {
            &Request::Prepare { ballot } if ballot > promised => Decision {
                persist: Some(Durable { promised: ballot, accepted: self.durable.accepted.clone() }),
                adopt: None,
                reply: Reply::Promised { ballot, accepted: self.durable.accepted.clone() },
            },
            Request::Accept { epoch, .. } if !self.is_fit(epoch) => Decision::only(Reply::Unfit),
            &Request::Accept { ballot, ref epoch } if ballot >= promised => Decision {
                persist: Some(Durable {
                    promised: ballot,
                    accepted: Some(Accepted { ballot, epoch: Arc::clone(epoch) }),
                }),
                adopt: None,
                reply: Reply::Accepted { ballot },
            },
            // Every node a first epoch names has accepted it before it is decided.
            Request::Commit { epoch } if self.durable.accepted.as_ref().is_some_and(|it| it.epoch == *epoch) => {
                Decision {
                    persist: None,
                    adopt: Some(Arc::clone(epoch)),
                    reply: Reply::Committed { epoch: Arc::clone(epoch) },
                }
            }
            Request::Prepare { .. } | Request::Accept { .. } | Request::Commit { .. } => {
                Decision::only(Reply::Refused { promised })
            }
        }
    }

    /// The decision's `persist` is durable.
    pub fn stored(&mut self, durable: Durable) {
        self.durable = durable;
    }

    /// The node has a ring, by a commit or fetched from another node.
    pub fn adopted(&mut self, epoch: Arc<RingEpoch>) {
        self.committed = Some(epoch);
    }

    fn is_fit(&self, epoch: &RingEpoch) -> bool {
        epoch.number() == EpochNumber(1) && epoch.node(self.me).is_some()
    }
}
