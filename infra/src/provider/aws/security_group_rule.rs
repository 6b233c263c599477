//! Rules of security groups, one resource each, recognised by what they say.
//!
//! They are told by `security_group`: all rules of the cluster's groups, also those that others added and that carry no tags. A rule's packets
//! and peer never change: another one takes its place. Only its description and tags are mended where it is.

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, SecurityGroupRule as Answer,
    SecurityGroupRuleRequest, SecurityGroupRuleUpdate, UserIdGroupPair,
};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve, tag_specification, tags_of};
use super::pages::translate;
use super::tagged::{differs, found, mend_tags, set_tags};
use super::verbs::{MAX_FILTER_VALUES, gone, if_there, not_yet, there};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Direction, Peer, PortRange, Reference, Resource, SecurityGroupRule, Spec};

const AUTHORIZE_IN: &str = "ec2:AuthorizeSecurityGroupIngress";
const AUTHORIZE_OUT: &str = "ec2:AuthorizeSecurityGroupEgress";
const DESCRIBE: &str = "ec2:DescribeSecurityGroupRules";
const MODIFY: &str = "ec2:ModifySecurityGroupRules";
const REVOKE_IN: &str = "ec2:RevokeSecurityGroupIngress";
const REVOKE_OUT: &str = "ec2:RevokeSecurityGroupEgress";
/// Stands for a peer that the cloud tells in a way this code does not know.
const UNKNOWN_PEER: &str = "unknown";

/// All rules of groups, as resources.
pub(super) async fn observe(clients: &Clients, groups: &[String]) -> Result<Vec<Found>, Failure> {
    translate(DESCRIBE, &of_groups(clients, groups).await?, seen)
}

/// All rules of groups.
pub(super) async fn of_groups(clients: &Clients, groups: &[String]) -> Result<Vec<Answer>, Failure> {
    let mut rules = Vec::new();
    for groups in groups.chunks(MAX_FILTER_VALUES) {
        let filter = Filter::builder().name("group-id").set_values(Some(groups.to_vec())).build();
        let page =
            |token| clients.ec2.describe_security_group_rules().filters(filter.clone()).set_next_token(token).send();
        rules.extend(clients.pages(DESCRIBE, page, |answer| (answer.security_group_rules, answer.next_token)).await?);
    }
    Ok(rules)
}

async fn by_id(clients: &Clients, id: &str) -> Result<Option<Answer>, Failure> {
    let call = || clients.ec2.describe_security_group_rules().security_group_rule_ids(id).send();
    let answer = if_there(clients.read(DESCRIBE, call).await)?;
    Ok(answer.and_then(|answer| answer.security_group_rules.unwrap_or_default().into_iter().next()))
}

fn seen(rule: &Answer) -> Option<Found> {
    let spec = Spec::SecurityGroupRule(spec_of(rule));
    Some(found(rule.security_group_rule_id()?, rule.tags(), spec, Condition::Ready))
}

fn spec_of(rule: &Answer) -> SecurityGroupRule {
    let protocol = protocol(rule.ip_protocol().unwrap_or("-1"));
    SecurityGroupRule {
        group: Reference::Id(rule.group_id().unwrap_or_default().to_owned()),
        direction: if rule.is_egress().unwrap_or_default() { Direction::Out } else { Direction::In },
        ports: ports(protocol, rule.from_port(), rule.to_port()),
        protocol: protocol.to_owned(),
        peer: peer(rule),
        description: rule.description().unwrap_or_default().to_owned(),
    }
}

/// EC2 says names where it knows them, whatever was sent; an endpoint that repeats numbers is read the same way.
fn protocol(told: &str) -> &str {
    match told {
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        "58" => "icmpv6",
        other => other,
    }
}

/// Ports mean something for four protocols only; for the others EC2 says -1 or nothing.
fn ports(protocol: &str, from: Option<i32>, to: Option<i32>) -> Option<PortRange> {
    let has_ports = matches!(protocol, "tcp" | "udp" | "icmp" | "icmpv6");
    from.zip(to).filter(|_| has_ports).map(|(from, to)| PortRange { from, to })
}

fn peer(rule: &Answer) -> Peer {
    let group = rule.referenced_group_info().and_then(|group| group.group_id());
    match (rule.cidr_ipv4().or(rule.cidr_ipv6()), group, rule.prefix_list_id()) {
        (Some(cidr), _, _) => Peer::Cidr(cidr.to_owned()),
        (_, Some(group), _) => Peer::Group(Reference::Id(group.to_owned())),
        (_, _, Some(list)) => Peer::PrefixList(list.to_owned()),
        // A rule that cannot be read is still there, and must be told: nobody wants it.
        _ => Peer::Cidr(UNKNOWN_PEER.to_owned()),
    }
}

/// The same rule with cloud ids for references.
fn resolved(action: &str, spec: &SecurityGroupRule, ids: &Ids) -> Result<SecurityGroupRule, Failure> {
    let id = |reference: &Reference| Ok(Reference::Id(resolve(action, reference, ids)?.to_owned()));
    let peer = match &spec.peer {
        Peer::Group(group) => Peer::Group(id(group)?),
        other => other.clone(),
    };
    Ok(SecurityGroupRule { group: id(&spec.group)?, peer, ..spec.clone() })
}

