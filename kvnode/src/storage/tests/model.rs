//! Random operations and power cuts against a model: every acknowledged write is there, none is torn, none invented.
//!
//! A deliberate fault, acknowledging before the sync, shows that the laws can fail.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Write and wait for the acknowledgement.
    Write { key: u8, time: u64, length: usize },
    /// Delete and wait.
    Delete { key: u8, time: u64 },
    /// Start writes that a power cut meets while their sync is held; this many of their batches survive.
    Cut { keys: Vec<(u8, u64, usize)>, survivors: usize },
    /// Close and open again.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![3 => 0usize..50, 1 => 4090usize..13_000];
    prop_oneof![
        8 => (0u8..6, 1u64..40, length.clone()).prop_map(|(key, time, length)| Step::Write { key, time, length }),
        2 => (0u8..6, 1u64..40).prop_map(|(key, time)| Step::Delete { key, time }),
        2 => (proptest::collection::vec((0u8..6, 1u64..40, length), 1..6), 0usize..3)
            .prop_map(|(keys, survivors)| Step::Cut { keys, survivors }),
        1 => Just(Step::Reopen),
    ]
}

fn name(number: u8) -> Key {
    key(&format!("key-{number}"))
}

/// The content is a function of the stamp, as stamps are never issued twice.
fn record(time: u64, length: usize) -> Record {
    value(time, vec![u8::try_from(time).unwrap_or(0); length])
}

/// What must be there (acknowledged) and what else may be (started before a cut), per key, by stamp.
#[derive(Default)]
struct Model {
    acknowledged: BTreeMap<u8, Record>,
    written: BTreeMap<(u8, u64), Record>,
}

impl Model {
    /// The one record that this stamp stands for on this key.
    fn issue(&mut self, key: u8, record: Record) -> Record {
        self.written.entry((key, record.stamp.time)).or_insert(record).clone()
    }

    fn acknowledge(&mut self, key: u8, record: Record) {
        let held = self.acknowledged.entry(key).or_insert_with(|| record.clone());
        if record.stamp > held.stamp {
            *held = record;
        }
    }

    fn check(&mut self, storage: &Storage) -> Result<(), TestCaseError> {
        for number in 0..6 {
            let found = read(storage, &name(number)).expect("readable");
            if let Some(least) = self.acknowledged.get(&number) {
                let stamp = found.as_ref().map(|record| record.stamp);
                prop_assert!(stamp >= Some(least.stamp), "lost: {stamp:?} < {:?}", least.stamp);
            }
            if let Some(found) = found {
                prop_assert_eq!(self.written.get(&(number, found.stamp.time)), Some(&found), "torn or invented");
                // What was read once is durable and may not vanish.
                self.acknowledge(number, found);
            }
        }
        Ok(())
    }
}

fn run(steps: Vec<Step>, acknowledge_before_sync: bool) -> Result<(), TestCaseError> {
    let memory = MemoryStore::new();
    let config = Config { acknowledge_before_sync, ..Config::in_memory(memory.clone()) };
    let mut storage = Storage::open(config.clone()).expect("opens");
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Write { key, time, length } => {
                let record = model.issue(key, record(time, length));
                prop_assert_eq!(write(&storage, &name(key), &record), Ok(()));
                model.acknowledge(key, record);
            }
            Step::Delete { key, time } => {
                let record = model.issue(key, tombstone(time));
                prop_assert_eq!(write(&storage, &name(key), &record), Ok(()));
                model.acknowledge(key, record);
            }
            Step::Cut { keys, survivors } => {
                memory.hold_syncs(true);
                let mut pending = Vec::new();
                for (key, time, length) in keys {
                    let record = model.issue(key, record(time, length));
                    pending.push((key, record.clone(), start_write(&storage, &name(key), &record)));
                }
                memory.cut_power(survivors);
                memory.fail_syncs(true);
                memory.hold_syncs(false);
                storage.close();
                for (key, record, outcome) in pending {
                    if outcome.recv_timeout(LOST) == Ok(Ok(())) {
                        model.acknowledge(key, record);
                    }
                }
                memory.fail_syncs(false);
                memory.cut_power(survivors);
                storage = Storage::open(config.clone()).expect("opens");
            }
            Step::Reopen => {
                storage.close();
                storage = Storage::open(config.clone()).expect("opens");
            }
        }
        model.check(&storage)?;
    }
    let page = storage.scan(&[P], b"", b"", 100, true).expect("page");
    let expected: Vec<_> =
        (0..6).filter_map(|number| Some((name(number), read(&storage, &name(number)).ok()??))).collect();
    prop_assert_eq!(page.items, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn acknowledged_writes_survive_power_cuts(steps in proptest::collection::vec(step(), 1..25)) {
        run(steps, false)?;
    }
}

/// The same laws with a deliberate fault: shows that they can fail.
#[test]
fn acknowledging_before_the_sync_is_caught() {
    let cut = Step::Cut { keys: vec![(1, 5, 10)], survivors: 0 };
    let caught = run(vec![Step::Write { key: 1, time: 1, length: 9000 }, cut.clone()], true);
    assert!(matches!(&caught, Err(TestCaseError::Fail(reason)) if reason.message().contains("lost")), "{caught:?}");
    run(vec![Step::Write { key: 1, time: 1, length: 9000 }, cut], false).expect("without the fault they hold");
}
