//! Clients that read and write while nodes come and go, and what they remember of it.
//!
//! [`Mix`] is a closed loop of reads, puts and deletes on few keys for the linearizability checker; [`Writer`] a
//! closed loop of puts, each of a new key, that remembers which were acknowledged. Both stop when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvnode::api::types::Outcome;
use kvnode::audit::history::{ClientId, Completion, Kind, Recorder, ValueId};
use kvnode::client::{Client, Error, Options, PutOptions};
use kvnode::runtime::clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Server-side time limit of one operation: short, so that a paused node does not stop the clients.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1000);

/// Pause after a refused operation, so that clients of a dead node do not spin.
const AFTER_ERROR: Duration = Duration::from_millis(5);

/// Options with the short time limit.
pub(crate) fn options() -> Options {
    Options { consistency: None, timeout: Some(TIMEOUT) }
}

/// Put options with the short time limit.
pub(crate) fn put_options() -> PutOptions {
    PutOptions { options: options(), ..PutOptions::default() }
}

/// Tells clients to stop. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on.
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was told.
    pub(crate) fn told(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One client of a mixed workload on few keys; each operation goes to a random node.
pub(crate) struct Mix {
    pub(crate) id: u32,
    /// One client per node.
    pub(crate) nodes: Vec<Client>,
    pub(crate) keys: u32,
    pub(crate) recorder: Arc<Recorder>,
    /// Zero of the history's clock.
    pub(crate) start: Instant,
    pub(crate) stop: Stop,
}

impl Mix {
    /// Half reads, four tenths puts, one tenth deletes, until told to stop.
    pub(crate) async fn run(self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut written = 0;
        while !self.stop.told() {
            let key = format!("key-{}", random.random_range(0..self.keys));
            let node = &self.nodes[random.random_range(0..self.nodes.len())];
            let applied = match random.random_range(0..10) {
                0..5 => self.get(node, &key).await,
                5..9 => {
                    written += 1;
                    self.put(node, &key, ValueId(u64::from(self.id) << 32 | written)).await
                }
                _ => self.delete(node, &key).await,
            };
            if !applied {
                clock::sleep(AFTER_ERROR).await;
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("centuries")
    }

    async fn get(&self, node: &Client, key: &str) -> bool {
        let kind = Kind::Get { observed: None };
        let ticket = self.recorder.begin(ClientId(self.id), key.into(), kind, self.now()).expect("room");
        let Ok(found) = node.get(key.as_bytes(), options()).await else { return false };
        let observed = found.map(|found| value_of(&found.value));
        self.recorder.complete_get(ticket, observed, self.now());
        true
    }

    async fn put(&self, node: &Client, key: &str, value: ValueId) -> bool {
        let kind = Kind::Put { value };
        let ticket = self.recorder.begin(ClientId(self.id), key.into(), kind, self.now()).expect("room");
        let result = node.put(key.as_bytes(), value.0.to_string().into(), &put_options()).await;
        self.recorder.complete(ticket, completion(result.as_ref().err(), self.now()));
        result.is_ok()
    }

    async fn delete(&self, node: &Client, key: &str) -> bool {
        let ticket = self.recorder.begin(ClientId(self.id), key.into(), Kind::Delete, self.now()).expect("room");
        let result = node.delete(key.as_bytes(), options()).await;
        self.recorder.complete(ticket, completion(result.as_ref().err(), self.now()));
        result.is_ok()
    }
}

/// A value that no client wrote counts as one never written, which the checker refuses.
fn value_of(bytes: &[u8]) -> ValueId {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).map_or(ValueId(u64::MAX), ValueId)
}

fn completion(error: Option<&Error>, at: u64) -> Completion {
    match error.map(Error::outcome) {
        None => Completion::Ok { at },
        Some(Outcome::NotApplied) => Completion::NotApplied { at },
        Some(Outcome::Unknown) => Completion::Unknown,
    }
}

/// What a writer has to say at its end.
#[derive(Default)]
pub(crate) struct Written {
    /// Keys whose last write was acknowledged, with the value they must have; none is deleted.
    pub(crate) acknowledged: Vec<(String, Option<String>)>,
    /// Writes that were acknowledged: more than keys where a key was put and deleted.
    pub(crate) acks: usize,
    /// Errors in words.
    pub(crate) errors: Vec<String>,
    /// Operations that failed, were tried again at once, and failed again.
    pub(crate) failed_twice: usize,
    /// Longest time between two acknowledgements.
    pub(crate) longest_gap: Duration,
}

/// A client of one node that puts new keys and deletes every tenth of them again.
pub(crate) struct Writer {
    pub(crate) client: Client,
    /// Begins its keys; unique in the test.
    pub(crate) prefix: String,
    pub(crate) value_bytes: usize,
    pub(crate) stop: Stop,
    /// Counts acknowledgements as they come.
    pub(crate) count: Arc<std::sync::atomic::AtomicUsize>,
}

impl Writer {
    /// Until told to stop.
    pub(crate) async fn run(self) -> Written {
        let mut written = Written::default();
        let mut last = clock::monotonic_now();
        for number in 0u64.. {
            if self.stop.told() {
                break;
            }
            let key = format!("{}-{number}", self.prefix);
            let value = format!("{key}:{}", "v".repeat(self.value_bytes));
            if !self.write_twice(&mut written, &key, Some(&value)).await {
                continue;
            }
            let mut expected = Some(value);
            self.acknowledged(&mut written, &mut last);
            if number % 10 == 9 {
                if !self.write_twice(&mut written, &key, None).await {
                    // The delete may or may not have happened: the key proves nothing.
                    continue;
                }
                self.acknowledged(&mut written, &mut last);
                expected = None;
            }
            written.acknowledged.push((key, expected));
        }
        written
    }

    fn acknowledged(&self, written: &mut Written, last: &mut Instant) {
        written.acks += 1;
        self.count.fetch_add(1, Ordering::Relaxed);
        let now = clock::monotonic_now();
        written.longest_gap = written.longest_gap.max(now - *last);
        *last = now;
    }

    /// Puts or deletes, and once more if that fails; false if both fail.
    async fn write_twice(&self, written: &mut Written, key: &str, value: Option<&str>) -> bool {
        for turn in 0..2 {
            let result = match value {
                Some(value) => self.client.put(key.as_bytes(), value.to_owned().into(), &put_options()).await,
                None => self.client.delete(key.as_bytes(), options()).await,
            };
            let Err(error) = result else { return true };
            if !self.stop.told() {
                written.errors.push(error.to_string());
                written.failed_twice += turn;
            }
            clock::sleep(AFTER_ERROR).await;
        }
        false
    }
}

/// Reads every key back through `client`; returns what is wrong, in words.
pub(crate) async fn verify(client: &Client, expected: &[(String, Option<String>)], options: Options) -> Vec<String> {
    use base64::Engine;
    use kvnode::api::types::{BatchOperation, BatchRequest};
    let mut wrong = Vec::new();
    for chunk in expected.chunks(100) {
        let get = |(key, _): &(String, Option<String>)| BatchOperation::Get { key: key.clone() };
        let request = BatchRequest { operations: chunk.iter().map(get).collect() };
        let response = client.batch(&request, options).await.expect("the cluster answers");
        for ((key, expected), result) in chunk.iter().zip(response.results) {
            let decode = |text: String| base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
            let found = result.value.map(|text| String::from_utf8_lossy(&decode(text)).into_owned());
            match (result.status, &found) {
                (200, found) if found == expected => {}
                (404, None) if expected.is_none() => {}
                (status, found) => wrong.push(format!("{key}: status {status}, {:?}", found.as_ref().map(String::len))),
            }
        }
    }
    wrong
}
