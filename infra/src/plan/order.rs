//! Which step must wait for which, and an order in which all can be carried out.
//!
//! Rules, one function each: what is named exists first; what names something is gone, or names something else,
//! before that goes; what takes a place (a name, an address, a port) comes after what leaves it; a rule that is
//! missing is added before one that is too many goes. The order itself is found in `order/sort.rs`.

mod sort;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::decide::{Decisions, Fate};
use super::matching::{Standing, WantedAt};
use super::survey::FoundAt;
use crate::resource::{Identity, Key, Kind, Reference, Spec};

/// Index of a step before it has a place.
pub(super) type NodeAt = usize;

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// Create, update or await of a wanted resource.
    Make(WantedAt),
    /// Delete of a found one.
    Delete(FoundAt),
}

/// Steps that wait for each other.
pub(super) struct Circle(pub(super) Vec<Node>);

/// Steps and what each waits for.
pub(super) struct Graph<'d, 'a> {
    decisions: &'d Decisions<'a>,
    pub(super) nodes: Vec<Node>,
    after: Vec<BTreeSet<NodeAt>>,
    /// Wishes: kept unless they close a circle.
    softly: Vec<BTreeSet<NodeAt>>,
    makes: Vec<Option<NodeAt>>,
    deletes: Vec<Option<NodeAt>>,
    wanted_at: HashMap<&'a Key, WantedAt>,
}

impl<'d, 'a> Graph<'d, 'a> {
    pub(super) fn of(decisions: &'d Decisions<'a>) -> Self {
        let mut graph = Self {
            decisions,
            nodes: Vec::new(),
            after: Vec::new(),
            softly: Vec::new(),
            makes: vec![None; decisions.wanted.len()],
            deletes: vec![None; decisions.survey.found.len()],
            wanted_at: decisions.wanted.iter().enumerate().map(|(at, resource)| (&resource.key, at)).collect(),
        };
        graph.add_nodes();
        for at in 0..decisions.wanted.len() {
            graph.wait_for_named(at);
        }
        for at in 0..decisions.survey.found.len() {
            graph.wait_for_users(at);
            graph.wait_for_public_addresses(at);
        }
        graph.wait_for_places();
        graph.add_rules_first();
        graph
    }

    fn add_nodes(&mut self) {
        for (at, fate) in self.decisions.fates.iter().enumerate() {
            if !matches!(fate, Fate::Same | Fate::Blocked) {
                self.makes[at] = Some(self.nodes.len());
                self.nodes.push(Node::Make(at));
            }
        }
        for at in 0..self.decisions.doomed.len() {
            if self.decisions.doomed[at].is_some() && !self.decisions.vanishes(at) {
                self.deletes[at] = Some(self.nodes.len());
                self.nodes.push(Node::Delete(at));
            }
        }
        self.after = vec![BTreeSet::new(); self.nodes.len()];
        self.softly = vec![BTreeSet::new(); self.nodes.len()];
    }

    /// The step after which a found resource is gone.
    fn gone_by(&self, at: FoundAt) -> Option<NodeAt> {
        let mut at = at;
        // A rule of a listener of a load balancer: carriers are of earlier kinds, so this ends.
        while self.decisions.doomed[at].is_some() && self.deletes[at].is_none() {
            at = self.decisions.survey.carrier[at]?;
        }
        self.deletes[at]
    }

    fn is_made_anew(&self, at: WantedAt) -> bool {
        matches!(self.decisions.fates[at], Fate::Create(_) | Fate::Replace(_))
    }

    /// Whether it is an internet gateway that exists and is to be attached.
    fn is_attached_anew(&self, at: WantedAt) -> bool {
        self.decisions.wanted[at].key.kind == Kind::InternetGateway
            && matches!(self.decisions.fates[at], Fate::Update(_))
    }

    /// The wanted resource that a doomed one is replaced by.
    fn successor(&self, at: FoundAt) -> Option<WantedAt> {
        match self.decisions.matching.standing[at] {
            Standing::Kept(wanted) => Some(wanted),
            _ => None,
        }
    }

    fn wait(&mut self, step: Option<NodeAt>, first: Option<NodeAt>) {
        if let (Some(step), Some(first)) = (step, first)
            && step != first
        {
            let _new = self.after[step].insert(first);
        }
    }

