//! Gossip's bytes: packets of at most 1400 bytes, sealed with the cluster keyring. See the submodules.
