//! A simulated network of membership machines: loss, duplication, delay (hence reordering), cuts, slow nodes,
//! pauses, crashes and restarts. One seed gives one history. It judges nothing; scenarios do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::protocol::id::{ClusterId, NodeId};
use crate::protocol::membership::config::Config;
use crate::protocol::membership::machine::{Membership, Start};
use crate::protocol::membership::member::{Addresses, Facts, Incarnation, Member, State};
use crate::protocol::membership::message::{Exchange, Packet};
use crate::protocol::membership::{Contact, Event, Input, MonotonicTime, Output, Remembered};

/// Unix time at the start of every world.
const START_UNIX_MS: u64 = 1_700_000_000_000;
/// As the shell's limit for one exchange.
const STREAM_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Clone)]
enum Happening {
    Packet { to: SocketAddr, from: SocketAddr, packet: Packet },
    Wake { node: usize, life: u32 },
    Request { to: Contact, node: usize, life: u32, ticket: u64, exchange: Exchange },
    Reply { node: usize, life: u32, ticket: u64, exchange: Option<Exchange> },
}

pub(super) struct Node {
    pub(super) machine: Option<Membership>,
    pub(super) remembered: Option<Remembered>,
    pub(super) seeds: Vec<Contact>,
    pub(super) facts: Facts,
    /// Milliseconds by which its wall clock is behind.
    pub(super) clock_behind: u64,
    /// Added to all that reaches or leaves it.
    pub(super) slow: Duration,
    pub(super) events: Vec<(Duration, Event)>,
    life: u32,
    paused_until: Duration,
    wake_at: Option<Duration>,
    zone: usize,
    /// Number from which its addresses are made; its own unless it moved.
    place: usize,
}

/// A death that one node believed in while the other was running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FalseDeath {
    pub(super) at: Duration,
    pub(super) observer: usize,
    pub(super) subject: usize,
}

pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    pub(super) config: Config,
    /// Chance that a datagram is lost.
    pub(super) loss: f64,
    /// Chance that a datagram comes twice.
    pub(super) duplication: f64,
    /// Longest way of a datagram.
    pub(super) delay: Duration,
    /// Whether streams work at all.
    pub(super) streams: bool,
    /// Directed links that carry nothing.
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Directed links that carry no datagrams.
    pub(super) deaf: BTreeSet<(usize, usize)>,
    pub(super) false_deaths: Vec<FalseDeath>,
    pub(super) packets: u64,
    queue: BTreeMap<(Duration, u64), Happening>,
    serial: u64,
}

pub(super) fn id(node: usize) -> NodeId {
    NodeId::from_bits(node as u128 + 1)
}

fn address(port: u16, node: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, u8::try_from(node).unwrap()], port))
}

pub(super) fn addresses(node: usize) -> Addresses {
    Addresses { api: address(8080, node), peer: address(7946, node), gossip: address(7947, node) }
}

pub(super) fn member(node: usize, zone: usize, incarnation: u64) -> Member {
    Member {
        id: id(node),
        name: format!("n{node}").parse().unwrap(),
        zone: format!("z{zone}").parse().unwrap(),
        addresses: addresses(node),
        incarnation: Incarnation::new(incarnation).unwrap(),
        release: "0.1.0".parse().unwrap(),
        facts: Facts::default(),
        load: 0,
    }
}

