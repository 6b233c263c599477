//! A cluster as processes of this machine, on loopback addresses, each zone a network of its own: 127.0.<zone>.<node>.
//!
//! `state` is the folder that outlives everything; `secrets` fills it with keys; `process` starts, recognises and
//! stops daemons without ever touching a process that is not surely ours; `ports` finds who holds a port; `observe`
//! looks; `launch` knows the daemon's command line; `bootstrap` brings started daemons to a serving cluster.

pub mod bootstrap;
pub mod launch;
pub mod observe;
pub mod ports;
pub mod process;
pub mod secrets;
pub mod state;
