//! The membership machine: state, routing of inputs, deadlines, sending. No rule lives here.
//!
//! `merge` decides who wins, `probe` who is asked and what silence means, `contact` when full state is exchanged.
//! The machine keeps its own deadlines: the shell wakes it at [`Membership::next_deadline`], one timer in all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, RngCore};

use super::config::Config;
use super::contact::Contacts;
use super::dissemination::{News, retransmits};
use super::health::Health;
use super::member::{Facts, Incarnation, Known, Member, State};
use super::merge::Reports;
use super::message::{Accusation, Body, PACKET_BUDGET, Packet, Update};
use super::probe::Prober;
use super::suspicion::{Suspicion, Witness};
use super::{Contact, Event, Input, KnownPeer, MonotonicTime, Output};
use crate::protocol::id::NodeId;

/// Most members told directly at start, at leaving and after a stall; the others hear it from these.
pub(super) const MAX_ANNOUNCED: usize = 32;

/// What happened so far, for metrics; all only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Probes that neither the target nor a helper answered.
    pub probes_failed: u64,
    /// Suspicions begun, here or by hearsay.
    pub suspected: u64,
    /// Suspicions that ended with the accused alive.
    pub refuted: u64,
    /// Members declared or accepted as dead.
    pub died: u64,
    /// Accusations of this node that it refuted.
    pub refuted_self: u64,
    /// Packets, records and exchanges of another cluster, dropped.
    pub foreign: u64,
    /// Records refused because another process holds the id.
    pub conflicts: u64,
    /// Times this process did not run for longer than the limit.
    pub stalls: u64,
    /// Nodes that answered over a stream after datagrams failed.
    pub datagrams_blocked: u64,
}

/// A member held by the machine.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) known: Known,
    /// Who accused it, for the states suspect and dead.
    pub(super) accuser: NodeId,
    pub(super) suspicion: Option<Suspicion>,
    /// Last answer to something this node sent.
    pub(super) heard: Option<MonotonicTime>,
    /// Last time the accusation was sent to the accused.
    pub(super) told: Option<MonotonicTime>,
    /// Incarnation of the last conflict reported.
    pub(super) conflict: Option<Incarnation>,
}

/// One step: the moment, randomness, and where outputs go.
pub(super) struct Turn<'a> {
    pub(super) now: MonotonicTime,
    pub(super) rng: &'a mut dyn RngCore,
    pub(super) out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
}

/// The machine. One per process.
#[derive(Debug)]
pub struct Membership {
    pub(super) config: Config,
    pub(super) local: Arc<Member>,
    pub(super) leaving: bool,
    pub(super) roster: BTreeMap<NodeId, Entry>,
    pub(super) news: News,
    pub(super) health: Health,
    pub(super) prober: Prober,
    pub(super) contacts: Contacts,
    /// Accusations of nodes not yet known, kept until their record comes.
    pub(super) unknown: BTreeMap<NodeId, Update>,
    pub(super) next_gossip: MonotonicTime,
    pub(super) remember: bool,
    pub(super) reports: Reports,
    pub(super) counters: Counters,
}

/// What a machine starts from.
#[derive(Debug, Clone)]
pub struct Start {
    /// This node, with the incarnation to start at ([`Incarnation::at_start`]).
    pub local: Member,
    /// Peers met before the restart.
    pub peers: Vec<KnownPeer>,
    /// Seeds by configuration.
    pub seeds: Vec<Contact>,
}

impl Membership {
    /// A machine that knows nobody yet. Its first deadline is `now`.
    pub fn new(config: Config, start: Start, now: MonotonicTime, rng: &mut dyn RngCore) -> Self {
        Self {
            health: Health::new(config.health_max),
            prober: Prober::new(now + config.probe_interval.mul_f64(rng.random()), rng.next_u64() >> 1),
            contacts: Contacts::new(&config, start.seeds, start.peers, now),
            config,
            local: Arc::new(start.local),
            leaving: false,
            roster: BTreeMap::new(),
            news: News::default(),
            unknown: BTreeMap::new(),
            next_gossip: now,
            remember: true,
            reports: Reports::default(),
            counters: Counters::default(),
        }
    }

