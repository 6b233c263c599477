//! The process's ground: the only module that spawns tasks, the only one that sleeps, the only one that reads
//! clocks. Everything else asks it, so that shutdown, panics and time are decided in one place.

pub mod clock;
pub mod tasks;
