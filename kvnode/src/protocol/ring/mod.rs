//! The ring: which nodes hold which partition, as an immutable numbered document. See the submodules.