    /// Takes one input at one moment; moments must not go back.
    pub fn handle(&mut self, input: Input, now: MonotonicTime, rng: &mut dyn RngCore, out: &mut Vec<Output>) {
        let mut turn = Turn { now, rng, out };
        self.notice_stall(&mut turn);
        match input {
            Input::Packet { from, packet } => self.on_packet(from, packet, &mut turn),
            Input::Wake => self.on_wake(&mut turn),
            Input::ExchangeReply { ticket, exchange } => self.on_exchange_reply(ticket, &exchange, &mut turn),
            Input::ExchangeFailed { ticket } => {
                self.contacts.finish(ticket);
            }
            Input::Heard { node, at } => self.on_heard(node, at),
            Input::ConnectionLost { node } => self.on_connection_lost(node, &mut turn),
            Input::SetFacts(facts) => self.set_facts(facts, &mut turn),
            Input::SetLoad(load) => Arc::make_mut(&mut self.local).load = load,
            Input::Join(seeds) => self.contacts.add_seeds(seeds, now),
            Input::Leave => self.leave(&mut turn),
        }
        self.flush_remembered(&mut turn);
    }

    /// When to give [`Input::Wake`] next.
    #[must_use]
    pub fn next_deadline(&self) -> MonotonicTime {
        let suspicions = self.roster.values().filter_map(|entry| entry.suspicion.as_ref()).map(|s| s.deadline);
        let gossip = (!self.news.is_empty()).then_some(self.next_gossip);
        let first = suspicions.chain(gossip).min();
        let others = self.prober.next_deadline().min(self.contacts.next_deadline());
        first.map_or(others, |first| first.min(others))
    }

    /// This node in its own words.
    #[must_use]
    pub fn local(&self) -> &Arc<Member> {
        &self.local
    }
    /// All others, by id.
    pub fn members(&self) -> impl Iterator<Item = &Known> {
        self.roster.values().map(|entry| &entry.known)
    }
    /// Local health, 0 is healthy.
    #[must_use]
    pub fn health_score(&self) -> u32 {
        self.health.score()
    }
    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
    /// Whether [`Input::Leave`] was given.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// A timer that is much too late means that this process was paused or starved: its silence of others proves
    /// nothing. Probes in flight are void, the accused get the lost time back, and all are told that we live.
    pub(super) fn notice_stall(&mut self, turn: &mut Turn<'_>) {
        let lateness = turn.now.since(self.next_deadline());
        if lateness < self.config.stall_limit {
            return;
        }
        self.counters.stalls += 1;
        self.worsen_health(1);
        self.prober.void(turn.now);
        self.contacts.shift(lateness);
        for entry in self.roster.values_mut() {
            if let Some(suspicion) = &mut entry.suspicion {
                suspicion.shift(lateness);
            }
        }
        self.next_gossip = turn.now;
        turn.event(Event::Stalled { lateness });
        self.announce(None, turn);
    }

    fn on_wake(&mut self, turn: &mut Turn<'_>) {
        self.wake_probes(turn);
        self.wake_suspicions(turn);
        self.wake_contacts(turn);
        if turn.now >= self.next_gossip && !self.news.is_empty() {
            self.next_gossip = turn.now + self.config.gossip_interval;
            for to in self.choose(self.config.gossip_fanout, turn, |_| true) {
                self.send(to, Body::Gossip, None, turn);
            }
        }
    }

    fn wake_suspicions(&mut self, turn: &mut Turn<'_>) {
        let due: Vec<NodeId> = self.due_suspicions(turn.now).collect();
        for subject in due {
            self.suspicion_ran_out(subject, turn);
        }
    }

    fn due_suspicions(&self, now: MonotonicTime) -> impl Iterator<Item = NodeId> {
        let due = move |entry: &Entry| entry.suspicion.as_ref().is_some_and(|suspicion| suspicion.deadline <= now);
        self.roster.iter().filter(move |(_, entry)| due(entry)).map(|(id, _)| *id)
    }

