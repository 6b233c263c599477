//! Hints: durable, merged, counted, capped; past a cap a dirty partition.
//!
//! Hints have no completion: a document written behind them tells that they are committed.

use std::collections::BTreeMap;

use super::*;
use crate::protocol::id::NodeId;
use crate::storage::HintCount;

const TARGET: NodeId = NodeId::from_bits(42);

/// Waits until everything submitted before has been committed.
fn settle(storage: &Storage) {
    storage.put_document_blocking("barrier", Bytes::from_static(b"")).expect("commits");
}

#[test]
fn hints_keep_the_highest_stamp_and_survive() {
    check_both(|open| {
        let storage = open();
        for time in [2, 3, 1] {
            storage.add_hint(TARGET, P, &key("a"), &value(time, vec![1; 6000]));
        }
        storage.add_hint(TARGET, PartitionId(9), &key("b"), &tombstone(1));
        storage.add_hint(NodeId::from_bits(43), P, &key("c"), &value(1, "v"));
        settle(&storage);
        for reopened in [false, true] {
            let storage = if reopened { open() } else { storage.clone() };
            let hints = storage.hints(TARGET, 10).expect("hints");
            assert_eq!(hints, [(P, key("a"), value(3, vec![1; 6000])), (PartitionId(9), key("b"), tombstone(1))]);
            assert_eq!(storage.hints(TARGET, 1).expect("hints").len(), 1);
            let counts = storage.hint_counts();
            assert_eq!(
                counts.iter().map(|(id, count)| (id.bits(), count.count)).collect::<Vec<_>>(),
                [(42, 2), (43, 1)]
            );
            storage.close();
        }
    });
}

#[test]
fn removal_spares_what_was_replaced_meanwhile() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    storage.add_hint(TARGET, P, &key("a"), &value(1, vec![1; 9000]));
    storage.add_hint(TARGET, P, &key("b"), &value(1, "v"));
    settle(&storage);
    storage.add_hint(TARGET, P, &key("a"), &value(2, vec![1; 9000]));
    storage.remove_hints(TARGET, vec![(P, key("a"), stamp(1)), (P, key("b"), stamp(1))]);
    settle(&storage);
    assert_eq!(storage.hints(TARGET, 10).expect("hints"), [(P, key("a"), value(2, vec![1; 9000]))]);
    storage.remove_hints(TARGET, vec![(P, key("a"), stamp(2)), (P, key("a"), stamp(2))]);
    settle(&storage);
    assert_eq!(storage.hint_counts(), BTreeMap::new());
    assert_eq!(memory.row_count(), 1, "only the barrier's document is left");
}

#[test]
fn past_the_cap_a_partition_is_dirty_until_cleared() {
    let memory = MemoryStore::new();
    let config = Config { hint_bytes_per_target: 1000, ..Config::in_memory(memory.clone()) };
    let storage = Storage::open(config.clone()).expect("opens");
    for number in 0..5 {
        storage.add_hint(TARGET, PartitionId(number), &key("k"), &value(1, vec![1; 400]));
    }
    settle(&storage);
    let dirty: Vec<PartitionId> = (2..5).map(PartitionId).collect();
    let count = storage.hint_counts()[&TARGET].clone();
    assert_eq!((count.count, &count.dirty), (2, &dirty));
    assert!(count.bytes <= 1000);
    storage.close();
    let storage = Storage::open(config).expect("opens");
    let reopened = storage.hint_counts()[&TARGET].clone();
    assert_eq!(reopened, HintCount { marks: 0, ..count });
    dirty.iter().for_each(|partition| storage.clear_dirty(TARGET, *partition, 0));
    settle(&storage);
    assert_eq!(storage.hint_counts()[&TARGET], HintCount { dirty: Vec::new(), ..reopened });
}

#[test]
fn a_mark_made_during_a_push_is_not_forgotten() {
    let config = Config { hint_bytes_per_target: 0, ..Config::in_memory(MemoryStore::new()) };
    let storage = Storage::open(config).expect("opens");
    let hint = |time| {
        storage.add_hint(TARGET, P, &key("k"), &value(time, "v"));
        settle(&storage);
        storage.hint_counts()[&TARGET].clone()
    };
    let before_push = hint(1);
    let during_push = hint(2);
    assert!(during_push.marks > before_push.marks);
    storage.clear_dirty(TARGET, P, before_push.marks);
    settle(&storage);
    assert_eq!(storage.hint_counts()[&TARGET].dirty, [P]);
    storage.clear_dirty(TARGET, P, during_push.marks);
    settle(&storage);
    assert!(!storage.hint_counts().contains_key(&TARGET));
}

#[test]
fn a_full_queue_turns_hints_into_dirty_partitions() {
    let memory = MemoryStore::new();
    let config = Config { queue_writes: 2, ..Config::in_memory(memory.clone()) };
    let storage = Storage::open(config).expect("opens");
    memory.hold_syncs(true);
    for number in 0..20 {
        storage.add_hint(TARGET, PartitionId(number), &key("k"), &value(1, "v"));
    }
    memory.hold_syncs(false);
    let committed = || {
        storage.hint_counts().get(&TARGET).map_or(0, |count| count.dirty.len() + usize::try_from(count.count).unwrap())
    };
    while committed() < 20 {
        // A hint that finds room again carries the marks along.
        storage.clear_dirty(NodeId::from_bits(1), P, 0);
        std::thread::yield_now();
    }
    assert!(storage.hint_counts()[&TARGET].count < 20);
}

#[test]
fn hints_that_meet_a_full_disk_leave_dirty_partitions() {
    let memory = MemoryStore::new();
    let config = Config { queue_writes: 2, ..Config::in_memory(memory.clone()) };
    let storage = Storage::open(config).expect("opens");
    write(&storage, &key("k"), &value(1, "v")).unwrap();
    memory.fill(true);
    // Some find no room in the queue, some reach a batch that fails.
    (0..20).for_each(|number| storage.add_hint(TARGET, PartitionId(number), &key("k"), &value(1, "v")));
    while write(&storage, &key("k"), &value(2, "w")) != Err(WriteError::DiskFull) {
        std::thread::yield_now();
    }
    memory.fill(false);
    settle(&storage);
    assert_eq!(storage.hint_counts()[&TARGET].dirty, (0..20).map(PartitionId).collect::<Vec<_>>());
}
