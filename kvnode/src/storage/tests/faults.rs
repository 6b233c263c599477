//! Full disks, failed syncs, flipped bits, overload, closed stores, held folders.
//!
//! Each fault has a typed outcome, and what is not concerned by it goes on.

use super::*;
use crate::protocol::id::NodeId;
use crate::storage::OpenError;
use crate::storage::engine::{Batch, Error, Store};
use crate::storage::sled::SledStore;

#[test]
fn a_full_disk_is_an_answer_and_passes() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    write(&storage, &key("k"), &value(1, "old")).unwrap();
    memory.fill(true);
    assert_eq!(write(&storage, &key("k"), &value(2, "new")), Err(WriteError::DiskFull));
    assert_eq!(storage.put_document_blocking("d", Bytes::from_static(b"x")), Err(WriteError::DiskFull));
    assert_eq!(read(&storage, &key("k")), Ok(Some(value(1, "old"))));
    assert_eq!(storage.latest_version(P, &key("k")).map(|version| version.stamp), Ok(stamp(1)));
    assert_eq!((storage.document("d"), storage.statistics().records), (Ok(None), 1));
    memory.fill(false);
    assert_eq!(write(&storage, &key("k"), &value(2, "new")), Ok(()));
}

/// What a store that ran full answers while it does not open again for this reason, and whether it ends for good.
fn check_reopen(reason: &Error, answered: &Result<(), WriteError>, ends: bool) {
    let (reasons, on_failure) = failure_recorder();
    let memory = MemoryStore::new();
    let storage = Storage::open(Config { on_failure, ..Config::in_memory(memory.clone()) }).expect("opens");
    write(&storage, &key("k"), &value(1, "old")).unwrap();
    memory.refuse_reopens(Some(reason.clone()));
    memory.fill(true);
    assert_eq!(write(&storage, &key("k"), &value(2, "new")), Err(WriteError::DiskFull), "{reason}");
    memory.fill(false);
    // A hint touches no row that could fail to be read: it alone must not make the store go on, or end it.
    storage.add_hint(NodeId::from_bits(1), P, &key("k"), &value(2, "new"));
    assert_eq!(&write(&storage, &key("k"), &value(3, "newer")), answered, "{reason}");
    assert_eq!(reasons.lock().len(), usize::from(ends), "{reason}");
}

#[test]
fn a_store_that_ran_full_waits_for_what_passes_and_ends_on_the_rest() {
    for passes in [Error::Full, Error::Busy] {
        check_reopen(&passes, &Err(WriteError::DiskFull), false);
    }
    let reason: Arc<str> = "sync failed".into();
    for final_one in [Error::Failed { reason: Arc::clone(&reason) }, Error::Damaged { reason }] {
        check_reopen(&final_one, &Err(WriteError::Failed { reason: final_one.to_string().into() }), true);
    }
}

#[test]
fn sled_opens_again_once_the_last_scan_has_ended() {
    let folder = tempfile::tempdir().expect("folder");
    let store = SledStore::open(folder.path().join("sled"), 1 << 20).expect("opens");
    let mut batch = Batch::default();
    batch.put(Bytes::from_static(b"row"), Bytes::from_static(b"value"));
    store.apply(batch).and_then(|()| store.sync()).expect("durable");
    let mut scan = store.scan(b"a", b"z");
    assert!(scan.next().is_some());
    assert_eq!(store.reopen(), Err(Error::Busy));
    assert_eq!(store.get(b"row"), Err(Error::Busy));
    drop(scan);
    assert_eq!(store.reopen(), Ok(()));
    assert_eq!(store.get(b"row"), Ok(Some(Bytes::from_static(b"value"))));
}

#[test]
fn a_failed_sync_ends_the_store_and_is_never_repeated() {
    let (reasons, on_failure) = failure_recorder();
    let memory = MemoryStore::new();
    let storage = Storage::open(Config { on_failure, ..Config::in_memory(memory.clone()) }).expect("opens");
    write(&storage, &key("k"), &value(1, "old")).unwrap();
    memory.fail_syncs(true);
    assert!(matches!(write(&storage, &key("k"), &value(2, "new")), Err(WriteError::Failed { .. })));
    memory.fail_syncs(false);
    assert!(matches!(write(&storage, &key("k"), &value(3, "newer")), Err(WriteError::Failed { .. })));
    assert_eq!(memory.syncs(), 1);
    storage.close();
    insta::assert_debug_snapshot!(*reasons.lock(), @r#"
    [
        "input/output error (injected)",
    ]
    "#);
    assert!(storage.failure().is_some());
}

#[test]
fn a_waiting_read_learns_that_its_sync_failed() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    memory.hold_syncs(true);
    let pending = start_write(&storage, &key("k"), &value(1, "v"));
    while memory.row_count() == 0 {
        std::thread::yield_now();
    }
    let reading = start_read(&storage, &key("k"));
    memory.fail_syncs(true);
    memory.hold_syncs(false);
    assert!(matches!(reading.recv_timeout(LOST), Ok(Err(ReadError::Failed { .. }))));
    assert!(matches!(pending.recv_timeout(LOST), Ok(Err(WriteError::Failed { .. }))));
}

