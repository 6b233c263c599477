//! Gossip's bytes: packets of at most 1400 bytes, sealed with the cluster keyring; bodies of push/pull exchanges;
//! what a node remembers of its peers. It decides nothing about members and opens no sockets.
//!
//! Reading order: `packet` (what is said), `keyring` (how it is sealed), `record` (how one member is written).

pub mod keyring;
pub mod packet;
mod record;
mod remembered;
