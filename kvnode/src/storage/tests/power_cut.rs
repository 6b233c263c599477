//! Power cuts under sled: its file as the last sync left it, mixed page by page with what one more batch wrote.
//!
//! Until a sync returns, the kernel may have written any subset of the pages that changed, in any order, and the
//! new length or not. Each round takes such a subset at random, opens it, and finds every acknowledged record
//! whole and every later one whole or absent. More rounds: `KVSTORE_POWER_CUTS=200 cargo test power_cut`.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

const PAGE: usize = 4096;

/// A small generator: the rounds must be the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One legal outcome: each changed page old or new, as a coin with a random bias falls.
fn mix(before: &[u8], after: &[u8], random: &mut Random) -> Vec<u8> {
    let bias = random.below(101);
    let length = if random.below(4) == 0 { before.len().min(after.len()) } else { after.len() };
    let mut mixed = vec![0; length];
    for (index, page) in mixed.chunks_mut(PAGE).enumerate() {
        let source = if random.below(100) < bias { after } else { before };
        let at = index * PAGE;
        let old = source.get(at..source.len().min(at + page.len())).unwrap_or_default();
        page[..old.len()].copy_from_slice(old);
    }
    mixed
}

/// A copy of the store's folder with this content in its file.
fn copy_with(folder: &Path, db: &[u8]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("folder");
    let sled = copy.path().join("sled");
    std::fs::create_dir(&sled).expect("folder");
    for entry in folder.join("sled").read_dir().expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_file() && !path.ends_with("db") {
            std::fs::copy(&path, sled.join(path.file_name().expect("name"))).expect("copy");
        }
    }
    std::fs::write(sled.join("db"), db).expect("write");
    copy
}

fn batch(round: u64, random: &mut Random) -> Vec<(PartitionId, Key, Record)> {
    // Some rounds are a single small write, some a batch of small ones, some hold long values; all are one batch.
    let (count, longest) = [(1, 1000), (100, 1500), (20, 40_000)][usize::try_from(random.below(3)).unwrap()];
    let length = |random: &mut Random| usize::try_from(random.below(longest)).unwrap();
    let fill = u8::try_from(round % 251).unwrap();
    let mut records = BTreeMap::new();
    for _ in 0..count {
        let name = key(&format!("key-{}", random.below(3000)));
        records.entry(name).or_insert_with(|| value(round, vec![fill; length(random)]));
    }
    records.into_iter().map(|(key, record)| (P, key, record)).collect()
}

fn write_all(storage: &Storage, records: Vec<(PartitionId, Key, Record)>) {
    let (sender, receiver) = channel();
    storage.write_many(records, move |outcome| sender.send(outcome).unwrap_or_default());
    assert_eq!(receiver.recv_timeout(LOST), Ok(Ok(())));
}

#[test]
fn every_mix_of_old_and_new_pages_keeps_what_was_acknowledged() {
    let rounds: u64 = std::env::var("KVSTORE_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let folder = tempfile::tempdir().expect("folder");
    let config = |folder: &Path| Config { free_floor_percent: 0, ..Config::new(folder) };
    let storage = Storage::open(config(folder.path())).expect("opens");
    let mut random = Random(7);
    let mut acknowledged: BTreeMap<Key, Record> = BTreeMap::new();
    // Nearly a segment, so that the rounds soon cross into the next.
    for round in 0..150 {
        let records = batch(round + 1, &mut random);
        acknowledged.extend(records.iter().map(|(_, key, record)| (key.clone(), record.clone())));
        write_all(&storage, records);
    }
    let file = folder.path().join("sled/db");
    for round in 0..rounds {
        let before = std::fs::read(&file).expect("db");
        let records = batch(1000 + round, &mut random);
        write_all(&storage, records.clone());
        let after = std::fs::read(&file).expect("db");
        let cut = copy_with(folder.path(), &mix(&before, &after, &mut random));
        let survivor = Storage::open(config(cut.path())).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let later: BTreeMap<Key, Record> = records.into_iter().map(|(_, key, record)| (key, record)).collect();
        for (key, record) in &acknowledged {
            let found = read(&survivor, key).expect("readable").expect("acknowledged");
            assert!(found == *record || later.get(key) == Some(&found), "round {round}: {found:?} for {record:?}");
        }
        survivor.close();
        acknowledged.extend(later);
    }
}
