//! Laws of a whole cluster. Each scenario returns what went wrong, so that `mutations` can expect it to.

use rand::Rng;

use super::world::{World, millis, seconds};
use crate::protocol::id::ClusterId;
use crate::protocol::membership::config::Config;
use crate::protocol::membership::machine::Membership;
use crate::protocol::membership::member::State;
use crate::protocol::membership::{Contact, Event, Input};

type Outcome = Result<(), String>;

fn check(seeds: u64, scenario: impl Fn(u64) -> Outcome) {
    for seed in 0..seeds {
        if let Err(wrong) = scenario(seed) {
            panic!("seed {seed}: {wrong}");
        }
    }
}

fn within(world: &mut World, limit: u64, what: &str, holds: impl Fn(&World) -> bool) -> Outcome {
    match world.run_until(seconds(limit), holds) {
        Some(_) => Ok(()),
        None => Err(format!("{what}: not within {limit} s")),
    }
}

fn no_false_death(world: &World) -> Outcome {
    match world.false_deaths.first() {
        None => Ok(()),
        Some(death) => Err(format!("{} false deaths, first {death:?}", world.false_deaths.len())),
    }
}

fn kill_one(seed: u64, nodes: usize) -> Outcome {
    let mut world = World::formed(seed, nodes, Config::default());
    let victim = world.rng.random_range(0..nodes);
    world.kill(victim);
    within(&mut world, 10, "dead everywhere", |w| w.all_hold(victim, State::Dead))?;
    no_false_death(&world)
}

#[test]
fn a_killed_node_is_dead_everywhere_within_ten_seconds() {
    check(50, |seed| kill_one(seed, 3));
    check(10, |seed| kill_one(seed, 9));
    check(10, |seed| kill_one(seed, 2));
}

#[test]
fn a_killed_node_of_three_is_usually_dead_within_five_seconds() {
    let slow = (0..50).filter(|seed| {
        let mut world = World::formed(*seed, 3, Config::default());
        world.kill(1);
        world.run_until(seconds(5), |w| w.all_hold(1, State::Dead)).is_none()
    });
    assert_eq!(slow.count(), 0);
}

#[test]
fn two_killed_of_three_are_dead_within_ten_seconds() {
    check(30, |seed| {
        let mut world = World::formed(seed, 3, Config::default());
        world.kill(1);
        world.kill(2);
        within(&mut world, 10, "both dead", |w| w.all_hold(1, State::Dead) && w.all_hold(2, State::Dead))
    });
}

fn restart(seed: u64, nodes: usize, down: u64, memory: bool) -> Outcome {
    let mut world = World::formed(seed, nodes, Config::default());
    let victim = 1 + (usize::try_from(seed).unwrap_or(0) % (nodes - 1));
    world.kill(victim);
    world.run_for(seconds(down));
    if !memory {
        world.nodes[victim].remembered = None;
    }
    world.start(victim);
    within(&mut world, 3, "alive everywhere", World::is_converged)
}

#[test]
fn a_restarted_node_is_alive_everywhere_within_three_seconds() {
    for down in [0, 1, 4, 20, 300] {
        check(5, |seed| restart(seed, 3, down, true));
        check(5, |seed| restart(seed, 3, down, false));
    }
    check(5, |seed| restart(seed, 9, 20, true));
}

pub(super) fn loss(seed: u64, nodes: usize, minutes: u64, config: Config) -> Outcome {
    let mut world = World::formed(seed, nodes, config);
    (world.loss, world.duplication, world.delay, world.streams) = (0.2, 0.05, millis(60), false);
    world.run_for(seconds(60 * minutes));
    no_false_death(&world)
}

#[test]
fn memberlist_145_a_fifth_of_all_datagrams_lost_kills_nobody() {
    check(3, |seed| loss(seed, 3, 10, Config::default()));
    check(2, |seed| loss(seed, 9, 10, Config::default()));
}

/// Every node stops now and then for up to nine tenths of a second, as on two busy cores.
fn starved(seed: u64) -> Outcome {
    let mut world = World::formed(seed, 3, Config::default());
    for _ in 0..1200 {
        let (node, stop) = (world.rng.random_range(0..3), world.rng.random_range(0..900));
        world.pause(node, millis(stop));
        world.run_for(millis(500));
    }
    no_false_death(&world)
}

