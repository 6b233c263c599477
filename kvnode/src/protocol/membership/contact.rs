//! Full state over streams: push/pull, seeds, and how a node that is alone finds the others again.
//!
//! Seeds and remembered peers are tried for ever, paced: a mass restart or a healed partition converges without an
//! operator. Start never waits for any of them. Streams in flight are bounded; what they carry is judged in `merge`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::seq::IteratorRandom;

use super::config::Config;
use super::machine::{Entry, MAX_ANNOUNCED, Membership, Turn};
use super::member::State;
use super::message::{Body, Exchange, Standing};
use super::{Contact, KnownPeer, MonotonicTime, Output, Remembered};

/// Most exchanges in flight: each may hold a connection attempt of seconds.
const MAX_EXCHANGES: usize = 4;
/// An exchange unanswered for this long is given up.
const EXCHANGE_LIFETIME: Duration = Duration::from_secs(10);
/// Contacts tried at once at start.
const FIRST_CONTACTS: usize = 3;
/// Most seeds held.
const MAX_SEEDS: usize = 64;
/// Members above which push/pull slows down, as in memberlist: its cost per node grows with the cluster.
const FULL_PACE_MEMBERS: usize = 32;

#[derive(Debug)]
pub(super) struct Contacts {
    seeds: Vec<Contact>,
    peers: Vec<KnownPeer>,
    cursor: usize,
    started: bool,
    in_flight: BTreeMap<u64, (Contact, MonotonicTime)>,
    last_ticket: u64,
    next_try: MonotonicTime,
    next_seed: MonotonicTime,
    next_push_pull: MonotonicTime,
}

impl Contacts {
    pub(super) fn new(config: &Config, mut seeds: Vec<Contact>, mut peers: Vec<KnownPeer>, now: MonotonicTime) -> Self {
        seeds.truncate(MAX_SEEDS);
        peers.truncate(Remembered::MAX_PEERS);
        let (next_seed, next_push_pull) = (now + config.seed_interval, now + config.push_pull_interval);
        let (in_flight, last_ticket, cursor, started) = (BTreeMap::new(), 0, 0, false);
        Self { seeds, peers, cursor, started, in_flight, last_ticket, next_try: now, next_seed, next_push_pull }
    }

    pub(super) fn next_deadline(&self) -> MonotonicTime {
        let first = self.next_try.min(self.next_push_pull);
        self.in_flight.values().map(|(_, until)| *until).min().map_or(first, |until| first.min(until))
    }

    pub(super) fn add_seeds(&mut self, seeds: Vec<Contact>, now: MonotonicTime) {
        for seed in seeds {
            if self.seeds.len() < MAX_SEEDS && !self.seeds.contains(&seed) {
                self.seeds.push(seed);
            }
        }
        (self.next_try, self.next_seed) = (now, now);
    }

    pub(super) fn finish(&mut self, ticket: u64) -> bool {
        self.in_flight.remove(&ticket).is_some()
    }

    /// After a stall: everything gets the lost time back.
    pub(super) fn shift(&mut self, by: Duration) {
        (self.next_try, self.next_push_pull) = (self.next_try + by, self.next_push_pull + by);
        for (_, until) in self.in_flight.values_mut() {
            *until = *until + by;
        }
    }
}

impl Membership {
    pub(super) fn wake_contacts(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.contacts.in_flight.retain(|_, (_, until)| *until > now);
        if now >= self.contacts.next_try {
            self.contacts.next_try = now + self.config.reconnect_interval;
            if !self.leaving {
                self.seek(turn);
            }
        }
        if now >= self.contacts.next_push_pull {
            let scale = 1.0 + (self.roster.len() as f64 / FULL_PACE_MEMBERS as f64).log2().max(0.0);
            let jitter = turn.rng.random_range(0.9..1.1);
            self.contacts.next_push_pull = now + self.config.push_pull_interval.mul_f64(scale * jitter);
            self.forget_gone(turn);
            self.push_pull(turn);
        }
    }

    fn seek(&mut self, turn: &mut Turn<'_>) {
        let alone = !self.roster.values().any(|entry| entry.known.state == State::Alive);
        let tries = match (self.contacts.started, alone) {
            (false, _) => FIRST_CONTACTS,
            (true, true) => 1,
            (true, false) if turn.now >= self.contacts.next_seed => 1,
            (true, false) => return,
        };
        if !self.contacts.started {
            self.greet(MAX_ANNOUNCED, turn);
        } else if alone {
            self.greet(1, turn);
        }
        self.contacts.started = true;
        self.contacts.next_seed = turn.now + self.config.seed_interval;
        let candidates = self.candidates();
        for _ in 0..tries.min(candidates.len()) {
            let contact = candidates[self.contacts.cursor % candidates.len()].clone();
            self.contacts.cursor = self.contacts.cursor.wrapping_add(1);
            self.exchange_with(contact, turn);
        }
    }

