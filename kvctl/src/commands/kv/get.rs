//! `kvctl kv get`: the raw bytes of a value, to standard output or a file.
//!
//! Nothing is added to them, not even an end of line. A file is replaced only by a whole value.

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvnode::api::key_text;
use serde::Serialize;

use super::Carried;
use super::key::KeyArgument;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Write the value of a key to standard output or a file.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// The key.
    #[command(flatten)]
    pub key: KeyArgument,
    /// Write the value to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How it is carried out.
    #[command(flatten)]
    pub carried: Carried,
}

#[derive(Serialize)]
struct Document {
    key: String,
    value: String,
    etag: String,
    content_type: Option<String>,
    epoch: u64,
}

pub(super) async fn run(session: &Session, get: &Get) -> Result<Exit, CommandError> {
    let key = get.key.bytes()?;
    let client = get.carried.client(session)?;
    let Some(found) = client.get(&key, get.carried.options()).await? else {
        return Err(CommandError::failed(format!("there is no key {}", key_text::encode(&key))));
    };
    if let Some(file) = &get.file {
        return write_file(file, &found.value).map(|()| Exit::Ok);
    }
    if session.machine() {
        session.ui.json(&Document {
            key: key_text::encode(&key),
            value: STANDARD.encode(&found.value),
            etag: found.etag,
            content_type: found.content_type,
            epoch: found.epoch,
        })?;
    } else {
        session.ui.bytes(&found.value)?;
    }
    Ok(Exit::Ok)
}

fn write_file(path: &Path, value: &[u8]) -> Result<(), CommandError> {
    let failed =
        |error: std::io::Error| CommandError::failed(format!("cannot write {}", path.display())).because(&error);
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    // The old file stays until the new one is whole.
    let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(value));
    written.and_then(|()| std::fs::rename(&part, path)).map_err(failed)
}
