//! Histories of what clients saw, and the judge that says whether a linearizable store could have answered so.
//!
//! `history` holds operations and records them while clients run; `journal` gives them a file format; `checker`
//! decides, key by key; `picture` draws a violation. Nothing here talks to a node, reads a clock or draws random
//! numbers: times are the caller's monotonic nanoseconds, so that a recorded history can be judged anywhere, later.

pub mod checker;
pub mod history;
pub mod journal;
pub mod picture;
