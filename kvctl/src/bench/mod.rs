//! The load generator behind `kvctl bench`: closed loops over keep-alive TLS connections, on one thread.
//!
//! One thread and hyper's own HTTP/1.1 connection, because the generator shares the machine with what it measures.
//! A closed loop has one request in flight; its latencies tell nothing of queues a slow server would build under
//! open load (coordinated omission: Tene, "How NOT to Measure Latency", 2015). Gaps between successes are measured
//! beside them, because they show what a percentile hides.

pub mod connection;
pub mod keys;
pub mod load;
pub mod report;
pub mod server;