    /// Tells remembered peers by datagram that this node is (again) there; cheaper and faster than a stream.
    fn greet(&mut self, count: usize, turn: &mut Turn<'_>) {
        let own = self.local.addresses.gossip;
        let peers: Vec<SocketAddr> =
            self.contacts.peers.iter().map(|peer| peer.gossip).filter(|address| *address != own).collect();
        for offset in 0..count.min(peers.len()) {
            let to = peers[(self.contacts.cursor + offset) % peers.len()];
            self.send(to, Body::Gossip, None, turn);
        }
    }

    /// Whom to try: all that is not this node and not a present member.
    fn candidates(&self) -> Vec<Contact> {
        let present = self.roster.values().filter(|entry| entry.known.state.is_present());
        let mut seen: BTreeSet<Contact> = present.map(|entry| entry.known.member.addresses.peer.into()).collect();
        seen.insert(self.local.addresses.peer.into());
        let gone = self.roster.values().filter(|entry| entry.known.state == State::Dead);
        let remembered = self.contacts.peers.iter().map(|peer| peer.peer);
        let addresses = remembered.chain(gone.map(|entry| entry.known.member.addresses.peer)).map(Contact::from);
        let all = self.contacts.seeds.iter().cloned().chain(addresses);
        all.filter(|contact| seen.insert(contact.clone())).collect()
    }

    fn push_pull(&mut self, turn: &mut Turn<'_>) {
        let alive = self.roster.values().filter(|entry| entry.known.state == State::Alive);
        let partner = alive.map(|entry| entry.known.member.addresses.peer).choose(turn.rng);
        if let Some(partner) = partner.filter(|_| !self.leaving) {
            self.exchange_with(partner.into(), turn);
        }
    }

    /// Starts an exchange, unless one with the same contact or too many are in flight.
    pub(super) fn exchange_with(&mut self, with: Contact, turn: &mut Turn<'_>) {
        let busy = self.contacts.in_flight.values().any(|(contact, _)| *contact == with);
        if busy || self.contacts.in_flight.len() >= MAX_EXCHANGES {
            return;
        }
        self.contacts.last_ticket += 1;
        let ticket = self.contacts.last_ticket;
        self.contacts.in_flight.insert(ticket, (with.clone(), turn.now + EXCHANGE_LIFETIME));
        turn.out.push(Output::Exchange { ticket, with, request: self.full_state() });
    }

    pub(super) fn on_exchange_reply(&mut self, ticket: u64, exchange: &Exchange, turn: &mut Turn<'_>) {
        if self.contacts.finish(ticket) && self.merge(exchange, turn) {
            self.on_stream_answer(exchange.sender.id, turn);
        }
    }

    /// The serving side of an exchange: takes the other's state and gives ours; a node of another cluster gets only
    /// this node's own record, so that it sees why.
    pub fn answer_exchange(
        &mut self,
        request: &Exchange,
        now: MonotonicTime,
        rng: &mut dyn rand::RngCore,
        out: &mut Vec<Output>,
    ) -> Exchange {
        let mut turn = Turn { now, rng, out };
        self.notice_stall(&mut turn);
        let ours = self.merge(request, &mut turn);
        self.flush_remembered(&mut turn);
        if ours { self.full_state() } else { Exchange { sender: Arc::clone(&self.local), members: Vec::new() } }
    }

    fn full_state(&self) -> Exchange {
        let members = self.roster.values().map(|entry| (Arc::clone(&entry.known.member), standing(entry)));
        Exchange { sender: Arc::clone(&self.local), members: members.collect() }
    }

    /// Emits what is to be kept, before anything that was decided with it is sent.
    pub(super) fn flush_remembered(&mut self, turn: &mut Turn<'_>) {
        if !std::mem::take(&mut self.remember) {
            return;
        }
        let met = self.roster.values().filter(|entry| entry.known.state != State::Left).map(|entry| {
            let addresses = entry.known.member.addresses;
            KnownPeer { peer: addresses.peer, gossip: addresses.gossip }
        });
        let mut seen = BTreeSet::new();
        let mut peers: Vec<KnownPeer> =
            met.chain(self.contacts.peers.iter().copied()).filter(|peer| seen.insert(peer.peer)).collect();
        peers.truncate(Remembered::MAX_PEERS);
        let remembered = Remembered { incarnation: self.local.incarnation, peers };
        turn.out.insert(0, Output::Remember(remembered));
    }
}

fn standing(entry: &Entry) -> Standing {
    let incarnation = entry.known.incarnation;
    match (entry.known.state, &entry.suspicion) {
        (State::Alive, _) => Standing::Alive,
        (State::Suspect, Some(suspicion)) => Standing::Suspect { incarnation, accuser: suspicion.first },
        (State::Suspect, None) => Standing::Suspect { incarnation, accuser: entry.accuser },
        (State::Dead, _) => Standing::Dead { incarnation, accuser: entry.accuser },
        (State::Left, _) => Standing::Left { incarnation },
    }
}
