//! `kvctl token`: who may call the API of a local cluster.
//!
//! Nodes keep only hashes; a new token is shown once, on standard output. Nodes read the file when they start, so
//! what changed here holds for a node from its next start on, and that is said.

use infra::topology::ClusterName;
use kvnode::api::tokens::{Entry, MAX_NAME, MAX_TOKENS, Role};
use serde::Serialize;

use super::cluster::existing;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::secrets::{self, ADMIN_TOKEN};
use crate::provider::local::state::Folder;
use crate::session::Session;
use crate::ui::table::table;

/// Commands on tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a token and show it, once
    Create(Create),
    /// List names and roles; tokens themselves are not kept
    List,
    /// Refuse a token from now on
    Revoke(Revoke),
}

/// Make a token.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Whose it is
    pub name: String,
    /// What it may do; each role may do what those before it may
    #[arg(long, value_enum, default_value_t)]
    pub role: RoleName,
    /// Say what would be made and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Refuse a token.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// Whose it is
    pub name: String,
    /// Say what would be revoked and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RoleName {
    /// Read keys, views and metrics.
    #[default]
    Read,
    /// Write and delete keys.
    Write,
    /// Everything.
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Read => Self::Read,
            RoleName::Write => Self::Write,
            RoleName::Admin => Self::Admin,
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    role: String,
}

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    role: &'a str,
    token: &'a str,
}

/// Runs a command on tokens.
///
/// # Errors
/// There is no such cluster or token, or the file cannot be written.
pub fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    let (folder, _, _) = existing(session, None)?;
    match command {
        Command::Create(create) => self::create(session, &folder, create)?,
        Command::List => list(session, &folder)?,
        Command::Revoke(revoke) => self::revoke(session, &folder, revoke)?,
    }
    Ok(Exit::Ok)
}

fn create(session: &Session, folder: &Folder, create: &Create) -> Result<(), CommandError> {
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-');
    let name = &create.name;
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        return Err(CommandError::usage(format!("a name has 1 to {MAX_NAME} of a-z, A-Z, 0-9, '.', '_' and '-'")));
    }
    let _lock = folder.lock()?;
    let mut entries = secrets::tokens(folder)?;
    if entries.iter().any(|entry| entry.name == *name) {
        return Err(CommandError::usage(format!("{name} has a token already"))
            .hint(format!("nothing was changed; replace it: kvctl token revoke {name}, then create it again")));
    }
    if entries.len() >= MAX_TOKENS {
        return Err(CommandError::failed(format!("there are {MAX_TOKENS} tokens, which is the most")));
    }
    let role = Role::from(create.role);
    if create.dry_run {
        return session.ui.line(format!("would make a token with role {role} for {name}"));
    }
    let token = secrets::new_token(role)?;
    entries.push(Entry { role, name: name.clone(), hash: token.hash() });
    secrets::write_tokens(folder, &entries)?;
    if session.machine() {
        session.ui.json(&Created { name, role: role.name(), token: token.secret_text() })?;
    } else {
        session.ui.line(token.secret_text())?;
    }
    session.ui.note(format!("this is the only time it is shown; {}", next_start(folder.cluster())));
    Ok(())
}

fn list(session: &Session, folder: &Folder) -> Result<(), CommandError> {
    let entries = secrets::tokens(folder)?;
    if session.machine() {
        let rows: Vec<Row> =
            entries.iter().map(|entry| Row { name: entry.name.clone(), role: entry.role.to_string() }).collect();
        return session.ui.json(&rows);
    }
    let rows: Vec<[String; 2]> = entries.into_iter().map(|entry| [entry.name, entry.role.to_string()]).collect();
    session.ui.line(table(["name", "role"], &rows))
}

fn revoke(session: &Session, folder: &Folder, revoke: &Revoke) -> Result<(), CommandError> {
    let name = &revoke.name;
    if name == ADMIN_TOKEN {
        return Err(CommandError::new(Exit::Refused, format!("{name} is the token of kvctl itself"))
            .hint("nothing was changed; without it no command could reach the cluster"));
    }
    let _lock = folder.lock()?;
    let mut entries = secrets::tokens(folder)?;
    let before = entries.len();
    entries.retain(|entry| entry.name != *name);
    if entries.len() == before {
        return Err(CommandError::usage(format!("{name} has no token")).hint("see: kvctl token list"));
    }
    if revoke.dry_run {
        return session.ui.line(format!("would revoke the token of {name}"));
    }
    secrets::write_tokens(folder, &entries)?;
    session.ui.note(format!("revoked; {}", next_start(folder.cluster())));
    Ok(())
}

fn next_start(cluster: &ClusterName) -> String {
    format!("nodes follow from their next start on: kvctl cluster down {cluster}; kvctl cluster up {cluster}")
}
