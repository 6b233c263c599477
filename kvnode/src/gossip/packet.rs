//! Packets and exchanges as bytes, before the seal. Version 1 of both; see `record` for members and addresses.
//!
//! A packet is `version | sender | body | count of updates 1 | updates`. An exchange is `version | sender | count 2 |
//! (member, standing) each` and travels over the peer protocol, which protects it; it is not sealed.
//! Nothing here is trusted: any bytes either decode into valid values or are refused, and never allocate more than
//! they hold.

use std::sync::Arc;

use super::keyring::SEAL_BYTES;
pub use super::record::DecodeError;
use super::record::{Reader, put_address, put_incarnation, put_member, put_node};
use crate::protocol::membership::message::{Accusation, Body, Exchange, Packet, Standing, Update};

/// Longest datagram, seal included: fits the smallest usual path MTU with room for IPv6 and tunnels.
pub const MAX_DATAGRAM: usize = 1400;
/// Longest packet before the seal.
pub const MAX_PACKET: usize = MAX_DATAGRAM - SEAL_BYTES;
/// Longest exchange: 4096 members with the longest texts stay below it by far in practice.
pub const MAX_EXCHANGE: usize = 1 << 20;
/// Most members in an exchange.
const MAX_MEMBERS: usize = 4096;
const VERSION: u8 = 1;

/// The value is too large for its form; it is to be dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are more than {max}")]
pub struct TooLarge {
    /// Bytes it would take.
    pub length: usize,
    /// Bytes it may take.
    pub max: usize,
}

/// Writes a packet.
///
/// # Errors
/// If it is longer than [`MAX_PACKET`].
pub fn encode(packet: &Packet) -> Result<Vec<u8>, TooLarge> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    put_member(&mut bytes, &packet.sender);
    put_body(&mut bytes, &packet.body);
    // The bound on bytes keeps the count below 33: an update takes at least 41.
    bytes.push(u8::try_from(packet.updates.len()).unwrap_or(u8::MAX));
    for update in &packet.updates {
        put_update(&mut bytes, update);
    }
    bounded(bytes, MAX_PACKET)
}

