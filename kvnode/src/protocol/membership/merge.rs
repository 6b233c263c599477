//! Who wins: what one piece of news does to what is believed.
//!
//! Beliefs rise in the order (incarnation, state) with alive < suspect < dead < left; whatever is not above what is
//! held changes nothing, so duplicates, reordering and replays are harmless. Beyond SWIM: a member that is held
//! alive here does not die by hearsay, it is suspected and asked first; and whoever speaks with words below the
//! accusation against it is told of that accusation (hashicorp/memberlist#311, #345), else it could never refute.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::machine::{Entry, Membership, Turn};
use super::member::{Incarnation, Known, Member, State};
use super::message::{Accusation, Body, Exchange, Standing, Update};
use super::suspicion::Suspicion;
use super::{Event, MonotonicTime};
use crate::protocol::id::NodeId;

/// Most accusations of unknown members kept; more are neither kept nor passed on.
const MAX_UNKNOWN: usize = 64;
/// Least time between two reports of the same trouble with clusters: each packet would repeat it.
const REPORT_AGAIN: Duration = Duration::from_secs(2);

/// When what was last reported; see [`REPORT_AGAIN`].
#[derive(Debug, Default)]
pub(super) struct Reports {
    foreign: Option<MonotonicTime>,
    heard: Option<MonotonicTime>,
    own_id: Option<MonotonicTime>,
}

fn due(last: &mut Option<MonotonicTime>, now: MonotonicTime) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= REPORT_AGAIN);
    if due {
        *last = Some(now);
    }
    due
}

impl Membership {
    /// Whether to listen to this sender at all.
    pub(super) fn admit(&mut self, sender: &Arc<Member>, turn: &mut Turn<'_>) -> bool {
        if sender.id == self.local.id {
            self.on_own_record(sender, turn);
            return false;
        }
        match (sender.facts.cluster, self.local.facts.cluster) {
            (Some(cluster), Some(own)) if cluster != own => {
                self.counters.foreign += 1;
                if due(&mut self.reports.foreign, turn.now) {
                    turn.event(Event::ForeignCluster { cluster, from: Arc::clone(sender) });
                }
                return false;
            }
            (Some(cluster), None) if due(&mut self.reports.heard, turn.now) => {
                turn.event(Event::ClusterHeard { cluster, from: Arc::clone(sender) });
            }
            _ => {}
        }
        true
    }

    pub(super) fn apply(&mut self, update: Update, turn: &mut Turn<'_>) {
        match update {
            Update::Alive(member) => self.apply_record(member, None, turn),
            Update::Suspect(accusation) => self.apply_suspect(accusation, turn),
            Update::Dead(accusation) => self.apply_dead(accusation, turn),
            Update::Left { subject, incarnation } => self.apply_left(subject, incarnation, turn),
        }
    }

    /// A member's own words; `from` is where they came from if the member itself sent them.
    pub(super) fn apply_record(&mut self, member: Arc<Member>, from: Option<SocketAddr>, turn: &mut Turn<'_>) {
        if member.id == self.local.id {
            return self.on_own_record(&member, turn);
        }
        if self.is_foreign(&member) {
            self.counters.foreign += 1;
            return;
        }
        let Some(entry) = self.roster.get_mut(&member.id) else { return self.meet(member, State::Alive, turn) };
        let known = &mut entry.known;
        let newer = (member.incarnation, State::Alive) > (known.incarnation, known.state);
        let moved = member.addresses != known.member.addresses;
        if moved && known.state.is_present() && (newer || from.is_some()) {
            return self.conflict(member, turn);
        }
        if newer {
            return self.revive(member, turn);
        }
        if known.state == State::Alive {
            if from.is_some() && known.member.incarnation == member.incarnation {
                Arc::make_mut(&mut known.member).load = member.load;
            }
            return;
        }
        self.tell_accused(member.id, from, turn);
    }

    /// Our own words come back. Words above ours were spoken by an earlier life whose memory is lost, or by a copy.
    fn on_own_record(&mut self, member: &Arc<Member>, turn: &mut Turn<'_>) {
        let same_place = member.addresses == self.local.addresses;
        let differs = member.facts != self.local.facts || member.release != self.local.release;
        let above = member.incarnation > self.local.incarnation;
        if !same_place && member.incarnation >= self.local.incarnation {
            self.counters.conflicts += 1;
            if due(&mut self.reports.own_id, turn.now) {
                turn.event(Event::IdConflict { held: Arc::clone(&self.local), claimed: Arc::clone(member) });
            }
        } else if same_place && (above || (member.incarnation == self.local.incarnation && differs)) {
            self.refute(member.incarnation, turn);
        }
    }

