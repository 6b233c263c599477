//! What is acknowledged is durable, what is read is durable, and merging keeps the highest stamp.
//!
//! Syncs are held with the memory engine's gate, so that nothing here depends on how long one takes.

use super::*;

#[test]
fn records_of_all_shapes_come_back_also_after_reopening() {
    check_both(|open| {
        let storage = open();
        let typed = Record {
            stamp: stamp(5),
            content: Content::Value(Value {
                bytes: Bytes::from_static(b"{}"),
                content_type: Some("application/json".into()),
                expires_at: Some(77),
            }),
        };
        let shapes = [
            ("inline", value(1, vec![1; 4096])),
            ("long", value(2, vec![2; 4097])),
            ("longer", value(3, vec![3; 1 << 20])),
            ("empty", value(4, Bytes::new())),
            ("typed", typed),
            ("gone", tombstone(6)),
        ];
        for (name, record) in &shapes {
            assert_eq!(write(&storage, &key(name), record), Ok(()), "{name}");
        }
        for reopened in [false, true] {
            let storage = if reopened { open() } else { storage.clone() };
            for (name, record) in &shapes {
                assert_eq!(read(&storage, &key(name)), Ok(Some(record.clone())), "{name}");
                assert_eq!(read_version(&storage, &key(name)), Ok(record.version()), "{name}");
                assert_eq!(storage.latest_version(P, &key(name)), Ok(record.version()), "{name}");
            }
            assert_eq!(read(&storage, &key("absent")), Ok(None));
            assert_eq!(read_version(&storage, &key("absent")), Ok(Version::NONE));
            assert_eq!((storage.statistics().records, storage.statistics().tombstones), (6, 1));
            storage.close();
        }
    });
}

#[test]
fn the_highest_stamp_wins_whatever_the_order() {
    check_both(|open| {
        let storage = open();
        for times in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 3, 3]] {
            let key = key(&format!("{times:?}"));
            for time in times {
                assert_eq!(write(&storage, &key, &value(time, vec![7; 5000 * usize::try_from(time).unwrap()])), Ok(()));
            }
            assert_eq!(read(&storage, &key), Ok(Some(value(3, vec![7; 15_000]))), "{times:?}");
        }
        storage.close();
    });
}

#[test]
fn a_replaced_long_value_leaves_no_chunks() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    for time in 1..5 {
        write(&storage, &key("k"), &value(time, vec![1; 40_000])).unwrap();
    }
    assert_eq!(memory.row_count(), 1 + 10);
    write(&storage, &key("k"), &tombstone(9)).unwrap();
    assert_eq!(memory.row_count(), 1);
}

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    memory.hold_syncs(true);
    let pending = start_write(&storage, &key("k"), &value(1, "v"));
    await_visible(&memory);
    assert!(pending.try_recv().is_err(), "applied, but not synced");
    memory.hold_syncs(false);
    assert_eq!(pending.recv_timeout(LOST), Ok(Ok(())));
    memory.cut_power(0);
    assert_eq!(read(&storage, &key("k")), Ok(Some(value(1, "v"))));
}

#[test]
fn a_read_waits_for_the_sync_of_what_it_saw() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    write(&storage, &key("k"), &value(1, "old")).unwrap();
    memory.hold_syncs(true);
    let rows = memory.row_count();
    let pending = start_write(&storage, &key("k"), &value(2, "new"));
    write_until_applied(&storage, &memory, rows);
    assert_eq!(storage.latest_version(P, &key("k")).map(|version| version.stamp), Ok(stamp(2)), "round 1 sees it");
    let reading = start_read(&storage, &key("k"));
    assert!(reading.try_recv().is_err(), "not durable yet");
    memory.hold_syncs(false);
    assert_eq!(reading.recv_timeout(LOST), Ok(Ok(Some(value(2, "new")))));
    assert_eq!(pending.recv_timeout(LOST), Ok(Ok(())));
}

#[test]
fn a_read_does_not_wait_for_writes_it_did_not_see() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    write(&storage, &key("k"), &value(1, "old")).unwrap();
    memory.hold_syncs(true);
    let first = start_write(&storage, &key("other"), &value(1, "v"));
    write_until_applied(&storage, &memory, 1);
    // The committer is held in a sync, so this one is submitted but not applied.
    let second = start_write(&storage, &key("k"), &value(2, "new"));
    assert_eq!(start_read(&storage, &key("k")).try_recv(), Ok(Ok(Some(value(1, "old")))));
    assert_eq!(storage.latest_version(P, &key("k")).map(|version| version.stamp), Ok(stamp(2)));
    memory.hold_syncs(false);
    assert_eq!(first.recv_timeout(LOST), Ok(Ok(())));
    assert_eq!(second.recv_timeout(LOST), Ok(Ok(())));
}

#[test]
fn many_writers_share_syncs_and_repeats_need_none() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    memory.hold_syncs(true);
    let mut pending = vec![start_write(&storage, &key("first"), &value(1, "v"))];
    await_visible(&memory);
    for time in 1..=100 {
        pending.push(start_write(&storage, &key("same"), &value(time, "v")));
    }
    memory.hold_syncs(false);
    for receiver in pending {
        assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
    }
    assert_eq!(memory.syncs(), 2, "one for the first write, one for the hundred");
    assert_eq!(write(&storage, &key("same"), &value(50, "late")), Ok(()));
    assert_eq!(memory.syncs(), 2, "what is durable already needs no sync");
    assert_eq!(read(&storage, &key("same")), Ok(Some(value(100, "v"))));
}

