//! kvnode: a leaderless, quorum-replicated, linearizable key-value daemon.
//!
//! Two data flows. A client request: `api` parses it, `node` runs a `protocol::register` machine that asks
//! `storage` and, through `peer`, other nodes; the answer goes back the same way. Membership: `node` feeds
//! datagrams and timers to `protocol::membership`, whose output goes out through `gossip`'s sealed packets.
//!
//! Import rule (a test enforces it): `protocol` imports nothing of ours; `storage`, `peer` and `gossip` import
//! `protocol` and never each other; `node` imports those; `api` sees `node`'s handle and protocol ids;
//! `server` wires. `runtime` and `metrics` are leaves anyone in the shell may use.

pub mod api;
pub mod audit;
pub mod certificates;
pub mod client;
pub mod command;
pub mod config;
pub mod credentials;
pub mod gossip;
pub mod metrics;
pub mod node;
pub mod peer;
pub mod protocol;
pub mod runtime;
pub mod server;
pub mod storage;
