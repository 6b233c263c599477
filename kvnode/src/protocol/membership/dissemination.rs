//! News on its way: each update rides on packets a bounded number of times, the least told first (SWIM, section 4.1).
//!
//! The number is `factor * ceil(log10(members + 1))`. Whether news is true is decided in `merge`; this file only
//! keeps what is still worth telling.

use super::message::Update;

/// Most updates waiting; beyond it the most often told goes. Full state still travels by push/pull.
const MAX_WAITING: usize = 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct News {
    waiting: Vec<Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    update: Update,
    told: u32,
}

impl News {
    /// Takes an update and drops those it makes pointless.
    pub(super) fn push(&mut self, update: Update) {
        self.waiting.retain(|old| !update.replaces(&old.update));
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop();
        }
        self.waiting.insert(0, Waiting { update, told: 0 });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The least told updates that fit into `budget` bytes; each is told at most `limit` times in all.
    pub(super) fn take(&mut self, mut budget: usize, limit: u32) -> Vec<Update> {
        let mut taken = Vec::new();
        for waiting in &mut self.waiting {
            let size = waiting.update.bytes_at_most();
            if size <= budget {
                budget -= size;
                waiting.told += 1;
                taken.push(waiting.update.clone());
            }
        }
        self.waiting.retain(|waiting| waiting.told < limit);
        self.waiting.sort_by_key(|waiting| waiting.told);
        taken
    }

    /// Drops what does not fit the predicate.
    pub(super) fn retain(&mut self, keep: impl Fn(&Update) -> bool) {
        self.waiting.retain(|waiting| keep(&waiting.update));
    }
}

/// How often one update is told in a cluster of this many members.
pub(super) fn retransmits(factor: u32, members: usize) -> u32 {
    let (mut log, mut reach) = (1, 10_usize);
    while reach < members + 1 {
        log += 1;
        reach = reach.saturating_mul(10);
    }
    factor * log
}

#[cfg(test)]
mod tests {
    use super::super::member::Incarnation;
    use super::super::message::Accusation;
    use super::*;
    use crate::protocol::id::NodeId;

    fn suspect(subject: u128, incarnation: u64, accuser: u128) -> Update {
        Update::Suspect(Accusation {
            subject: NodeId::from_bits(subject),
            incarnation: Incarnation::new(incarnation).unwrap(),
            accuser: NodeId::from_bits(accuser),
        })
    }

    #[test]
    fn retransmits_grow_with_the_logarithm() {
        for (members, expected) in [(1, 4), (3, 4), (9, 4), (10, 8), (99, 8), (100, 12)] {
            assert_eq!(retransmits(4, members), expected, "{members}");
        }
    }

    #[test]
    fn fresh_news_goes_first_and_old_news_ends() {
        let mut news = News::default();
        let (one, other) = (suspect(1, 1, 9), suspect(2, 1, 9));
        news.push(one.clone());
        assert_eq!(news.take(1000, 2), vec![one.clone()]);
        news.push(other.clone());
        assert_eq!(news.take(41, 2), vec![other.clone()], "only one fits: the least told");
        assert_eq!(news.take(1000, 2).len(), 2);
        assert!(news.is_empty());
        news.push(one);
        assert_eq!(news.take(40, 2), vec![], "nothing fits, nothing counts as told");
        assert!(!news.is_empty());
    }

    #[test]
    fn an_update_replaces_weaker_ones_but_not_other_accusers() {
        let mut news = News::default();
        news.push(suspect(1, 1, 8));
        news.push(suspect(1, 1, 9));
        news.push(suspect(1, 1, 9));
        assert_eq!(news.take(1000, 9).len(), 2);
        news.push(suspect(1, 2, 9));
        assert_eq!(news.take(1000, 9), vec![suspect(1, 2, 9)]);
    }
}
