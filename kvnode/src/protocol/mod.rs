//! The pure core: every decision kvnode takes, without a socket, a file, a clock or a global random number.
//!
//! Same inputs in the same order give the same outputs; time and randomness are arguments. That is what lets a
//! test run thousands of failures a second through the very code that serves clients. Nothing in here is
//! serializable by derive: bytes for the wire and the disk are made in `peer`, `gossip` and `storage`
//! (the one exception is a ring epoch, whose canonical bytes are its identity).
//!
//! Reading order: `id`, `key`, `stamp`, `record`, `quorum`, then `register`, `ring`, `membership`.

pub mod id;
pub mod key;
pub mod membership;
pub mod quorum;
pub mod record;
pub mod register;
pub mod ring;
pub mod stamp;
