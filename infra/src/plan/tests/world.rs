//! A world that plans are carried out in: as strict as a cloud, without calls, time or failures.
//!
//! It panics where a cloud would refuse: what is named must exist, what is named by others cannot go, places are
//! taken once. It is not a model of a cloud's waiting; whatever is going away is gone when a plan starts.

use std::collections::{BTreeMap, BTreeSet};

use crate::observed::{Condition, Found, Observed};
use crate::plan::translate::{carrier, references, translate};
use crate::plan::{Action, Plan};
use crate::resource::{
    Direction, Key, Kind, NetworkAclAssociation, Peer, Reference, Resource, SecurityGroup, SecurityGroupRule, Spec,
    Tags,
};

pub(super) const CLUSTER: &str = "kvstore-dev";

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) observed: Observed,
    made: usize,
}

impl World {
    pub(super) fn empty() -> Self {
        Self { observed: Observed { cluster: CLUSTER.to_owned(), ..Observed::default() }, made: 0 }
    }

    /// What a plan for `wanted` makes of nothing.
    pub(super) fn of(wanted: &[Resource]) -> Self {
        let mut world = Self::empty();
        world.apply(&Plan::between(wanted, &world.observed));
        world
    }

    pub(super) fn apply(&mut self, plan: &Plan) {
        self.apply_first(plan, plan.steps.len());
    }

    /// Carries the first `count` steps out: what a killed run leaves behind.
    pub(super) fn apply_first(&mut self, plan: &Plan, count: usize) {
        self.apply_in_order(plan, (0..plan.steps.len()).take(count));
    }

    /// Carries it out with nothing but its `after` kept to: of the steps that may start, always the last one.
    pub(super) fn apply_last_first(&mut self, plan: &Plan) {
        let mut done = BTreeSet::new();
        let mut order = Vec::new();
        let ready = |done: &BTreeSet<usize>| {
            (0..plan.steps.len()).rev().find(|at| !done.contains(at) && plan.steps[*at].after.is_subset(done))
        };
        while let Some(at) = ready(&done) {
            order.push(at);
            let _new = done.insert(at);
        }
        self.apply_in_order(plan, order.into_iter());
    }

    fn apply_in_order(&mut self, plan: &Plan, order: impl Iterator<Item = usize>) {
        assert_eq!(plan.blockers, [], "a blocked plan is never carried out");
        let going = |one: &Found| matches!(one.condition, Condition::Deleting { .. });
        for (kind, id) in self.ids(going) {
            self.remove(kind, &id);
        }
        let mut ids: BTreeMap<Key, String> = plan.ids.iter().cloned().collect();
        for at in order {
            let step = &plan.steps[at];
            assert!(step.after.iter().all(|first| *first < at), "step {at} waits for a later one");
            match &step.action {
                Action::Create { resource } => {
                    let id = self.create(resource, &ids);
                    let _old = ids.insert(step.key.clone(), id);
                }
                Action::Update { id, resource, .. } => {
                    self.update(id, resource, &ids);
                    let _old = ids.insert(step.key.clone(), id.clone());
                }
                Action::Await { id, .. } => self.get_mut(step.kind(), id).condition = Condition::Ready,
                Action::Delete { found } => self.delete(found),
            }
        }
    }

    pub(super) fn ids(&self, which: impl Fn(&Found) -> bool) -> Vec<(Kind, String)> {
        self.observed.found.iter().filter(|one| which(one)).map(|one| (one.kind(), one.id.clone())).collect()
    }

    pub(super) fn get_mut(&mut self, kind: Kind, id: &str) -> &mut Found {
        let found = self.observed.found.iter_mut().find(|one| one.kind() == kind && one.id == id);
        found.unwrap_or_else(|| panic!("{kind} {id} does not exist"))
    }

    fn exists(&self, kind: Kind, id: &str) -> bool {
        self.observed.found.iter().any(|one| one.kind() == kind && one.id == id)
    }

    fn new_id(&mut self, kind: Kind) -> String {
        self.made += 1;
        format!("{kind}-{:05}", self.made)
    }

    fn resolve(&self, resource: &Resource, ids: &BTreeMap<Key, String>) -> Spec {
        translate(&resource.spec, &mut |kind, reference| match reference {
            Reference::Id(id) => Reference::Id(id.clone()),
            Reference::Key(key) => {
                let id = ids.get(key).unwrap_or_else(|| panic!("{} names {key}, which has no id", resource.key));
                assert!(self.exists(kind, id), "{} names {key}, which does not exist", resource.key);
                Reference::Id(id.clone())
            }
        })
    }