    /// Someone accuses this node.
    fn refute(&mut self, accused: Incarnation, turn: &mut Turn<'_>) {
        if accused < self.local.incarnation || self.leaving || !self.config.mechanisms.refutation {
            return;
        }
        let incarnation = accused.next();
        Arc::make_mut(&mut self.local).incarnation = incarnation;
        self.remember = true;
        self.counters.refuted_self += 1;
        self.worsen_health(1);
        self.tell(Update::Alive(Arc::clone(&self.local)), turn.now);
        self.next_gossip = turn.now;
        turn.event(Event::Refuted { incarnation });
    }

    /// A member not known before, alive or long gone.
    fn meet(&mut self, member: Arc<Member>, state: State, turn: &mut Turn<'_>) {
        if self.roster.len() >= self.config.max_members && !self.forget_oldest(turn) {
            turn.event(Event::RosterFull);
            return;
        }
        let (id, incarnation, since) = (member.id, member.incarnation, turn.now);
        let known = Known { member, state, incarnation, since };
        let (suspicion, heard, told, conflict) = (None, None, None, None);
        let entry = Entry { known: known.clone(), accuser: self.local.id, suspicion, heard, told, conflict };
        if state.is_present() {
            self.report_name_conflict(&known.member, turn);
            self.tell(Update::Alive(Arc::clone(&known.member)), turn.now);
            self.prober.add(id, turn.rng);
        }
        self.roster.insert(id, entry);
        self.remember = true;
        turn.event(Event::Changed { known, previous: None });
        if state.is_present() {
            self.probe(id, turn);
        }
        if let Some(accusation) = self.unknown.remove(&id) {
            self.apply(accusation, turn);
        }
    }

    /// Newer words of a known member: it lives, whatever was believed.
    fn revive(&mut self, member: Arc<Member>, turn: &mut Turn<'_>) {
        self.report_name_conflict(&member, turn);
        let Some(entry) = self.roster.get_mut(&member.id) else { return };
        let id = member.id;
        let previous = entry.known.state;
        let suspicion = entry.suspicion.take();
        self.remember |= entry.known.member.addresses != member.addresses;
        entry.known.incarnation = member.incarnation;
        entry.known.member = Arc::clone(&member);
        entry.known.state = State::Alive;
        if previous != State::Alive {
            entry.known.since = turn.now;
        }
        let known = entry.known.clone();
        if let Some(suspicion) = suspicion {
            self.counters.refuted += 1;
            self.report_bad_link(&suspicion, &member, turn);
        }
        turn.event(Event::Changed { known, previous: Some(previous) });
        self.tell(Update::Alive(member), turn.now);
        if !previous.is_present() {
            self.prober.add(id, turn.rng);
            self.probe(id, turn);
        }
    }

    fn apply_suspect(&mut self, accusation: Accusation, turn: &mut Turn<'_>) {
        let Accusation { subject, incarnation, accuser } = accusation;
        if subject == self.local.id {
            return self.refute(incarnation, turn);
        }
        let Some(entry) = self.roster.get(&subject) else {
            return self.keep_unknown(Update::Suspect(accusation), turn);
        };
        let (offered, held) = ((incarnation, State::Suspect), (entry.known.incarnation, entry.known.state));
        if offered == held {
            self.confirm(accusation, turn);
        } else if offered > held {
            let longest = self.config.suspicion_max;
            let suspicion = Suspicion::new(turn.now, accuser, self.witness(accuser), longest);
            self.counters.suspected += 1;
            if !held.1.is_present() {
                self.prober.add(subject, turn.rng);
            }
            self.change(accusation, State::Suspect, Some(suspicion), turn);
            self.tell(Update::Suspect(accusation), turn.now);
            self.recompute_deadline(subject);
            if accuser != self.local.id {
                self.probe(subject, turn);
            }
        }
    }

    fn confirm(&mut self, accusation: Accusation, turn: &mut Turn<'_>) {
        let Some(witness) = self.witness(accusation.accuser) else { return };
        let entry = self.roster.get_mut(&accusation.subject);
        let Some(suspicion) = entry.and_then(|entry| entry.suspicion.as_mut()) else { return };
        if suspicion.confirm(witness) {
            self.recompute_deadline(accusation.subject);
            self.tell(Update::Suspect(accusation), turn.now);
        }
    }

    fn recompute_deadline(&mut self, subject: NodeId) {
        let witnesses = self.witnesses(subject);
        let Some(entry) = self.roster.get_mut(&subject) else { return };
        let Some(suspicion) = &mut entry.suspicion else { return };
        let (min, max) = (self.config.suspicion_min, self.config.suspicion_max);
        let lasts = if self.config.mechanisms.confirmations {
            suspicion.lasts(&witnesses, self.config.confirmations, min, max)
        } else {
            min
        };
        suspicion.deadline = suspicion.started + lasts;
    }

