//! What a plan asks of the account, as far as it can be checked beforehand. Pure: it reads the plan only.
//!
//! Only what would be made counts: what exists was possible already.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;

use crate::plan::{Action, Plan};
use crate::resource::{Key, Kind, Reference, Resource, Spec};

/// Where something will stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a zone, by name.
    Zone(String),
    /// In a subnet that exists, by id.
    Subnet(String),
}

/// What is needed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Needs {
    /// How many of each kind are made.
    pub(super) made: BTreeMap<Kind, usize>,
    /// Where NAT gateways are made.
    pub(super) gateways: Vec<Place>,
    /// Zones that get something.
    pub(super) zones: BTreeSet<String>,
    /// Addresses of networks that are made.
    pub(super) networks: BTreeSet<Ipv4Net>,
    /// Types of machines and where they are made.
    pub(super) machines: BTreeSet<(String, Place)>,
    /// Images, by id or public parameter.
    pub(super) images: BTreeSet<String>,
    /// Certificates that somebody else made, by ARN.
    pub(super) certificates: BTreeSet<String>,
}

impl Needs {
    /// What a plan needs.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut needs = Self::default();
        for step in &plan.steps {
            match &step.action {
                Action::Create { resource } => needs.made(plan, resource),
                Action::Update { resource, .. } => needs.certificate(&resource.spec),
                Action::Await { .. } | Action::Delete { .. } => {}
            }
        }
        needs
    }

    /// How many of a kind are made.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.made.get(&kind).copied().unwrap_or(0)
    }

    fn made(&mut self, plan: &Plan, resource: &Resource) {
        *self.made.entry(resource.key.kind).or_default() += 1;
        match &resource.spec {
            Spec::Vpc(vpc) => {
                self.networks.insert(vpc.cidr);
            }
            Spec::Subnet(subnet) => {
                self.zones.insert(subnet.zone.clone());
            }
            Spec::Volume(volume) => {
                self.zones.insert(volume.zone.clone());
            }
            Spec::NatGateway(gateway) => self.gateways.extend(place(plan, &gateway.subnet)),
            Spec::Instance(instance) => {
                let place = place(plan, &instance.subnet);
                self.machines.extend(place.map(|place| (instance.instance_type.clone(), place)));
                self.images.insert(instance.image.clone());
            }
            other => self.certificate(other),
        }
    }

    fn certificate(&mut self, spec: &Spec) {
        if let Spec::Listener(listener) = spec
            && let Reference::Id(arn) = &listener.certificate
        {
            self.certificates.insert(arn.clone());
        }
    }
}

/// Where a subnet is: its zone if the plan says it, else the subnet that exists; none if neither is known.
fn place(plan: &Plan, subnet: &Reference) -> Option<Place> {
    let key = match subnet {
        Reference::Id(id) => return Some(Place::Subnet(id.clone())),
        Reference::Key(key) => key,
    };
    zone(plan, key).map(Place::Zone).or_else(|| {
        let id = plan.ids.iter().find(|(known, _)| known == key)?;
        Some(Place::Subnet(id.1.clone()))
    })
}

fn zone(plan: &Plan, key: &Key) -> Option<String> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Create { resource } | Action::Update { resource, .. } | Action::Await { resource, .. }
            if resource.key == *key =>
        {
            match &resource.spec {
                Spec::Subnet(subnet) => Some(subnet.zone.clone()),
                _ => None,
            }
        }
        _ => None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::{FORMAT, Risk, Step};
    use crate::resource::{ElasticIp, Listener, NatGateway, Subnet, Tags, Vpc};

    pub(in super::super) fn plan(specs: &[(&str, Spec)]) -> Plan {
        let step = |(role, spec): &(&str, Spec)| {
            let key = Key::new(spec.kind(), *role);
            let name = format!("kvstore-dev-{role}");
            let resource =
                Resource { key: key.clone(), name: name.clone(), tags: Tags::new(), spec: spec.clone(), needs: vec![] };
            let action = Action::Create { resource };
            Step { key, name, action, because: String::new(), risk: Risk::Safe, after: BTreeSet::new() }
        };
        Plan {
            format: FORMAT,
            cluster: "kvstore-dev".to_owned(),
            basis: String::new(),
            steps: specs.iter().map(step).collect(),
            ids: vec![(Key::new(Kind::Subnet, "public-us-east-1b"), "subnet-b".to_owned())],
            blockers: vec![],
            notes: vec![],
        }
    }

    fn gateway(role: &str) -> Spec {
        let key = |kind, role: String| Reference::Key(Key::new(kind, role));
        Spec::NatGateway(NatGateway {
            subnet: key(Kind::Subnet, format!("public-{role}")),
            address: key(Kind::ElasticIp, role.to_owned()),
        })
    }

    #[test]
    fn only_what_is_made_is_needed() {
        let vpc = Reference::Key(Key::new(Kind::Vpc, "main"));
        let subnet = Subnet {
            vpc: vpc.clone(),
            cidr: "10.0.96.0/19".parse().unwrap(),
            zone: "us-east-1a".to_owned(),
            public_addresses: false,
        };
        let listener = Listener {
            load_balancer: vpc,
            port: 8080,
            protocol: "HTTPS".to_owned(),
            tls_policy: String::new(),
            certificate: Reference::Id("arn:aws:acm:us-east-1:1:certificate/x".to_owned()),
            default_status: None,
        };
        let cidr = "10.0.0.0/16".parse().unwrap();
        let needs = Needs::of(&plan(&[
            ("main", Spec::Vpc(Vpc { cidr, dns_support: true, dns_hostnames: true })),
            ("public-us-east-1a", Spec::Subnet(subnet)),
            ("us-east-1a", Spec::ElasticIp(ElasticIp {})),
            ("us-east-1b", Spec::ElasticIp(ElasticIp {})),
            ("us-east-1a", gateway("us-east-1a")),
            ("us-east-1b", gateway("us-east-1b")),
            ("us-east-1c", gateway("us-east-1c")),
            ("main/8080", Spec::Listener(listener)),
        ]));
        assert_eq!(needs.count(Kind::ElasticIp), 2);
        assert_eq!(needs.count(Kind::Instance), 0);
        // The third gateway's subnet is neither made nor there: nothing can be said of its place.
        assert_eq!(needs.gateways, [Place::Zone("us-east-1a".to_owned()), Place::Subnet("subnet-b".to_owned())]);
        assert_eq!(needs.zones, BTreeSet::from(["us-east-1a".to_owned()]));
        assert_eq!(needs.networks, BTreeSet::from([cidr]));
        assert_eq!(needs.certificates.len(), 1);
        assert_eq!(Needs::of(&plan(&[])), Needs::default());
    }
}