/// Reads a packet.
///
/// # Errors
/// If the bytes are none.
pub fn decode(bytes: &[u8]) -> Result<Packet, DecodeError> {
    if bytes.len() > MAX_PACKET {
        return Err(DecodeError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    reader.version(VERSION)?;
    let (sender, body) = (Arc::new(reader.member()?), body(&mut reader)?);
    let count = reader.byte()?;
    let updates = (0..count).map(|_| update(&mut reader)).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(Packet { sender, body, updates })
}

/// Writes an exchange.
///
/// # Errors
/// If it is longer than [`MAX_EXCHANGE`].
pub fn encode_exchange(exchange: &Exchange) -> Result<Vec<u8>, TooLarge> {
    let mut bytes = Vec::with_capacity(256 * (1 + exchange.members.len()));
    bytes.push(VERSION);
    put_member(&mut bytes, &exchange.sender);
    let count = u16::try_from(exchange.members.len()).ok().filter(|count| usize::from(*count) <= MAX_MEMBERS);
    let count = count.ok_or(TooLarge { length: exchange.members.len(), max: MAX_MEMBERS })?;
    bytes.extend_from_slice(&count.to_be_bytes());
    for (member, standing) in &exchange.members {
        put_member(&mut bytes, member);
        put_standing(&mut bytes, *standing);
    }
    bounded(bytes, MAX_EXCHANGE)
}

/// Reads an exchange.
///
/// # Errors
/// If the bytes are none.
pub fn decode_exchange(bytes: &[u8]) -> Result<Exchange, DecodeError> {
    if bytes.len() > MAX_EXCHANGE {
        return Err(DecodeError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    reader.version(VERSION)?;
    let sender = Arc::new(reader.member()?);
    let count = usize::from(reader.u16()?);
    if count > MAX_MEMBERS {
        return Err(DecodeError::Invalid { part: "count of members" });
    }
    let member = |reader: &mut Reader<'_>| Ok((Arc::new(reader.member()?), standing(reader)?));
    let members = (0..count).map(|_| member(&mut reader)).collect::<Result<_, DecodeError>>()?;
    reader.end()?;
    Ok(Exchange { sender, members })
}

fn bounded(bytes: Vec<u8>, max: usize) -> Result<Vec<u8>, TooLarge> {
    if bytes.len() <= max { Ok(bytes) } else { Err(TooLarge { length: bytes.len(), max }) }
}

fn put_body(bytes: &mut Vec<u8>, body: &Body) {
    let mut start = |kind: u8, sequence: u64| {
        bytes.push(kind);
        bytes.extend_from_slice(&sequence.to_be_bytes());
    };
    match *body {
        Body::Gossip => bytes.push(0),
        Body::Ping { sequence, target } => {
            start(1, sequence);
            put_node(bytes, target);
        }
        Body::Ack { sequence, about } => {
            start(2, sequence);
            put_node(bytes, about);
        }
        Body::PingRequest { sequence, target, address } => {
            start(3, sequence);
            put_node(bytes, target);
            put_address(bytes, address);
        }
        Body::Nack { sequence } => start(4, sequence),
    }
}

fn body(reader: &mut Reader<'_>) -> Result<Body, DecodeError> {
    Ok(match reader.byte()? {
        0 => Body::Gossip,
        1 => Body::Ping { sequence: reader.u64()?, target: reader.node()? },
        2 => Body::Ack { sequence: reader.u64()?, about: reader.node()? },
        3 => Body::PingRequest { sequence: reader.u64()?, target: reader.node()?, address: reader.address()? },
        4 => Body::Nack { sequence: reader.u64()? },
        _ => return Err(DecodeError::Invalid { part: "body" }),
    })
}

fn put_accusation(bytes: &mut Vec<u8>, accusation: &Accusation) {
    put_node(bytes, accusation.subject);
    put_incarnation(bytes, accusation.incarnation);
    put_node(bytes, accusation.accuser);
}

fn accusation(reader: &mut Reader<'_>) -> Result<Accusation, DecodeError> {
    Ok(Accusation { subject: reader.node()?, incarnation: reader.incarnation()?, accuser: reader.node()? })
}

fn put_update(bytes: &mut Vec<u8>, update: &Update) {
    match update {
        Update::Alive(member) => {
            bytes.push(0);
            put_member(bytes, member);
        }
        Update::Suspect(accusation) => {
            bytes.push(1);
            put_accusation(bytes, accusation);
        }
        Update::Dead(accusation) => {
            bytes.push(2);
            put_accusation(bytes, accusation);
        }
        Update::Left { subject, incarnation } => {
            bytes.push(3);
            put_node(bytes, *subject);
            put_incarnation(bytes, *incarnation);
        }
    }
}

fn update(reader: &mut Reader<'_>) -> Result<Update, DecodeError> {
    Ok(match reader.byte()? {
        0 => Update::Alive(Arc::new(reader.member()?)),
        1 => Update::Suspect(accusation(reader)?),
        2 => Update::Dead(accusation(reader)?),
        3 => Update::Left { subject: reader.node()?, incarnation: reader.incarnation()? },
        _ => return Err(DecodeError::Invalid { part: "update" }),
    })
}

fn put_standing(bytes: &mut Vec<u8>, standing: Standing) {
    match standing {
        Standing::Alive => bytes.push(0),
        Standing::Suspect { incarnation, accuser } => {
            bytes.push(1);
            put_incarnation(bytes, incarnation);
            put_node(bytes, accuser);
        }
        Standing::Dead { incarnation, accuser } => {
            bytes.push(2);
            put_incarnation(bytes, incarnation);
            put_node(bytes, accuser);
        }
        Standing::Left { incarnation } => {
            bytes.push(3);
            put_incarnation(bytes, incarnation);
        }
    }
}

fn standing(reader: &mut Reader<'_>) -> Result<Standing, DecodeError> {
    Ok(match reader.byte()? {
        0 => Standing::Alive,
        1 => Standing::Suspect { incarnation: reader.incarnation()?, accuser: reader.node()? },
        2 => Standing::Dead { incarnation: reader.incarnation()?, accuser: reader.node()? },
        3 => Standing::Left { incarnation: reader.incarnation()? },
        _ => return Err(DecodeError::Invalid { part: "standing" }),
    })
}

#[cfg(test)]
mod tests;
