//! The list that is being written: names, tags and keys are put on here, the same way for all.
//!
//! What is on it is said by the files beside this one; in which order it is carried out, by the plan.

use crate::network::{Network, Zone};
use crate::resource::{CLUSTER_TAG, Key, Kind, MANAGED_BY, ROLE_TAG, Resource, Spec, Tags};

use super::Inputs;

pub(super) struct List<'a> {
    pub(super) network: &'a Network,
    pub(super) inputs: &'a Inputs,
    found: Vec<Resource>,
}

impl<'a> List<'a> {
    pub(super) const fn new(network: &'a Network, inputs: &'a Inputs) -> Self {
        Self { network, inputs, found: Vec::new() }
    }

    pub(super) fn resources(self) -> Vec<Resource> {
        self.found
    }

    /// One that is recognised by tag or name; `name` is whole.
    pub(super) fn add(&mut self, role: &str, name: String, spec: Spec, needs: Vec<Key>) -> Key {
        let key = Key::new(spec.kind(), role);
        let tags = if key.kind.takes_tags() { self.tags(role, &name) } else { Tags::new() };
        self.found.push(Resource { key: key.clone(), name, tags, spec, needs });
        key
    }

    /// One that is recognised by what it says; its name is made of its role.
    pub(super) fn add_content(&mut self, spec: Spec, needs: Vec<Key>) -> Key {
        let role = spec.derived_role().expect("invariant: wanted references are keys");
        let name = self.network.name(&format!("{}-{}", short(spec.kind()), role.replace('/', "-")));
        self.add(&role, name, spec, needs)
    }

    fn tags(&self, role: &str, name: &str) -> Tags {
        let draft = self.network.draft();
        let tags = [
            ("Environment", draft.environment.as_str()),
            ("Project", &draft.project),
            (MANAGED_BY, "kvctl"),
            ("Region", &draft.region),
            ("Name", name),
            (CLUSTER_TAG, self.network.cluster()),
            (ROLE_TAG, role),
        ];
        tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Keys of everything of a kind that is in the list so far.
    pub(super) fn keys(&self, kind: Kind) -> Vec<Key> {
        self.found.iter().map(|resource| &resource.key).filter(|key| key.kind == kind).cloned().collect()
    }

    /// What of a kind is in the list so far and names a resource.
    pub(super) fn inside(&self, kind: Kind, parent: &Key) -> Vec<Key> {
        let of = |resource: &&Resource| {
            resource.key.kind == kind && resource.spec.parent().and_then(|parent| parent.key()) == Some(parent)
        };
        self.found.iter().filter(of).map(|resource| resource.key.clone()).collect()
    }
}

/// What names of resources that are recognised by their content begin with.
const fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::Route => "route",
        Kind::RouteTableAssociation => "rtbassoc",
        Kind::SecurityGroupRule => "sgr",
        Kind::NetworkAclEntry => "acle",
        Kind::NetworkAclAssociation => "aclassoc",
        Kind::Listener => "listener",
        Kind::ListenerRule => "rule",
        Kind::Object => "object",
        Kind::VolumeAttachment => "attachment",
        Kind::TargetRegistration => "target",
        _ => "resource",
    }
}

pub(super) fn vpc() -> Key {
    Key::new(Kind::Vpc, "main")
}

pub(super) fn internet_gateway() -> Key {
    Key::new(Kind::InternetGateway, "main")
}

pub(super) fn private_subnet(zone: &Zone) -> Key {
    Key::new(Kind::Subnet, zone.private_role())
}

pub(super) fn public_subnet(zone: &Zone) -> Key {
    Key::new(Kind::Subnet, zone.public_role())
}

pub(super) fn role(name: &str) -> Key {
    Key::new(Kind::Role, name)
}

pub(super) fn bucket() -> Key {
    Key::new(Kind::Bucket, "artifacts")
}

pub(super) fn target_group() -> Key {
    Key::new(Kind::TargetGroup, "nodes")
}
