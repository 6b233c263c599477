//! What a node remembers of its peers across restarts, as bytes for its store: `version 1 | incarnation 8 | count 2 |
//! (peer address, gossip address) each`.
//!
//! Where they are kept is the caller's business; losing them is safe.

use super::packet::DecodeError;
use super::record::{Reader, put_address, put_incarnation};
use crate::protocol::membership::{KnownPeer, Remembered};

const VERSION: u8 = 1;

impl Remembered {
    /// The bytes to keep; at most [`Remembered::MAX_PEERS`] peers are written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let peers = &self.peers[..self.peers.len().min(Self::MAX_PEERS)];
        let mut bytes = vec![VERSION];
        put_incarnation(&mut bytes, self.incarnation);
        bytes.extend_from_slice(&u16::try_from(peers.len()).unwrap_or(0).to_be_bytes());
        for peer in peers {
            put_address(&mut bytes, peer.peer);
            put_address(&mut bytes, peer.gossip);
        }
        bytes
    }

    /// Reads what [`Remembered::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are damaged; start with nothing remembered then.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let incarnation = reader.incarnation()?;
        let count = usize::from(reader.u16()?);
        if count > Self::MAX_PEERS {
            return Err(DecodeError::Invalid { part: "count of peers" });
        }
        let peer = |reader: &mut Reader<'_>| Ok(KnownPeer { peer: reader.address()?, gossip: reader.address()? });
        let peers = (0..count).map(|_| peer(&mut reader)).collect::<Result<_, DecodeError>>()?;
        reader.end()?;
        Ok(Self { incarnation, peers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::membership::member::Incarnation;

    proptest! {
        #[test]
        fn it_round_trips(incarnation in 0..1_u64 << 56, ports in proptest::collection::vec(any::<(u16, u16)>(), 0..64)) {
            let peer = |(peer, gossip)| KnownPeer { peer: ([127, 0, 0, 1], peer).into(), gossip: ([0; 16], gossip).into() };
            let peers = ports.into_iter().map(peer).collect();
            let remembered = Remembered { incarnation: Incarnation::new(incarnation).unwrap(), peers };
            prop_assert_eq!(Remembered::from_bytes(&remembered.to_bytes()), Ok(remembered));
        }

        #[test]
        fn noise_is_refused(noise: Vec<u8>) {
            prop_assert!(Remembered::from_bytes(&noise).is_err());
        }
    }
}
