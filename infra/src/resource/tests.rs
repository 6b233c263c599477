//! What a resource says gives its role, and every kind is in the table once.

use super::{Key, Kind, Peer, PortRange, Reference, SecurityGroupRule, Spec};

fn rule(peer: Peer) -> Spec {
    Spec::SecurityGroupRule(SecurityGroupRule {
        group: Key::new(Kind::SecurityGroup, "nodes").into(),
        direction: super::Direction::In,
        protocol: "tcp".to_owned(),
        ports: Some(PortRange { from: 7946, to: 7946 }),
        peer,
        description: String::new(),
    })
}

#[test]
fn a_rule_is_recognised_by_what_it_says() {
    let group: Reference = Key::new(Kind::SecurityGroup, "nodes").into();
    for (peer, role) in [
        (Peer::Group(group), "nodes/in/tcp/7946/nodes"),
        (Peer::Cidr("10.0.0.0/16".to_owned()), "nodes/in/tcp/7946/10.0.0.0/16"),
        (Peer::Group(Reference::Id("sg-1".to_owned())), "nodes/in/tcp/7946/sg-1"),
    ] {
        assert_eq!(rule(peer).derived_role().as_deref(), Some(role));
    }
}

#[test]
fn every_kind_has_one_line_in_the_table() {
    let mut kinds = Kind::ALL.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), Kind::ALL.len());
}
