//! cluster.yaml: its text to a [`Specification`], or to everything that is wrong with it, each problem with its line.
//!
//! `tree` is the only importer of the YAML library, which is no longer developed: its successor is a change of one
//! file. `parse` knows the keys of each provider. `lines` finds where a value stands, because the library does not tell. `render` writes a file that
//! `parse` reads back. Files are read and written by the caller.

mod lines;
mod parse;
mod render;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

pub use parse::parse;
pub use render::render;

use crate::network::Network;
use crate::topology::Topology;

/// Largest cluster.yaml read: a hundred times what six zones need.
pub const MAX_BYTES: usize = 256 * 1024;

/// A cluster as specified, for the provider that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Specification {
    /// Daemons of this machine (`provider: local`, or none named).
    Local(Topology),
    /// A network of its own in the cloud (`provider: aws`).
    Aws(Box<Network>),
}

/// One thing wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; 0 if it concerns the whole file.
    pub line: usize,
    /// The value's place, for example `zones[1].name`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it; may be empty.
    pub fix: String,
}

/// Everything wrong with a specification, in the order of its lines. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} problem{}", if count == 1 { "" } else { "s" })?;
        let path = self.problems.iter().map(|problem| problem.path.len()).max().unwrap_or(0);
        for problem in &self.problems {
            match problem.line {
                0 => f.write_str("\n(not set)")?,
                line => write!(f, "\nline {line:<4}")?,
            }
            write!(f, "  {:<path$}  {}", problem.path, problem.reason)?;
            if !problem.fix.is_empty() {
                write!(f, "; {}", problem.fix)?;
            }
        }
        Ok(())
    }
}
