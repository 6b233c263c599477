//! Who is asked, and what silence means (SWIM, sections 3.1 and 4.3; Lifeguard, section IV-A).
//!
//! One scheduled probe per interval goes round all present members in a shuffled order. An unanswered one asks
//! helpers and, over a stream, the target itself. Extra probes start at once on a lost connection, on hearing a
//! suspicion and on meeting a new member. A ping to a suspected or dead member begins with the accusation, so that
//! it refutes within a round trip. What an accusation does is decided in `merge`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use rand::Rng;
use rand::seq::SliceRandom;

use super::machine::{Membership, Turn};
use super::member::State;
use super::message::{Accusation, Body, Packet, Update};
use super::{Event, MonotonicTime};
use crate::protocol::id::NodeId;

/// Most probes in flight. A burst of suspicions beyond it waits for the scheduled rounds.
const MAX_FLIGHTS: usize = 32;
/// Most probes carried out for others at one time; more ask in vain, which costs them one nack.
const MAX_RELAYS: usize = 64;

/// A probe in flight.
#[derive(Debug, Clone)]
struct Flight {
    target: NodeId,
    started: MonotonicTime,
    direct_until: MonotonicTime,
    until: MonotonicTime,
    /// Asked to help; empty until the direct time is over.
    helpers: Vec<NodeId>,
    nacks: BTreeSet<NodeId>,
    indirect: bool,
    /// It was not suspected when the probe began: only then does silence speak about our own health.
    unsuspected: bool,
}

/// A ping on behalf of another node.
#[derive(Debug, Clone)]
struct Relay {
    origin: SocketAddr,
    sequence: u64,
    target: NodeId,
    until: MonotonicTime,
}

#[derive(Debug)]
pub(super) struct Prober {
    next_round: MonotonicTime,
    rotation: Vec<NodeId>,
    /// Last dead member that was pinged.
    grave: Option<NodeId>,
    sequence: u64,
    flights: BTreeMap<u64, Flight>,
    relays: BTreeMap<u64, Relay>,
}

impl Prober {
    /// Sequences start at random, so that an ack for an earlier life of this process matches nothing.
    pub(super) fn new(next_round: MonotonicTime, sequence: u64) -> Self {
        let (flights, relays) = (BTreeMap::new(), BTreeMap::new());
        Self { next_round, rotation: Vec::new(), grave: None, sequence, flights, relays }
    }

    pub(super) fn next_deadline(&self) -> MonotonicTime {
        let flights = self.flights.values().map(|f| if f.indirect { f.until } else { f.direct_until });
        let relays = self.relays.values().map(|relay| relay.until);
        flights.chain(relays).min().map_or(self.next_round, |first| first.min(self.next_round))
    }

    /// Forgets all that is in flight: its deadlines passed while this process did not run.
    pub(super) fn void(&mut self, now: MonotonicTime) {
        self.flights.clear();
        self.relays.clear();
        self.next_round = now;
    }

    /// A new member gets a random place in the round (SWIM, section 4.3).
    pub(super) fn add(&mut self, id: NodeId, rng: &mut dyn rand::RngCore) {
        let place = rng.random_range(0..=self.rotation.len());
        self.rotation.insert(place, id);
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn take_due(&mut self, due: impl Fn(&Flight) -> bool) -> Vec<Flight> {
        let sequences: Vec<u64> = self.flights.iter().filter(|(_, f)| due(f)).map(|(sequence, _)| *sequence).collect();
        sequences.iter().filter_map(|sequence| self.flights.remove(sequence)).collect()
    }
}

impl Membership {
    pub(super) fn wake_probes(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let direct: Vec<u64> =
            self.prober.flights.iter().filter(|(_, f)| !f.indirect && f.direct_until <= now).map(|(s, _)| *s).collect();
        for sequence in direct {
            self.ask_helpers(sequence, turn);
        }
        for flight in self.prober.take_due(|flight| flight.indirect && flight.until <= now) {
            self.probe_failed(&flight, turn);
        }
        self.send_nacks(turn);
        if self.prober.next_round <= now {
            self.prober.next_round = now + self.health.stretch(self.config.probe_interval);
            if !self.leaving {
                self.probe_next(turn);
                self.ping_a_dead_one(turn);
            }
        }
    }

