//! Whether we may do what a plan needs of EC2: each action is asked for once, as a dry run.
//!
//! A dry run says what a call would do with the very tags and names of the plan, so that policies with conditions
//! answer as they will. What does not exist yet stands in as an id of zeros; where EC2 minds that before it looks at
//! permissions, the answer is open, which is a warning. Other services have no dry runs and are not asked.

mod makes;
mod removes;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::future::join_all;

use super::super::clients::Clients;
use super::{Preflight, Topic};
use crate::plan::{Action, Plan, Step};
use crate::provider::{Class, Failure, Ids};
use crate::resource::Reference;

/// What a dry run told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It would have been done.
    Allowed,
    /// It may not be done.
    Missing,
    /// Something else was in the way; this is its code.
    Open(String),
    /// It was no dry run: the endpoint does not know them.
    Done,
}

/// One dry run, not yet sent.
type Probe<'a> = (&'static str, Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>);

pub(super) async fn check(clients: &Clients, plan: &Plan) -> Preflight {
    let ids: Ids = plan.ids.iter().cloned().collect();
    let mut probes = BTreeMap::new();
    for (action, probe) in plan.steps.iter().flat_map(|step| probes_of(clients, step, &ids)) {
        probes.entry(action).or_insert(probe);
    }
    let mut probes = probes.into_iter();
    let Some((action, first)) = probes.next() else { return Preflight::default() };
    // The first goes alone: where dry runs are unknown, no second one may do anything.
    let mut verdicts = vec![(action, first.await)];
    if verdicts[0].1 != Verdict::Done {
        verdicts.extend(join_all(probes.map(|(action, probe)| async move { (action, probe.await) })).await);
    }
    judge(&verdicts)
}

fn probes_of<'a>(clients: &'a Clients, step: &'a Step, ids: &'a Ids) -> Vec<Probe<'a>> {
    match &step.action {
        Action::Create { resource } => makes::probes(clients, resource, ids),
        Action::Update { id, changes, resource } if changes.iter().any(|change| change.field.starts_with("tag ")) => {
            makes::tags(clients, id, &resource.tags).into_iter().collect()
        }
        Action::Delete { found } => removes::probes(clients, found),
        Action::Update { .. } | Action::Await { .. } => Vec::new(),
    }
}

/// A dry run of a call that is complete but for saying so.
macro_rules! probe {
    ($clients:expr, $action:literal, $call:expr) => {{
        let (clients, call) = ($clients, $call.dry_run(true));
        let probe: $crate::provider::aws::preflight::permissions::Probe<'_> =
            ($action, Box::pin(async move { super::ask(clients, $action, || call.clone().send()).await }));
        probe
    }};
}
use probe;

async fn ask<O, E, F>(clients: &Clients, action: &str, call: impl Fn() -> F) -> Verdict
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
{
    verdict(clients.read(action, call).await.map(|_| ()))
}

fn verdict(answer: Result<(), Failure>) -> Verdict {
    match answer {
        Ok(()) => Verdict::Done,
        Err(failure) if failure.code == "DryRunOperation" => Verdict::Allowed,
        Err(failure) if failure.class == Class::Denied => Verdict::Missing,
        Err(failure) => Verdict::Open(failure.code),
    }
}

/// The id of a resource, or one that looks like it if it does not exist yet.
fn id(reference: &Reference, prefix: &str, ids: &Ids) -> String {
    let known = match reference {
        Reference::Id(id) => Some(id),
        Reference::Key(key) => ids.get(key),
    };
    known.cloned().unwrap_or_else(|| stand_in(prefix))
}

fn stand_in(prefix: &str) -> String {
    format!("{prefix}-00000000000000000")
}

fn judge(verdicts: &[(&str, Verdict)]) -> Preflight {
    let of = |wanted: &dyn Fn(&Verdict) -> Option<String>| -> Vec<String> {
        let told = verdicts.iter().filter_map(|(action, verdict)| Some((action, wanted(verdict)?)));
        told.map(|(action, more)| format!("{action}{more}")).collect()
    };
    let plain = |wanted: Verdict| of(&|verdict| (*verdict == wanted).then(String::new));
    let (allowed, missing, done) = (plain(Verdict::Allowed), plain(Verdict::Missing), plain(Verdict::Done));
    let open = of(&|verdict| match verdict {
        Verdict::Open(code) => Some(format!(" ({code})")),
        Verdict::Allowed | Verdict::Missing | Verdict::Done => None,
    });
    let mut found = Preflight::default();
    if !missing.is_empty() {
        let what = format!("not allowed: {}", missing.join(", "));
        found.add(Preflight::problem(Topic::Permission, what, "have these actions allowed, then plan again"));
    }
    if !done.is_empty() {
        let text = format!("this endpoint knows no dry runs: {} was carried out; undo it there", done.join(", "));
        found.add(Preflight::warning(text));
    }
    if !open.is_empty() {
        found.add(Preflight::warning(format!("could not be asked for before the work: {}", open.join(", "))));
    }
    if !allowed.is_empty() {
        found.add(Preflight::fact(format!("allowed EC2 actions: {} of {} asked for", allowed.len(), verdicts.len())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Key, Kind};

    fn failure(code: &str, class: Class) -> Failure {
        Failure { action: "ec2:CreateVpc".to_owned(), code: code.to_owned(), message: String::new(), class }
    }

    #[test]
    fn answers_to_dry_runs_are_verdicts() {
        for (answer, told) in [
            (Err(failure("DryRunOperation", Class::Invalid)), Verdict::Allowed),
            (Err(failure("UnauthorizedOperation", Class::Denied)), Verdict::Missing),
            (Err(failure("InvalidVpcID.NotFound", Class::Gone)), Verdict::Open("InvalidVpcID.NotFound".to_owned())),
            (Ok(()), Verdict::Done),
        ] {
            assert_eq!(verdict(answer), told);
        }
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let found = judge(&[
            ("ec2:AllocateAddress", Verdict::Missing),
            ("ec2:CreateSubnet", Verdict::Open("InvalidVpcID.NotFound".to_owned())),
            ("ec2:CreateVpc", Verdict::Allowed),
            ("ec2:RunInstances", Verdict::Missing),
        ]);
        let problems: Vec<_> = found.problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(problems, ["not allowed: ec2:AllocateAddress, ec2:RunInstances"]);
        assert_eq!(
            found.warnings,
            ["could not be asked for before the work: ec2:CreateSubnet (InvalidVpcID.NotFound)"]
        );
        assert_eq!(found.facts, ["allowed EC2 actions: 1 of 4 asked for"]);
        assert_eq!(judge(&[]), Preflight::default());
    }

    #[test]
    fn what_does_not_exist_yet_has_a_stand_in() {
        let key = Key::new(Kind::Vpc, "main");
        let ids = Ids::from([(key.clone(), "vpc-1".to_owned())]);
        assert_eq!(id(&key.clone().into(), "vpc", &ids), "vpc-1");
        assert_eq!(id(&key.into(), "vpc", &Ids::new()), "vpc-00000000000000000");
        assert_eq!(id(&Reference::Id("vpc-2".to_owned()), "vpc", &ids), "vpc-2");
    }
}
