//! The laws of the store, against a model and under every failure the memory engine can play; the same laws on
//! sled with reopening. To add a law, write a closure over `open` and give it to [`check_both`].
//! What needs real processes, such as SIGKILL under load, is tested elsewhere.

mod durability;
mod faults;
mod hints;
mod model;
mod power_cut;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::memory::MemoryStore;
use super::{Config, Origin, ReadError, Storage, WriteError};
use crate::protocol::id::PartitionId;
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record, Value, Version};
use crate::protocol::stamp::Stamp;

/// Longer than any sync here takes; reached only when a completion was lost.
const LOST: Duration = Duration::from_secs(20);

const P: PartitionId = PartitionId(7);

fn key(text: &str) -> Key {
    Key::parse(text.as_bytes().to_vec()).expect("test key")
}

fn stamp(time: u64) -> Stamp {
    Stamp { time, writer: 1, rmw: 0 }
}

fn value(time: u64, bytes: impl Into<Bytes>) -> Record {
    let value = Value { bytes: bytes.into(), content_type: None, expires_at: None };
    Record { stamp: stamp(time), content: Content::Value(value) }
}

fn tombstone(time: u64) -> Record {
    Record { stamp: stamp(time), content: Content::Tombstone }
}

fn open_memory(memory: &MemoryStore) -> Storage {
    Storage::open(Config::in_memory(memory.clone())).expect("memory opens")
}

/// Starts a write; its outcome arrives here.
fn start_write(storage: &Storage, key: &Key, record: &Record) -> Receiver<Result<(), WriteError>> {
    let (sender, receiver) = channel();
    storage.write(P, key, record, Origin::Client, move |outcome| sender.send(outcome).unwrap_or_default());
    receiver
}

fn write(storage: &Storage, key: &Key, record: &Record) -> Result<(), WriteError> {
    start_write(storage, key, record).recv_timeout(LOST).expect("a completion")
}

fn start_read(storage: &Storage, key: &Key) -> Receiver<Result<Option<Record>, ReadError>> {
    let (sender, receiver) = channel();
    storage.read(P, key, move |outcome| sender.send(outcome).unwrap_or_default());
    receiver
}

fn read(storage: &Storage, key: &Key) -> Result<Option<Record>, ReadError> {
    start_read(storage, key).recv_timeout(LOST).expect("a completion")
}

fn read_version(storage: &Storage, key: &Key) -> Result<Version, ReadError> {
    let (sender, receiver) = channel();
    storage.read_version(P, key, move |outcome| sender.send(outcome).unwrap_or_default());
    receiver.recv_timeout(LOST).expect("a completion")
}

/// Runs a law on both engines, with a way to close and open the same store again.
fn check_both(law: impl Fn(&dyn Fn() -> Storage)) {
    let memory = MemoryStore::new();
    law(&|| open_memory(&memory));
    let folder = tempfile::tempdir().expect("folder");
    let held: Mutex<Option<Storage>> = Mutex::new(None);
    law(&|| {
        // The previous handle is closed first: a folder has one owner.
        if let Some(before) = held.lock().take() {
            before.close();
        }
        let mut config = Config::new(folder.path());
        config.free_floor_percent = 0;
        let storage = Storage::open(config).expect("sled opens");
        *held.lock() = Some(storage.clone());
        storage
    });
}

fn failure_recorder() -> (Arc<Mutex<Vec<String>>>, super::FailureHook) {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&reasons);
    (reasons, Arc::new(move |reason: &str| sink.lock().push(reason.to_owned())))
}