    /// What is named exists first; a new one also waits for what it needs without naming it, and for its old self.
    fn wait_for_named(&mut self, at: WantedAt) {
        let Some(step) = self.makes[at] else { return };
        let resource = &self.decisions.wanted[at];
        let anew = self.is_made_anew(at);
        let named = resource.spec.references().into_iter().filter_map(|reference| reference.key().cloned());
        let needed = resource.needs.iter().filter(|_| anew).cloned();
        for key in named.chain(needed) {
            let first = self.wanted_at.get(&key).and_then(|at| self.makes[*at]);
            self.wait(Some(step), first);
        }
        if let Some(old) = self.decisions.matching.kept[at].filter(|_| anew && !lives_beside(resource.key.kind)) {
            self.wait(Some(step), self.gone_by(old));
        }
    }

    /// What is named by others goes when they are gone or name something else.
    fn wait_for_users(&mut self, at: FoundAt) {
        let Some(step) = self.deletes[at] else { return };
        let survey = self.decisions.survey;
        let kind = survey.found[at].kind();
        let replaced = self.successor(at).is_some_and(|wanted| self.is_made_anew(wanted));
        for user in &survey.users[at] {
            if self.decisions.doomed[*user].is_some() {
                self.wait(Some(step), self.gone_by(*user));
                continue;
            }
            let Standing::Kept(wanted) = self.decisions.matching.standing[*user] else { continue };
            if !matches!(self.decisions.fates[wanted], Fate::Update(_)) {
                continue;
            }
            let update = self.makes[wanted];
            match survey.found[*user].kind() {
                // A route may point to nothing for a while, but need not if its new target is there already.
                Kind::Route if replaced && !lives_beside(kind) => {}
                Kind::Route => self.wait_softly(Some(step), update),
                _ => self.wait(Some(step), update),
            }
        }
    }

    fn wait_softly(&mut self, step: Option<NodeAt>, first: Option<NodeAt>) {
        if let (Some(step), Some(first)) = (step, first) {
            let _new = self.softly[step].insert(first);
        }
    }

    /// An internet gateway is not let go while its network has public addresses in use.
    fn wait_for_public_addresses(&mut self, at: FoundAt) {
        let survey = self.decisions.survey;
        let Spec::InternetGateway(gateway) = &survey.found[at].spec else { return };
        let Some(vpc) = gateway.vpc.as_ref().and_then(|vpc| survey.find(Kind::Vpc, vpc)) else { return };
        let Some(step) = self.deletes[at] else { return };
        let subnets = survey.users[vpc].iter().filter(|user| survey.found[**user].kind() == Kind::Subnet);
        for holder in subnets.flat_map(|subnet| &survey.users[*subnet]) {
            match survey.found[*holder].kind() {
                Kind::NatGateway => {
                    self.wait(Some(step), self.gone_by(*holder));
                    let addresses = survey.uses[*holder].iter();
                    for address in addresses.filter(|used| survey.found[**used].kind() == Kind::ElasticIp) {
                        self.wait(Some(step), self.gone_by(*address));
                    }
                }
                Kind::LoadBalancer | Kind::Instance => self.wait(Some(step), self.gone_by(*holder)),
                _ => {}
            }
        }
    }

    /// What takes a place comes after what leaves it.
    fn wait_for_places(&mut self) {
        let survey = self.decisions.survey;
        let mut leaving: BTreeMap<Place<'_>, Vec<NodeAt>> = BTreeMap::new();
        let mut subnets = Vec::new();
        for (at, found) in survey.found.iter().enumerate() {
            let Some(step) = self.gone_by(at).filter(|_| !lives_beside(found.kind())) else { continue };
            for place in self.places_left(at) {
                leaving.entry(place).or_default().push(step);
            }
            if let Spec::Subnet(subnet) = &found.spec {
                subnets.push((subnet.cidr, step));
            }
        }
        let takers = (0..self.decisions.wanted.len()).filter(|at| self.is_made_anew(*at) || self.is_attached_anew(*at));
        for at in takers.collect::<Vec<WantedAt>>() {
            let resource = &self.decisions.wanted[at];
            let mut first: Vec<NodeAt> = Vec::new();
            for place in self.places_taken(at) {
                first.extend(leaving.get(&place).into_iter().flatten());
            }
            if let Spec::Subnet(subnet) = &resource.spec {
                let overlap = |other: &ipnet::Ipv4Net| other.contains(&subnet.cidr) || subnet.cidr.contains(other);
                first.extend(subnets.iter().filter(|(cidr, _)| overlap(cidr)).map(|(_, step)| *step));
            }
            for step in first {
                self.wait(self.makes[at], Some(step));
            }
        }
    }

