//! `kvctl kv delete`: deletes a key.
//!
//! Deleting what is not there is no error, so that it may be repeated.

use super::Carried;
use super::key::KeyArgument;
use super::put::Document;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Delete a key.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The key.
    #[command(flatten)]
    pub key: KeyArgument,
    /// Say what would be deleted and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How it is carried out.
    #[command(flatten)]
    pub carried: Carried,
}

pub(super) async fn run(session: &Session, delete: &Delete) -> Result<Exit, CommandError> {
    let key = delete.key.bytes()?;
    if delete.dry_run {
        session.ui.line(format!("would delete {}", kvnode::api::key_text::encode(&key)))?;
        return Ok(Exit::Ok);
    }
    let receipt = delete.carried.client(session)?.delete(&key, delete.carried.options()).await?;
    let text = Document::new(&key, receipt);
    if session.machine() {
        session.ui.json(&text)?;
    } else {
        session.ui.note(format!("deleted: durable on {}", text.receipt()));
    }
    Ok(Exit::Ok)
}