#[test]
fn damage_is_never_served_nor_overwritten() {
    for length in [10, 10_000] {
        for bit in [0, 21, 47, 200, 8 * 30] {
            let memory = MemoryStore::new();
            let storage = open_memory(&memory);
            write(&storage, &key("k"), &value(5, vec![1; length])).unwrap();
            write(&storage, &key("other"), &value(5, "fine")).unwrap();
            assert_eq!(memory.damage(bit, |row| row[0] == b'r' && row.ends_with(b"k")), 1);
            assert_eq!(read(&storage, &key("k")), Err(ReadError::Damaged), "{length} {bit}");
            assert_eq!(read_version(&storage, &key("k")), Err(ReadError::Damaged));
            assert_eq!(storage.latest_version(P, &key("k")), Err(ReadError::Damaged));
            assert_eq!(storage.scan(&[P], b"", b"", 10, true), Err(ReadError::Damaged));
            assert_eq!(write(&storage, &key("k"), &value(3, "older?")), Err(WriteError::Damaged));
            assert_eq!(read(&storage, &key("other")), Ok(Some(value(5, "fine"))));
            assert!(storage.statistics().damaged_reads > 0);
        }
    }
}

#[test]
fn a_damaged_chunk_is_never_served() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    write(&storage, &key("k"), &value(5, vec![1; 10_000])).unwrap();
    assert_eq!(memory.damage(99, |row| row[0] == b'c'), 3);
    assert_eq!(read(&storage, &key("k")), Err(ReadError::Damaged));
    assert_eq!(read_version(&storage, &key("k")).map(|version| version.stamp), Ok(stamp(5)), "its head is intact");
}

#[test]
fn a_damaged_document_keeps_the_store_shut() {
    let memory = MemoryStore::new();
    let storage = open_memory(&memory);
    storage.put_document_blocking("promise", Bytes::from_static(b"p")).unwrap();
    storage.close();
    memory.damage(100, |row| row[0] == b'm');
    let error = Storage::open(Config::in_memory(memory)).err().expect("damaged");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn overload_is_typed_and_passes() {
    let memory = MemoryStore::new();
    let config = Config { queue_writes: 4, ..Config::in_memory(memory.clone()) };
    let storage = Storage::open(config).expect("opens");
    memory.hold_syncs(true);
    let pending: Vec<_> = (0..4).map(|time| start_write(&storage, &key("k"), &value(time + 1, "v"))).collect();
    assert_eq!(write(&storage, &key("k"), &value(9, "v")), Err(WriteError::Overloaded));
    assert_eq!(storage.latest_version(P, &key("k")).map(|version| version.stamp), Ok(stamp(4)), "withdrawn");
    assert_eq!(storage.statistics().refused_overloaded, 1);
    memory.hold_syncs(false);
    for receiver in pending {
        assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
    }
    assert_eq!(write(&storage, &key("k"), &value(9, "v")), Ok(()));
    let config = Config { queue_bytes: 1000, ..Config::in_memory(MemoryStore::new()) };
    let storage = Storage::open(config).expect("opens");
    assert_eq!(write(&storage, &key("k"), &value(1, vec![0; 2000])), Err(WriteError::Overloaded));
    let too_large = write(&storage, &key("k"), &value(1, vec![0; crate::storage::MAX_VALUE_BYTES + 1]));
    assert!(matches!(too_large, Err(WriteError::TooLarge { .. })));
}

#[test]
fn closing_finishes_what_was_accepted_and_refuses_the_rest() {
    check_both(|open| {
        let storage = open();
        let pending: Vec<_> =
            (0..50).map(|time| start_write(&storage, &key(&format!("{time}")), &value(1, "v"))).collect();
        storage.close();
        storage.close();
        for receiver in pending {
            assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
        }
        assert_eq!(write(&storage, &key("k"), &value(1, "v")), Err(WriteError::Closed));
        let storage = open();
        assert_eq!(storage.statistics().records, 50);
        storage.close();
    });
}

#[test]
fn a_second_open_names_folder_and_process() {
    let folder = tempfile::tempdir().expect("folder");
    let _first = Storage::open(Config::new(folder.path())).expect("opens");
    let message = Storage::open(Config::new(folder.path())).err().expect("held").to_string();
    assert_eq!(message, format!("{} is in use by process {}", folder.path().display(), std::process::id()));
}

#[test]
fn below_the_floor_only_client_values_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    // No disk has more than everything free.
    let config = Config { free_floor_percent: 101, ..Config::new(folder.path()) };
    let storage = Storage::open(config).expect("opens");
    assert!(storage.disk_full());
    assert_eq!(write(&storage, &key("k"), &value(1, "v")), Err(WriteError::BelowFloor));
    assert_eq!(write(&storage, &key("k"), &tombstone(2)), Ok(()));
    let (sender, receiver) = channel();
    storage
        .write(P, &key("k"), &value(3, "v"), Origin::Repair, move |outcome| sender.send(outcome).unwrap_or_default());
    assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
    assert_eq!(storage.statistics().refused_disk_full, 1);
}

/// Overwrites pieces of sled's files: whatever it makes of that, it is an error or the truth, never a panic.
#[test]
fn damaged_sled_files_never_panic_and_never_lie() {
    for (round, fill) in [(0usize, 0u8), (1, 0xff), (2, 0x55)] {
        let folder = tempfile::tempdir().expect("folder");
        let config = Config { free_floor_percent: 0, ..Config::new(folder.path()) };
        let storage = Storage::open(config.clone()).expect("opens");
        for number in 0..200 {
            write(&storage, &key(&format!("k{number}")), &value(1, vec![9; 500])).unwrap();
        }
        storage.close();
        drop(storage);
        let path = folder.path().join("sled/db");
        let mut bytes = std::fs::read(&path).expect("db file");
        let at = bytes.len() / 7 * (round + 1) / 100;
        bytes.iter_mut().skip(at).take(3000).for_each(|byte| *byte = fill);
        std::fs::write(&path, bytes).expect("db file");
        match Storage::open(config) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(storage) => {
                for number in 0..200 {
                    if let Ok(Some(record)) = read(&storage, &key(&format!("k{number}"))) {
                        assert_eq!(record, value(1, vec![9; 500]));
                    }
                }
            }
        }
    }
}