    fn places_left(&self, at: FoundAt) -> Vec<Place<'a>> {
        let survey = self.decisions.survey;
        let key_of = |kind, reference: &Reference| survey.find(kind, reference).and_then(|named| self.successor(named));
        let found = survey.found[at];
        match &found.spec {
            _ if has_unique_name(found.kind()) => vec![Place::Name(found.kind(), &found.name)],
            Spec::InternetGateway(gateway) => {
                let vpc = gateway.vpc.as_ref().and_then(|vpc| key_of(Kind::Vpc, vpc));
                vpc.map(Place::Gateway).into_iter().collect()
            }
            Spec::NatGateway(gateway) => {
                key_of(Kind::ElasticIp, &gateway.address).map(Place::PublicAddress).into_iter().collect()
            }
            Spec::Instance(instance) => vec![Place::Address(instance.address)],
            Spec::GatewayEndpoint(endpoint) => vec![Place::Service(&endpoint.service)],
            Spec::FlowLog(log) => key_of(Kind::Vpc, &log.vpc).map(Place::FlowLog).into_iter().collect(),
            Spec::VolumeAttachment(attachment) => key_of(Kind::Instance, &attachment.instance)
                .map(|machine| Place::Device(machine, &attachment.device))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    fn places_taken(&self, at: WantedAt) -> Vec<Place<'a>> {
        let resource = &self.decisions.wanted[at];
        let wanted = |reference: &Reference| reference.key().and_then(|key| self.wanted_at.get(key)).copied();
        let mut places = Vec::new();
        match &resource.spec {
            _ if has_unique_name(resource.key.kind) => places.push(Place::Name(resource.key.kind, &resource.name)),
            Spec::InternetGateway(gateway) => {
                places.extend(gateway.vpc.as_ref().and_then(wanted).map(Place::Gateway));
            }
            Spec::NatGateway(gateway) => places.extend(wanted(&gateway.address).map(Place::PublicAddress)),
            Spec::Instance(instance) => places.push(Place::Address(instance.address)),
            Spec::GatewayEndpoint(endpoint) => places.push(Place::Service(&endpoint.service)),
            Spec::FlowLog(log) => places.extend(wanted(&log.vpc).map(Place::FlowLog)),
            Spec::VolumeAttachment(attachment) => {
                places.extend(wanted(&attachment.instance).map(|at| Place::Device(at, &attachment.device)));
            }
            _ => {}
        }
        places
    }

    /// Of one group, table or list: what is missing is added before what is too many goes, so that traffic that is
    /// wanted before and after is never refused in between.
    fn add_rules_first(&mut self) {
        let mut made: BTreeMap<WantedAt, Vec<NodeAt>> = BTreeMap::new();
        for (at, resource) in self.decisions.wanted.iter().enumerate().filter(|(at, _)| self.is_made_anew(*at)) {
            if let (Some(parent), Some(step)) = (filter_of(&resource.spec), self.makes[at])
                && let Some(parent) = parent.key().and_then(|key| self.wanted_at.get(key))
            {
                made.entry(*parent).or_default().push(step);
            }
        }
        for (at, found) in self.decisions.survey.found.iter().enumerate() {
            let Some(parent) = self.decisions.survey.carrier[at].filter(|_| filter_of(&found.spec).is_some()) else {
                continue;
            };
            let own = self.successor(at);
            for first in self.successor(parent).and_then(|parent| made.get(&parent)).into_iter().flatten() {
                if own.is_none_or(|own| self.makes[own] != Some(*first)) {
                    self.wait_softly(self.deletes[at], Some(*first));
                }
            }
        }
    }
}

/// Something that only one resource can have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Name(Kind, &'a str),
    /// Of a network.
    Gateway(WantedAt),
    PublicAddress(WantedAt),
    Address(Ipv4Addr),
    Service(&'a str),
    FlowLog(WantedAt),
    Device(WantedAt, &'a str),
}

/// Whether a new one can be made while the old one still exists, so that those who use it never lack one.
const fn lives_beside(kind: Kind) -> bool {
    matches!(kind, Kind::Certificate)
}

/// Whether two with one name cannot exist at a time. The tag `Name` of the others is no name.
const fn has_unique_name(kind: Kind) -> bool {
    matches!(kind.identity(), Identity::Name) || matches!(kind, Kind::SecurityGroup)
}

/// What a rule, route or entry belongs to.
const fn filter_of(spec: &Spec) -> Option<&Reference> {
    match spec {
        Spec::SecurityGroupRule(rule) => Some(&rule.group),
        Spec::NetworkAclEntry(entry) => Some(&entry.acl),
        Spec::Route(route) => Some(&route.table),
        _ => None,
    }
}
