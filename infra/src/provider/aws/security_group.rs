//! Security groups, with the default group that every network comes with.
//!
//! A new group comes with a rule that lets everything out, a default group with one more that lets its members in:
//! both are taken away after a create, since every wanted rule is a resource of its own. The default group cannot be
//! made or deleted: it is found, and goes with its network. The rules are told with their
//! groups in one look, and live in `security_group_rule`.

use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, ResourceType, SecurityGroup as Answer, SecurityGroupRule};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{filter, incomplete, of_cluster, resolve, tag_specification, tags_of};
use super::pages::translate;
use super::scope::Scope;
use super::security_group_rule;
use super::tagged::{found, mend_tags, of_resource, set_tags};
use super::verbs::{MAX_FILTER_VALUES, gone, if_there, not_yet, there};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, SecurityGroup, Spec};

const CREATE: &str = "ec2:CreateSecurityGroup";
const DELETE: &str = "ec2:DeleteSecurityGroup";
const DESCRIBE: &str = "ec2:DescribeSecurityGroups";
/// The name of the group that a network comes with; no other group may have it.
const DEFAULT: &str = "default";

/// The cluster's groups and the default groups of its networks, tagged or not, with all their rules.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = translate(DESCRIBE, &of(clients, scope).await?, seen)?;
    let ids: Vec<String> = all.iter().map(|group| group.id.clone()).collect();
    all.extend(security_group_rule::observe(clients, &ids).await?);
    Ok(all)
}

async fn of(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Answer>, Failure> {
    let mut groups = describe(clients, &[of_cluster(scope.cluster)]).await?;
    for networks in scope.vpc_ids(clients).await?.chunks(MAX_FILTER_VALUES) {
        let inside = Filter::builder().name("vpc-id").set_values(Some(networks.to_vec())).build();
        for group in describe(clients, &[inside, filter("group-name", DEFAULT)]).await? {
            if !groups.iter().any(|known| known.group_id == group.group_id) {
                groups.push(group);
            }
        }
    }
    Ok(groups)
}

async fn describe(clients: &Clients, filters: &[Filter]) -> Result<Vec<Answer>, Failure> {
    let page =
        |token| clients.ec2.describe_security_groups().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.security_groups, answer.next_token)).await
}

async fn by_id(clients: &Clients, id: &str) -> Result<Option<Answer>, Failure> {
    let call = || clients.ec2.describe_security_groups().group_ids(id).send();
    let answer = if_there(clients.read(DESCRIBE, call).await)?;
    Ok(answer.and_then(|answer| answer.security_groups.unwrap_or_default().into_iter().next()))
}

fn seen(group: &Answer) -> Option<Found> {
    let name = group.group_name()?;
    let spec = SecurityGroup {
        vpc: Reference::Id(group.vpc_id().unwrap_or_default().to_owned()),
        description: group.description().unwrap_or_default().to_owned(),
        default: name == DEFAULT,
    };
    let found = found(group.group_id()?, group.tags(), Spec::SecurityGroup(spec), Condition::Ready);
    Some(if found.name.is_empty() { Found { name: name.to_owned(), ..found } } else { found })
}

/// Makes it; names are unique in a network, so a second time is refused. A default group is found.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &SecurityGroup,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    if spec.default {
        let mut known = find(clients, resource, spec, ids).await?;
        return known.pop().ok_or_else(|| not_yet(DESCRIBE, "the network's default group"));
    }
    let call = clients
        .ec2
        .create_security_group()
        .vpc_id(resolve(CREATE, &spec.vpc, ids)?)
        .group_name(&resource.name)
        .description(&spec.description)
        .tag_specifications(tag_specification(ResourceType::SecurityGroup, resource));
    let answer = clients.call(CREATE, Effect::Idempotent, call.send()).await?;
    answer.group_id.ok_or_else(|| incomplete(CREATE, "group id", Class::Unknown))
}

/// By tags inside its network; a default group by its name.
pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &SecurityGroup,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let mut filters = if spec.default { vec![filter("group-name", DEFAULT)] } else { of_resource(resource) };
    filters.push(filter("vpc-id", resolve(DESCRIBE, &spec.vpc, ids)?));
    Ok(describe(clients, &filters).await?.into_iter().filter_map(|group| group.group_id).collect())
}

