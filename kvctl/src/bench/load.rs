//! The loops: each has one connection to one endpoint and one request in flight.
//!
//! A loop whose connection fails opens it anew at the same endpoint after a pause, so that what the others of a
//! killed node's neighbours see can be told apart. Operations count by the moment they end; only those that end
//! between warm-up and the end count.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use kvnode::runtime::clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::connection::{Connection, Failure, Target, values};
use super::keys::Chooser;

/// Pause before a failed connection is opened again: long enough not to spin on a dead node.
const REOPEN_PAUSE: Duration = Duration::from_millis(20);
/// Latencies above this count as this: the requests' own time limit, in nanoseconds.
const HIGHEST_NANOS: u64 = 10_000_000_000;
/// Significant digits of latencies.
const DIGITS: u8 = 3;
/// Connections that fill the key space before measuring.
const FILLERS: usize = 32;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Writes only.
    Put,
    /// Reads only.
    Get,
    /// So many writes of a hundred, the rest reads.
    Mixed(u8),
}

impl std::str::FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "put" => Ok(Self::Put),
            "get" => Ok(Self::Get),
            other => match other.strip_prefix("mixed:").map(str::parse) {
                Some(Ok(puts @ 0..=100)) => Ok(Self::Mixed(puts)),
                _ => Err(format!("{text:?} is not put, get or mixed:PERCENT-OF-PUTS")),
            },
        }
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put => f.write_str("put"),
            Self::Get => f.write_str("get"),
            Self::Mixed(puts) => write!(f, "mixed:{puts}"),
        }
    }
}

/// A run.
#[derive(Clone)]
pub struct Plan {
    /// Loops, spread over the endpoints in turn.
    pub connections: usize,
    /// What they do.
    pub mix: Mix,
    /// Bytes of a value.
    pub value_size: usize,
    /// Keys.
    pub keys: u64,
    /// How they are chosen.
    pub chooser: Chooser,
    /// What keys begin with.
    pub prefix: String,
    /// What counts.
    pub duration: Duration,
    /// What comes before and does not count.
    pub warmup: Duration,
    /// Of all randomness.
    pub seed: u64,
}

impl Plan {
    fn path(&self, number: u64) -> String {
        format!("/v1/kv/{}{number:08}", self.prefix)
    }
}

/// What was measured.
pub struct Measured {
    /// Latencies of writes that succeeded, in nanoseconds.
    pub puts: Histogram<u64>,
    /// Latencies of reads that succeeded, in nanoseconds.
    pub gets: Histogram<u64>,
    /// Failures by kind.
    pub failures: BTreeMap<Failure, u64>,
    /// Longest time in which a single connection had no success.
    pub longest_gap: Duration,
    /// Longest time without any success over all connections that do not talk to an endpoint, by endpoint.
    pub gaps_without: Vec<Duration>,
    begin: Instant,
    end: Instant,
    last_without: Vec<Instant>,
}

impl Measured {
    fn new(endpoints: usize, begin: Instant, end: Instant) -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1000, HIGHEST_NANOS, DIGITS).expect("invariant: the constants make a histogram")
        };
        Self {
            puts: histogram(),
            gets: histogram(),
            failures: BTreeMap::new(),
            longest_gap: Duration::ZERO,
            gaps_without: vec![Duration::ZERO; endpoints],
            begin,
            end,
            last_without: vec![begin; endpoints],
        }
    }

    /// Operations that succeeded.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.puts.len() + self.gets.len()
    }

    /// Operations that failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.failures.values().sum()
    }

    fn counts(&self, at: Instant) -> bool {
        (self.begin..self.end).contains(&at)
    }

    fn success(&mut self, put: bool, endpoint: usize, begun: Instant, ended: Instant, last: &mut Instant) {
        if !self.counts(ended) {
            return;
        }
        let nanos = u64::try_from(ended.duration_since(begun).as_nanos()).unwrap_or(u64::MAX);
        let histogram = if put { &mut self.puts } else { &mut self.gets };
        histogram.saturating_record(nanos);
        self.longest_gap = self.longest_gap.max(ended.duration_since(*last));
        *last = ended;
        for other in (0..self.gaps_without.len()).filter(|other| *other != endpoint) {
            let gap = ended.saturating_duration_since(self.last_without[other]);
            self.gaps_without[other] = self.gaps_without[other].max(gap);
            self.last_without[other] = ended;
        }
    }

    fn failure(&mut self, failure: Failure, at: Instant) {
        if self.counts(at) {
            *self.failures.entry(failure).or_default() += 1;
        }
    }

    /// Silence up to the end counts too.
    fn close(&mut self, connections: usize) {
        for (endpoint, last) in self.last_without.iter().enumerate() {
            // Without a second endpoint in use nobody is left to be measured.
            let others = connections > 1 && self.gaps_without.len() > 1;
            let gap = if others { self.end.saturating_duration_since(*last) } else { Duration::ZERO };
            self.gaps_without[endpoint] = self.gaps_without[endpoint].max(gap);
        }
    }
}

