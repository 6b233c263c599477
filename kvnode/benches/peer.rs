//! Calls per second and CPU per call between two nodes in one process, over TLS on loopback.
//!
//! A closed loop with 1 and with 64 calls in flight; each reads a value of 1 KiB or writes one. CPU counts both
//! ends, because both run here. The service answers from memory: what is measured is the peer protocol alone.
//! Run it with `cargo bench -p kvnode --bench peer`; it proves nothing and fails only if calls do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use kvnode::certificates::{Authority, DEFAULT_AUTHORITY_VALIDITY, NodeRequest};
use kvnode::peer::client::{Limits, PeerAddress, PeerPool};
use kvnode::peer::greeting::LocalIdentity;
use kvnode::peer::server::PeerServer;
use kvnode::peer::tls::{PeerTls, Pem};
use kvnode::peer::{Class, PeerIdentity, PeerReply, PeerRequest, PeerService, Responder};
use kvnode::protocol::id::{EpochNumber, NodeId, NodeName, PartitionId};
use kvnode::protocol::key::Key;
use kvnode::protocol::record::{Content, Record, Value};
use kvnode::protocol::register;
use kvnode::protocol::stamp::Stamp;
use kvnode::runtime::clock;
use kvnode::runtime::tasks::Tasks;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

const DURATION: Duration = Duration::from_secs(3);
const VALUE_BYTES: usize = 1024;

struct FromMemory {
    record: Record,
}

impl PeerService for FromMemory {
    fn handle(&self, _from: &PeerIdentity, request: PeerRequest, _deadline: Instant, respond: Responder) {
        respond(PeerReply::Register(match request {
            PeerRequest::Register { request: register::Request::Read { .. }, .. } => {
                register::Reply::Record(Some(self.record.clone()))
            }
            _ => register::Reply::Written,
        }));
    }
}

fn record() -> Record {
    let value = Value { bytes: Bytes::from(vec![7; VALUE_BYTES]), content_type: None, expires_at: None };
    Record { stamp: Stamp { time: 1, writer: 2, rmw: 0 }, content: Content::Value(value) }
}

fn identity(name: &NodeName, id: u128) -> Arc<LocalIdentity> {
    Arc::new(LocalIdentity::new(PeerIdentity { name: name.clone(), id: NodeId::from_bits(id) }, None))
}

fn tls(authority: &Authority, name: &NodeName) -> Arc<PeerTls> {
    let issued = authority.issue(&NodeRequest::new(name.clone(), vec![])).expect("issued");
    let pem = Pem {
        authority: authority.issued().certificate_pem.clone().into_bytes(),
        certificate: issued.certificate_pem.into_bytes(),
        key: issued.key_pem.into_bytes(),
    };
    Arc::new(PeerTls::new(name, &pem).expect("good certificates"))
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("readable");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

async fn connect(tasks: &Tasks) -> (PeerPool, NodeId) {
    let authority = Authority::create("bench", DEFAULT_AUTHORITY_VALIDITY).expect("made");
    let (a, b): (NodeName, NodeName) = ("a".parse().expect("valid"), "b".parse().expect("valid"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let server = PeerServer::new(tls(&authority, &a), identity(&a, 1), FromMemory { record: record() }, tasks.clone());
    tasks.spawn("server", server.serve(listener));
    let pool = PeerPool::new(tls(&authority, &b), identity(&b, 2), tasks.clone(), Limits::default());
    let id = NodeId::from_bits(1);
    pool.set_peers(vec![PeerAddress { id, name: a, address }]);
    while !pool.is_connected(id) {
        clock::sleep(Duration::from_millis(5)).await;
    }
    (pool, id)
}

async fn measure(tasks: &Tasks, pool: &PeerPool, target: NodeId, what: &str, in_flight: usize, request: &PeerRequest) {
    let (sender, mut finished) = tokio::sync::mpsc::unbounded_channel();
    let (cpu_before, end) = (cpu(), clock::monotonic_now() + DURATION);
    for _ in 0..in_flight {
        let (pool, sender, request) = (pool.clone(), sender.clone(), request.clone());
        tasks.spawn("caller", async move {
            let mut latencies = Histogram::<u64>::new(3).expect("3 digits");
            loop {
                let began = clock::monotonic_now();
                if began >= end {
                    break;
                }
                let deadline = began + Duration::from_secs(5);
                pool.request(target, &request, Class::Client, deadline).await.expect("answered");
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                latencies.saturating_record(micros);
            }
            drop(sender.send(latencies));
        });
    }
    drop(sender);
    let mut all = Histogram::<u64>::new(3).expect("3 digits");
    while let Some(latencies) = finished.recv().await {
        all.add(latencies).expect("same range");
    }
    report(what, in_flight, &all, cpu() - cpu_before);
}

#[expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]
fn report(what: &str, in_flight: usize, latencies: &Histogram<u64>, cpu: Duration) {
    let calls = latencies.len();
    let per_second = u128::from(calls) * 1000 / DURATION.as_millis();
    let cpu_nanos = cpu.as_nanos() / u128::from(calls.max(1));
    let (p50, p99) = (latencies.value_at_quantile(0.5), latencies.value_at_quantile(0.99));
    println!(
        "{what:<12} {in_flight:>3} in flight: {per_second:>7} calls/s, p50 {p50:>5} us, p99 {p99:>5} us, \
         CPU of both ends {cpu_nanos:>6} ns/call"
    );
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let tasks = Tasks::new();
        let (pool, target) = connect(&tasks).await;
        let key = Key::parse(Bytes::from_static(b"bench-key-of-some-20")).expect("valid");
        let (epoch, partition) = (EpochNumber(1), PartitionId(3));
        let register = |request| PeerRequest::Register { epoch, request };
        let read = register(register::Request::Read { partition, key: key.clone() });
        let write = register(register::Request::Write { partition, key, record: record() });
        for (what, request) in [("read 1 KiB", &read), ("write 1 KiB", &write)] {
            for in_flight in [1, 64] {
                measure(&tasks, &pool, target, what, in_flight, request).await;
            }
        }
        tasks.shutdown(clock::monotonic_now() + Duration::from_secs(5)).await;
    });
}