    fn probe_next(&mut self, turn: &mut Turn<'_>) {
        if self.prober.rotation.is_empty() {
            let present = self.roster.iter().filter(|(_, entry)| entry.known.state.is_present());
            self.prober.rotation = present.map(|(id, _)| *id).collect();
            self.prober.rotation.shuffle(turn.rng);
        }
        while let Some(target) = self.prober.rotation.pop() {
            if self.roster.get(&target).is_some_and(|entry| entry.known.state.is_present()) {
                self.probe(target, turn);
                return;
            }
        }
    }

    /// Dead members are told so, one per round, in turn: one that only was cut off or paused refutes and is back.
    fn ping_a_dead_one(&mut self, turn: &mut Turn<'_>) {
        let mut dead = self.roster.iter().filter(|(_, entry)| entry.known.state == State::Dead).map(|(id, _)| *id);
        let first = dead.next();
        let after = first.into_iter().chain(dead).find(|id| self.prober.grave.is_none_or(|last| *id > last));
        self.prober.grave = after.or(first);
        if let Some(target) = self.prober.grave {
            let sequence = self.prober.next_sequence();
            self.ping(target, sequence, turn);
        }
    }

    /// Starts a probe unless one of this node is in flight.
    pub(super) fn probe(&mut self, target: NodeId, turn: &mut Turn<'_>) {
        let in_flight = self.prober.flights.values().any(|flight| flight.target == target);
        let Some(entry) = self.roster.get(&target) else { return };
        if self.leaving || in_flight || self.prober.flights.len() >= MAX_FLIGHTS {
            return;
        }
        let flight = Flight {
            target,
            started: turn.now,
            direct_until: turn.now + self.health.stretch(self.config.probe_timeout),
            until: turn.now + self.health.stretch(self.config.probe_interval),
            helpers: Vec::new(),
            nacks: BTreeSet::new(),
            indirect: false,
            unsuspected: entry.known.state == State::Alive,
        };
        let sequence = self.prober.next_sequence();
        self.prober.flights.insert(sequence, flight);
        self.ping(target, sequence, turn);
    }

    fn ping(&mut self, target: NodeId, sequence: u64, turn: &mut Turn<'_>) {
        let Some(entry) = self.roster.get(&target) else { return };
        let to = entry.known.member.addresses.gossip;
        let first = self.accusation(target).filter(|_| self.config.mechanisms.accuse_the_accused);
        self.send(to, Body::Ping { sequence, target }, first, turn);
    }

    /// The direct time is over: helpers ping the target for us, and it is tried over a stream.
    fn ask_helpers(&mut self, sequence: u64, turn: &mut Turn<'_>) {
        let Some(flight) = self.prober.flights.get(&sequence) else { return };
        let (target, started) = (flight.target, flight.started);
        let Some(entry) = self.roster.get(&target) else {
            self.prober.flights.remove(&sequence);
            return;
        };
        if self.config.mechanisms.evidence && entry.heard.is_some_and(|heard| heard >= started) {
            self.probe_answered(sequence, turn.now);
            return;
        }
        let addresses = entry.known.member.addresses;
        let mut helpers: Vec<(NodeId, SocketAddr)> = (self.roster.iter())
            .filter(|(id, entry)| **id != target && entry.known.state == State::Alive)
            .map(|(id, entry)| (*id, entry.known.member.addresses.gossip))
            .collect();
        helpers.shuffle(turn.rng);
        helpers.truncate(self.config.indirect_probes);
        if let Some(flight) = self.prober.flights.get_mut(&sequence) {
            flight.indirect = true;
            flight.helpers = helpers.iter().map(|(id, _)| *id).collect();
        }
        for (_, to) in helpers {
            self.send(to, Body::PingRequest { sequence, target, address: addresses.gossip }, None, turn);
        }
        self.exchange_with(addresses.peer.into(), turn);
    }

    fn probe_failed(&mut self, flight: &Flight, turn: &mut Turn<'_>) {
        let Some(entry) = self.roster.get(&flight.target) else { return };
        if self.config.mechanisms.evidence && entry.heard.is_some_and(|heard| heard >= flight.started) {
            self.health.improve();
            return;
        }
        self.counters.probes_failed += 1;
        let (incarnation, present) = (entry.known.incarnation, entry.known.state.is_present());
        if flight.unsuspected {
            let missed = flight.helpers.len().saturating_sub(flight.nacks.len());
            let by = if flight.helpers.is_empty() { 1 } else { u32::try_from(missed).unwrap_or(u32::MAX) };
            self.worsen_health(by);
        }
        if present {
            let accusation = Accusation { subject: flight.target, incarnation, accuser: self.local.id };
            self.apply(Update::Suspect(accusation), turn);
        }
    }