    fn set_facts(&mut self, facts: Facts, turn: &mut Turn<'_>) {
        if self.local.facts == facts {
            return;
        }
        let local = Arc::make_mut(&mut self.local);
        local.facts = facts;
        local.incarnation = local.incarnation.next();
        self.remember = true;
        self.forget_foreign(turn);
        if !self.leaving {
            self.tell(Update::Alive(Arc::clone(&self.local)), turn.now);
        }
    }

    fn leave(&mut self, turn: &mut Turn<'_>) {
        self.leaving = true;
        let left = Update::Left { subject: self.local.id, incarnation: self.local.incarnation };
        self.tell(left.clone(), turn.now);
        self.announce(Some(&left), turn);
    }

    /// Sends this node's record (it is in every packet) to present members.
    pub(super) fn announce(&mut self, first: Option<&Update>, turn: &mut Turn<'_>) {
        for to in self.choose(MAX_ANNOUNCED, turn, |_| true) {
            self.send(to, Body::Gossip, first.cloned(), turn);
        }
    }

    /// Queues news; the first after a quiet time goes out at once.
    pub(super) fn tell(&mut self, update: Update, now: MonotonicTime) {
        if self.news.is_empty() {
            self.next_gossip = self.next_gossip.min(now);
        }
        self.news.push(update);
    }

    pub(super) fn send(&mut self, to: SocketAddr, body: Body, first: Option<Update>, turn: &mut Turn<'_>) {
        let used = self.local.bytes_at_most() + first.as_ref().map_or(0, Update::bytes_at_most);
        let limit = retransmits(self.config.retransmit_factor, self.roster.len() + 1);
        let mut updates: Vec<Update> = first.into_iter().collect();
        updates.extend(self.news.take(PACKET_BUDGET.saturating_sub(used), limit));
        let packet = Packet { sender: Arc::clone(&self.local), body, updates };
        turn.out.push(Output::Send { to, packet });
    }

    /// Gossip addresses of up to `count` random present members. Shuffles all and takes the first: picking at
    /// random and giving up after some misses overlooks members of tiny clusters (hashicorp/memberlist#350).
    pub(super) fn choose(&self, count: usize, turn: &mut Turn<'_>, fits: impl Fn(&Entry) -> bool) -> Vec<SocketAddr> {
        let present = self.roster.values().filter(|entry| entry.known.state.is_present() && fits(entry));
        let mut addresses: Vec<SocketAddr> = present.map(|entry| entry.known.member.addresses.gossip).collect();
        addresses.shuffle(turn.rng);
        addresses.truncate(count);
        addresses
    }

    /// Who could testify about `subject` now.
    pub(super) fn witnesses(&self, subject: NodeId) -> BTreeSet<Witness> {
        let alive = self.roster.values().filter(|entry| entry.known.state == State::Alive).map(|e| &e.known.member);
        let all = alive.chain([&self.local]).filter(|member| member.id != subject);
        all.map(|member| Witness { zone: member.zone.clone(), id: member.id }).collect()
    }

    pub(super) fn witness(&self, id: NodeId) -> Option<Witness> {
        let member = if id == self.local.id {
            &self.local
        } else {
            &self.roster.get(&id).filter(|entry| entry.known.state == State::Alive)?.known.member
        };
        Some(Witness { zone: member.zone.clone(), id })
    }

    /// What to tell the accused itself; none if it is held alive.
    pub(super) fn accusation(&self, subject: NodeId) -> Option<Update> {
        let entry = self.roster.get(&subject)?;
        let incarnation = entry.known.incarnation;
        let accusation = Accusation { subject, incarnation, accuser: entry.accuser };
        match entry.known.state {
            State::Alive => None,
            State::Suspect => Some(Update::Suspect(accusation)),
            State::Dead => Some(Update::Dead(accusation)),
            State::Left => Some(Update::Left { subject, incarnation }),
        }
    }

    /// Whether a node answered so recently that its death is not to be believed.
    pub(super) fn heard_lately(&self, entry: &Entry, now: MonotonicTime) -> bool {
        let window: Duration = self.config.evidence_window;
        self.config.mechanisms.evidence && entry.heard.is_some_and(|heard| now.since(heard) < window)
    }

    pub(super) fn worsen_health(&mut self, by: u32) {
        if self.config.mechanisms.local_health {
            self.health.worsen(by);
        }
    }
}
