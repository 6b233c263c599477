//! The calls of one connection that wait for their reply: a slab, so that adding and taking cost no hashing.
//!
//! An id is the slot's index with the number of times the slot was used above it: a late reply to a call that has
//! already ended finds another number there and is dropped. It keeps no time; deadlines are compared by the caller.

use std::time::Instant;

use crate::peer::ReplySink;

/// One call that waits.
pub(super) struct Call {
    pub(super) sink: ReplySink,
    pub(super) deadline: Instant,
    pub(super) sent: Instant,
    /// Whether its duration says something of the peer's speed.
    pub(super) timed: bool,
}

#[derive(Default)]
struct Slot {
    uses: u32,
    call: Option<Call>,
}

/// Waiting calls by id.
#[derive(Default)]
pub(super) struct Pending {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id that [`Pending::insert`] gives next.
    pub(super) fn next_id(&self) -> u64 {
        match self.free.last() {
            Some(index) => id(*index, self.slots[slot_index(*index)].uses),
            None => id(u32::try_from(self.slots.len()).unwrap_or(u32::MAX), 0),
        }
    }

    pub(super) fn insert(&mut self, call: Call) {
        match self.free.pop() {
            Some(index) => self.slots[slot_index(index)].call = Some(call),
            None => self.slots.push(Slot { uses: 0, call: Some(call) }),
        }
    }

    /// The call of this id, unless it has ended.
    pub(super) fn take(&mut self, id: u64) -> Option<Call> {
        let (index, uses) = parts(id)?;
        let slot = self.slots.get_mut(slot_index(index)).filter(|slot| slot.uses == uses)?;
        let call = slot.call.take()?;
        slot.uses = slot.uses.wrapping_add(1);
        self.free.push(index);
        Some(call)
    }

    /// Takes every call whose deadline has passed.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Call> {
        let expired = |slot: &Slot| slot.call.as_ref().is_some_and(|call| call.deadline <= now);
        let ids: Vec<u64> = (0u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| expired(slot))
            .map(|(index, slot)| id(index, slot.uses))
            .collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }

    /// Takes all calls. Ids given before stay invalid.
    pub(super) fn take_all(&mut self) -> Vec<Call> {
        let ids: Vec<u64> = (0u32..).zip(&self.slots).map(|(index, slot)| id(index, slot.uses)).collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }
}

fn id(index: u32, uses: u32) -> u64 {
    u64::from(uses) << 32 | u64::from(index)
}

fn parts(id: u64) -> Option<(u32, u32)> {
    Some((u32::try_from(id & u64::from(u32::MAX)).ok()?, u32::try_from(id >> 32).ok()?))
}

fn slot_index(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::runtime::clock;

    fn call(deadline: Instant) -> Call {
        Call { sink: Box::new(|_| {}), deadline, sent: deadline, timed: false }
    }

    proptest! {
        /// Against a plain map: every id finds its own call once, and no id is ever given twice.
        #[test]
        fn ids_find_their_own_call_once(steps in proptest::collection::vec((0u8..4, any::<u8>()), 1..200)) {
            let start = clock::monotonic_now();
            let at = |step: u8| start + Duration::from_secs(step.into());
            let (mut pending, mut model, mut given) = (Pending::default(), HashMap::new(), Vec::new());
            for (kind, number) in steps {
                match kind {
                    0 | 1 => {
                        let id = pending.next_id();
                        pending.insert(call(at(number)));
                        prop_assert!(!given.contains(&id));
                        given.push(id);
                        model.insert(id, at(number));
                    }
                    2 if !given.is_empty() => {
                        let id = given[usize::from(number) % given.len()];
                        prop_assert_eq!(pending.take(id).map(|call| call.deadline), model.remove(&id));
                    }
                    _ => {
                        let expired = pending.take_expired(at(number)).len();
                        let before = model.len();
                        model.retain(|_, deadline| *deadline > at(number));
                        prop_assert_eq!(expired, before - model.len());
                    }
                }
                prop_assert_eq!(pending.len(), model.len());
            }
            prop_assert_eq!(pending.take_all().len(), model.len());
            prop_assert!(pending.is_empty());
            prop_assert!(given.iter().all(|id| pending.take(*id).is_none()));
        }
    }
}
