//! Entries of network ACLs, known by list, direction and number: `acl-1/in/100`.
//!
//! They are told by `network_acl`, all except the cloud's own last one. An entry is replaced whole: EC2 has
//! no call that changes a part.

use aws_sdk_ec2::types::{IcmpTypeCode, NetworkAcl as List, NetworkAclEntry as Answer, PortRange as Ports, RuleAction};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::resolve;
use super::network_acl::{self, DESCRIBE};
use super::tagged::untagged;
use super::verbs::{gone, there};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Failure, Ids};
use crate::resource::{Direction, NetworkAclEntry, PortRange, Reference, Resource, Spec};

const CREATE: &str = "ec2:CreateNetworkAclEntry";
const DELETE: &str = "ec2:DeleteNetworkAclEntry";
const REPLACE: &str = "ec2:ReplaceNetworkAclEntry";
/// Highest number that a person can give; the cloud's own last entry is the next one (told as 32767).
const LAST: i32 = 32766;
/// Any type and code.
const ANY_ICMP: PortRange = PortRange { from: -1, to: -1 };

/// All entries of a list.
pub(super) fn of_list(list: &List) -> Vec<Found> {
    let acl = list.network_acl_id().unwrap_or_default();
    let specs = list.entries().iter().filter_map(|entry| spec_of(acl, entry));
    specs.map(|spec| untagged(id_of(acl, &spec), Spec::NetworkAclEntry(spec), Condition::Ready)).collect()
}

fn spec_of(acl: &str, entry: &Answer) -> Option<NetworkAclEntry> {
    let number = entry.rule_number().filter(|number| (1..=LAST).contains(number))?;
    let protocol = protocol(entry.protocol().unwrap_or("-1"));
    let ports = entry.port_range().and_then(|ports| Some(PortRange { from: ports.from()?, to: ports.to()? }));
    let icmp = entry.icmp_type_code().and_then(|icmp| Some(PortRange { from: icmp.r#type()?, to: icmp.code()? }));
    Some(NetworkAclEntry {
        acl: Reference::Id(acl.to_owned()),
        direction: if entry.egress().unwrap_or_default() { Direction::Out } else { Direction::In },
        number: u16::try_from(number).ok()?,
        allow: entry.rule_action() == Some(&RuleAction::Allow),
        ports: match protocol {
            "6" | "17" => ports,
            // AWS always tells type and code; where they are not told, every one passes.
            "1" | "58" => Some(icmp.unwrap_or(ANY_ICMP)),
            _ => None,
        },
        protocol: protocol.to_owned(),
        cidr: entry.cidr_block().or(entry.ipv6_cidr_block()).unwrap_or_default().to_owned(),
    })
}

/// EC2 says numbers, whatever was sent; an endpoint that repeats names is read the same way.
fn protocol(told: &str) -> &str {
    match told {
        "tcp" => "6",
        "udp" => "17",
        "icmp" => "1",
        "icmpv6" => "58",
        "all" => "-1",
        other => other,
    }
}

fn id_of(acl: &str, spec: &NetworkAclEntry) -> String {
    let direction = if spec.direction == Direction::Out { "out" } else { "in" };
    format!("{acl}/{direction}/{}", spec.number)
}

/// List, whether outgoing, and number of an id; none if it is not one.
fn parts(id: &str) -> Option<(&str, bool, i32)> {
    let mut parts = id.split('/');
    let acl = parts.next()?;
    let egress = match parts.next()? {
        "in" => false,
        "out" => true,
        _ => return None,
    };
    let number = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((acl, egress, number))
}

/// What `CreateNetworkAclEntry` and `ReplaceNetworkAclEntry` both say.
macro_rules! say {
    ($call:expr, $acl:expr, $spec:expr) => {{
        let (spec, ports) = ($spec, $spec.ports);
        let icmp = matches!(spec.protocol.as_str(), "1" | "58");
        let (v6, cidr) = (spec.cidr.contains(':'), spec.cidr.clone());
        $call
            .network_acl_id($acl)
            .rule_number(i32::from(spec.number))
            .egress(spec.direction == Direction::Out)
            .protocol(&spec.protocol)
            .rule_action(if spec.allow { RuleAction::Allow } else { RuleAction::Deny })
            .set_cidr_block((!v6).then(|| cidr.clone()))
            .set_ipv6_cidr_block(v6.then_some(cidr))
            .set_port_range(ports.filter(|_| !icmp).map(port_range))
            .set_icmp_type_code(icmp.then(|| icmp_type_code(ports)))
    }};
}

fn port_range(ports: PortRange) -> Ports {
    Ports::builder().from(ports.from).to(ports.to).build()
}

/// ICMP entries must have a type and a code; -1 means any.
fn icmp_type_code(ports: Option<PortRange>) -> IcmpTypeCode {
    let ports = ports.unwrap_or(ANY_ICMP);
    IcmpTypeCode::builder().r#type(ports.from).code(ports.to).build()
}

/// Makes it. The cloud refuses a second one with the same number.
pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &NetworkAclEntry,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let acl = resolve(CREATE, &spec.acl, ids)?;
    let call = say!(clients.ec2.create_network_acl_entry(), acl, spec);
    clients.call(CREATE, Effect::Idempotent, call.send()).await?;
    Ok(id_of(acl, spec))
}

/// By its place: what stands there already is put right, whatever it says, since the list is ours.
pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &NetworkAclEntry,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let acl = resolve(DESCRIBE, &spec.acl, ids)?;
    let list = network_acl::by_id(clients, acl).await?;
    let same = |entry: &Answer| {
        spec_of(acl, entry).is_some_and(|seen| (seen.direction, seen.number) == (spec.direction, spec.number))
    };
    let there = list.is_some_and(|list| list.entries().iter().any(same));
    Ok(there.then(|| id_of(acl, spec)).into_iter().collect())
}

/// Replaces it whole if anything differs or may differ.
pub(super) async fn configure(
    clients: &Clients,
    _id: &str,
    _resource: &Resource,
    spec: &NetworkAclEntry,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if changes.is_some_and(<[_]>::is_empty) {
        return Ok(());
    }
    let call = say!(clients.ec2.replace_network_acl_entry(), resolve(REPLACE, &spec.acl, ids)?, spec);
    clients.call(REPLACE, Effect::Idempotent, call.send()).await.map(|_| ())
}

/// Ready as soon as it is there.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let Some((acl, egress, number)) = parts(id) else { return Ok(Condition::Gone) };
    let list = network_acl::by_id(clients, acl).await?;
    let is_it = |entry: &&Answer| entry.egress() == Some(egress) && entry.rule_number() == Some(number);
    Ok(there(list.as_ref().and_then(|list| list.entries().iter().find(is_it))))
}

