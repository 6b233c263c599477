//! Who a node is, kept in its store: its id for the life of its data folder, its writer for the life of a process.
//!
//! Both are durable before they are used. A new folder makes a new id: a node that lost its data does not vote
//! under its old identity. A new writer at each start makes stamps unique even if the clock goes back.

use crate::protocol::id::{NodeId, NodeName};
use crate::storage::{ReadError, Storage, WriteError};

/// Document with the node's id.
const ID_DOCUMENT: &str = "node-id";
/// Document with the node's name, so that a folder is not started under another one by mistake.
const NAME_DOCUMENT: &str = "node-name";
/// Document with the writer of the running process.
const WRITER_DOCUMENT: &str = "writer";

/// Why a node has no identity. Nothing was changed, or only what a next start repeats.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read.
    #[error("cannot read the node's identity")]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error("cannot keep the node's identity")]
    Write(#[from] WriteError),
    /// The document makes no sense.
    #[error("the node's identity in the store is damaged")]
    Damaged,
    /// The folder belongs to another name.
    #[error(
        "this data folder belongs to node {kept}, not {given}; start it with --name {kept} or choose another --data-dir"
    )]
    OtherName {
        /// Name kept in the folder.
        kept: String,
        /// Name given now.
        given: NodeName,
    },
}

/// The identity of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Of the data folder.
    pub node: NodeId,
    /// Of this process.
    pub writer: u64,
}

/// Reads or makes the id, and makes a writer; all durable when this returns.
pub fn load(name: &NodeName, storage: &Storage) -> Result<Kept, Error> {
    match storage.document(NAME_DOCUMENT)? {
        Some(kept) if kept != name.as_str().as_bytes() => {
            let kept = String::from_utf8_lossy(&kept).into_owned();
            return Err(Error::OtherName { kept, given: name.clone() });
        }
        Some(_) => {}
        None => storage.put_document_blocking(NAME_DOCUMENT, name.as_str().to_owned().into())?,
    }
    let node = match storage.document(ID_DOCUMENT)? {
        Some(text) => std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).ok_or(Error::Damaged)?,
        None => {
            let id = NodeId::from_bits(rand::random());
            storage.put_document_blocking(ID_DOCUMENT, id.to_string().into())?;
            id
        }
    };
    let writer: u64 = rand::random();
    storage.put_document_blocking(WRITER_DOCUMENT, format!("{writer:016x}").into())?;
    Ok(Kept { node, writer })
}
