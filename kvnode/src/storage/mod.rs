//! What a node remembers: records, hints and a few named documents, durable before they are acknowledged.
//!
//! [`Store`] is an engine (sled by default, memory for tests): ordered keys, atomic batches, one sync.
//! [`Storage`] is what the rest of the node uses: the group committer over an engine, with records, hints and
//! documents in their stored forms. Three rules, each tested:
//! an acknowledgement follows the sync that covers it; a read never shows a record that is not yet durable
//! (else a value that was read could vanish in a crash); bytes whose checksum fails are never served.
//! It decides nothing about quorums, rings or clocks.
