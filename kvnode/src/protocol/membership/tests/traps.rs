//! Known bugs of other implementations, each named by its issue, and traps of identity and addresses.

use std::sync::Arc;

use super::world::{World, addresses, id, member, millis, packet, seconds};
use crate::protocol::id::NodeId;
use crate::protocol::membership::config::Config;
use crate::protocol::membership::machine::{Membership, Start};
use crate::protocol::membership::member::{Incarnation, Member, State};
use crate::protocol::membership::message::{Accusation, Body, Exchange, Packet, Standing, Update};
use crate::protocol::membership::{Event, Input, MonotonicTime, Output};

use rand::SeedableRng;
use rand::rngs::StdRng;

/// One machine (node 0, incarnation 10) fed by hand.
struct Bench {
    machine: Membership,
    rng: StdRng,
    now: MonotonicTime,
}

fn incarnation(value: u64) -> Incarnation {
    Incarnation::new(value).unwrap()
}

fn at(ms: u64) -> MonotonicTime {
    MonotonicTime::from_start(millis(ms))
}

impl Bench {
    fn new() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let start = Start { local: member(0, 0, 10), peers: vec![], seeds: vec![] };
        let machine = Membership::new(Config::default(), start, at(0), &mut rng);
        Self { machine, rng, now: at(0) }
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.machine.handle(input, self.now, &mut self.rng, &mut out);
        out
    }

    fn packet(&mut self, sender: Member, updates: Vec<Update>) -> Vec<Output> {
        let from = sender.addresses.gossip;
        let packet = Packet { updates, ..packet(sender, Body::Gossip) };
        self.input(Input::Packet { from, packet })
    }

    /// Moves time on, waking as a shell would, and gives all outputs.
    fn run(&mut self, ms: u64) -> Vec<Output> {
        let (end, mut out) = (self.now + millis(ms), Vec::new());
        while self.machine.next_deadline() <= end {
            self.now = self.now.max(self.machine.next_deadline());
            out.extend(self.input(Input::Wake));
        }
        self.now = end;
        out
    }

    fn state(&self, node: usize) -> Option<(State, u64)> {
        let known = self.machine.members().find(|known| known.member.id == id(node))?;
        Some((known.state, known.incarnation.get()))
    }
}

fn suspect(subject: usize, at: u64, accuser: usize) -> Update {
    Update::Suspect(Accusation { subject: id(subject), incarnation: incarnation(at), accuser: id(accuser) })
}

fn dead(subject: usize, at: u64, accuser: usize) -> Update {
    Update::Dead(Accusation { subject: id(subject), incarnation: incarnation(at), accuser: id(accuser) })
}

fn alive(node: usize, at: u64) -> Update {
    Update::Alive(Arc::new(member(node, node % 3, at)))
}

/// Packets sent to a node.
fn sent(out: &[Output], node: usize) -> impl Iterator<Item = &Packet> {
    out.iter().filter_map(move |output| match output {
        Output::Send { to, packet } if *to == addresses(node).gossip => Some(packet),
        _ => None,
    })
}

fn event(out: &[Output], wanted: impl Fn(&Event) -> bool) -> bool {
    out.iter().any(|output| matches!(output, Output::Event(event) if wanted(event)))
}

/// Node 2 restarts with its memory lost and its clock set back; streams fail, so only datagrams can help.
pub(super) fn restarted_below_its_past(seed: u64, config: Config) -> Result<(), String> {
    let mut world = World::formed(seed, 3, config);
    world.kill(2);
    world.run_for(seconds(20));
    world.streams = false;
    world.nodes[2].clock_behind = 3_600_000;
    world.nodes[2].remembered = world.nodes[2].remembered.take().map(|mut remembered| {
        remembered.incarnation = Incarnation::default();
        remembered
    });
    world.start(2);
    world.run_until(seconds(3), World::is_converged).map(|_| ()).ok_or_else(|| "not alive within 3 s".to_owned())
}

