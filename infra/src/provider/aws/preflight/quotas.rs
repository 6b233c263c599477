//! Whether the account has room for what a plan makes: addresses, networks, NAT gateways in each zone.
//!
//! Quotas come from Service Quotas, and for addresses from the account's attributes where that is not allowed. A
//! quota or a use that cannot be seen is a warning.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{AccountAttribute, Filter, NatGatewayState};

use super::super::clients::Clients;
use super::super::identity::incomplete;
use super::needs::{Needs, Place};
use super::{Preflight, Topic};
use crate::provider::{Class, Failure};
use crate::resource::Kind;

const GET_QUOTA: &str = "servicequotas:GetServiceQuota";

/// One limit of the account.
struct Quota {
    service: &'static str,
    code: &'static str,
    noun: &'static str,
}

const ADDRESSES: Quota = Quota { service: "ec2", code: "L-0263D0A3", noun: "Elastic IPs" };
const NETWORKS: Quota = Quota { service: "vpc", code: "L-F678F1CE", noun: "VPCs" };
const GATEWAYS: Quota = Quota { service: "vpc", code: "L-FE5A380F", noun: "NAT gateways" };

pub(super) async fn check(clients: &Clients, needs: &Needs) -> Preflight {
    let mut found = Preflight::default();
    let (addresses, networks) = (needs.count(Kind::ElasticIp), needs.count(Kind::Vpc));
    let (of_addresses, of_networks, of_gateways) = tokio::join!(
        async { if addresses == 0 { Preflight::default() } else { check_addresses(clients, addresses).await } },
        async { if networks == 0 { Preflight::default() } else { check_networks(clients, networks).await } },
        async { if needs.gateways.is_empty() { Preflight::default() } else { check_gateways(clients, needs).await } },
    );
    for part in [of_addresses, of_networks, of_gateways] {
        found.add(part);
    }
    found
}

async fn check_addresses(clients: &Clients, needed: usize) -> Preflight {
    let used = async {
        let call = || clients.ec2.describe_addresses().send();
        Ok(clients.read("ec2:DescribeAddresses", call).await?.addresses.unwrap_or_default().len())
    };
    let limit = async {
        match quota(clients, &ADDRESSES).await {
            Err(first) => address_attribute(clients).await.map_err(|_| first),
            quota => quota,
        }
    };
    let (used, limit) = tokio::join!(used, limit);
    answer(&ADDRESSES, "", needed, used, limit)
}

async fn check_networks(clients: &Clients, needed: usize) -> Preflight {
    let used = async {
        let page = |token| clients.ec2.describe_vpcs().set_next_token(token).send();
        Ok(clients.pages("ec2:DescribeVpcs", page, |answer| (answer.vpcs, answer.next_token)).await?.len())
    };
    let (used, limit) = tokio::join!(used, quota(clients, &NETWORKS));
    answer(&NETWORKS, "", needed, used, limit)
}

async fn check_gateways(clients: &Clients, needs: &Needs) -> Preflight {
    let (standing, zones, limit) =
        tokio::join!(standing_gateways(clients), zones_of_subnets(clients), quota(clients, &GATEWAYS));
    let (standing, zones) = match (standing, zones) {
        (Ok(standing), Ok(zones)) => (standing, zones),
        (Err(failure), _) | (_, Err(failure)) => return Preflight::untold("how many NAT gateways there are", &failure),
    };
    let mut found = Preflight::default();
    for (zone, needed) in in_zones(&needs.gateways, &zones) {
        let used = standing.iter().filter(|subnet| zones.get(*subnet) == Some(&zone)).count();
        found.add(answer(&GATEWAYS, &format!(" in {zone}"), needed, Ok(used), limit.clone()));
    }
    found
}

/// How many are needed in each zone; subnets whose zone nobody knows are left out.
fn in_zones(places: &[Place], zones: &BTreeMap<String, String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for place in places {
        let zone = match place {
            Place::Zone(zone) => Some(zone),
            Place::Subnet(id) => zones.get(id),
        };
        if let Some(zone) = zone {
            *counts.entry(zone.clone()).or_default() += 1;
        }
    }
    counts
}

/// The subnet of each NAT gateway that counts.
async fn standing_gateways(clients: &Clients) -> Result<Vec<String>, Failure> {
    let states = [NatGatewayState::Pending, NatGatewayState::Available, NatGatewayState::Deleting];
    let values = states.iter().map(|state| state.as_str().to_owned()).collect();
    let filter = Filter::builder().name("state").set_values(Some(values)).build();
    let page = |token| clients.ec2.describe_nat_gateways().filter(filter.clone()).set_next_token(token).send();
    let split = |answer: aws_sdk_ec2::operation::describe_nat_gateways::DescribeNatGatewaysOutput| {
        (answer.nat_gateways, answer.next_token)
    };
    let gateways = clients.pages("ec2:DescribeNatGateways", page, split).await?;
    Ok(gateways.into_iter().filter_map(|gateway| gateway.subnet_id).collect())
}

