//! Every metric of the daemon in one table: names, help, buckets. Prefix `kvnode_`, base units.
//!
//! What is counted on a hot path is a plain handle or an atomic in an array, resolved once; nothing looks up labels
//! per request. What others keep count of themselves (storage, gossip, peers, the cluster view) arrives at scrape
//! time as [`Sample`]s from sources. No label ever holds a key, a value or a client's address.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::{MetricType, info::Info};
use prometheus_client::registry::Registry;

/// A label set of one label.
type Label = [(&'static str, String); 1];
/// A label set of two labels.
type Labels = [(&'static str, String); 2];

/// What a request asks for, as the label `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// GET or HEAD of a key.
    Get,
    /// PUT of a key.
    Put,
    /// DELETE of a key.
    Delete,
    /// A page of keys.
    List,
    /// A batch.
    Batch,
    /// Cluster views.
    View,
    /// Acts of administration and `explain`.
    Admin,
    /// Probes, metrics, version, OpenAPI.
    Probe,
    /// What leads nowhere.
    Other,
}

impl Operation {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Put,
        Self::Delete,
        Self::List,
        Self::Batch,
        Self::View,
        Self::Admin,
        Self::Probe,
        Self::Other,
    ];

    /// Its label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Batch => "batch",
            Self::View => "view",
            Self::Admin => "admin",
            Self::Probe => "probe",
            Self::Other => "other",
        }
    }
}

/// Lowest and one past the highest HTTP status that is counted.
const STATUSES: std::ops::Range<u16> = 200..512;

/// `http_requests_total{op,code}` as an array: one atomic per pair, without a lookup.
struct Requests {
    counts: Vec<AtomicU64>,
}

impl Requests {
    fn new() -> Self {
        let pairs = Operation::ALL.len() * STATUSES.len();
        Self { counts: (0..pairs).map(|_| AtomicU64::new(0)).collect() }
    }

