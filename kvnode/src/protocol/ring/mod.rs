//! The ring: which nodes hold which partition, as an immutable numbered document.
//!
//! Reading order: [`epoch`] is the document and its lookups, [`assignment`] computes the table in it, [`commit`]
//! lets the named nodes agree on exactly one. `quota` and `encoding` serve those three.
//! Who is alive is no concern of the ring: ownership changes by an agreed new epoch only, never by a timeout.

pub mod assignment;
pub mod commit;
mod encoding;
pub mod epoch;
mod quota;

pub use encoding::DecodeError;