/// Whether two rules let the same packets pass; descriptions do not matter.
fn same_packets(one: &SecurityGroupRule, other: &SecurityGroupRule) -> bool {
    let described = SecurityGroupRule { description: other.description.clone(), ..one.clone() };
    described == *other
}

/// The rule as the authorising calls want it; `spec` holds ids.
fn permission(spec: &SecurityGroupRule) -> IpPermission {
    let why = Some(spec.description.clone()).filter(|why| !why.is_empty());
    let permission = IpPermission::builder()
        .ip_protocol(&spec.protocol)
        .set_from_port(spec.ports.map(|ports| ports.from))
        .set_to_port(spec.ports.map(|ports| ports.to));
    match &spec.peer {
        Peer::Cidr(cidr) if cidr.contains(':') => {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).set_description(why).build())
        }
        Peer::Cidr(cidr) => permission.ip_ranges(IpRange::builder().cidr_ip(cidr).set_description(why).build()),
        Peer::Group(group) => permission
            .user_id_group_pairs(UserIdGroupPair::builder().group_id(group.to_string()).set_description(why).build()),
        Peer::PrefixList(list) => {
            permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(list).set_description(why).build())
        }
    }
    .build()
}

/// Makes it. The cloud refuses a second one that says the same.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &SecurityGroupRule,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let rule = resolved(AUTHORIZE_IN, spec, ids)?;
    let (group, permission) = (rule.group.to_string(), permission(&rule));
    let tags = tag_specification(ResourceType::SecurityGroupRule, resource);
    let (action, made) = match spec.direction {
        Direction::In => {
            let call = clients.ec2.authorize_security_group_ingress().group_id(group).ip_permissions(permission);
            let answer = clients.call(AUTHORIZE_IN, Effect::Idempotent, call.tag_specifications(tags).send()).await?;
            (AUTHORIZE_IN, answer.security_group_rules)
        }
        Direction::Out => {
            let call = clients.ec2.authorize_security_group_egress().group_id(group).ip_permissions(permission);
            let answer = clients.call(AUTHORIZE_OUT, Effect::Idempotent, call.tag_specifications(tags).send()).await?;
            (AUTHORIZE_OUT, answer.security_group_rules)
        }
    };
    let made = made.unwrap_or_default().into_iter().next();
    let (id, described) = made.map_or((None, None), |made| (made.security_group_rule_id, made.description));
    // Class `Unknown`: the rule is there, only its id was not told, so it is looked for.
    let id = id.ok_or_else(|| incomplete(action, "rule id", Class::Unknown))?;
    // Not every endpoint keeps the description of a rule that names a group.
    if described.unwrap_or_default() != rule.description {
        describe(clients, &id, &rule).await?;
    }
    Ok(id)
}

/// Sets the description; `rule` holds ids.
async fn describe(clients: &Clients, id: &str, rule: &SecurityGroupRule) -> Result<(), Failure> {
    let update = SecurityGroupRuleUpdate::builder().security_group_rule_id(id).security_group_rule(request(rule));
    let call = clients.ec2.modify_security_group_rules().group_id(rule.group.to_string());
    let call = call.security_group_rules(update.build()).send();
    clients.call(MODIFY, Effect::Idempotent, call).await.map(drop)
}

/// By content: what lets the same packets pass between the same two sides.
pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &SecurityGroupRule,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let wanted = resolved(DESCRIBE, spec, ids)?;
    let rules = of_groups(clients, &[wanted.group.to_string()]).await?;
    let same = rules.into_iter().filter(|rule| same_packets(&spec_of(rule), &wanted));
    Ok(same.filter_map(|rule| rule.security_group_rule_id).collect())
}

/// Sets description and tags. After a create it looks first: the rule may be one that was there before, and then
/// lacks both.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &SecurityGroupRule,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    let (mend, tag) = match changes {
        Some(_) => (differs(changes, "description"), false),
        None => {
            let rule = by_id(clients, id).await?.ok_or_else(|| not_yet(DESCRIBE, id))?;
            let tags = tags_of(rule.tags());
            let tag = resource.tags.iter().any(|(key, value)| tags.get(key) != Some(value));
            (rule.description().unwrap_or_default() != spec.description, tag)
        }
    };
    if mend {
        describe(clients, id, &resolved(MODIFY, spec, ids)?).await?;
    }
    if tag {
        set_tags(clients, id, &resource.tags).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

/// The rule as the modifying call wants it, whole, with -1 for ports where there are none; `spec` holds ids.
fn request(spec: &SecurityGroupRule) -> SecurityGroupRuleRequest {
    let request = SecurityGroupRuleRequest::builder()
        .ip_protocol(&spec.protocol)
        .from_port(spec.ports.map_or(-1, |ports| ports.from))
        .to_port(spec.ports.map_or(-1, |ports| ports.to))
        .description(&spec.description);
    match &spec.peer {
        Peer::Cidr(cidr) if cidr.contains(':') => request.cidr_ipv6(cidr),
        Peer::Cidr(cidr) => request.cidr_ipv4(cidr),
        Peer::Group(group) => request.referenced_group_id(group.to_string()),
        Peer::PrefixList(list) => request.prefix_list_id(list),
    }
    .build()
}

/// Ready as soon as it is there.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(there(by_id(clients, id).await?))
}