/// Deletes it.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let (acl, egress, number) = parts(id).ok_or_else(|| gone(DELETE, id))?;
    let call = clients.ec2.delete_network_acl_entry().network_acl_id(acl).egress(egress).rule_number(number);
    clients.call(DELETE, Effect::Idempotent, call.send()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i32, protocol: &str) -> aws_sdk_ec2::types::builders::NetworkAclEntryBuilder {
        let ports = port_range(PortRange { from: 8080, to: 8080 });
        Answer::builder()
            .rule_number(number)
            .protocol(protocol)
            .egress(false)
            .rule_action(RuleAction::Allow)
            .cidr_block("0.0.0.0/0")
            .port_range(ports)
            .icmp_type_code(icmp_type_code(None))
    }

    #[test]
    fn entries_are_told_as_they_are() {
        let range = |from, to| Some(PortRange { from, to });
        for (entry, id, protocol, ports, cidr) in [
            (entry(100, "6"), "acl-1/in/100", "6", range(8080, 8080), "0.0.0.0/0"),
            (entry(100, "udp"), "acl-1/in/100", "17", range(8080, 8080), "0.0.0.0/0"),
            (entry(32766, "1").egress(true), "acl-1/out/32766", "1", range(-1, -1), "0.0.0.0/0"),
            (entry(1, "-1").set_cidr_block(None).ipv6_cidr_block("::/0"), "acl-1/in/1", "-1", None, "::/0"),
        ] {
            let list = List::builder().network_acl_id("acl-1").entries(entry.build()).build();
            let found = of_list(&list);
            let Spec::NetworkAclEntry(spec) = &found[0].spec else { panic!("{found:?}") };
            assert_eq!(found[0].id, id);
            assert_eq!((spec.protocol.as_str(), spec.ports, spec.cidr.as_str()), (protocol, ports, cidr));
            assert!(spec.allow);
        }
    }

    #[test]
    fn the_clouds_own_entry_is_not_told() {
        for number in [32767, 0, -1, 40_000] {
            let list = List::builder().network_acl_id("acl-1").entries(entry(number, "6").build()).build();
            assert_eq!(of_list(&list), [], "{number}");
        }
    }

    #[test]
    fn ids_are_read_back() {
        for (id, read) in [
            ("acl-1/in/100", Some(("acl-1", false, 100))),
            ("acl-1/out/1", Some(("acl-1", true, 1))),
            ("acl-1", None),
            ("acl-1/up/1", None),
            ("acl-1/in/x", None),
            ("acl-1/in/1/2", None),
        ] {
            assert_eq!(parts(id), read, "{id}");
        }
    }
}
