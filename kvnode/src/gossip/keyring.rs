//! The cluster's gossip keys and the seal of packets: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random
//! 24-byte nonce, so that no node has to remember which nonces it used.
//!
//! A sealed packet is `version | key id | nonce | ciphertext and tag`; version and key id are authenticated with the
//! label. The first key seals, every key opens: rotation is install everywhere, use everywhere, remove everywhere.
//! Whoever has a key is trusted in full. There is no replay window: what a replayed packet says is ordered by
//! incarnation or bound to an unguessable sequence, so that it changes nothing.
//! It reads no files and checks no permissions; keys never show in `Debug` and errors never quote them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// First byte of every sealed packet.
const VERSION: u8 = 1;
/// Binds ciphertexts to this use of the key.
const LABEL: &[u8] = b"kvnode gossip packet v1";
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + ID_BYTES + NONCE_BYTES;
/// Bytes a seal adds to its content.
pub const SEAL_BYTES: usize = HEADER_BYTES + TAG_BYTES;
/// Most keys: one in use, one coming, one going, and room for a rotation that was cut short.
pub const MAX_KEYS: usize = 8;

/// Names a key without telling it: the first 8 bytes of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret of 32 bytes that the caller drew at random.
#[derive(Clone, PartialEq, Eq)]
pub struct GossipKey([u8; KEY_BYTES]);

impl GossipKey {
    /// Wraps random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }
    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&Sha256::digest(self.0)[..ID_BYTES]);
        KeyId(id)
    }
}

impl fmt::Debug for GossipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GossipKey({})", self.id())
    }
}

/// Why a keyring file was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No line holds a key.
    #[error("the keyring holds no key; it needs one base64 key of 32 bytes per line, the first is used to seal")]
    Empty,
    /// More keys than are kept.
    #[error("line {line}: the keyring holds more than {MAX_KEYS} keys; remove old ones")]
    TooMany {
        /// Counted from 1.
        line: usize,
    },
    /// Not a key.
    #[error("line {line}: this is not the base64 of exactly 32 bytes")]
    NotAKey {
        /// Counted from 1.
        line: usize,
    },
    /// The same key twice.
    #[error("line {line}: this key stands in the file twice")]
    Twice {
        /// Counted from 1.
        line: usize,
    },
}

/// Why a key was not installed; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keyring holds {MAX_KEYS} keys already; remove an old one first")]
pub struct InstallError;

/// Why a key was not put to use; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key {id} is not installed here")]
pub struct UseError {
    /// The key asked for.
    pub id: KeyId,
}

/// Why a key was not removed; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// It seals packets now.
    #[error("key {id} is in use; use another one first")]
    InUse {
        /// The key.
        id: KeyId,
    },
    /// It is not there; perhaps removed before.
    #[error("key {id} is not installed here")]
    Unknown {
        /// The key.
        id: KeyId,
    },
}

/// Why a packet was not opened; it is to be dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short, or of another version.
    #[error("not a sealed gossip packet of version {VERSION}")]
    Malformed,
    /// Sealed with a key that is not in the ring.
    #[error("sealed with a key that is not installed here")]
    UnknownKey,
    /// Altered, or sealed for another purpose.
    #[error("the seal does not match")]
    Forged,
}

/// The content could not be sealed; only a content beyond all bounds causes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packet could not be sealed")]
pub struct SealError;

#[derive(Clone)]
struct Entry {
    key: GossipKey,
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

impl Entry {
    fn new(key: GossipKey) -> Self {
        let cipher = XChaCha20Poly1305::new(&key.0.into());
        Self { id: key.id(), key, cipher }
    }
}

/// One to [`MAX_KEYS`] keys, the first in use.
#[derive(Clone)]
pub struct Keyring {
    entries: Vec<Entry>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Keyring {
    /// A ring of one key.
    #[must_use]
    pub fn new(key: GossipKey) -> Self {
        Self { entries: vec![Entry::new(key)] }
    }

    /// Reads a keyring file: one base64 key per line, the first in use; blank lines are skipped.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut entries: Vec<Entry> = Vec::new();
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        for (line, content) in lines.filter(|(_, content)| !content.is_empty()) {
            let bytes = STANDARD.decode(content).map_err(|_| ParseError::NotAKey { line })?;
            let key: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| ParseError::NotAKey { line })?;
            let entry = Entry::new(GossipKey(key));
            if entries.iter().any(|other| other.id == entry.id) {
                return Err(ParseError::Twice { line });
            }
            if entries.len() == MAX_KEYS {
                return Err(ParseError::TooMany { line });
            }
            entries.push(entry);
        }
        if entries.is_empty() { Err(ParseError::Empty) } else { Ok(Self { entries }) }
    }