/// Takes it away; its group and direction are looked up first, since the call wants them.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let Some(rule) = by_id(clients, id).await? else { return Err(gone(REVOKE_IN, id)) };
    let group = rule.group_id().ok_or_else(|| incomplete(DESCRIBE, "group id", Class::Invalid))?;
    revoke(clients, group, rule.is_egress().unwrap_or_default(), vec![id.to_owned()]).await
}

/// Takes rules of one group and direction away.
pub(super) async fn revoke(clients: &Clients, group: &str, egress: bool, rules: Vec<String>) -> Result<(), Failure> {
    if egress {
        let call = clients.ec2.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(Some(rules));
        clients.call(REVOKE_OUT, Effect::Idempotent, call.send()).await.map(|_| ())
    } else {
        let call = clients.ec2.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(Some(rules));
        clients.call(REVOKE_IN, Effect::Idempotent, call.send()).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::ReferencedSecurityGroup;

    use super::*;
    use crate::resource::{Key, Kind};

    fn spec(protocol: &str, ports: Option<(i32, i32)>, peer: Peer) -> SecurityGroupRule {
        SecurityGroupRule {
            group: Reference::Id("sg-1".to_owned()),
            direction: Direction::In,
            protocol: protocol.to_owned(),
            ports: ports.map(|(from, to)| PortRange { from, to }),
            peer,
            description: "why".to_owned(),
        }
    }

    fn cidr(text: &str) -> Peer {
        Peer::Cidr(text.to_owned())
    }

    #[test]
    fn rules_are_told_as_they_are() {
        let rule = || Answer::builder().security_group_rule_id("sgr-1").group_id("sg-1").description("why");
        let group = ReferencedSecurityGroup::builder().group_id("sg-2").build();
        for (answer, told) in [
            (
                rule().ip_protocol("tcp").from_port(8080).to_port(8080).cidr_ipv4("10.0.0.0/16"),
                spec("tcp", Some((8080, 8080)), cidr("10.0.0.0/16")),
            ),
            (
                rule().ip_protocol("udp").from_port(1).to_port(2).referenced_group_info(group),
                spec("udp", Some((1, 2)), Peer::Group(Reference::Id("sg-2".to_owned()))),
            ),
            (rule().ip_protocol("-1").from_port(-1).to_port(-1).cidr_ipv6("::/0"), spec("-1", None, cidr("::/0"))),
            (
                rule().ip_protocol("1").from_port(3).to_port(4).prefix_list_id("pl-1"),
                spec("icmp", Some((3, 4)), Peer::PrefixList("pl-1".to_owned())),
            ),
            (
                rule().ip_protocol("50").from_port(-1).to_port(-1).cidr_ipv4("1.1.1.1/32"),
                spec("50", None, cidr("1.1.1.1/32")),
            ),
            (rule().ip_protocol("tcp").from_port(1).to_port(1), spec("tcp", Some((1, 1)), cidr("unknown"))),
        ] {
            let found = seen(&answer.build()).unwrap();
            assert_eq!((found.id.as_str(), &found.spec), ("sgr-1", &Spec::SecurityGroupRule(told)));
        }
    }

    #[test]
    fn what_is_sent_is_what_is_seen() {
        let sent = spec("tcp", Some((80, 81)), cidr("10.0.0.0/16"));
        let (permission, request) = (permission(&sent), request(&sent));
        let range = &permission.ip_ranges()[0];
        assert_eq!((range.cidr_ip(), range.description()), (Some("10.0.0.0/16"), Some("why")));
        assert_eq!((permission.from_port(), permission.to_port()), (Some(80), Some(81)));
        assert_eq!((request.cidr_ipv4(), request.description()), (Some("10.0.0.0/16"), Some("why")));
        let all = super::permission(&spec("-1", None, cidr("::/0")));
        assert_eq!((all.from_port(), all.ipv6_ranges()[0].cidr_ipv6()), (None, Some("::/0")));
    }

    #[test]
    fn keys_become_ids_and_descriptions_do_not_matter() {
        let nodes = Key::new(Kind::SecurityGroup, "nodes");
        let mut wanted = spec("tcp", Some((1, 1)), Peer::Group(nodes.clone().into()));
        wanted.group = nodes.clone().into();
        assert_eq!(resolved("x", &wanted, &Ids::new()).unwrap_err().class, Class::Invalid);
        let ids = Ids::from([(nodes, "sg-1".to_owned())]);
        let resolved = resolved("x", &wanted, &ids).unwrap();
        let mut seen = spec("tcp", Some((1, 1)), Peer::Group(Reference::Id("sg-1".to_owned())));
        seen.description = String::new();
        assert!(same_packets(&seen, &resolved));
        seen.protocol = "udp".to_owned();
        assert!(!same_packets(&seen, &resolved));
    }
}