#[test]
fn memberlist_345_a_node_restarted_below_its_past_learns_of_it_and_refutes() {
    for seed in 0..10 {
        assert_eq!(restarted_below_its_past(seed, Config::default()), Ok(()), "seed {seed}");
    }
}

#[test]
fn memberlist_311_stale_words_for_a_dead_node_are_answered_with_the_accusation() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![alive(2, 100), suspect(2, 100, 1)]);
    bench.packet(member(1, 1, 10), vec![dead(2, 100, 1)]);
    assert_eq!(bench.state(2), Some((State::Dead, 100)));
    bench.now = bench.now + millis(300);
    let out = bench.packet(member(2, 2, 1), vec![]);
    assert!(sent(&out, 2).any(|packet| packet.updates.contains(&dead(2, 100, 1))), "{out:?}");
    let again = bench.packet(member(2, 2, 1), vec![]);
    assert_eq!(sent(&again, 2).count(), 0, "at most once per gossip interval");
    bench.now = bench.now + millis(300);
    let hearsay = bench.packet(member(1, 1, 10), vec![alive(2, 1)]);
    assert!(sent(&hearsay, 2).any(|packet| packet.updates.contains(&dead(2, 100, 1))), "{hearsay:?}");
    bench.packet(member(2, 2, 101), vec![]);
    assert_eq!(bench.state(2), Some((State::Alive, 101)));
}

#[test]
fn memberlist_345_an_accusation_of_a_stranger_is_passed_on_and_kept_for_its_record() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![suspect(7, 5, 1)]);
    let out = bench.run(500);
    assert!(sent(&out, 1).any(|packet| packet.updates.contains(&suspect(7, 5, 1))));
    bench.packet(member(1, 1, 10), vec![alive(7, 5)]);
    assert_eq!(bench.state(7), Some((State::Suspect, 5)));
}

#[test]
fn memberlist_350_the_only_possible_helper_is_always_asked() {
    for seed in 0..200 {
        let mut bench = Bench::new();
        bench.rng = StdRng::seed_from_u64(seed);
        bench.packet(member(1, 1, 10), vec![]);
        bench.packet(member(2, 2, 10), vec![]);
        let out = bench.run(260);
        let asked = |helper, target| {
            sent(&out, helper).any(|p| matches!(p.body, Body::PingRequest { target: t, .. } if t == id(target)))
        };
        assert!(asked(1, 2) && asked(2, 1), "seed {seed}");
    }
}

#[test]
fn memberlist_312_a_gone_node_is_not_revived_by_full_state() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![alive(2, 3), suspect(2, 3, 1)]);
    bench.packet(member(1, 1, 10), vec![dead(2, 3, 1)]);
    let standing = Standing::Dead { incarnation: incarnation(5), accuser: id(1) };
    let members = vec![(Arc::new(member(2, 2, 5)), standing), (Arc::new(member(4, 1, 5)), standing)];
    let request = Exchange { sender: Arc::new(member(1, 1, 10)), members };
    let mut out = Vec::new();
    bench.machine.answer_exchange(&request, bench.now, &mut bench.rng, &mut out);
    let revived = |event: &Event| matches!(event, Event::Changed { known, .. } if known.state.is_present() && known.member.id != id(1));
    assert!(!event(&out, revived), "{out:?}");
    assert_eq!((bench.state(2), bench.state(4)), (Some((State::Dead, 5)), Some((State::Dead, 5))));
}

#[test]
fn memberlist_197_later_evidence_of_death_blocks_words_between() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![alive(2, 1), suspect(2, 1, 1)]);
    bench.packet(member(1, 1, 10), vec![dead(2, 1, 1), dead(2, 10, 1), alive(2, 2)]);
    assert_eq!(bench.state(2), Some((State::Dead, 10)));
}