    fn probe_answered(&mut self, sequence: u64, now: MonotonicTime) {
        if let Some(flight) = self.prober.flights.remove(&sequence) {
            self.health.improve();
            self.on_heard(flight.target, now);
        }
    }

    fn send_nacks(&mut self, turn: &mut Turn<'_>) {
        let due: Vec<u64> = self.prober.relays.iter().filter(|(_, r)| r.until <= turn.now).map(|(s, _)| *s).collect();
        for relay in due.iter().filter_map(|sequence| self.prober.relays.remove(sequence)).collect::<Vec<_>>() {
            self.send(relay.origin, Body::Nack { sequence: relay.sequence }, None, turn);
        }
    }

    pub(super) fn on_heard(&mut self, node: NodeId, at: MonotonicTime) {
        if let Some(entry) = self.roster.get_mut(&node) {
            entry.heard = entry.heard.max(Some(at));
        }
    }

    pub(super) fn on_connection_lost(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        if self.roster.get(&node).is_some_and(|entry| entry.known.state.is_present()) {
            self.probe(node, turn);
        }
    }

    /// A stream reached a node: as good as an ack, and if datagrams had just failed, worth telling.
    pub(super) fn on_stream_answer(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        self.on_heard(node, turn.now);
        let flights = self.prober.take_due(|flight| flight.target == node && flight.indirect);
        if !flights.is_empty() {
            self.health.improve();
            self.counters.datagrams_blocked += 1;
            turn.event(Event::DatagramsBlocked { id: node });
        }
    }

    pub(super) fn on_packet(&mut self, from: SocketAddr, packet: Packet, turn: &mut Turn<'_>) {
        let sender = packet.sender.id;
        if !self.admit(&packet.sender, turn) {
            return;
        }
        let same_cluster = packet.sender.facts.cluster == self.local.facts.cluster;
        self.apply_record(packet.sender, Some(from), turn);
        for update in packet.updates {
            // News about strangers is only passed on within a cluster: see `merge`.
            if same_cluster || self.roster.contains_key(&update.subject()) || matches!(update, Update::Alive(_)) {
                self.apply(update, turn);
            }
        }
        match packet.body {
            Body::Gossip => {}
            Body::Ping { sequence, target } if target == self.local.id => {
                self.send(from, Body::Ack { sequence, about: target }, None, turn);
            }
            // The node that was meant lived at this address before us. Silence is the right answer.
            Body::Ping { .. } => {}
            Body::Ack { sequence, about } => self.on_ack(sender, sequence, about, turn),
            Body::PingRequest { sequence, target, address } => {
                self.on_ping_request(from, sequence, target, address, turn);
            }
            Body::Nack { sequence } => self.on_nack(sender, sequence),
        }
    }

    fn on_ack(&mut self, sender: NodeId, sequence: u64, about: NodeId, turn: &mut Turn<'_>) {
        if let Some(flight) = self.prober.flights.get(&sequence) {
            if about == flight.target && (sender == about || flight.helpers.contains(&sender)) {
                self.probe_answered(sequence, turn.now);
            }
        } else if self.prober.relays.get(&sequence).is_some_and(|relay| relay.target == sender && about == sender)
            && let Some(relay) = self.prober.relays.remove(&sequence)
        {
            self.on_heard(sender, turn.now);
            self.send(relay.origin, Body::Ack { sequence: relay.sequence, about }, None, turn);
        }
    }

    fn on_nack(&mut self, sender: NodeId, sequence: u64) {
        if let Some(flight) = self.prober.flights.get_mut(&sequence)
            && flight.helpers.contains(&sender)
        {
            flight.nacks.insert(sender);
        }
    }

    fn on_ping_request(
        &mut self,
        from: SocketAddr,
        sequence: u64,
        target: NodeId,
        address: SocketAddr,
        turn: &mut Turn<'_>,
    ) {
        if self.prober.relays.len() >= MAX_RELAYS {
            return;
        }
        let own = self.prober.next_sequence();
        let until = turn.now + self.config.probe_timeout.mul_f64(0.8);
        self.prober.relays.insert(own, Relay { origin: from, sequence, target, until });
        let first = self.accusation(target).filter(|_| self.config.mechanisms.accuse_the_accused);
        self.send(address, Body::Ping { sequence: own, target }, first, turn);
    }
}
