//! Carrying a plan out: what follows from each answer of a cloud, and in which order and how many at once.
//!
//! `decision` is the pure table, `progress` one step's life, `machine` all steps of a plan without a clock or a cloud,
//! and `drive` the thin loop that connects the machine with both. A run stops at the first surprise, waits for what
//! takes its time, never makes a thing twice after a lost reply if it can be seen, and can be repeated after any end.
//! What shall be done is the plan's: nothing here adds, drops or reorders a step, and nothing is printed.

pub mod decision;
mod drive;
mod event;
mod limits;
mod machine;
mod progress;
mod reason;
#[cfg(test)]
mod simulation;
mod token;

pub use drive::{Clock, Options, drive};
pub use event::{Event, News, Subject, Verb};
pub use limits::Limits;
pub use machine::{Answer, Command, Machine, NotApplicable, Operation, Outcome, StepFailure};
pub use reason::Reason;
