//! `kvctl kv put`: stores a value given as an argument, from a file, or from standard input.
//!
//! It answers with the durability receipt; a put of unknown outcome is not repeated by itself.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use kvnode::api::key_text;
use kvnode::client::{PutOptions, Receipt};
use serde::Serialize;

use super::Carried;
use super::key::KeyArgument;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;
use crate::units;

/// Most bytes read of a value: far above the server's limit, which it says itself, far below memory.
const MAX_VALUE: u64 = 64 * 1024 * 1024;

/// Store a value under a key.
#[derive(Debug, clap::Args)]
pub struct Put {
    /// The key.
    #[command(flatten)]
    pub key: KeyArgument,
    /// The value; `-` reads it from standard input
    #[arg(required_unless_present = "file", conflicts_with = "file", allow_hyphen_values = true)]
    pub value: Option<OsString>,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Forget it after this time [default: never]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub ttl: Option<Duration>,
    /// Content-Type to serve it with
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// Say what would be written and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How it is carried out.
    #[command(flatten)]
    pub carried: Carried,
}

#[derive(Serialize)]
pub(super) struct Document {
    key: String,
    created: bool,
    etag: String,
    replicas_acked: usize,
    replicas_total: usize,
    zones_acked: usize,
    epoch: u64,
}

impl Document {
    pub(super) fn new(key: &[u8], receipt: Receipt) -> Self {
        Self {
            key: key_text::encode(key),
            created: receipt.created,
            etag: receipt.etag,
            replicas_acked: receipt.replicas_acked,
            replicas_total: receipt.replicas_total,
            zones_acked: receipt.zones_acked,
            epoch: receipt.epoch,
        }
    }

    /// `3 of 3 replicas in 3 zones`.
    pub(super) fn receipt(&self) -> String {
        let zones = if self.zones_acked == 1 { "zone" } else { "zones" };
        format!("{} of {} replicas in {} {zones}", self.replicas_acked, self.replicas_total, self.zones_acked)
    }
}

pub(super) async fn run(session: &Session, put: &Put) -> Result<Exit, CommandError> {
    let key = put.key.bytes()?;
    let value = read_value(put)?;
    if put.dry_run {
        session.ui.line(format!("would store {} bytes under {}", value.len(), key_text::encode(&key)))?;
        return Ok(Exit::Ok);
    }
    let options = PutOptions { options: put.carried.options(), content_type: put.content_type.clone(), ttl: put.ttl };
    let receipt = put.carried.client(session)?.put(&key, value, &options).await?;
    let document = Document::new(&key, receipt);
    if session.machine() {
        session.ui.json(&document)?;
    } else {
        let what = if document.created { "created" } else { "replaced" };
        session.ui.note(format!("{what} {}: durable on {}", document.key, document.receipt()));
    }
    Ok(Exit::Ok)
}

fn read_value(put: &Put) -> Result<Bytes, CommandError> {
    match (&put.file, &put.value) {
        (Some(path), _) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path)
                .map_err(|error| CommandError::failed(format!("cannot read {name}")).because(&error))?;
            read_bounded(file, &name)
        }
        (None, Some(value)) if value == "-" => read_bounded(std::io::stdin().lock(), "standard input"),
        (None, value) => Ok(Bytes::copy_from_slice(value.as_deref().unwrap_or_default().as_bytes())),
    }
}

fn read_bounded(source: impl Read, name: &str) -> Result<Bytes, CommandError> {
    let mut bytes = Vec::new();
    let read = source.take(MAX_VALUE + 1).read_to_end(&mut bytes);
    read.map_err(|error| CommandError::failed(format!("cannot read {name}")).because(&error))?;
    if bytes.len() as u64 > MAX_VALUE {
        return Err(CommandError::usage(format!("{name} is longer than {MAX_VALUE} bytes")).hint("nothing was changed"));
    }
    Ok(bytes.into())
}
