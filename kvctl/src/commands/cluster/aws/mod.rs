//! Commands on clusters in AWS. `target` finds out which one is meant, `look` observes and plans, `carry_out` applies;
//! each other file is one command.
//!
//! Decisions are `infra`'s. A cluster in AWS is told from a local one by `--provider`, by its file or by its context.

mod board;
#[cfg(test)]
mod board_tests;
mod carry_out;
mod down;
mod failure;
mod list;
mod look;
mod plan;
mod status;
pub(super) mod target;
mod up;

use std::path::Path;

use serde::Serialize;

use super::target::Layout;
use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

pub(super) use list::{Known, clusters};

#[derive(Serialize)]
struct End {
    event: &'static str,
    exit_code: u8,
}

/// The last line of an event stream says how the command ended.
fn end(session: &Session, result: Result<Exit, CommandError>) -> Result<Exit, CommandError> {
    if session.settings.output == Output::Jsonl {
        let exit_code = result.as_ref().map_or_else(CommandError::exit, |exit| *exit) as u8;
        session.ui.json_line(&End { event: "end", exit_code })?;
    }
    result
}

/// `cluster plan`.
pub(super) async fn plan(session: &Session, plan: &super::plan::Plan) -> Result<Exit, CommandError> {
    let target = target::resolve(session, plan.name.as_deref(), &plan.layout)?;
    end(session, plan::run(session, &target, None, plan.out.as_deref()).await)
}

/// `cluster up`.
pub(super) async fn up(session: &Session, up: &super::up::Up) -> Result<Exit, CommandError> {
    let target = target::resolve(session, up.name.as_deref(), &up.layout)?;
    let program = up.kvnode.as_deref();
    if up.dry_run {
        return end(session, plan::run(session, &target, program, None).await);
    }
    let wish = up::Wish { program, saved_plan: up.plan.as_deref(), timeout: up.timeout.unwrap_or(up::TIMEOUT) };
    end(session, up::run(session, &target, &wish).await)
}

/// `cluster down`.
pub(super) async fn down(session: &Session, down: &super::down::Down) -> Result<Exit, CommandError> {
    let target =
        target::resolve(session, down.name.as_deref(), &Layout { file: down.file.clone(), ..Layout::default() })?;
    let wish = down::Wish {
        delete_data: down.delete_data,
        dry_run: down.dry_run,
        timeout: down.timeout.unwrap_or(down::TIMEOUT),
    };
    end(session, down::run(session, &target, &wish).await)
}

/// `cluster status`.
pub(super) async fn status(session: &Session, name: Option<&str>, file: Option<&Path>) -> Result<Exit, CommandError> {
    let target = target::resolve(session, name, &Layout { file: file.map(Path::to_owned), ..Layout::default() })?;
    end(session, status::run(session, &target).await)
}