    fn create(&mut self, resource: &Resource, ids: &BTreeMap<Key, String>) -> String {
        for need in &resource.needs {
            let id = ids.get(need).unwrap_or_else(|| panic!("{} needs {need}, which has no id", resource.key));
            assert!(self.exists(need.kind, id), "{} needs {need}", resource.key);
        }
        let spec = self.resolve(resource, ids);
        if let Some(id) = self.existing(&spec) {
            self.set(&id, resource, spec);
            return id;
        }
        self.refuse_taken(resource, &spec);
        let id = match resource.key.kind {
            Kind::LogGroup | Kind::Role | Kind::InstanceProfile | Kind::Bucket | Kind::Parameter => {
                resource.name.clone()
            }
            kind => self.new_id(kind),
        };
        self.bring(&id, &spec);
        let name = resource.name.clone();
        let tags = resource.tags.clone();
        self.observed.found.push(Found { id: id.clone(), name, tags, spec, condition: Condition::Ready });
        id
    }

    /// What always exists, or exists already because the cloud made it: it is found instead of made.
    fn existing(&mut self, spec: &Spec) -> Option<String> {
        let mut same: Box<dyn FnMut(&Found) -> bool> = match spec.clone() {
            Spec::SecurityGroup(group) if group.default => Box::new(move |one| match &one.spec {
                Spec::SecurityGroup(other) => other.default && other.vpc == group.vpc,
                _ => false,
            }),
            Spec::NetworkAclAssociation(association) => Box::new(move |one| match &one.spec {
                Spec::NetworkAclAssociation(other) => other.subnet == association.subnet,
                _ => false,
            }),
            Spec::SecurityGroupRule(mut rule) => Box::new(move |one| match &one.spec {
                Spec::SecurityGroupRule(other) => {
                    rule.description.clone_from(&other.description);
                    rule == *other
                }
                _ => false,
            }),
            _ => return None,
        };
        let id = self.observed.found.iter().find(|one| same(one)).map(|one| one.id.clone())?;
        if matches!(spec, Spec::SecurityGroup(_)) {
            // Making the default group ours empties it.
            self.observed.found.retain(|one| match &one.spec {
                Spec::SecurityGroupRule(rule) => rule.group != Reference::Id(id.clone()),
                _ => true,
            });
        }
        Some(id)
    }

    /// What the cloud makes along with it.
    fn bring(&mut self, id: &str, spec: &Spec) {
        let own = Reference::Id(id.to_owned());
        match spec {
            Spec::Vpc(_) => {
                let description = "default VPC security group".to_owned();
                let group = SecurityGroup { vpc: own, description, default: true };
                let group = self.push_untagged(Spec::SecurityGroup(group));
                self.push_untagged(everything(Direction::In, &group, Peer::Group(Reference::Id(group.clone()))));
                self.push_untagged(everything(Direction::Out, &group, Peer::Cidr("0.0.0.0/0".to_owned())));
            }
            Spec::Subnet(_) => {
                let acl = Reference::Id("acl-of-the-vpc".to_owned());
                let _id = self.push_untagged(Spec::NetworkAclAssociation(NetworkAclAssociation { acl, subnet: own }));
            }
            Spec::SecurityGroup(_) => {
                self.push_untagged(everything(Direction::Out, id, Peer::Cidr("0.0.0.0/0".to_owned())));
            }
            _ => {}
        }
    }

    pub(super) fn push_untagged(&mut self, spec: Spec) -> String {
        let id = self.new_id(spec.kind());
        let (name, tags) = (String::new(), Tags::new());
        self.observed.found.push(Found { id: id.clone(), name, tags, spec, condition: Condition::Ready });
        id
    }

    fn refuse_taken(&self, resource: &Resource, spec: &Spec) {
        for other in &self.observed.found {
            let taken = match (spec, &other.spec) {
                (Spec::Subnet(new), Spec::Subnet(old)) => {
                    new.vpc == old.vpc && (new.cidr.contains(&old.cidr) || old.cidr.contains(&new.cidr))
                }
                (Spec::NatGateway(new), Spec::NatGateway(old)) => new.address == old.address,
                (Spec::Instance(new), Spec::Instance(old)) => new.subnet == old.subnet && new.address == old.address,
                (Spec::Route(new), Spec::Route(old)) => new.table == old.table && new.destination == old.destination,
                (Spec::RouteTableAssociation(new), Spec::RouteTableAssociation(old)) => new.subnet == old.subnet,
                (Spec::NetworkAclEntry(new), Spec::NetworkAclEntry(old)) => {
                    (&new.acl, new.number, new.direction) == (&old.acl, old.number, old.direction)
                }
                (Spec::Listener(new), Spec::Listener(old)) => {
                    new.load_balancer == old.load_balancer && new.port == old.port
                }
                (Spec::ListenerRule(new), Spec::ListenerRule(old)) => {
                    new.listener == old.listener && new.priority == old.priority
                }
                (Spec::VolumeAttachment(new), Spec::VolumeAttachment(old)) => {
                    new.volume == old.volume || (new.instance == old.instance && new.device == old.device)
                }
                (Spec::GatewayEndpoint(new), Spec::GatewayEndpoint(old)) => !new.tables.is_disjoint(&old.tables),
                (Spec::FlowLog(new), Spec::FlowLog(old)) => new.vpc == old.vpc && new.log_group == old.log_group,
                (Spec::SecurityGroup(new), Spec::SecurityGroup(old)) => {
                    new.vpc == old.vpc && other.name == resource.name
                }
                (Spec::TargetGroup(_), Spec::TargetGroup(_)) | (Spec::LoadBalancer(_), Spec::LoadBalancer(_)) => {
                    other.name == resource.name
                }
                _ => false,
            };
            assert!(!taken, "{} cannot be made: {} {} is in its place", resource.key, other.kind(), other.id);
        }
    }