#[test]
fn memberlist_three_nodes_one_accuser_does_not_kill_in_the_shortest_time() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![alive(2, 1)]);
    bench.packet(member(1, 1, 10), vec![suspect(2, 1, 1)]);
    bench.machine.prober.void(bench.now);
    let deadline = |bench: &Bench| {
        let entry = bench.machine.roster.get(&id(2)).unwrap();
        entry.suspicion.as_ref().unwrap().deadline.since_start()
    };
    assert_eq!(deadline(&bench), seconds(6), "one accuser");
    bench.packet(member(1, 1, 10), vec![suspect(2, 1, 1)]);
    assert_eq!(deadline(&bench), seconds(6), "the same accuser again");
    bench.packet(member(1, 1, 10), vec![suspect(2, 1, 0)]);
    assert_eq!(deadline(&bench), seconds(2), "an accuser in another zone");
}

#[test]
fn a_member_held_alive_does_not_die_by_hearsay() {
    let mut bench = Bench::new();
    bench.packet(member(2, 2, 1), vec![]);
    let out = bench.packet(member(1, 1, 10), vec![dead(2, 1, 1)]);
    assert_eq!(bench.state(2), Some((State::Suspect, 1)));
    assert!(
        out.iter()
            .all(|output| !matches!(output, Output::Event(Event::Changed { known, .. }) if known.state == State::Dead))
    );
}

/// No datagram reaches node 2 or leaves it; every 300 ms each gets a data-plane reply from each other.
pub(super) fn blocked_datagrams(seed: u64, config: Config) -> Result<(), String> {
    let mut world = World::formed(seed, 3, config);
    world.streams = false;
    for other in [0, 1] {
        world.deaf.extend([(other, 2), (2, other)]);
    }
    for _ in 0..200 {
        world.run_for(millis(300));
        for (node, peer) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            let at = MonotonicTime::from_start(world.now);
            world.input(node, Input::Heard { node: id(peer), at });
        }
    }
    if world.false_deaths.is_empty() { Ok(()) } else { Err(format!("{:?}", world.false_deaths)) }
}

#[test]
fn data_plane_replies_keep_a_node_alive_whose_datagrams_are_blocked() {
    for seed in 0..5 {
        assert_eq!(blocked_datagrams(seed, Config::default()), Ok(()), "seed {seed}");
    }
}

#[test]
fn streams_keep_a_node_alive_whose_datagrams_are_blocked_and_it_is_reported() {
    let mut world = World::formed(3, 3, Config::default());
    for other in [0, 1] {
        world.deaf.extend([(other, 2), (2, other)]);
    }
    world.run_for(seconds(60));
    assert_eq!(world.false_deaths, vec![]);
    assert!(world.has_event(0, |event| *event == Event::DatagramsBlocked { id: id(2) }));
}

#[test]
fn a_stall_is_noticed_once_and_gives_the_accused_the_lost_time_back() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![alive(2, 1)]);
    bench.packet(member(1, 1, 10), vec![suspect(2, 1, 1)]);
    bench.now = bench.now + seconds(60);
    for _ in 0..3 {
        bench.packet(member(1, 1, 10), vec![]);
    }
    let out = bench.input(Input::Wake);
    assert_eq!((bench.machine.counters().stalls, bench.state(2)), (1, Some((State::Suspect, 1))), "{out:?}");
    bench.run(7000);
    assert_eq!((bench.machine.counters().stalls, bench.state(2)), (1, Some((State::Dead, 1))));
}

#[test]
fn a_lost_connection_starts_a_probe_at_once() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![]);
    bench.machine.prober.void(bench.now);
    let out = bench.input(Input::ConnectionLost { node: id(1) });
    assert!(sent(&out, 1).any(|packet| matches!(packet.body, Body::Ping { target, .. } if target == id(1))));
    let again = bench.input(Input::ConnectionLost { node: id(1) });
    assert_eq!(sent(&again, 1).count(), 0, "one probe at a time");
}

