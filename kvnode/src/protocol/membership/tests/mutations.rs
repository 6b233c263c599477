//! Each mechanism is worth having: switched off, a law that holds with it breaks.

use super::scenarios::{loss, sick, suspicions_by_a_sick_node};
use super::traps::{blocked_datagrams, restarted_below_its_past};
use crate::protocol::membership::config::{Config, Mechanisms};

fn without(change: impl FnOnce(&mut Mechanisms)) -> Config {
    let mut config = Config::default();
    change(&mut config.mechanisms);
    config
}

/// Some of a few seeds break the law.
fn check_broken(scenario: impl Fn(u64) -> Result<(), String>) {
    assert!((0..5).any(|seed| scenario(seed).is_err()), "the law holds without the mechanism");
}

#[test]
fn without_refutation_loss_kills() {
    check_broken(|seed| loss(seed, 3, 5, without(|m| m.refutation = false)));
}

#[test]
fn without_confirmations_a_sick_node_kills() {
    check_broken(|seed| sick(seed, without(|m| m.confirmations = false)));
}

#[test]
fn serf_269_local_health_keeps_a_sick_node_from_accusing_many() {
    let with = suspicions_by_a_sick_node(1, Config::default());
    let off = suspicions_by_a_sick_node(1, without(|m| m.local_health = false));
    assert!(with * 4 < off, "{with} failed probes with local health, {off} without");
}

#[test]
fn without_evidence_blocked_datagrams_kill() {
    check_broken(|seed| blocked_datagrams(seed, without(|m| m.evidence = false)));
}

#[test]
fn without_telling_the_accused_a_restart_stays_dead() {
    check_broken(|seed| restarted_below_its_past(seed, without(|m| m.accuse_the_accused = false)));
}
