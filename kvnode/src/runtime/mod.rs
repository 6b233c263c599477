//! The process's ground: the only module that spawns tasks, sleeps or reads clocks.
//!
//! Everything else asks it, so that shutdown, panics and time are decided in one place. It knows nothing of nodes.

pub mod clock;
pub mod tasks;