/// Sets tags. After a create it also takes away the rules that the group came with.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &SecurityGroup,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    mend_tags(clients, id, resource, changes).await?;
    if changes.is_none() && spec.default {
        set_tags(clients, id, &resource.tags).await?;
    }
    if changes.is_none() {
        let rules = security_group_rule::of_groups(clients, &[id.to_owned()]).await?;
        if rules.is_empty() {
            // They may not be visible yet.
            return revoke_unseen(clients, id).await;
        }
        let rules: Vec<_> = rules.into_iter().filter(|rule| spec.default || came_with_it(rule)).collect();
        revoke(clients, id, &rules).await?;
    }
    Ok(())
}

/// Whether a rule is one that the cloud puts into a new group: all traffic out, told by nobody.
fn came_with_it(rule: &SecurityGroupRule) -> bool {
    let anywhere = matches!((rule.cidr_ipv4(), rule.cidr_ipv6()), (Some("0.0.0.0/0"), _) | (_, Some("::/0")));
    rule.is_egress() == Some(true) && rule.ip_protocol() == Some("-1") && anywhere && tags_of(rule.tags()).is_empty()
}

/// Takes the rule away that lets everything out, without knowing its id; that there is none is fine.
async fn revoke_unseen(clients: &Clients, id: &str) -> Result<(), Failure> {
    let anywhere = IpRange::builder().cidr_ip("0.0.0.0/0").build();
    let all = IpPermission::builder().ip_protocol("-1").ip_ranges(anywhere).build();
    let call = clients.ec2.revoke_security_group_egress().group_id(id).ip_permissions(all).send();
    if_there(clients.call("ec2:RevokeSecurityGroupEgress", Effect::Idempotent, call).await).map(drop)
}

/// Takes rules away; those that are gone already are fine.
async fn revoke(clients: &Clients, id: &str, rules: &[SecurityGroupRule]) -> Result<(), Failure> {
    let ids = |egress: bool| {
        let rules = rules.iter().filter(move |rule| rule.is_egress().unwrap_or_default() == egress);
        rules.filter_map(|rule| rule.security_group_rule_id.clone()).collect::<Vec<_>>()
    };
    for (egress, ids) in [(false, ids(false)), (true, ids(true))] {
        if !ids.is_empty() {
            if_there(security_group_rule::revoke(clients, id, egress, ids).await)?;
        }
    }
    Ok(())
}

/// Ready as soon as it is there.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(there(by_id(clients, id).await?))
}

/// Takes its rules away, so that groups that name each other can go, then the group. A default group stays: it goes
/// with its network, and counts as gone.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let Some(group) = by_id(clients, id).await? else { return Err(gone(DELETE, id)) };
    if group.group_name() == Some(DEFAULT) {
        return Err(Failure {
            action: DELETE.to_owned(),
            code: "default group".to_owned(),
            message: format!("{id} came with its network and goes with it"),
            class: Class::Gone,
        });
    }
    let rules = security_group_rule::of_groups(clients, &[id.to_owned()]).await?;
    revoke(clients, id, &rules).await?;
    let call = clients.ec2.delete_security_group().group_id(id);
    clients.call(DELETE, Effect::Idempotent, call.send()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::Tag;

    #[test]
    fn groups_are_told_as_they_are() {
        let group = |name: &str| {
            let tag = Tag::builder().key("kvstore:cluster").value("kvstore-dev").build();
            Answer::builder().group_id("sg-1").group_name(name).vpc_id("vpc-1").description("why").tags(tag).build()
        };
        for (name, default) in [("kvstore-dev-sg-nodes", false), ("default", true)] {
            let found = seen(&group(name)).unwrap();
            let vpc = Reference::Id("vpc-1".to_owned());
            assert_eq!(found.id, "sg-1");
            assert_eq!(found.name, name);
            assert_eq!(found.cluster(), Some("kvstore-dev"));
            assert_eq!(found.spec, Spec::SecurityGroup(SecurityGroup { vpc, description: "why".to_owned(), default }));
        }
        assert_eq!(seen(&Answer::builder().group_name("nameless").build()), None);
    }

    #[test]
    fn only_the_clouds_own_rule_came_with_a_group() {
        let rule = || SecurityGroupRule::builder().is_egress(true).ip_protocol("-1").cidr_ipv4("0.0.0.0/0");
        let tag = Tag::builder().key("kvstore:cluster").value("kvstore-dev").build();
        for (rule, came) in [
            (rule(), true),
            (SecurityGroupRule::builder().is_egress(true).ip_protocol("-1").cidr_ipv6("::/0"), true),
            (rule().tags(tag), false),
            (rule().is_egress(false), false),
            (rule().ip_protocol("tcp"), false),
            (rule().cidr_ipv4("10.0.0.0/16"), false),
        ] {
            let rule = rule.build();
            assert_eq!(came_with_it(&rule), came, "{rule:?}");
        }
    }
}
