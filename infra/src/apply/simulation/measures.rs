//! Each safety measure matters: without it, a named case goes wrong that goes well with it.

use super::super::limits::Measure;
use super::*;

/// What is wrong after one run up, in 20 seeds.
fn wrong_after_up(left_out: Option<Measure>, faults: &Faults) -> usize {
    (0..20)
        .map(|seed| {
            let mut case = Case::new(seed, faults.clone());
            case.limits.left_out = left_out;
            case.round(true);
            case.pass(Duration::from_secs(600));
            case.faults_of_up().len()
        })
        .sum()
}

#[test]
fn looking_after_an_unknown_outcome_prevents_duplicates() {
    let faults = Faults { lost_replies: 100, invisible: Duration::from_secs(8), ..Faults::calm() };
    assert_eq!(wrong_after_up(None, &faults), 0);
    assert!(wrong_after_up(Some(Measure::LookAfterUnknown), &faults) > 0);
}

#[test]
fn waiting_for_ready_notices_what_does_not_work() {
    let faults = Faults { failing_gateways: 200, ..Faults::calm() };
    assert_eq!(wrong_after_up(None, &faults), 0);
    assert!(wrong_after_up(Some(Measure::WaitForReady), &faults) > 0);
}

#[test]
fn waiting_for_gone_means_that_nothing_is_left_at_the_end_of_the_run() {
    let left = |left_out| -> usize {
        (0..10)
            .map(|seed| {
                let mut case = Case::new(seed, Faults::calm());
                case.round(true);
                case.limits.left_out = left_out;
                let gone = |kind| kind == Kind::NatGateway || kind == Kind::Route;
                case.wanted.retain(|resource| !gone(resource.key.kind));
                case.round(true);
                case.faults_of_up().len()
            })
            .sum()
    };
    assert_eq!(left(None), 0);
    assert!(left(Some(Measure::WaitForGone)) > 0);
}

#[test]
fn what_the_plan_deletes_is_never_adopted() {
    let wrong = |left_out| -> usize {
        (0..10)
            .map(|seed| {
                let mut case = Case::new(seed, Faults::calm());
                case.round(true);
                case.limits.left_out = left_out;
                for resource in &mut case.wanted {
                    if let Spec::Certificate(certificate) = &mut resource.spec {
                        certificate.domain = "kv.example.org".to_owned();
                    }
                }
                case.world.faults.lost_replies = 300;
                case.round(true);
                case.faults_of_up().len()
            })
            .sum()
    };
    assert_eq!(wrong(None), 0);
    assert!(wrong(Some(Measure::SpareCondemned)) > 0);
}