#[test]
fn a_copy_of_a_data_folder_is_reported_and_neither_is_killed() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![]);
    let copy = Member { addresses: addresses(9), ..member(1, 1, 20) };
    let out = bench.packet(copy.clone(), vec![]);
    let conflicts = |event: &Event| matches!(event, Event::IdConflict { held, .. } if held.addresses == addresses(1));
    assert!(event(&out, conflicts), "{out:?}");
    assert_eq!(bench.state(1), Some((State::Alive, 10)));
    assert!(!event(&bench.packet(copy.clone(), vec![]), conflicts), "reported once");
    bench.packet(member(2, 2, 10), vec![suspect(1, 10, 2)]);
    bench.packet(member(2, 2, 10), vec![dead(1, 10, 2)]);
    bench.packet(copy, vec![]);
    assert_eq!(bench.state(1), Some((State::Alive, 20)), "once the first is dead, the second is taken");
}

#[test]
fn a_copy_of_this_node_is_reported_and_not_fought() {
    let mut bench = Bench::new();
    let copy = Member { addresses: addresses(9), ..member(0, 0, 20) };
    let out = bench.packet(copy, vec![]);
    assert!(event(&out, |event| matches!(event, Event::IdConflict { .. })));
    assert_eq!(bench.machine.local().incarnation, incarnation(10));
}

#[test]
fn two_live_nodes_of_one_name_are_reported_and_both_stay() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![]);
    let twin = Member { name: "n1".parse().unwrap(), ..member(2, 2, 10) };
    let out = bench.packet(twin, vec![]);
    assert!(event(
        &out,
        |event| matches!(event, Event::NameConflict { held, claimed, .. } if (*held, *claimed) == (id(1), id(2)))
    ));
    assert_eq!((bench.state(1), bench.state(2)), (Some((State::Alive, 10)), Some((State::Alive, 10))));
}

#[test]
fn a_new_node_at_an_old_address_does_not_answer_for_the_old_one() {
    let mut bench = Bench::new();
    let ping = |target| packet(member(1, 1, 10), Body::Ping { sequence: 4, target });
    let from = addresses(1).gossip;
    let other = bench.input(Input::Packet { from, packet: ping(NodeId::from_bits(99)) });
    let acks = |out: &[Output]| sent(out, 1).filter(|packet| matches!(packet.body, Body::Ack { .. })).count();
    assert_eq!(acks(&other), 0);
    let own = bench.input(Input::Packet { from, packet: ping(id(0)) });
    assert_eq!(acks(&own), 1);
}

#[test]
fn an_accusation_of_this_node_is_refuted_above_it_and_kept_before_it_is_sent() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![]);
    let out = bench.packet(member(1, 1, 10), vec![suspect(0, 500, 1)]);
    assert_eq!(bench.machine.local().incarnation, incarnation(501));
    assert!(matches!(&out[0], Output::Remember(remembered) if remembered.incarnation == incarnation(501)));
    bench.packet(member(1, 1, 10), vec![suspect(0, 500, 2)]);
    assert_eq!(bench.machine.local().incarnation, incarnation(501), "an old accusation is no reason");
}

#[test]
fn only_one_zone_failing_to_reach_a_node_reports_the_link() {
    let mut bench = Bench::new();
    bench.packet(member(1, 1, 10), vec![alive(2, 1)]);
    bench.packet(member(1, 1, 10), vec![suspect(2, 1, 1)]);
    let out = bench.packet(member(2, 2, 2), vec![]);
    assert!(event(&out, |event| matches!(event, Event::ZoneLinkDegraded { .. })), "{out:?}");
}

#[test]
fn a_full_roster_ignores_the_new_and_says_so() {
    let mut bench = Bench::new();
    bench.machine.config.max_members = 2;
    bench.packet(member(1, 1, 10), vec![alive(2, 1)]);
    let out = bench.packet(member(3, 0, 1), vec![]);
    assert!(event(&out, |event| *event == Event::RosterFull));
    assert_eq!(bench.state(3), None);
    bench.packet(member(1, 1, 10), vec![Update::Left { subject: id(2), incarnation: incarnation(1) }]);
    bench.packet(member(3, 0, 1), vec![]);
    assert_eq!((bench.state(2), bench.state(3)), (None, Some((State::Alive, 1))), "a gone member makes room");
}