impl World {
    /// `count` nodes over three zones, each knowing node 0 (and node 0 knowing node 1) as seed; none is started.
    pub(super) fn new(seed: u64, count: usize, config: Config) -> Self {
        let node = |number: usize| Node {
            machine: None,
            remembered: None,
            seeds: vec![Contact::from(addresses(usize::from(number == 0)).peer)],
            facts: Facts::default(),
            clock_behind: 0,
            slow: Duration::ZERO,
            events: Vec::new(),
            life: 0,
            paused_until: Duration::ZERO,
            wake_at: None,
            zone: number % 3,
            place: number,
        };
        Self {
            rng: StdRng::seed_from_u64(seed),
            now: Duration::ZERO,
            nodes: (0..count).map(node).collect(),
            config,
            loss: 0.0,
            duplication: 0.0,
            delay: millis(2),
            streams: true,
            cut: BTreeSet::new(),
            deaf: BTreeSet::new(),
            false_deaths: Vec::new(),
            packets: 0,
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    /// As `new`, started and converged.
    pub(super) fn formed(seed: u64, count: usize, config: Config) -> Self {
        let mut world = Self::new(seed, count, config);
        (0..count).for_each(|node| world.start(node));
        world.run_until(seconds(5), World::is_converged).expect("a healthy cluster forms");
        world
    }

    pub(super) fn set_cluster(&mut self, nodes: impl IntoIterator<Item = usize>, cluster: u128) {
        for node in nodes {
            let facts = Facts { cluster: Some(ClusterId::from_bits(cluster)), ..Facts::default() };
            self.nodes[node].facts = facts;
            self.input(node, Input::SetFacts(facts));
        }
    }

    /// Starts or restarts a node from what it remembers.
    pub(super) fn start(&mut self, number: usize) {
        let now = MonotonicTime::from_start(self.now);
        let unix_ms = START_UNIX_MS + u64::try_from(self.now.as_millis()).unwrap() - self.nodes[number].clock_behind;
        let node = &mut self.nodes[number];
        let remembered = node.remembered.clone().unwrap_or_default();
        let saved = node.remembered.as_ref().map(|remembered| remembered.incarnation);
        let incarnation = Incarnation::at_start(saved, unix_ms);
        let (facts, addresses) = (node.facts, addresses(node.place));
        let local = Member { incarnation, facts, addresses, ..member(number, node.zone, 0) };
        let start = Start { local, peers: remembered.peers, seeds: node.seeds.clone() };
        node.machine = Some(Membership::new(self.config.clone(), start, now, &mut self.rng));
        node.life += 1;
        node.wake_at = None;
        node.paused_until = Duration::ZERO;
        self.schedule_wake(number);
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].machine = None;
    }

    /// The next start is at other addresses.
    pub(super) fn move_to(&mut self, node: usize, place: usize) {
        self.nodes[node].place = place;
    }

    /// SIGSTOP; all that is meant for the node waits for its SIGCONT after `duration`.
    pub(super) fn pause(&mut self, node: usize, duration: Duration) {
        self.nodes[node].paused_until = self.now + duration;
    }

    pub(super) fn cut_between(&mut self, left: &[usize], right: &[usize]) {
        for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
            self.cut.extend([(a, b), (b, a)]);
        }
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        let now = MonotonicTime::from_start(self.now);
        let mut out = Vec::new();
        if let Some(machine) = &mut self.nodes[node].machine {
            machine.handle(input, now, &mut self.rng, &mut out);
        }
        self.carry_out(node, out);
    }

    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `holds`; the time that took, or none if `limit` passed first.
    pub(super) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        while !holds(self) {
            if !self.step(start + limit) {
                return None;
            }
        }
        Some(self.now - start)
    }

    pub(super) fn state(&self, observer: usize, subject: usize) -> Option<State> {
        let machine = self.nodes[observer].machine.as_ref()?;
        machine.members().find(|known| known.member.id == id(subject)).map(|known| known.state)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.is_running(*node))
    }

    pub(super) fn is_running(&self, node: usize) -> bool {
        self.nodes[node].machine.is_some() && self.nodes[node].paused_until <= self.now
    }

    /// Whether all other running nodes hold `subject` in this state.
    pub(super) fn all_hold(&self, subject: usize, state: State) -> bool {
        self.running().filter(|observer| *observer != subject).all(|o| self.state(o, subject) == Some(state))
    }

    /// Whether all running nodes hold each other alive.
    pub(super) fn is_converged(&self) -> bool {
        self.running().all(|node| self.all_hold(node, State::Alive))
    }

    pub(super) fn has_event(&self, node: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.nodes[node].events.iter().any(|(_, event)| wanted(event))
    }

    fn step(&mut self, end: Duration) -> bool {
        match self.queue.first_key_value() {
            Some(((at, _), _)) if *at <= end => {}
            _ => return false,
        }
        let Some(((at, _), happening)) = self.queue.pop_first() else { return false };
        self.now = self.now.max(at);
        self.happen(happening);
        true
    }

    fn happen(&mut self, happening: Happening) {
        let Some(node) = self.concerned(&happening) else {
            return self.nobody_there(&happening);
        };
        if self.is_outdated(node, &happening) {
            return;
        }
        let resumed = self.nodes[node].paused_until;
        if resumed > self.now {
            if matches!(happening, Happening::Wake { .. }) {
                self.nodes[node].wake_at = Some(resumed);
            }
            return self.at(resumed, happening);
        }
        match happening {
            Happening::Packet { from, packet, .. } => self.input(node, Input::Packet { from, packet }),
            Happening::Wake { .. } => {
                self.nodes[node].wake_at = None;
                self.input(node, Input::Wake);
            }
            Happening::Request { node: asker, life, ticket, exchange, .. } => {
                let exchange = self.answer(node, &exchange);
                self.reply(node, asker, life, ticket, exchange);
            }
            Happening::Reply { ticket, exchange, .. } => {
                let input = match exchange {
                    Some(exchange) => Input::ExchangeReply { ticket, exchange },
                    None => Input::ExchangeFailed { ticket },
                };
                self.input(node, input);
            }
        }
    }

    /// Whether it was meant for an earlier life, or is a wake-up that an earlier one has replaced.
    fn is_outdated(&self, node: usize, happening: &Happening) -> bool {
        match happening {
            Happening::Wake { life, .. } => {
                *life != self.nodes[node].life || self.nodes[node].wake_at.is_none_or(|at| at > self.now)
            }
            Happening::Reply { life, .. } => *life != self.nodes[node].life,
            Happening::Packet { .. } | Happening::Request { .. } => false,
        }
    }

    fn answer(&mut self, node: usize, request: &Exchange) -> Option<Exchange> {
        let now = MonotonicTime::from_start(self.now);
        let mut out = Vec::new();
        let machine = self.nodes[node].machine.as_mut()?;
        let exchange = machine.answer_exchange(request, now, &mut self.rng, &mut out);
        self.carry_out(node, out);
        Some(exchange)
    }

    fn reply(&mut self, from: usize, node: usize, life: u32, ticket: u64, exchange: Option<Exchange>) {
        if !self.cut.contains(&(from, node)) {
            let at = self.now + self.way(from, node);
            self.at(at, Happening::Reply { node, life, ticket, exchange });
        }
    }

    fn nobody_there(&mut self, happening: &Happening) {
        if let Happening::Request { node, life, ticket, .. } = happening {
            let refused = Happening::Reply { node: *node, life: *life, ticket: *ticket, exchange: None };
            self.at(self.now + millis(1), refused);
        }
    }

    /// The running (or paused) node that a happening reaches.
    fn concerned(&self, happening: &Happening) -> Option<usize> {
        let node = match happening {
            Happening::Packet { to, .. } => self.find(|addresses| addresses.gossip == *to)?,
            Happening::Request { to, .. } => self.find(|addresses| Contact::from(addresses.peer) == *to)?,
            Happening::Wake { node, .. } | Happening::Reply { node, .. } => *node,
        };
        self.nodes[node].machine.as_ref().map(|_| node)
    }

    fn find(&self, fits: impl Fn(Addresses) -> bool) -> Option<usize> {
        (0..self.nodes.len()).find(|node| fits(addresses(self.nodes[*node].place)))
    }

    fn way(&mut self, from: usize, to: usize) -> Duration {
        let most = u64::try_from(self.delay.as_micros()).unwrap();
        Duration::from_micros(self.rng.random_range(50..=most)) + self.nodes[from].slow + self.nodes[to].slow
    }

    fn carry_out(&mut self, node: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { to, packet } => self.send(node, to, &packet),
                Output::Exchange { ticket, with, request } => self.exchange(node, ticket, with, request),
                Output::Remember(remembered) => self.nodes[node].remembered = Some(remembered),
                Output::Event(event) => self.note(node, event),
            }
        }
        self.schedule_wake(node);
    }

    fn note(&mut self, observer: usize, event: Event) {
        if let Event::Changed { known, .. } = &event
            && known.state == State::Dead
            && let Some(subject) = (0..self.nodes.len()).find(|node| id(*node) == known.member.id)
            && self.is_running(subject)
        {
            self.false_deaths.push(FalseDeath { at: self.now, observer, subject });
        }
        self.nodes[observer].events.push((self.now, event));
    }

    fn send(&mut self, node: usize, to: SocketAddr, packet: &Packet) {
        self.packets += 1;
        let Some(target) = self.find(|addresses| addresses.gossip == to) else { return };
        if self.cut.contains(&(node, target)) || self.deaf.contains(&(node, target)) {
            return;
        }
        let copies = if self.rng.random_bool(self.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.rng.random_bool(self.loss) {
                let at = self.now + self.way(node, target);
                let from = addresses(self.nodes[node].place).gossip;
                self.at(at, Happening::Packet { to, from, packet: packet.clone() });
            }
        }
    }

    fn exchange(&mut self, node: usize, ticket: u64, with: Contact, exchange: Exchange) {
        let life = self.nodes[node].life;
        self.at(self.now + STREAM_TIMEOUT, Happening::Reply { node, life, ticket, exchange: None });
        let target = self.find(|addresses| Contact::from(addresses.peer) == with);
        if let Some(target) = target.filter(|target| self.streams && !self.cut.contains(&(node, *target))) {
            let at = self.now + self.way(node, target);
            self.at(at, Happening::Request { to: with, node, life, ticket, exchange });
        }
    }

    fn schedule_wake(&mut self, node: usize) {
        let Some(machine) = &self.nodes[node].machine else { return };
        let at = machine.next_deadline().since_start().max(self.now);
        if self.nodes[node].wake_at.is_none_or(|wake_at| at < wake_at) {
            self.nodes[node].wake_at = Some(at);
            let life = self.nodes[node].life;
            self.at(at, Happening::Wake { node, life });
        }
    }

    fn at(&mut self, at: Duration, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at, self.serial), happening);
    }
}

/// A packet as another node would send it.
pub(super) fn packet(sender: Member, body: crate::protocol::membership::message::Body) -> Packet {
    Packet { sender: Arc::new(sender), body, updates: Vec::new() }
}
