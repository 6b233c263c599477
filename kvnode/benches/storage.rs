//! Durable 1 KiB writes per second and CPU per write of the store alone, and reads: `cargo bench --bench storage`.
//!
//! Writers are closed loops: each writes again as soon as its last write is durable, driven from one thread as a
//! node's event loop would. CPU is the whole process's, system time included. The figures are for comparing
//! changes on one machine; they assert nothing. A folder on a real disk may be given as the first argument.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use kvnode::protocol::id::PartitionId;
use kvnode::protocol::key::Key;
use kvnode::protocol::record::{Content, Record, Value};
use kvnode::protocol::stamp::Stamp;
use kvnode::runtime::clock::monotonic_now;
use kvnode::storage::{Config, Origin, Storage};
use nix::sys::resource::{UsageWho, getrusage};

const RUN_FOR: Duration = Duration::from_secs(3);
const KEYS: u64 = 100_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let parent = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let folder = tempfile::tempdir_in(parent.map_or_else(std::env::temp_dir, Into::into))?;
    let storage = Storage::open(Config::new(folder.path()))?;
    println!("idle: {} KiB resident", resident_kib()?);
    for (bytes, writers) in [(1024, 1), (1024, 16), (1024, 64), (1024, 256)] {
        write(&storage, writers, bytes)?;
    }
    read(&storage)?;
    for (bytes, writers) in [(128, 64), (16 << 10, 64)] {
        write(&storage, writers, bytes)?;
    }
    let before = monotonic_now();
    storage.close();
    println!("close: {:?}, {} KiB resident", before.elapsed(), resident_kib()?);
    let before = monotonic_now();
    let storage = Storage::open(Config::new(folder.path()))?;
    let statistics = storage.statistics();
    println!(
        "open: {:?} for {} records, {} MiB on disk",
        before.elapsed(),
        statistics.records,
        statistics.store_bytes >> 20
    );
    Ok(())
}

fn write(storage: &Storage, writers: u64, bytes: usize) -> Result<(), Failure> {
    let value = Bytes::from(vec![b'v'; bytes]);
    let mut latencies = Histogram::<u64>::new(3)?;
    let (sender, receiver) = mpsc::channel();
    let (start, cpu, before) = (monotonic_now(), cpu()?, storage.statistics());
    // Which keys are written matters little; that they are spread over the tree does.
    let mut next = kvnode::runtime::clock::wall_micros();
    let mut clock = next;
    let mut submit = |writer: u64| -> Result<(), Failure> {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let number = (next >> 33) % KEYS;
        let key = Key::parse(format!("key-{number:012}").into_bytes())?;
        let value = Value { bytes: value.clone(), content_type: None, expires_at: None };
        clock += 1;
        let record = Record { stamp: Stamp { time: clock, writer, rmw: 0 }, content: Content::Value(value) };
        let (sender, began) = (sender.clone(), monotonic_now());
        let partition = PartitionId(u16::try_from(number % 256)?);
        storage.write(partition, &key, &record, Origin::Repair, move |outcome| {
            drop(sender.send((writer, began, outcome)));
        });
        Ok(())
    };
    (0..writers).try_for_each(&mut submit)?;
    let (mut left, mut done) = (writers, 0u32);
    while left > 0 {
        let (writer, began, outcome) = receiver.recv()?;
        outcome?;
        latencies.record(u64::try_from(began.elapsed().as_micros())?)?;
        done += 1;
        if start.elapsed() < RUN_FOR { submit(writer)? } else { left -= 1 }
    }
    let (elapsed, after) = (start.elapsed(), storage.statistics());
    let syncs = u32::try_from(after.syncs - before.syncs)?.max(1);
    println!(
        "{bytes:>6} B, {writers:>3} writers: {:>6.0} puts/s, {:>5.1} us CPU per put, p50 {} us, p99 {} us, {:.1} puts per sync, {:?} per sync, {} KiB resident",
        f64::from(done) / elapsed.as_secs_f64(),
        (self::cpu()? - cpu).as_secs_f64() * 1e6 / f64::from(done),
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
        f64::from(done) / f64::from(syncs),
        (after.total_sync - before.total_sync) / syncs,
        resident_kib()?,
    );
    Ok(())
}

fn read(storage: &Storage) -> Result<(), Failure> {
    let (start, cpu) = (monotonic_now(), cpu()?);
    let (sender, receiver) = mpsc::channel();
    let (mut done, mut found) = (0u32, 0u32);
    while start.elapsed() < RUN_FOR {
        let number = u64::from(done).wrapping_mul(2_654_435_761) % KEYS;
        let key = Key::parse(format!("key-{number:012}").into_bytes())?;
        let sender = sender.clone();
        storage.read(PartitionId(u16::try_from(number % 256)?), &key, move |outcome| drop(sender.send(outcome)));
        found += u32::from(receiver.recv()??.is_some());
        done += 1;
    }
    let rate = f64::from(done) / start.elapsed().as_secs_f64();
    let each = (self::cpu()? - cpu).as_secs_f64() * 1e6 / f64::from(done);
    println!("reads, one thread: {rate:.0} gets/s, {each:.1} us CPU per get, {found} of {done} found");
    Ok(())
}

fn cpu() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = |time: nix::sys::time::TimeVal| -> Result<Duration, Failure> {
        Ok(Duration::from_secs(u64::try_from(time.tv_sec())?) + Duration::from_micros(u64::try_from(time.tv_usec())?))
    };
    Ok(time(usage.user_time())? + time(usage.system_time())?)
}

fn resident_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