    fn count(&self, operation: Operation, status: u16) {
        let column = usize::from(status.saturating_sub(STATUSES.start));
        if let Some(count) = self.counts.get(operation as usize * STATUSES.len() + column) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Requests answered, by operation and HTTP status.";
        let mut family = encoder.encode_descriptor("http_requests", help, None, MetricType::Counter)?;
        for operation in Operation::ALL {
            for (column, status) in STATUSES.enumerate() {
                let count = self.counts[operation as usize * STATUSES.len() + column].load(Ordering::Relaxed);
                if count > 0 {
                    let labels: Labels = [("op", operation.name().to_owned()), ("code", status.to_string())];
                    ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a sample only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows; its name is written with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure that a source gives at scrape time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name without prefix and without `_total`, for example `hints_bytes`.
    pub name: &'static str,
    /// What it says, for people; the same for every sample of the name.
    pub help: &'static str,
    /// Counter or gauge; the same for every sample of the name.
    pub kind: Kind,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The figure.
    pub value: f64,
}

impl Sample {
    /// A gauge without labels.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, kind: Kind::Gauge, labels: Vec::new(), value }
    }

    /// A counter without labels.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, kind: Kind::Counter, labels: Vec::new(), value }
    }

    /// The same with one more label.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

/// Gives samples at scrape time; must be quick and must not block.
pub type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

#[derive(Default, Clone)]
struct Sources(Arc<Mutex<Vec<Source>>>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut samples: Vec<Sample> = self.0.lock().iter().flat_map(|source| source()).collect();
        // One descriptor per name, whichever source a sample came from.
        samples.sort_by_key(|sample| sample.name);
        for group in samples.chunk_by(|one, other| one.name == other.name) {
            let kind = match group[0].kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let help = format!("{}.", group[0].help);
            let mut metric = encoder.encode_descriptor(group[0].name, &help, None, kind)?;
            match group {
                [only] if only.labels.is_empty() => encode_sample(only, metric)?,
                _ => {
                    for sample in group {
                        encode_sample(sample, metric.encode_family(&sample.labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn encode_sample(sample: &Sample, metric: MetricEncoder) -> fmt::Result {
    match sample.kind {
        Kind::Counter => ConstCounter::new(sample.value).encode(metric),
        Kind::Gauge => ConstGauge::new(sample.value).encode(metric),
    }
}

/// The table. Cheap to clone; clones share the figures.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Arc<Requests>,
    durations: [Histogram; Operation::ALL.len()],
    quorum_failures: Family<Labels, Counter>,
    shed: Family<Label, Counter>,
    sources: Sources,
    /// Operations that asked one more replica because the first was slow.
    pub hedged: Counter,
    /// Hints that their targets made durable.
    pub hints_delivered: Counter,
    /// Reads that wrote a newer record back.
    pub read_repairs: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("kvnode");
        let requests = Arc::new(Requests::new());
        let sources = Sources::default();
        registry.register_collector(Box::new(Arc::clone(&requests)));
        registry.register_collector(Box::new(sources.clone()));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION").to_owned())]);
        registry.register("build", "What runs", build);

        let durations = Family::<Label, Histogram>::new_with_constructor(request_histogram);
        registry.register("http_request_duration_seconds", "Time from head to answer", durations.clone());
        let durations =
            Operation::ALL.map(|operation| durations.get_or_create_owned(&[("op", operation.name().to_owned())]));

        let metrics = Self {
            requests,
            durations,
            quorum_failures: Family::default(),
            shed: Family::default(),
            sources,
            hedged: Counter::default(),
            hints_delivered: Counter::default(),
            read_repairs: Counter::default(),
            registry: Arc::default(),
        };
        let of = &metrics;
        registry.register("quorum_failures", "Operations that failed, by reason", of.quorum_failures.clone());
        registry.register("shed_requests", "Requests and connections refused at a limit", of.shed.clone());
        registry.register("hedged_operations", "Operations that asked one more replica", of.hedged.clone());
        registry.register("hints_delivered", "Hints that their targets made durable", of.hints_delivered.clone());
        registry.register("read_repairs", "Reads that wrote a newer record back", of.read_repairs.clone());
        Self { registry: Arc::new(registry), ..metrics }
    }

    /// Counts an answered request.
    pub fn answered(&self, operation: Operation, status: u16, took: Duration) {
        self.requests.count(operation, status);
        self.durations[operation as usize].observe(took.as_secs_f64());
    }

    /// Counts a failed operation on data.
    pub fn quorum_failed(&self, operation: Operation, reason: &'static str) {
        let labels = [("op", operation.name().to_owned()), ("reason", reason.to_owned())];
        self.quorum_failures.get_or_create(&labels).inc();
    }

    /// Counts a request or connection refused at a limit.
    pub fn shed(&self, reason: &'static str) {
        self.shed.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    /// Adds figures that are asked for at every scrape.
    pub fn add_source(&self, source: Source) {
        self.sources.0.lock().push(source);
    }

    /// All figures as OpenMetrics text, which Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics could not be encoded; they end where this happened");
        }
        text
    }
}

/// 100 µs to about 13 s, doubling: from a local read to the longest patience.
fn request_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_under_their_names() {
        let metrics = Metrics::new();
        metrics.answered(Operation::Put, 204, Duration::from_micros(300));
        metrics.answered(Operation::Put, 204, Duration::from_micros(300));
        metrics.answered(Operation::Other, 999, Duration::from_micros(300));
        metrics.shed("connections");
        metrics.quorum_failed(Operation::Get, "deadline");
        metrics.add_source(Box::new(|| {
            vec![
                Sample::gauge("hints_pending", "Hints held", 3.0).with("peer", "b1"),
                Sample::counter("gossip_packets", "Packets", 7.0),
                Sample::gauge("hints_pending", "Hints held", 0.0).with("peer", "c1"),
            ]
        }));
        let text = metrics.encode();
        let shown = |line: &&str| {
            ["http_requests", "hints_p", "gossip", "shed", "quorum", "build"].iter().any(|part| line.contains(part))
        };
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("# TYPE")).filter(shown).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        # HELP kvnode_build What runs.
        kvnode_build_info{version="0.1.0"} 1
        # HELP kvnode_quorum_failures Operations that failed, by reason.
        kvnode_quorum_failures_total{op="get",reason="deadline"} 1
        # HELP kvnode_shed_requests Requests and connections refused at a limit.
        kvnode_shed_requests_total{reason="connections"} 1
        # HELP kvnode_http_requests Requests answered, by operation and HTTP status.
        kvnode_http_requests_total{op="put",code="204"} 2
        # HELP kvnode_gossip_packets Packets.
        kvnode_gossip_packets_total 7.0
        # HELP kvnode_hints_pending Hints held.
        kvnode_hints_pending{peer="b1"} 3.0
        kvnode_hints_pending{peer="c1"} 0.0
        "#);
        assert!(text.contains("kvnode_http_request_duration_seconds_bucket{le=\"0.0004\",op=\"put\"} 2"), "{text}");
    }
}
