//! `kvctl context`: choose the cluster that other commands work with.
//!
//! Contexts are made by `cluster up`; deleting one touches no cluster.

use serde::Serialize;

use crate::context::{Context, Contexts};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;
use crate::ui::table::table;

/// Commands on contexts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show one: endpoints and where its certificate and token are
    Show(Named),
    /// List them
    List,
    /// Choose one
    Use(Name),
    /// Forget one; its cluster stays
    Delete(Name),
}

/// Perhaps a context.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Name of the context [default: the current one]
    pub name: Option<String>,
}

/// A context.
#[derive(Debug, clap::Args)]
pub struct Name {
    /// Name of the context
    pub name: String,
    /// Say what would change and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    current: bool,
    #[serde(flatten)]
    context: &'a Context,
}

/// Runs a command on contexts.
///
/// # Errors
/// There is no such context, or the file cannot be written.
pub fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    let contexts = Contexts::load(&session.settings.state_dir)?;
    match command {
        Command::Show(named) => show(session, &contexts, named.name.as_deref())?,
        Command::List => list(session, &contexts)?,
        Command::Use(name) => {
            contexts.find(Some(&name.name))?;
            let changed = Contexts { current: Some(name.name.clone()), ..contexts };
            save(session, &changed, name.dry_run, &format!("choose {}", name.name))?;
        }
        Command::Delete(name) => {
            contexts.find(Some(&name.name))?;
            let mut changed = contexts;
            changed.remove(&name.name);
            save(session, &changed, name.dry_run, &format!("forget {}", name.name))?;
        }
    }
    Ok(Exit::Ok)
}

fn save(session: &Session, contexts: &Contexts, dry_run: bool, what: &str) -> Result<(), CommandError> {
    if dry_run {
        return session.ui.line(format!("would {what}"));
    }
    contexts.save(&session.settings.state_dir)
}

fn show(session: &Session, contexts: &Contexts, named: Option<&str>) -> Result<(), CommandError> {
    let (name, context) = contexts.find(named.or(session.settings.context.as_deref()))?;
    let current = contexts.current.as_deref() == Some(name);
    if session.machine() {
        return session.ui.json(&Document { name, current, context });
    }
    let rows = [
        ["name".to_owned(), name.to_owned()],
        ["provider".to_owned(), context.provider.clone()],
        ["cluster".to_owned(), context.cluster.clone()],
        ["endpoints".to_owned(), context.endpoints.join(" ")],
        ["ca_file".to_owned(), context.ca_file.display().to_string()],
        ["token_file".to_owned(), context.token_file.display().to_string()],
    ];
    session.ui.line(rows.map(|[what, value]| format!("{what:<11} {value}")).join("\n"))
}

fn list(session: &Session, contexts: &Contexts) -> Result<(), CommandError> {
    let current = |name: &String| contexts.current.as_deref() == Some(name);
    if session.machine() {
        let documents: Vec<Document<'_>> = contexts
            .contexts
            .iter()
            .map(|(name, context)| Document { name, current: current(name), context })
            .collect();
        return session.ui.json(&documents);
    }
    let rows: Vec<[String; 4]> = contexts
        .contexts
        .iter()
        .map(|(name, context)| {
            let mark = if current(name) { "*" } else { "" };
            [mark.to_owned(), name.clone(), context.provider.clone(), context.endpoints.join(" ")]
        })
        .collect();
    session.ui.line(table(["", "context", "provider", "endpoints"], &rows))
}