#[test]
fn write_many_is_one_completion_however_large() {
    check_both(|open| {
        let storage = open();
        let records: Vec<_> =
            (0..20).map(|number| (P, key(&format!("k{number}")), value(1, vec![1; 300_000]))).collect();
        let (sender, receiver) = channel();
        storage.write_many(records.clone(), move |outcome| sender.send(outcome).unwrap_or_default());
        assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
        assert!(receiver.recv_timeout(LOST).is_err(), "the sender is gone after one call");
        for (_, key, record) in records {
            assert_eq!(read(&storage, &key), Ok(Some(record)));
        }
        storage.close();
    });
}

#[test]
fn scans_merge_partitions_in_key_order_page_by_page() {
    check_both(|open| {
        let storage = open();
        let partitions: Vec<PartitionId> = (0..4).map(PartitionId).collect();
        for number in 0..40u16 {
            let (sender, receiver) = channel();
            let record = value(1, vec![1; if number % 10 == 0 { 9000 } else { 10 }]);
            let name = key(&format!("k{number:02}"));
            storage.write(PartitionId(number % 5), &name, &record, Origin::Repair, move |outcome| {
                sender.send(outcome).unwrap_or_default();
            });
            assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
        }
        let (mut found, mut start) = (Vec::new(), b"k05".to_vec());
        loop {
            let page = storage.scan(&partitions, &start, b"k30", 7, true).expect("page");
            assert!(page.items.len() <= 7 && page.items.iter().all(|(_, record)| record.live_value(0).is_some()));
            found.extend(page.items.iter().map(|(key, _)| String::from_utf8(key.as_bytes().to_vec()).unwrap()));
            let Some((last, _)) = page.items.last().filter(|_| page.more) else { break };
            start = [last.as_bytes(), &[0]].concat();
        }
        let expected: Vec<String> =
            (5..30).filter(|number| number % 5 != 4).map(|number| format!("k{number:02}")).collect();
        assert_eq!(found, expected);
        let bare = storage.scan(&partitions, b"", b"", 1, false).expect("page");
        assert_eq!((bare.items, bare.more), (vec![(key("k00"), value(1, Bytes::new()))], true));
        storage.close();
    });
}

#[test]
fn pages_are_bounded_in_bytes() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    for number in 0..8 {
        write(&storage, &key(&format!("k{number}")), &value(1, vec![1; 1 << 20])).unwrap();
    }
    let page = storage.scan(&[P], b"", b"", 1000, true).expect("page");
    assert_eq!((page.items.len(), page.more), (2, true));
    assert_eq!(storage.scan(&[P], b"", b"", 1000, false).expect("page").items.len(), 8);
}

#[test]
fn documents_are_durable_and_replaceable() {
    check_both(|open| {
        let storage = open();
        assert_eq!(storage.document("ring"), Ok(None));
        storage.put_document_blocking("ring", Bytes::from(vec![1; 20_000])).unwrap();
        storage.put_document_blocking("ring", Bytes::from(vec![2; 10_000])).unwrap();
        storage.put_document_blocking("node", Bytes::from_static(b"n")).unwrap();
        let (sender, receiver) = channel();
        storage.put_document_blocking("gone", Bytes::from_static(b"g")).unwrap();
        storage.remove_document("gone", move |outcome| sender.send(outcome).unwrap_or_default());
        assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
        for reopened in [false, true] {
            let storage = if reopened { open() } else { storage.clone() };
            assert_eq!(storage.document("ring"), Ok(Some(Bytes::from(vec![2; 10_000]))));
            assert_eq!(storage.document("node"), Ok(Some(Bytes::from_static(b"n"))));
            assert_eq!(storage.document("gone"), Ok(None));
            let too_large =
                storage.put_document_blocking("x", Bytes::from(vec![0; super::super::MAX_DOCUMENT_BYTES + 1]));
            assert!(matches!(too_large, Err(WriteError::TooLarge { .. })));
            storage.close();
        }
    });
}

/// Spins until a first batch has been applied.
fn await_visible(memory: &MemoryStore) {
    spin_until(|| memory.row_count() > 0);
}

/// Spins until the batch that was submitted last is applied.
fn write_until_applied(storage: &Storage, memory: &MemoryStore, rows_before: usize) {
    spin_until(|| memory.row_count() > rows_before || visible_time(storage) > 1);
}

fn visible_time(storage: &Storage) -> u64 {
    let row = super::super::keyspace::record_row(P, &key("k"));
    storage.inner_for_test().visible_version(&row).map_or(0, |version| version.stamp.time)
}

fn spin_until(condition: impl Fn() -> bool) {
    let deadline = crate::runtime::clock::monotonic_now() + LOST;
    while !condition() {
        assert!(crate::runtime::clock::monotonic_now() < deadline, "never happened");
        std::thread::yield_now();
    }
}
