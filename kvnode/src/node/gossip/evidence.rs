//! Replies of the data plane as signs of life, at the cost of two loads per reply.
//!
//! Each member has one atomic time that a reply moves at most every 50 ms; the gossip task collects them before it
//! judges anyone. It knows no protocol: what a sign of life is worth is decided in `protocol::membership`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::protocol::id::NodeId;
use crate::protocol::membership::MonotonicTime;

/// Finer times are worth nothing to probes of hundreds of milliseconds, and would bounce a cache line per reply.
const RESOLUTION_MS: u64 = 50;

#[derive(Default)]
struct Sign {
    /// Milliseconds since the start of the last reply, plus one; 0 if there was none.
    heard: AtomicU64,
    collected: AtomicU64,
}

/// The last sign of life of each member.
#[derive(Default)]
pub(super) struct Evidence {
    signs: ArcSwap<HashMap<NodeId, Arc<Sign>>>,
}

impl Evidence {
    /// Notes a reply; nodes that are no members are ignored.
    pub(super) fn note(&self, node: NodeId, now: MonotonicTime) {
        if let Some(sign) = self.signs.load().get(&node) {
            let now = milliseconds(now) + 1;
            if now >= sign.heard.load(Ordering::Relaxed) + RESOLUTION_MS {
                sign.heard.store(now, Ordering::Relaxed);
            }
        }
    }

    /// All that was noted since the last call.
    pub(super) fn collect(&self) -> Vec<(NodeId, MonotonicTime)> {
        let fresh = |(node, sign): (&NodeId, &Arc<Sign>)| {
            let heard = sign.heard.load(Ordering::Relaxed);
            let new = heard != sign.collected.swap(heard, Ordering::Relaxed);
            new.then(|| (*node, MonotonicTime::from_start(Duration::from_millis(heard.saturating_sub(1)))))
        };
        self.signs.load().iter().filter_map(fresh).collect()
    }

    /// Follows the set of members.
    pub(super) fn follow(&self, members: impl Iterator<Item = NodeId>) {
        let old = self.signs.load();
        let signs: HashMap<_, _> = members.map(|node| (node, old.get(&node).cloned().unwrap_or_default())).collect();
        if signs.len() != old.len() || !signs.keys().all(|node| old.contains_key(node)) {
            self.signs.store(Arc::new(signs));
        }
    }
}

fn milliseconds(time: MonotonicTime) -> u64 {
    u64::try_from(time.since_start().as_millis()).unwrap_or(u64::MAX - RESOLUTION_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_members_are_collected_once() {
        let (evidence, node) = (Evidence::default(), NodeId::from_bits(1));
        let at = |ms| MonotonicTime::from_start(Duration::from_millis(ms));
        evidence.note(node, at(0));
        assert_eq!(evidence.collect(), vec![], "not a member yet");
        evidence.follow([node].into_iter());
        for (noted, expected) in [(60, Some(60)), (100, None), (110, Some(110)), (120, None), (500, Some(500))] {
            evidence.note(node, at(noted));
            assert_eq!(evidence.collect(), expected.map(|ms| (node, at(ms))).into_iter().collect::<Vec<_>>());
            assert_eq!(evidence.collect(), vec![]);
        }
        evidence.follow([node, NodeId::from_bits(2)].into_iter());
        assert_eq!(evidence.collect(), vec![], "what was collected stays so");
    }
}