#[test]
fn ten_minutes_of_starved_processes_kill_nobody() {
    check(5, starved);
}

fn pause(seed: u64, nodes: usize) -> Outcome {
    let mut world = World::formed(seed, nodes, Config::default());
    world.pause(1, seconds(20));
    within(&mut world, 10, "paused is dead", |w| w.all_hold(1, State::Dead))?;
    world.run_until(seconds(20), |w| w.is_running(1)).ok_or("never resumed")?;
    within(&mut world, 3, "alive again", World::is_converged)?;
    // What it makes of its own lateness: nobody else died of it.
    world.run_for(seconds(30));
    no_false_death(&world)
}

#[test]
fn a_paused_node_dies_and_is_back_at_once_without_blaming_others() {
    check(20, |seed| pause(seed, 3));
    check(5, |seed| pause(seed, 9));
}

fn mass_restart(seed: u64, memory: bool, seeds: bool) -> Outcome {
    let mut world = World::formed(seed, 6, Config::default());
    (0..6).for_each(|node| world.kill(node));
    world.run_for(seconds(5));
    for node in 0..6 {
        if !memory {
            world.nodes[node].remembered = None;
        }
        if !seeds {
            world.nodes[node].seeds.clear();
        }
        world.start(node);
        let gap = world.rng.random_range(0..1500);
        world.run_for(millis(gap));
    }
    within(&mut world, 5, "converged", World::is_converged)
}

#[test]
fn a_mass_restart_converges_from_memory_or_from_seeds() {
    check(10, |seed| mass_restart(seed, true, true));
    check(10, |seed| mass_restart(seed, true, false));
    check(10, |seed| mass_restart(seed, false, true));
}

/// A node comes back elsewhere while its old place is still held alive.
fn moved(seed: u64) -> Outcome {
    let mut world = World::formed(seed, 4, Config::default());
    world.kill(3);
    world.move_to(3, 103);
    world.start(3);
    within(&mut world, 10, "alive at its new place", |w| {
        let place = super::world::addresses(103);
        let seen = |observer: usize| {
            let machine = w.nodes[observer].machine.as_ref();
            machine.is_some_and(|m| m.members().any(|k| k.state == State::Alive && k.member.addresses == place))
        };
        (0..3).all(seen) && w.is_converged()
    })
}

#[test]
fn a_moved_node_is_taken_once_its_old_place_is_dead() {
    check(10, moved);
}

fn partition(seed: u64) -> Outcome {
    let mut world = World::formed(seed, 6, Config::default());
    world.cut_between(&[0, 1, 2], &[3, 4, 5]);
    world.run_for(seconds(60));
    if world.state(0, 3) != Some(State::Dead) || world.state(3, 0) != Some(State::Dead) {
        return Err("the halves do not hold each other dead".to_owned());
    }
    world.cut.clear();
    within(&mut world, 6, "healed", World::is_converged)
}

#[test]
fn a_healed_partition_converges() {
    check(10, partition);
}

#[test]
fn a_node_cut_off_from_all_is_back_after_the_cut() {
    check(10, |seed| {
        let mut world = World::formed(seed, 3, Config::default());
        world.cut_between(&[2], &[0, 1]);
        world.run_for(seconds(30));
        world.cut.clear();
        within(&mut world, 3, "back", World::is_converged)
    });
}

/// One node gets and sends everything 1.2 s late. Healthy nodes may doubt it; none may die in any view.
pub(super) fn sick(seed: u64, config: Config) -> Outcome {
    let mut world = World::formed(seed, 6, config);
    world.nodes[5].slow = millis(1200);
    world.run_for(seconds(300));
    world.false_deaths.retain(|death| death.subject != 5);
    no_false_death(&world)
}

#[test]
fn one_sick_node_kills_no_healthy_one() {
    check(5, |seed| sick(seed, Config::default()));
}

