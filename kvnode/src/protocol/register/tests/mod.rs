//! The register protocol under thousands of random schedules of failures, judged by a search for a legal order.
//!
//! [`world`] drives the real get and put machines against model replicas; [`history`] judges what clients saw.
//! Each rule of the protocol is shown to be needed: a test takes it away and finds the violation. A model in which a
//! weakened protocol passes would prove nothing about the real one.

mod history;
mod world;

use world::{Weakness, World};

/// Schedules tried: every weakness is found within a quarter of these; a few seconds unoptimised.
const SEEDS: u64 = 20_000;

/// The first schedule whose history has no legal order.
fn first_violation(weakness: Weakness, seeds: u64) -> Option<String> {
    (0..seeds).find_map(|seed| {
        let history = World::new(seed, weakness).run();
        (!history::is_linearizable(&history)).then(|| format!("seed {seed}: {history:#?}"))
    })
}

fn check_refuted(weakness: Weakness) {
    assert!(first_violation(weakness, SEEDS).is_some(), "{weakness:?} was not refuted: the model is too weak");
}

#[test]
fn every_history_has_a_legal_order() {
    if let Some(violation) = first_violation(Weakness::None, SEEDS) {
        panic!("{violation}");
    }
}

#[test]
fn most_operations_are_answered() {
    let answered = |seed| World::new(seed, Weakness::None).run().iter().filter(|seen| seen.answered.is_some()).count();
    let total: usize = (0..500).map(answered).sum();
    assert!(total > 500, "{total} answers in 500 schedules");
}

#[test]
fn refuted_no_write_back() {
    check_refuted(Weakness::NoWriteBack);
}

#[test]
fn refuted_no_round_1() {
    check_refuted(Weakness::NoRound1);
}

#[test]
fn refuted_reads_see_what_is_not_durable() {
    check_refuted(Weakness::ReadsSeeNonDurable);
}

#[test]
fn refuted_acknowledged_before_durable() {
    check_refuted(Weakness::AckBeforeDurable);
}

#[test]
fn refuted_quorum_of_one() {
    check_refuted(Weakness::QuorumOfOne);
}

#[test]
fn refuted_writer_ids_not_unique() {
    check_refuted(Weakness::WriterShared);
}
