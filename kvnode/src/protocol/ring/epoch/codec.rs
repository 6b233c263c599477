//! Canonical bytes of an epoch, version 1: one spelling per document.
//!
//! ```text
//! 1  version = 1          16 cluster        8 number      32 parent hash
//! 1  kind (0 Stable; 1 Start, 2 Switch, 3 Finish, 4 Abort are reserved)
//! 16 hash key             4  partitions     1 replicas
//! 2  nodes, each: 16 id, name, zone, 4 weight, api, peer, gossip (each 1 length + text), 1 state (0 active, 1 draining)
//! 2  voters, each 2 node index
//! 2 * partitions * replicas  read table     1 further write tables = 0 (Stable writes where it reads)
//! ```
//! Big-endian throughout. Consistency is checked by the constructor, not here.

use bytes::{Buf, BufMut};

use super::super::encoding::{DecodeError, finish, get_count, get_short_text, put_short_text, take, take_array};
use super::{Draft, EpochHash, Kind, MAX_ENCODED_BYTES, MAX_NODES, MAX_REPLICAS, MAX_VOTERS, NodeState, RingNode};
use crate::protocol::id::{ClusterId, EpochNumber, NodeId};
use crate::protocol::key::Partitioner;
use crate::protocol::ring::assignment::Table;

const VERSION: u8 = 1;

/// The draft must have been checked: counts fit their fields then.
pub(super) fn encode(draft: &Draft) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 128 * draft.nodes.len() + 2 * draft.table.rows().len());
    out.put_u8(VERSION);
    out.put_u128(draft.cluster.bits());
    out.put_u64(draft.number.0);
    out.put_slice(&draft.parent.0);
    let Kind::Stable = draft.kind;
    out.put_u8(0);
    out.put_slice(&draft.partitioner.hash_key());
    out.put_u32(u32::from(draft.partitioner.count()));
    out.put_u8(u8::try_from(draft.table.replicas()).unwrap_or(u8::MAX));
    put_count(&mut out, draft.nodes.len());
    for node in &draft.nodes {
        put_node(&mut out, node);
    }
    put_count(&mut out, draft.voters.len());
    for voter in &draft.voters {
        put_count(&mut out, draft.nodes.iter().position(|node| node.id == *voter).unwrap_or(usize::MAX));
    }
    for &cell in draft.table.rows().flatten() {
        out.put_u16(cell);
    }
    out.put_u8(0);
    out
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

fn put_node(out: &mut Vec<u8>, node: &RingNode) {
    out.put_u128(node.id.bits());
    put_short_text(out, node.name.as_str());
    put_short_text(out, node.zone.as_str());
    out.put_u32(node.weight);
    for address in [&node.api, &node.peer, &node.gossip] {
        put_short_text(out, address.as_str());
    }
    out.put_u8(match node.state {
        NodeState::Active => 0,
        NodeState::Draining => 1,
    });
}

pub(super) fn decode(bytes: &[u8]) -> Result<Draft, DecodeError> {
    if bytes.len() > MAX_ENCODED_BYTES {
        return Err(DecodeError::TooLarge { what: "ring epoch", found: bytes.len(), max: MAX_ENCODED_BYTES });
    }
    let mut input = bytes;
    match input.try_get_u8()? {
        VERSION => {}
        found => return Err(DecodeError::Unknown { what: "version of a ring epoch", found }),
    }
    let cluster = ClusterId::from_bits(input.try_get_u128()?);
    let number = EpochNumber(input.try_get_u64()?);
    let parent = EpochHash(take_array(&mut input)?);
    let kind = match input.try_get_u8()? {
        0 => Kind::Stable,
        found => return Err(DecodeError::Unknown { what: "kind of a ring epoch", found }),
    };
    let partitioner = get_partitioner(&mut input)?;
    let replicas = usize::from(input.try_get_u8()?);
    let nodes = get_nodes(&mut input)?;
    let voters = get_voters(&mut input, &nodes)?;
    let table = get_table(&mut input, replicas, usize::from(partitioner.count()))?;
    match input.try_get_u8()? {
        0 => finish(input)?,
        found => return Err(DecodeError::Unknown { what: "number of further write tables", found }),
    }
    Ok(Draft { cluster, number, parent, kind, nodes, voters, partitioner, table })
}

fn get_partitioner(input: &mut &[u8]) -> Result<Partitioner, DecodeError> {
    let hash_key = take_array(input)?;
    Partitioner::new(hash_key, input.try_get_u32()?)
        .map_err(|error| DecodeError::Invalid { what: "partitions", reason: error.to_string() })
}

fn get_nodes(input: &mut &[u8]) -> Result<Vec<RingNode>, DecodeError> {
    let count = get_count(input, "nodes", MAX_NODES)?;
    // Not reserved ahead: the list grows only as far as there are bytes.
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(RingNode {
            id: NodeId::from_bits(input.try_get_u128()?),
            name: get_short_text(input, "node name")?,
            zone: get_short_text(input, "zone")?,
            weight: input.try_get_u32()?,
            api: get_short_text(input, "api address")?,
            peer: get_short_text(input, "peer address")?,
            gossip: get_short_text(input, "gossip address")?,
            state: match input.try_get_u8()? {
                0 => NodeState::Active,
                1 => NodeState::Draining,
                found => return Err(DecodeError::Unknown { what: "node state", found }),
            },
        });
    }
    Ok(nodes)
}

fn get_voters(input: &mut &[u8], nodes: &[RingNode]) -> Result<Vec<NodeId>, DecodeError> {
    let count = get_count(input, "voters", MAX_VOTERS)?;
    let mut voters = Vec::with_capacity(count);
    for _ in 0..count {
        let index = usize::from(input.try_get_u16()?);
        let reason = || format!("there is no node {index}");
        let node = nodes.get(index).ok_or_else(|| DecodeError::Invalid { what: "voter", reason: reason() })?;
        voters.push(node.id);
    }
    Ok(voters)
}

fn get_table(input: &mut &[u8], replicas: usize, partitions: usize) -> Result<Table, DecodeError> {
    if replicas > MAX_REPLICAS {
        return Err(DecodeError::TooLarge { what: "replicas", found: replicas, max: MAX_REPLICAS });
    }
    let cells = take(input, 2 * partitions * replicas)?;
    let cells = cells.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    Table::from_cells(replicas, cells)
        .ok_or_else(|| DecodeError::Invalid { what: "replicas", reason: "there must be at least 1".to_owned() })
}