    /// The text that [`Keyring::parse`] reads. It is secret: for a file that only the owner can read.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        self.entries.iter().map(|entry| STANDARD.encode(entry.key.0) + "\n").collect()
    }

    /// Ids of all keys, the one in use first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.entries.iter().map(|entry| entry.id)
    }

    /// Adds a key that opens but does not seal yet; no effect if it is there.
    ///
    /// # Errors
    /// If the ring is full.
    pub fn install(&mut self, key: GossipKey) -> Result<(), InstallError> {
        let entry = Entry::new(key);
        if self.entries.iter().any(|other| other.id == entry.id) {
            return Ok(());
        }
        if self.entries.len() >= MAX_KEYS {
            return Err(InstallError);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Seals with this key from now on; install it on every node before.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn use_key(&mut self, id: KeyId) -> Result<(), UseError> {
        let place = self.entries.iter().position(|entry| entry.id == id).ok_or(UseError { id })?;
        self.entries[..=place].rotate_right(1);
        Ok(())
    }

    /// Forgets a key; use another one on every node before.
    ///
    /// # Errors
    /// If it is in use or not there.
    pub fn remove(&mut self, id: KeyId) -> Result<(), RemoveError> {
        match self.entries.iter().position(|entry| entry.id == id) {
            None => Err(RemoveError::Unknown { id }),
            Some(0) => Err(RemoveError::InUse { id }),
            Some(place) => {
                self.entries.remove(place);
                Ok(())
            }
        }
    }

    /// Seals a content under a nonce that must be random and fresh.
    ///
    /// # Errors
    /// Only for contents beyond the cipher's bound of gigabytes.
    pub fn seal(&self, content: &[u8], nonce: [u8; NONCE_BYTES]) -> Result<Vec<u8>, SealError> {
        let entry = &self.entries[0];
        let aad = associated_data(entry.id);
        let payload = Payload { msg: content, aad: &aad };
        let ciphertext = entry.cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&entry.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens a sealed content of any size; the caller bounds it.
    ///
    /// # Errors
    /// If it was not sealed with one of the keys.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        if sealed.len() < SEAL_BYTES || sealed[0] != VERSION {
            return Err(OpenError::Malformed);
        }
        let (header, ciphertext) = sealed.split_at(HEADER_BYTES);
        let (id, nonce) = header[1..].split_at(ID_BYTES);
        let entry = self.entries.iter().find(|entry| entry.id.0 == id).ok_or(OpenError::UnknownKey)?;
        let aad = associated_data(entry.id);
        let payload = Payload { msg: ciphertext, aad: &aad };
        entry.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| OpenError::Forged)
    }
}

fn associated_data(id: KeyId) -> Vec<u8> {
    [LABEL, &[VERSION], &id.0].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

    fn key(byte: u8) -> GossipKey {
        GossipKey::from_bytes([byte; KEY_BYTES])
    }

    #[test]
    fn sealed_bytes_are_pinned() {
        let sealed = Keyring::new(key(1)).seal(b"hello", NONCE).unwrap();
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        insta::assert_snapshot!(hex, @"0172cd6e8422c407fb070707070707070707070707070707070707070707070707f549e484d2c62f22ecee36e38e50b9fb64489af514");
    }

    #[test]
    fn only_an_unaltered_packet_opens() {
        let ring = Keyring::new(key(1));
        let sealed = ring.seal(b"hello", NONCE).unwrap();
        assert_eq!(ring.open(&sealed).unwrap(), b"hello");
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(ring.open(&altered).is_err(), "byte {place}");
        }
        for length in 0..sealed.len() {
            assert!(ring.open(&sealed[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(Keyring::new(key(2)).open(&sealed), Err(OpenError::UnknownKey));
    }

    #[test]
    fn a_rotation_never_locks_a_node_out() {
        let (mut here, mut there) = (Keyring::new(key(1)), Keyring::new(key(1)));
        let (old, new) = (key(1).id(), key(2).id());
        let talk = |here: &Keyring, there: &Keyring| {
            assert!(there.open(&here.seal(b"x", NONCE).unwrap()).is_ok());
            assert!(here.open(&there.seal(b"x", NONCE).unwrap()).is_ok());
        };
        assert_eq!(here.use_key(new), Err(UseError { id: new }));
        here.install(key(2)).unwrap();
        talk(&here, &there);
        there.install(key(2)).unwrap();
        here.use_key(new).unwrap();
        talk(&here, &there);
        there.use_key(new).unwrap();
        assert_eq!(here.remove(new), Err(RemoveError::InUse { id: new }));
        here.remove(old).unwrap();
        talk(&here, &there);
        there.remove(old).unwrap();
        assert_eq!(there.remove(old), Err(RemoveError::Unknown { id: old }));
        talk(&here, &there);
    }

    #[test]
    fn a_bad_file_names_its_line_and_never_its_content() {
        let good = STANDARD.encode([1; 32]);
        let many: String = (0..9).map(|byte| STANDARD.encode([byte; 32]) + "\n").collect();
        for (text, expected) in [
            (String::new(), ParseError::Empty),
            (format!("{good}\n\nsecret!\n"), ParseError::NotAKey { line: 3 }),
            (STANDARD.encode([1; 31]), ParseError::NotAKey { line: 1 }),
            (format!("{good}\n{good}\n"), ParseError::Twice { line: 2 }),
            (many, ParseError::TooMany { line: 9 }),
        ] {
            assert_eq!(Keyring::parse(&text).unwrap_err(), expected);
        }
        let ring = Keyring::parse(&good).unwrap();
        assert_eq!(format!("{ring:?}"), "[KeyId([114, 205, 110, 132, 34, 196, 7, 251])]");
        assert_eq!(Keyring::parse(&ring.to_secret_text()).unwrap().ids().collect::<Vec<_>>(), vec![key(1).id()]);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_noise_does_not(content: Vec<u8>, nonce: [u8; NONCE_BYTES], noise: Vec<u8>) {
            let ring = Keyring::new(key(3));
            let sealed = ring.seal(&content, nonce).unwrap();
            prop_assert_eq!(sealed.len(), content.len() + SEAL_BYTES);
            prop_assert_eq!(ring.open(&sealed), Ok(content));
            prop_assert!(ring.open(&noise).is_err());
        }
    }
}