    /// Nobody refuted in time. Witnesses may have changed since; an answer in the last moment gives more time.
    pub(super) fn suspicion_ran_out(&mut self, subject: NodeId, turn: &mut Turn<'_>) {
        self.recompute_deadline(subject);
        let Some(entry) = self.roster.get(&subject) else { return };
        let Some(deadline) = entry.suspicion.as_ref().map(|suspicion| suspicion.deadline) else { return };
        if deadline > turn.now {
            return;
        }
        if self.heard_lately(entry, turn.now) {
            let longer = self.config.suspicion_min;
            if let Some(suspicion) = self.roster.get_mut(&subject).and_then(|entry| entry.suspicion.as_mut()) {
                suspicion.shift(turn.now.since(deadline) + longer);
            }
            return self.tell_accused(subject, None, turn);
        }
        let incarnation = entry.known.incarnation;
        self.apply_dead(Accusation { subject, incarnation, accuser: self.local.id }, turn);
    }

    fn apply_dead(&mut self, accusation: Accusation, turn: &mut Turn<'_>) {
        let Accusation { subject, incarnation, accuser } = accusation;
        if subject == self.local.id {
            return self.refute(incarnation, turn);
        }
        let Some(entry) = self.roster.get(&subject) else { return self.keep_unknown(Update::Dead(accusation), turn) };
        let (held, state) = (entry.known.incarnation, entry.known.state);
        if (incarnation, State::Dead) <= (held, state) {
            return;
        }
        let doubted_here_too = state == State::Suspect && incarnation == held && !self.heard_lately(entry, turn.now);
        if accuser == self.local.id || doubted_here_too || !state.is_present() {
            self.counters.died += 1;
            self.change(accusation, State::Dead, None, turn);
            self.tell(Update::Dead(accusation), turn.now);
        } else {
            self.apply_suspect(accusation, turn);
        }
    }

    fn apply_left(&mut self, subject: NodeId, incarnation: Incarnation, turn: &mut Turn<'_>) {
        if subject == self.local.id {
            return self.refute(incarnation, turn);
        }
        let Some(entry) = self.roster.get(&subject) else { return };
        if (incarnation, State::Left) > (entry.known.incarnation, entry.known.state) {
            self.remember = true;
            self.change(Accusation { subject, incarnation, accuser: subject }, State::Left, None, turn);
            self.tell(Update::Left { subject, incarnation }, turn.now);
        }
    }

    fn change(&mut self, accusation: Accusation, state: State, suspicion: Option<Suspicion>, turn: &mut Turn<'_>) {
        let Some(entry) = self.roster.get_mut(&accusation.subject) else { return };
        let previous = entry.known.state;
        entry.known.state = state;
        entry.known.incarnation = accusation.incarnation;
        entry.known.since = turn.now;
        entry.accuser = accusation.accuser;
        entry.suspicion = suspicion;
        turn.event(Event::Changed { known: entry.known.clone(), previous: Some(previous) });
    }

    /// Tells a member what it is accused of, at most once per gossip interval, where it was just heard from or where
    /// it is known to be; if others spoke for it, they hear the accusation again too.
    fn tell_accused(&mut self, id: NodeId, from: Option<SocketAddr>, turn: &mut Turn<'_>) {
        let interval = self.config.gossip_interval;
        let Some(entry) = self.roster.get_mut(&id) else { return };
        let early = entry.told.is_some_and(|told| turn.now.since(told) < interval);
        if early || !self.config.mechanisms.accuse_the_accused {
            return;
        }
        entry.told = Some(turn.now);
        let to = from.unwrap_or(entry.known.member.addresses.gossip);
        let Some(accusation) = self.accusation(id) else { return };
        if from.is_none() {
            self.tell(accusation.clone(), turn.now);
        }
        self.send(to, Body::Gossip, Some(accusation), turn);
    }

    /// An accusation of someone unknown is kept for when the record comes, and passed on: dropping it makes a hole
    /// through which a restarting cluster loses it (hashicorp/memberlist#345).
    fn keep_unknown(&mut self, update: Update, turn: &mut Turn<'_>) {
        let held = self.unknown.get(&update.subject());
        let newer = held.is_none_or(|held| update.precedence() > held.precedence());
        if newer && (held.is_some() || self.unknown.len() < MAX_UNKNOWN) {
            self.unknown.insert(update.subject(), update.clone());
            self.tell(update, turn.now);
        }
    }