/// Writes every key once.
///
/// # Errors
/// A key could not be written: what is measured afterwards would mean nothing.
pub async fn fill(targets: &[Target], plan: &Plan) -> Result<(), Failure> {
    let fillers = (0..FILLERS).map(|filler| async move {
        let mut connection = Connection::open(&targets[filler % targets.len()]).await?;
        let mut rng = StdRng::seed_from_u64(plan.seed ^ filler as u64);
        let values = values(plan.value_size, &mut rng);
        for number in (0..plan.keys).skip(filler).step_by(FILLERS) {
            connection.put(&plan.path(number), values[rng.random_range(0..values.len())].clone()).await?;
        }
        Ok(())
    });
    join_all(fillers).await.into_iter().collect()
}

/// Runs the loops from now to the end.
pub async fn run(targets: &[Target], plan: &Plan) -> Measured {
    let begin = clock::monotonic_now() + plan.warmup;
    let measured = Rc::new(RefCell::new(Measured::new(targets.len(), begin, begin + plan.duration)));
    let loops = (0..plan.connections).map(|number| {
        let endpoint = number % targets.len();
        let rng = StdRng::seed_from_u64(plan.seed.wrapping_add(number as u64));
        let looped = Loop { plan, target: &targets[endpoint], endpoint, measured: Rc::clone(&measured), rng };
        looped.run()
    });
    join_all(loops).await;
    let mut measured = measured.replace(Measured::new(0, begin, begin));
    measured.close(plan.connections);
    measured
}

struct Loop<'a> {
    plan: &'a Plan,
    target: &'a Target,
    endpoint: usize,
    measured: Rc<RefCell<Measured>>,
    rng: StdRng,
}

impl Loop<'_> {
    async fn run(mut self) {
        let values = values(self.plan.value_size, &mut self.rng);
        let (begin, end) = (self.measured.borrow().begin, self.measured.borrow().end);
        let mut last = begin;
        let mut connection = None;
        while clock::monotonic_now() < end {
            let open = match connection.take() {
                Some(open) => Ok(open),
                None => Connection::open(self.target).await,
            };
            match open {
                Ok(open) => connection = self.operate(open, &values, &mut last).await,
                Err(failure) => self.measured.borrow_mut().failure(failure, clock::monotonic_now()),
            }
            if connection.is_none() {
                clock::sleep(REOPEN_PAUSE).await;
            }
        }
        let mut measured = self.measured.borrow_mut();
        measured.longest_gap = measured.longest_gap.max(end.saturating_duration_since(last));
    }

    /// One operation; gives the connection back if it can be used again.
    async fn operate(&mut self, mut open: Connection, values: &[Bytes], last: &mut Instant) -> Option<Connection> {
        let put = match self.plan.mix {
            Mix::Put => true,
            Mix::Get => false,
            Mix::Mixed(puts) => self.rng.random_range(0..100) < puts,
        };
        let path = self.plan.path(self.plan.chooser.next(&mut self.rng));
        let value = put.then(|| values[self.rng.random_range(0..values.len())].clone());
        let begun = clock::monotonic_now();
        let done = match value {
            Some(value) => open.put(&path, value).await,
            None => open.get(&path, self.plan.value_size).await,
        };
        let ended = clock::monotonic_now();
        let mut measured = self.measured.borrow_mut();
        match done {
            Ok(()) => measured.success(put, self.endpoint, begun, ended, last),
            Err(failure) => measured.failure(failure, ended),
        }
        let usable = matches!(done, Ok(()) | Err(Failure::Status(_) | Failure::WrongValue));
        usable.then_some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_are_read_back() {
        for text in ["put", "get", "mixed:50", "mixed:0"] {
            assert_eq!(text.parse::<Mix>().map(|mix| mix.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "mixed", "mixed:101", "both"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn gaps_are_seen_by_those_who_do_not_talk_to_the_endpoint() {
        let begin = clock::monotonic_now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut measured = Measured::new(2, begin, at(100));
        let (mut first, mut second) = (begin, begin);
        measured.success(true, 0, at(9), at(10), &mut first);
        measured.success(true, 1, at(29), at(30), &mut second);
        measured.success(true, 0, at(69), at(70), &mut first);
        measured.success(true, 0, at(100), at(101), &mut first);
        measured.close(2);
        // Those that do not talk to 0 talk to 1: a success at 30, then silence to 100; and the other way round.
        assert_eq!(measured.gaps_without, [Duration::from_millis(70), Duration::from_millis(60)]);
        assert_eq!(measured.longest_gap, Duration::from_millis(60));
        assert_eq!(measured.operations(), 3);
    }
}