    fn update(&mut self, id: &str, resource: &Resource, ids: &BTreeMap<Key, String>) {
        let spec = self.resolve(resource, ids);
        self.set(id, resource, spec);
    }

    fn set(&mut self, id: &str, resource: &Resource, spec: Spec) {
        let found = self.get_mut(resource.key.kind, id);
        found.tags.extend(resource.tags.clone());
        found.name.clone_from(&resource.name);
        found.condition = Condition::Ready;
        found.spec = match (spec, &found.spec) {
            (Spec::Volume(mut volume), Spec::Volume(old)) => {
                volume.gib = volume.gib.max(old.gib);
                Spec::Volume(volume)
            }
            (spec, _) => spec,
        };
    }

    fn delete(&mut self, found: &Found) {
        assert!(self.exists(found.kind(), &found.id), "{} {} is gone already", found.kind(), found.id);
        let inside = found.kind().identity() == crate::resource::Identity::Content;
        assert!(inside || found.cluster() == Some(CLUSTER), "{} {} is not ours", found.kind(), found.id);
        let reference = Reference::Id(found.id.clone());
        if let Spec::NetworkAclAssociation(_) = found.spec {
            let one = self.get_mut(found.kind(), &found.id);
            if let Spec::NetworkAclAssociation(association) = &mut one.spec {
                association.acl = Reference::Id("acl-of-the-vpc".to_owned());
            }
            return;
        }
        let default = matches!(&found.spec, Spec::SecurityGroup(group) if group.default);
        assert!(!default, "{} goes with its network only", found.id);
        self.refuse_held(found, &reference);
        self.remove(found.kind(), &found.id);
    }

    fn refuse_held(&self, found: &Found, reference: &Reference) {
        let named = (found.kind(), reference.clone());
        for other in self.observed.found.iter().filter(|other| references(&other.spec).contains(&named)) {
            let carried = carrier(&other.spec) == Some((found.kind(), reference));
            // The routes to it lead nowhere from then on, but do not keep it.
            let route = other.kind() == Kind::Route && matches!(found.kind(), Kind::NatGateway | Kind::InternetGateway);
            let own_rule = other.id == found.id;
            assert!(carried || route || own_rule, "{} {} is held by {}", found.kind(), found.id, other.id);
        }
        if let Spec::InternetGateway(gateway) = &found.spec {
            let subnets: BTreeSet<Reference> = self.subnets_of(gateway.vpc.as_ref());
            let public = |one: &&Found| match &one.spec {
                Spec::NatGateway(gateway) => subnets.contains(&gateway.subnet),
                Spec::LoadBalancer(balancer) => !subnets.is_disjoint(&balancer.subnets),
                _ => false,
            };
            assert_eq!(self.observed.found.iter().find(public), None, "public addresses keep {}", found.id);
        }
    }

    fn subnets_of(&self, vpc: Option<&Reference>) -> BTreeSet<Reference> {
        let inside = |one: &&Found| matches!(&one.spec, Spec::Subnet(subnet) if Some(&subnet.vpc) == vpc);
        self.observed.found.iter().filter(inside).map(|one| Reference::Id(one.id.clone())).collect()
    }

    /// Takes it away with everything that goes with it.
    pub(super) fn remove(&mut self, kind: Kind, id: &str) {
        self.observed.found.retain(|one| !(one.kind() == kind && one.id == id));
        let reference = Reference::Id(id.to_owned());
        for (kind, id) in self.ids(|one| carrier(&one.spec) == Some((kind, &reference))) {
            self.remove(kind, &id);
        }
    }
}

/// A rule for all packets.
pub(super) fn everything(direction: Direction, group: &str, peer: Peer) -> Spec {
    Spec::SecurityGroupRule(SecurityGroupRule {
        group: Reference::Id(group.to_owned()),
        direction,
        protocol: "-1".to_owned(),
        ports: None,
        peer,
        description: String::new(),
    })
}