/// Suspicions of healthy nodes begun in five minutes because of one node that is slow by half a second.
pub(super) fn suspicions_by_a_sick_node(seed: u64, config: Config) -> u64 {
    let mut world = World::formed(seed, 9, config);
    world.streams = false;
    world.nodes[8].slow = millis(450);
    world.run_for(seconds(300));
    world.nodes[8].machine.as_ref().map_or(0, |machine| machine.counters().probes_failed)
}

#[test]
fn a_healthy_cluster_is_quiet() {
    let mut world = World::formed(7, 3, Config::default());
    world.run_for(seconds(10));
    let before = world.packets;
    world.run_for(seconds(60));
    let per_node_second = (world.packets - before) / 180;
    assert!(per_node_second <= 5, "{per_node_second} packets per node and second");
    assert_eq!(world.nodes[0].machine.as_ref().map(|m| (m.counters().suspected, m.health_score())), Some((0, 0)));
}

#[test]
fn two_clusters_never_merge() {
    check(5, |seed| {
        let mut world = World::new(seed, 6, Config::default());
        world.set_cluster([0, 1, 2], 1);
        world.set_cluster([3, 4, 5], 2);
        for node in 0..6 {
            world.nodes[node].seeds = (0..6).map(|seed| Contact::from(super::world::addresses(seed).peer)).collect();
            world.start(node);
        }
        world.run_for(seconds(120));
        let merged = |w: &World| (0..3).any(|a| (3..6).any(|b| w.state(a, b).is_some() || w.state(b, a).is_some()));
        if merged(&world) || !(0..3).all(|a| (0..3).all(|b| a == b || world.state(a, b) == Some(State::Alive))) {
            return Err("members of the other cluster are known, or own ones are not".to_owned());
        }
        let reported = world.has_event(0, |event| matches!(event, Event::ForeignCluster { .. }));
        reported.then_some(()).ok_or_else(|| "the other cluster was not reported".to_owned())
    });
}

#[test]
fn nodes_without_a_cluster_between_two_clusters_do_not_join_them() {
    check(5, |seed| {
        let mut world = World::new(seed, 5, Config::default());
        world.set_cluster([0, 1], 1);
        world.set_cluster([2, 3], 2);
        world.nodes[2].seeds = vec![Contact::from(super::world::addresses(3).peer)];
        world.nodes[3].seeds = vec![Contact::from(super::world::addresses(2).peer)];
        let both = [0, 2].map(|node| Contact::from(super::world::addresses(node).peer));
        world.nodes[4].seeds = both.to_vec();
        (0..5).for_each(|node| world.start(node));
        world.run_for(seconds(60));
        if world.state(4, 0).is_none() || world.state(4, 2).is_none() {
            return Err("the node between knows not both".to_owned());
        }
        if (0..2).any(|a| (2..4).any(|b| world.state(a, b).is_some() || world.state(b, a).is_some())) {
            return Err("the clusters know each other".to_owned());
        }
        if !world.has_event(4, |event| matches!(event, Event::ClusterHeard { .. })) {
            return Err("the clusters were not reported".to_owned());
        }
        world.set_cluster([4], 1);
        within(&mut world, 5, "other cluster forgotten", |w| {
            w.state(4, 2).is_none() && w.state(2, 4) != Some(State::Alive)
        })
    });
}

#[test]
fn who_leaves_has_left_and_is_alive_after_a_restart() {
    check(10, |seed| {
        let mut world = World::formed(seed, 5, Config::default());
        world.input(2, Input::Leave);
        within(&mut world, 1, "left", |w| w.all_hold(2, State::Left))?;
        world.kill(2);
        world.run_for(seconds(60));
        if !world.all_hold(2, State::Left) {
            return Err("did not stay left".to_owned());
        }
        world.start(2);
        within(&mut world, 3, "alive", World::is_converged)
    });
}

#[test]
fn facts_reach_all_quickly() {
    check(10, |seed| {
        let mut world = World::formed(seed, 9, Config::default());
        world.set_cluster(0..9, 77);
        let told = |w: &World| {
            let all = w.nodes.iter().filter_map(|node| node.machine.as_ref()).flat_map(Membership::members);
            all.into_iter().all(|known| known.member.facts.cluster == Some(ClusterId::from_bits(77)))
        };
        within(&mut world, 2, "facts known", told)?;
        no_false_death(&world)
    });
}
