//! `kvctl kv list`: keys in byte order, page by page, as they come.
//!
//! Not a snapshot: each page is as new as a quorum knew when it was made. Keys that cannot stand on a line as text
//! are shown percent-encoded, and that is said.

use kvnode::api::key_text;
use kvnode::client::ListQuery;

use super::Carried;
use super::key::{Encoding, decode, encode};
use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Keys asked for at once: the server's most without values, and with them.
const PAGE: usize = 1000;
const PAGE_WITH_VALUES: usize = 100;

/// List keys.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only keys that begin with this
    #[arg(default_value = "")]
    pub prefix: std::ffi::OsString,
    /// First key, inclusive
    #[arg(long, value_name = "KEY")]
    pub start: Option<std::ffi::OsString>,
    /// Where to end, exclusive
    #[arg(long, value_name = "KEY")]
    pub end: Option<std::ffi::OsString>,
    /// Most keys to list [default: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Values too (with -o json or jsonl: base64)
    #[arg(long)]
    pub values: bool,
    /// How keys are written, in both directions
    #[arg(long, value_enum, default_value_t)]
    pub key_encoding: Encoding,
    /// How it is carried out.
    #[command(flatten)]
    pub carried: Carried,
}

pub(super) async fn run(session: &Session, list: &List) -> Result<Exit, CommandError> {
    use std::os::unix::ffi::OsStrExt;
    if list.values && !session.machine() {
        return Err(CommandError::usage("values may be any bytes and cannot stand in a table").hint("add -o jsonl"));
    }
    let key = |text: &std::ffi::OsString| decode(text.as_bytes(), list.key_encoding);
    let page = if list.values { PAGE_WITH_VALUES } else { PAGE };
    let mut query = ListQuery {
        prefix: key(&list.prefix)?,
        start: list.start.as_ref().map(key).transpose()?,
        end: list.end.as_ref().map(key).transpose()?,
        values: list.values,
        timeout: Some(list.carried.timeout),
        ..ListQuery::default()
    };
    let client = list.carried.client(session)?;
    let mut left = list.limit.unwrap_or(usize::MAX);
    let mut whole = Vec::new();
    let mut odd = 0_usize;
    while left > 0 {
        query.limit = Some(left.min(page));
        let found = client.list(&query).await?;
        left = left.saturating_sub(found.items.len());
        for item in found.items {
            match session.settings.output {
                Output::Json => whole.push(item),
                Output::Jsonl => session.ui.json_line(&item)?,
                Output::Table => odd += usize::from(!print_key(session, list.key_encoding, &item.key)?),
            }
        }
        match found.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    if session.settings.output == Output::Json {
        session.ui.json(&whole)?;
    }
    if odd > 0 {
        session.ui.warn(format!(
            "{odd} keys are no plain text and are shown percent-encoded; exactly: --key-encoding percent"
        ));
    }
    Ok(Exit::Ok)
}

/// Prints a key; tells whether it could be written as asked.
fn print_key(session: &Session, encoding: Encoding, percent_encoded: &str) -> Result<bool, CommandError> {
    let bytes = key_text::decode(percent_encoded.as_bytes())
        .map_err(|error| CommandError::failed("the server sent a key that cannot be read").because(&error))?;
    let text = encode(&bytes, encoding);
    session.ui.line(text.as_deref().unwrap_or(percent_encoded))?;
    Ok(text.is_some())
}
