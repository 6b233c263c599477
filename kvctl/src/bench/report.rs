//! What a run measured, as a document and as a table. Rendering only.
//!
//! Latencies are in microseconds, gaps in milliseconds, processor time in microseconds for each operation that
//! succeeded.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::{Measured, Plan};
use super::server::Spent;
use crate::ui::table::{bytes, table};

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Closed loops.
    pub connections: usize,
    /// What they did.
    pub mix: String,
    /// Bytes of a value.
    pub value_size: usize,
    /// Seconds that counted.
    pub seconds: f64,
    /// Operations that succeeded.
    pub operations: u64,
    /// Of them in a second.
    pub operations_per_second: f64,
    /// Writes, if there were any.
    pub puts: Option<Latencies>,
    /// Reads, if there were any.
    pub gets: Option<Latencies>,
    /// Failures.
    pub errors: u64,
    /// By kind.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// Longest time without a success, in milliseconds.
    pub longest_gap: Gaps,
    /// What the nodes spent, if they could be seen.
    pub server: Option<Server>,
    /// What this program spent, in microseconds of processor time an operation.
    pub client_micros_per_operation: f64,
}

/// Latencies of operations that succeeded, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// How many.
    pub count: u64,
    /// Half were faster.
    pub p50: f64,
    /// 90 percent were faster.
    pub p90: f64,
    /// 99 percent were faster.
    pub p99: f64,
    /// 99.9 percent were faster.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// Longest times without a success, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Gaps {
    /// Of a single connection.
    pub of_one_connection: f64,
    /// Of all connections together that do not talk to an endpoint, by endpoint.
    pub without_endpoint: BTreeMap<String, f64>,
}

/// What the nodes spent.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// Microseconds of processor time an operation, all nodes together.
    pub micros_per_operation: f64,
    /// Each node.
    pub nodes: Vec<Node>,
}

/// What one node spent.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Seconds of processor time, over the measured time.
    pub cores: f64,
    /// Memory in RAM at the end, in bytes.
    pub resident_bytes: u64,
}

impl Run {
    /// Puts a run together. `busy` is the time over which processor time was counted, warm-up included, and
    /// `operations` are scaled to it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn new(plan: &Plan, endpoints: &[String], measured: &Measured, spent: &[Spent], client: Duration) -> Self {
        let seconds = plan.duration.as_secs_f64();
        let whole = seconds + plan.warmup.as_secs_f64();
        // Processor time is counted over warm-up and run, operations over the run alone.
        let per_operation = |time: Duration| {
            let operations = measured.operations() as f64 * whole / seconds;
            if operations > 0.0 { time.as_secs_f64() * 1e6 / operations } else { 0.0 }
        };
        let nodes: Vec<Node> = spent
            .iter()
            .map(|one| Node {
                name: one.node.clone(),
                cores: one.processor.as_secs_f64() / whole,
                resident_bytes: one.resident_bytes,
            })
            .collect();
        let millis = |gap: Duration| gap.as_secs_f64() * 1e3;
        let without = endpoints.iter().cloned().zip(measured.gaps_without.iter().copied().map(millis));
        Self {
            connections: plan.connections,
            mix: plan.mix.to_string(),
            value_size: plan.value_size,
            seconds,
            operations: measured.operations(),
            operations_per_second: measured.operations() as f64 / seconds,
            puts: latencies(&measured.puts),
            gets: latencies(&measured.gets),
            errors: measured.errors(),
            errors_by_kind: measured.failures.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            longest_gap: Gaps { of_one_connection: millis(measured.longest_gap), without_endpoint: without.collect() },
            server: (!nodes.is_empty()).then(|| Server {
                micros_per_operation: per_operation(spent.iter().map(|one| one.processor).sum()),
                nodes,
            }),
            client_micros_per_operation: per_operation(client),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies in nanoseconds are far below 2^52")]
fn latencies(histogram: &Histogram<u64>) -> Option<Latencies> {
    if histogram.is_empty() {
        return None;
    }
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let max = histogram.max() as f64 / 1e3;
    Some(Latencies { count: histogram.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max })
}

/// The runs as people read them.
#[must_use]
pub fn render(runs: &[Run]) -> String {
    let mut rows = Vec::new();
    for run in runs {
        for (operation, latencies) in [("put", &run.puts), ("get", &run.gets)] {
            rows.extend(latencies.as_ref().map(|latencies| row(run, operation, latencies)));
        }
        if run.operations == 0 {
            rows.push(std::array::from_fn(
                |column| if column == 0 { run.connections.to_string() } else { "-".to_owned() },
            ));
        }
    }
    let headings =
        ["connections", "op", "ops/s", "p50 ms", "p90", "p99", "p99.9", "max", "gap ms", "server µs/op", "errors"];
    let mut text = table(headings, &rows);
    for run in runs {
        let kinds: Vec<String> = run.errors_by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if !kinds.is_empty() {
            text.push_str(&format!("\nerrors at {} connections: {}", run.connections, kinds.join(", ")));
        }
    }
    if let Some(server) = runs.last().and_then(|run| run.server.as_ref()) {
        let nodes: Vec<String> = server
            .nodes
            .iter()
            .map(|node| format!("{} {} and {:.2} cores", node.name, bytes(node.resident_bytes), node.cores))
            .collect();
        text.push_str(&format!("\nnodes at the end: {}", nodes.join(", ")));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn row(run: &Run, operation: &str, latencies: &Latencies) -> [String; 11] {
    let millis = |micros: f64| format!("{:.2}", micros / 1e3);
    [
        run.connections.to_string(),
        operation.to_owned(),
        format!("{:.0}", latencies.count as f64 / run.seconds),
        millis(latencies.p50),
        millis(latencies.p90),
        millis(latencies.p99),
        millis(latencies.p999),
        millis(latencies.max),
        format!("{:.0}", run.longest_gap.of_one_connection),
        run.server.as_ref().map_or_else(|| "-".to_owned(), |server| format!("{:.0}", server.micros_per_operation)),
        run.errors.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_read_as_a_table() {
        let latencies = Latencies { count: 6000, p50: 800.0, p90: 900.0, p99: 1500.0, p999: 4000.0, max: 9000.0 };
        let run = Run {
            connections: 16,
            mix: "put".to_owned(),
            value_size: 1024,
            seconds: 6.0,
            operations: 6000,
            operations_per_second: 1000.0,
            puts: Some(latencies),
            gets: None,
            errors: 2,
            errors_by_kind: [("status 503".to_owned(), 2)].into(),
            longest_gap: Gaps { of_one_connection: 12.0, without_endpoint: BTreeMap::new() },
            server: Some(Server {
                micros_per_operation: 140.0,
                nodes: vec![Node { name: "a1".to_owned(), cores: 0.5, resident_bytes: 50 << 20 }],
            }),
            client_micros_per_operation: 30.0,
        };
        insta::assert_snapshot!(render(&[run]), @r"
        connections  op   ops/s  p50 ms  p90   p99   p99.9  max   gap ms  server µs/op  errors
        16           put  1000   0.80    0.90  1.50  4.00   9.00  12      140           2
        errors at 16 connections: 2 status 503
        nodes at the end: a1 50.0 MiB and 0.50 cores
        ");
    }
}
