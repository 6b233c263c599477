//! `kvctl cluster plan`: what `up` would do, and nothing else.
//!
//! It reads the state folder and asks the nodes; it takes no lock and changes nothing.

use std::path::PathBuf;

use infra::processes::{Action, Observation, Plan as Decided};
use serde::Serialize;

use super::target::{self, Layout, Provider, Target};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::process::Record;
use crate::provider::local::{launch, observe, ports};
use crate::session::Session;
use crate::ui::Tone;

/// Show what `up` would do.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// Name of the cluster [default: that of the context, or local]
    pub name: Option<String>,
    /// Write the plan down, for `up --plan` (aws)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What it shall look like.
    #[command(flatten)]
    pub layout: Layout,
}

#[derive(Serialize)]
struct Document<'a> {
    cluster: &'a str,
    changes: bool,
    forms_ring: bool,
    blockers: Vec<String>,
    steps: Vec<StepDocument<'a>>,
    ports_taken: Vec<String>,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    node: &'a str,
    zone: &'a str,
    action: String,
    because: &'a str,
    disruptive: bool,
}

pub(super) async fn run(session: &Session, plan: &Plan) -> Result<Exit, CommandError> {
    let layout = &plan.layout;
    if target::provider(session, plan.name.as_deref(), layout.provider, layout.file.as_deref())? == Provider::Aws {
        #[cfg(feature = "aws")]
        return super::aws::plan(session, plan).await;
        #[cfg(not(feature = "aws"))]
        return Err(target::without_aws());
    }
    if plan.out.is_some() {
        return Err(CommandError::usage("--out is for clusters in AWS").hint("up plans a local cluster anew each time"));
    }
    let target = target::resolve(session, plan.name.as_deref(), layout)?;
    let decided = decide(&target).await;
    show(session, &target, &decided)
}

/// Looks at a cluster and decides.
pub(super) async fn decide(target: &Target) -> Decided {
    let observation = match &target.saved {
        Some(saved) => observe::observe(&target.folder, saved, &target.topology, cores()).await,
        None => never_started(target),
    };
    Decided::between(&target.topology, &observation)
}

fn never_started(target: &Target) -> Observation {
    let absent = |node: &infra::topology::Node| (node.name.clone(), infra::processes::Observed::Absent);
    Observation { nodes: target.topology.nodes().iter().map(absent).collect(), formed: false }
}

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Draws a plan; the exit code says whether it would change anything.
pub(super) fn show(session: &Session, target: &Target, decided: &Decided) -> Result<Exit, CommandError> {
    let taken: Vec<String> = troubles(target, decided).iter().map(ToString::to_string).collect();
    if session.machine() {
        session.ui.json(&Document {
            cluster: target.folder.cluster().as_str(),
            changes: !decided.is_empty(),
            forms_ring: decided.forms_ring,
            blockers: decided.blockers.iter().map(ToString::to_string).collect(),
            steps: decided.steps.iter().map(step_document).collect(),
            ports_taken: taken,
        })?;
    } else {
        let text = decided.to_string();
        let (verdict, rest) = text.split_once("  ").unwrap_or((&text, ""));
        let tone = match (decided.is_empty(), decided.blockers.is_empty()) {
            (true, _) => Tone::Good,
            (false, true) => Tone::Warning,
            (false, false) => Tone::Bad,
        };
        session.ui.line(format!("{}  {}: {rest}", session.ui.paint(tone, verdict), target.folder.cluster()))?;
        for line in &taken {
            session.ui.line(format!("  {line}"))?;
        }
    }
    Ok(if decided.is_empty() { Exit::Ok } else { Exit::Findings })
}

fn step_document(step: &infra::processes::Step) -> StepDocument<'_> {
    StepDocument {
        node: step.node.as_str(),
        zone: step.zone.as_str(),
        action: step.action.to_string(),
        because: &step.because,
        disruptive: step.risk == infra::processes::Risk::Disruptive,
    }
}

/// Ports that nodes to be started cannot have; of those to be restarted, the ports that they do not hold already.
pub(super) fn troubles(target: &Target, decided: &Decided) -> Vec<ports::Trouble> {
    let mut wanted = Vec::new();
    for step in &decided.steps {
        let Some(node) = target.topology.node(&step.node) else { continue };
        match step.action {
            Action::Start => wanted.extend(ports::of_node(node)),
            Action::Restart { .. } => {
                let record = Record::load(&target.folder.process_file(&node.name)).ok().flatten();
                let held = record.map(|record| record.arguments).unwrap_or_default();
                wanted.extend(ports::of_node(node).into_iter().filter(|one| !held.contains(&one.address.to_string())));
            }
            Action::Keep | Action::Await | Action::Adopt { .. } => {}
        }
    }
    ports::troubles(wanted)
}

/// The daemon's program for a cluster.
pub(super) fn program(
    session: &Session,
    target: &Target,
    named: Option<&std::path::Path>,
) -> Result<PathBuf, CommandError> {
    let remembered = target.saved.as_ref().and_then(|saved| saved.program.clone());
    let named = named.map(std::path::Path::to_owned).or(remembered);
    Ok(launch::find_program(named.as_deref(), &session.settings.search_path)?)
}