/// The zone of each subnet of the region.
pub(super) async fn zones_of_subnets(clients: &Clients) -> Result<BTreeMap<String, String>, Failure> {
    let page = |token| clients.ec2.describe_subnets().set_next_token(token).send();
    let subnets = clients.pages("ec2:DescribeSubnets", page, |answer| (answer.subnets, answer.next_token)).await?;
    Ok(subnets.into_iter().filter_map(|subnet| Some((subnet.subnet_id?, subnet.availability_zone?))).collect())
}

async fn quota(clients: &Clients, quota: &Quota) -> Result<usize, Failure> {
    let call = || clients.quotas.get_service_quota().service_code(quota.service).quota_code(quota.code).send();
    let answer = clients.read(GET_QUOTA, call).await?;
    let value = answer.quota.and_then(|quota| quota.value);
    whole(value).ok_or_else(|| incomplete(GET_QUOTA, "value", Class::Invalid))
}

/// Quotas are told as floating point numbers, though they count things.
fn whole(value: Option<f64>) -> Option<usize> {
    format!("{:.0}", value?.floor()).parse().ok()
}

/// The limit of addresses as EC2 itself tells it.
async fn address_attribute(clients: &Clients) -> Result<usize, Failure> {
    let action = "ec2:DescribeAccountAttributes";
    let name = "vpc-max-elastic-ips";
    let call = || clients.ec2.describe_account_attributes().attribute_names(name.into()).send();
    let answer = clients.read(action, call).await?;
    let attributes = answer.account_attributes.unwrap_or_default();
    let attribute = attributes.iter().find(|attribute| attribute.attribute_name() == Some(name));
    let values = attribute.map(AccountAttribute::attribute_values).unwrap_or_default();
    let value = values.iter().find_map(|value| value.attribute_value()?.parse().ok());
    value.ok_or_else(|| incomplete(action, "value", Class::Invalid))
}

fn answer(
    quota: &Quota,
    place: &str,
    needed: usize,
    used: Result<usize, Failure>,
    limit: Result<usize, Failure>,
) -> Preflight {
    let singular = |noun: &'static str| noun.strip_suffix('s').unwrap_or(noun);
    let noun = format!("{}{place}", if needed == 1 { singular(quota.noun) } else { quota.noun });
    match (used, limit) {
        (Ok(used), Ok(limit)) if used + needed > limit => Preflight::problem(
            Topic::Quota,
            format!("needs {needed} {noun} (quota {limit}, used {used}: {})", too_many(used + needed - limit)),
            format!("release some, or raise quota {} of service {} (Service Quotas)", quota.code, quota.service),
        ),
        (Ok(used), Ok(limit)) => Preflight::fact(format!("needs {needed} {noun} (quota {limit}, used {used})")),
        (Err(failure), _) => Preflight::untold(&format!("how many {}{place} there are", quota.noun), &failure),
        (_, Err(failure)) => Preflight::untold(&format!("the quota of {noun}"), &failure),
    }
}

fn too_many(surplus: usize) -> String {
    if surplus == 1 { "ONE TOO MANY".to_owned() } else { format!("{surplus} TOO MANY") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Failure {
        Failure {
            action: GET_QUOTA.to_owned(),
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
            class: Class::Denied,
        }
    }

    #[test]
    fn too_much_is_a_problem_and_not_seen_a_warning() {
        for (needed, used, limit, problem, warning, fact) in [
            (3, Ok(3), Ok(5), Some("needs 3 Elastic IPs (quota 5, used 3: ONE TOO MANY)"), None, None),
            (3, Ok(5), Ok(5), Some("needs 3 Elastic IPs (quota 5, used 5: 3 TOO MANY)"), None, None),
            (3, Ok(2), Ok(5), None, None, Some("needs 3 Elastic IPs (quota 5, used 2)")),
            (1, Ok(0), Ok(5), None, None, Some("needs 1 Elastic IP (quota 5, used 0)")),
            (
                3,
                Ok(2),
                Err(failed()),
                None,
                Some(
                    "the quota of Elastic IPs could not be found out (servicequotas:GetServiceQuota: AccessDenied: no)",
                ),
                None,
            ),
            (
                3,
                Err(failed()),
                Ok(5),
                None,
                Some(
                    "how many Elastic IPs there are could not be found out (servicequotas:GetServiceQuota: AccessDenied: no)",
                ),
                None,
            ),
        ] {
            let found = answer(&ADDRESSES, "", needed, used, limit);
            assert_eq!(found.problems.first().map(|problem| problem.what.as_str()), problem);
            assert_eq!(found.warnings.first().map(String::as_str), warning);
            assert_eq!(found.facts.first().map(String::as_str), fact);
        }
    }

    #[test]
    fn gateways_count_in_their_zones() {
        let zones = BTreeMap::from([("subnet-b".to_owned(), "b".to_owned())]);
        let places = [
            Place::Zone("a".to_owned()),
            Place::Zone("b".to_owned()),
            Place::Subnet("subnet-b".to_owned()),
            Place::Subnet("subnet-x".to_owned()),
        ];
        assert_eq!(in_zones(&places, &zones), BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    }

    #[test]
    fn quotas_are_whole_numbers() {
        for (told, read) in
            [(Some(5.0), Some(5)), (Some(5.9), Some(5)), (Some(-1.0), None), (Some(f64::NAN), None), (None, None)]
        {
            assert_eq!(whole(told), read, "{told:?}");
        }
    }
}