    /// Takes what another node believes of all. Its dead are not revived by their old words: a gone node that some
    /// remember would wander through the cluster as alive (hashicorp/memberlist#312).
    pub(super) fn merge(&mut self, exchange: &Exchange, turn: &mut Turn<'_>) -> bool {
        if !self.admit(&exchange.sender, turn) {
            return false;
        }
        self.apply_record(Arc::clone(&exchange.sender), None, turn);
        for (member, standing) in &exchange.members {
            let (subject, known) = (member.id, self.roster.contains_key(&member.id) || member.id == self.local.id);
            let gone = matches!(standing, Standing::Dead { .. } | Standing::Left { .. });
            if !gone {
                self.apply_record(Arc::clone(member), None, turn);
            } else if !known && !self.is_foreign(member) {
                let state = if matches!(standing, Standing::Left { .. }) { State::Left } else { State::Dead };
                self.meet(Arc::clone(member), state, turn);
            }
            match *standing {
                Standing::Alive => {}
                Standing::Suspect { incarnation, accuser } => {
                    self.apply_suspect(Accusation { subject, incarnation, accuser }, turn);
                }
                Standing::Dead { incarnation, accuser } => {
                    self.apply_dead(Accusation { subject, incarnation, accuser }, turn);
                }
                Standing::Left { incarnation } => self.apply_left(subject, incarnation, turn),
            }
        }
        true
    }

    fn conflict(&mut self, claimed: Arc<Member>, turn: &mut Turn<'_>) {
        let id = claimed.id;
        let Some(entry) = self.roster.get_mut(&id) else { return };
        self.counters.conflicts += 1;
        if entry.conflict.replace(claimed.incarnation) != Some(claimed.incarnation) {
            turn.event(Event::IdConflict { held: Arc::clone(&entry.known.member), claimed });
            // If the node has only moved, its old place is silent: the sooner that is known, the sooner it is back.
            self.probe(id, turn);
        }
    }

    fn report_name_conflict(&self, member: &Member, turn: &mut Turn<'_>) {
        let others = self.roster.values().filter(|entry| entry.known.state.is_present()).map(|e| &e.known.member);
        let holder = others.chain([&self.local]).find(|other| other.name == member.name && other.id != member.id);
        if let Some(holder) = holder {
            let (name, held, claimed) = (member.name.clone(), holder.id, member.id);
            turn.event(Event::NameConflict { name, held, claimed });
        }
    }

    /// The accused lives and only one zone of several could not reach it.
    fn report_bad_link(&self, suspicion: &Suspicion, accused: &Member, turn: &mut Turn<'_>) {
        let Some(zone) = suspicion.only_zone() else { return };
        let elsewhere = self.witnesses(accused.id).iter().any(|witness| witness.zone != *zone);
        if elsewhere && *zone != accused.zone {
            turn.event(Event::ZoneLinkDegraded { from: zone.clone(), to: accused.zone.clone() });
        }
    }

    fn is_foreign(&self, member: &Member) -> bool {
        matches!((member.facts.cluster, self.local.facts.cluster), (Some(theirs), Some(ours)) if theirs != ours)
    }

    /// After this node has got a cluster: members of others that it met before are none of its own.
    pub(super) fn forget_foreign(&mut self, turn: &mut Turn<'_>) {
        let foreign: Vec<NodeId> =
            self.roster.values().filter(|e| self.is_foreign(&e.known.member)).map(|e| e.known.member.id).collect();
        for id in foreign {
            self.forget(id, turn);
        }
    }

    /// Forgets who is gone for long.
    pub(super) fn forget_gone(&mut self, turn: &mut Turn<'_>) {
        let after = self.config.forget_after;
        let old = |entry: &&Entry| !entry.known.state.is_present() && turn.now.since(entry.known.since) >= after;
        let gone: Vec<NodeId> = self.roster.values().filter(old).map(|entry| entry.known.member.id).collect();
        for id in gone {
            self.forget(id, turn);
        }
    }

    fn forget_oldest(&mut self, turn: &mut Turn<'_>) -> bool {
        let gone = self.roster.values().filter(|entry| !entry.known.state.is_present());
        let oldest = gone.min_by_key(|entry| entry.known.since).map(|entry| entry.known.member.id);
        oldest.map(|id| self.forget(id, turn)).is_some()
    }

    fn forget(&mut self, id: NodeId, turn: &mut Turn<'_>) {
        self.roster.remove(&id);
        self.news.retain(|update| update.subject() != id);
        self.remember = true;
        turn.event(Event::Forgotten { id });
    }
}
