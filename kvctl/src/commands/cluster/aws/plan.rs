//! `kvctl cluster plan` on AWS: what `up` would do, what AWS would refuse, and what it costs.
//!
//! It changes nothing; `--out` writes the plan down, for `up --plan`.

use std::path::Path;

use kvnode::certificates::write_private;

use super::failure::Stage;
use super::look;
use super::target::Target;
use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    target: &Target,
    program: Option<&Path>,
    out: Option<&Path>,
) -> Result<Exit, CommandError> {
    let connected = target.connect(session, program).await?;
    let look = look::look(target, &connected, Stage::Untouched).await?;
    let preflight = look::check(target, &connected, &look.plan).await;
    let cost = look::estimate(target, &connected);
    let document = look.document(&connected, &target.network, preflight.as_ref(), &cost);
    match session.settings.output {
        Output::Table => session.ui.line(look.text(session, preflight.as_ref(), &cost))?,
        Output::Json => session.ui.json(&document)?,
        Output::Jsonl => session.ui.json_line(&document)?,
    }
    if let Some(path) = out {
        let text =
            look.plan.to_json().map_err(|error| CommandError::failed("cannot write the plan").because(&error))?;
        write_private(path, text.as_bytes())
            .map_err(|error| CommandError::failed(format!("cannot write {}", path.display())).because(&error))?;
        session.ui.note(format!("the plan is in {}; carry it out: kvctl cluster up --plan {0}", path.display()));
    }
    Ok(look.exit(preflight.as_ref()))
}
