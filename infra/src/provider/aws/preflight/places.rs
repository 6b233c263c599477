//! Whether what a plan builds upon is there: zones, instance types, images, certificates; and networks that overlap.
//!
//! Zones are told with their ids, because names differ between accounts. An overlap is only a warning: it hurts
//! nobody until the two networks are to be joined.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_acm::types::CertificateStatus;
use aws_sdk_ec2::types::{AvailabilityZone, Filter, Image, LocationType, Vpc};
use ipnet::Ipv4Net;

use super::super::clients::Clients;
use super::super::identity::{incomplete, tags_of};
use super::super::verbs::if_there;
use super::needs::{Needs, Place};
use super::quotas::zones_of_subnets;
use super::{Preflight, Topic};
use crate::provider::{Class, Failure};
use crate::resource::CLUSTER_TAG;

pub(super) async fn check(clients: &Clients, needs: &Needs, cluster: &str) -> Preflight {
    let (zones, types, images, certificates, networks) = tokio::join!(
        zones(clients, &needs.zones),
        machine_types(clients, &needs.machines),
        images(clients, &needs.images),
        certificates(clients, &needs.certificates),
        networks(clients, &needs.networks, cluster),
    );
    let mut found = Preflight::default();
    for part in [zones, types, images, certificates, networks] {
        found.add(part);
    }
    found
}

async fn zones(clients: &Clients, wanted: &BTreeSet<String>) -> Preflight {
    if wanted.is_empty() {
        return Preflight::default();
    }
    let call = || clients.ec2.describe_availability_zones().send();
    match clients.read("ec2:DescribeAvailabilityZones", call).await {
        Ok(answer) => judge_zones(wanted, answer.availability_zones()),
        Err(failure) => Preflight::untold("whether the zones are there", &failure),
    }
}

fn judge_zones(wanted: &BTreeSet<String>, there: &[AvailabilityZone]) -> Preflight {
    let names: BTreeSet<&str> = there.iter().filter_map(AvailabilityZone::zone_name).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let mut found = Preflight::default();
    for name in wanted {
        let zone = there.iter().find(|zone| zone.zone_name() == Some(name));
        let state = zone.map(|zone| zone.state().map_or("available", |state| state.as_str()));
        found.add(match (zone, state) {
            (Some(zone), Some("available")) => {
                Preflight::fact(format!("{name} is {}", zone.zone_id().unwrap_or("without an id")))
            }
            (_, Some(state)) => Preflight::problem(
                Topic::Missing,
                format!("zone {name} is {state}"),
                "wait, or take another zone in cluster.yaml",
            ),
            (_, None) => Preflight::problem(
                Topic::Missing,
                format!("zone {name} is not one of this account's zones"),
                format!("take from {names} in cluster.yaml"),
            ),
        });
    }
    found
}

/// Types of machines by the zones that they are wanted in.
async fn machine_types(clients: &Clients, machines: &BTreeSet<(String, Place)>) -> Preflight {
    let mut found = Preflight::default();
    let mut wanted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let zones = if machines.iter().any(|(_, place)| matches!(place, Place::Subnet(_))) {
        // Without it fewer zones are checked, which the zones' own check tells.
        zones_of_subnets(clients).await.unwrap_or_default()
    } else {
        BTreeMap::new()
    };
    for (machine_type, place) in machines {
        let zone = match place {
            Place::Zone(zone) => Some(zone),
            Place::Subnet(id) => zones.get(id),
        };
        wanted.entry(machine_type).or_default().extend(zone.cloned());
    }
    for (machine_type, wanted) in wanted {
        found.add(match offered(clients, machine_type).await {
            Ok(there) => judge_offers(machine_type, &wanted, &there),
            Err(failure) => Preflight::untold(&format!("where {machine_type} is offered"), &failure),
        });
    }
    found
}

async fn offered(clients: &Clients, machine_type: &str) -> Result<BTreeSet<String>, Failure> {
    let filter = Filter::builder().name("instance-type").values(machine_type).build();
    let page = |token| {
        let call = clients.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
        call.filters(filter.clone()).set_next_token(token).send()
    };
    let split =
        |answer: aws_sdk_ec2::operation::describe_instance_type_offerings::DescribeInstanceTypeOfferingsOutput| {
            (answer.instance_type_offerings, answer.next_token)
        };
    let offers = clients.pages("ec2:DescribeInstanceTypeOfferings", page, split).await?;
    Ok(offers.into_iter().filter_map(|offer| offer.location).collect())
}

fn judge_offers(machine_type: &str, wanted: &BTreeSet<String>, there: &BTreeSet<String>) -> Preflight {
    let missing: Vec<&str> = wanted.difference(there).map(String::as_str).collect();
    match (there.is_empty(), missing.is_empty()) {
        (true, _) => Preflight::problem(
            Topic::Missing,
            format!("instance type {machine_type} is not offered in this region"),
            "take another instance type in cluster.yaml",
        ),
        (false, false) => Preflight::problem(
            Topic::Missing,
            format!("instance type {machine_type} is not offered in {}", missing.join(", ")),
            "take another instance type or other zones in cluster.yaml",
        ),
        (false, true) => Preflight::default(),
    }
}

async fn images(clients: &Clients, wanted: &BTreeSet<String>) -> Preflight {
    let mut found = Preflight::default();
    for image in wanted {
        found.add(match look_up_image(clients, image).await {
            Ok(there) => judge_image(image, there.as_ref()),
            Err(failure) => Preflight::untold(&format!("whether image {image} is there"), &failure),
        });
    }
    found
}

/// The image behind an id or a public parameter; none if there is none.
async fn look_up_image(clients: &Clients, image: &str) -> Result<Option<Image>, Failure> {
    let id = if image.starts_with('/') {
        let action = "ssm:GetParameter";
        let answer = if_there(clients.read(action, || clients.ssm.get_parameter().name(image).send()).await)?;
        let Some(answer) = answer else { return Ok(None) };
        let value = answer.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| incomplete(action, "value", Class::Invalid))?
    } else {
        image.to_owned()
    };
    let answer = clients.read("ec2:DescribeImages", || clients.ec2.describe_images().image_ids(&id).send()).await;
    let gone = |failure: &Failure| failure.class == Class::Gone || failure.code.starts_with("InvalidAMIID");
    match answer {
        Ok(answer) => Ok(answer.images.unwrap_or_default().into_iter().next()),
        Err(failure) if gone(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn judge_image(wanted: &str, image: Option<&Image>) -> Preflight {
    let fix = "name another image in cluster.yaml, by ami-… of this region or by public parameter";
    let Some(image) = image else {
        return Preflight::problem(Topic::Missing, format!("there is no image {wanted} in this region"), fix);
    };
    let (id, name) = (image.image_id().unwrap_or(wanted), image.name().unwrap_or("nameless"));
    match image.state().map_or("available", |state| state.as_str()) {
        "available" => Preflight::fact(format!("image {wanted} is {id} ({name})")),
        state => Preflight::problem(Topic::Missing, format!("image {wanted} is {state}"), fix),
    }
}

async fn certificates(clients: &Clients, wanted: &BTreeSet<String>) -> Preflight {
    let mut found = Preflight::default();
    for arn in wanted {
        let call = || clients.acm.describe_certificate().certificate_arn(arn).send();
        found.add(match if_there(clients.read("acm:DescribeCertificate", call).await) {
            Ok(answer) => {
                let certificate = answer.and_then(|answer| answer.certificate);
                judge_certificate(arn, certificate.as_ref().map(|certificate| certificate.status()))
            }
            Err(failure) => Preflight::untold(&format!("whether certificate {arn} is there"), &failure),
        });
    }
    found
}

/// `status` is none if there is no such certificate, and holds none if its status is not told.
fn judge_certificate(arn: &str, status: Option<Option<&CertificateStatus>>) -> Preflight {
    match status.map(|status| status.map_or("ISSUED", CertificateStatus::as_str)) {
        Some("ISSUED") => Preflight::default(),
        Some(status) => Preflight::problem(
            Topic::Missing,
            format!("certificate {arn} is {status}"),
            "have it issued first, or leave it out of cluster.yaml for one of the cluster's own",
        ),
        None => Preflight::problem(
            Topic::Missing,
            format!("there is no certificate {arn} in this region"),
            "name another one in cluster.yaml, or none for one of the cluster's own",
        ),
    }
}

async fn networks(clients: &Clients, wanted: &BTreeSet<Ipv4Net>, cluster: &str) -> Preflight {
    if wanted.is_empty() {
        return Preflight::default();
    }
    let page = |token| clients.ec2.describe_vpcs().set_next_token(token).send();
    match clients.pages("ec2:DescribeVpcs", page, |answer| (answer.vpcs, answer.next_token)).await {
        Ok(there) => judge_networks(wanted, &there, cluster),
        Err(failure) => Preflight::untold("whether other networks overlap", &failure),
    }
}

fn judge_networks(wanted: &BTreeSet<Ipv4Net>, there: &[Vpc], cluster: &str) -> Preflight {
    let mut found = Preflight::default();
    for vpc in there {
        let tags = tags_of(vpc.tags());
        if tags.get(CLUSTER_TAG).map(String::as_str) == Some(cluster) {
            continue;
        }
        let (id, name) = (vpc.vpc_id().unwrap_or_default(), tags.get("Name").map_or("nameless", String::as_str));
        for theirs in addresses(vpc) {
            for ours in wanted.iter().filter(|ours| ours.contains(&theirs) || theirs.contains(*ours)) {
                found.warnings.push(format!(
                    "{ours} overlaps {theirs} of {id} ({name}): the two networks can never be joined by peering"
                ));
            }
        }
    }
    found
}

/// All IPv4 addresses of a network, the first and those added later.
fn addresses(vpc: &Vpc) -> BTreeSet<Ipv4Net> {
    let more = vpc.cidr_block_association_set().iter().filter_map(|association| association.cidr_block());
    vpc.cidr_block().into_iter().chain(more).filter_map(|cidr| cidr.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{AvailabilityZoneState, ImageState, Tag, VpcCidrBlockAssociation};

    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn problems(found: &Preflight) -> Vec<&str> {
        found.problems.iter().map(|problem| problem.what.as_str()).collect()
    }

    #[test]
    fn zones_are_told_with_their_ids_or_refused() {
        let zone =
            |name: &str, id: &str, state| AvailabilityZone::builder().zone_name(name).zone_id(id).state(state).build();
        let there = [
            zone("us-east-1a", "use1-az6", AvailabilityZoneState::Available),
            zone("us-east-1b", "use1-az1", AvailabilityZoneState::Impaired),
        ];
        let found = judge_zones(&set(&["us-east-1a", "us-east-1b", "us-east-1x"]), &there);
        assert_eq!(found.facts, ["us-east-1a is use1-az6"]);
        assert_eq!(
            problems(&found),
            ["zone us-east-1b is impaired", "zone us-east-1x is not one of this account's zones"]
        );
        assert_eq!(found.problems[1].fix, "take from us-east-1a, us-east-1b in cluster.yaml");
    }

    #[test]
    fn types_must_be_offered_in_every_zone() {
        for (wanted, there, problem) in [
            (&["a", "b"][..], &["a", "b", "c"][..], None),
            (&["a", "b"], &["a"], Some("instance type t9.huge is not offered in b")),
            (&["a"], &[], Some("instance type t9.huge is not offered in this region")),
        ] {
            let found = judge_offers("t9.huge", &set(wanted), &set(there));
            assert_eq!(problems(&found).first().copied(), problem);
        }
    }

    #[test]
    fn images_and_certificates_must_be_there_and_usable() {
        let image = |state| Image::builder().image_id("ami-1").name("debian").state(state).build();
        assert_eq!(
            judge_image("/aws/x", Some(&image(ImageState::Available))).facts,
            ["image /aws/x is ami-1 (debian)"]
        );
        assert_eq!(problems(&judge_image("ami-1", Some(&image(ImageState::Pending)))), ["image ami-1 is pending"]);
        assert_eq!(problems(&judge_image("ami-2", None)), ["there is no image ami-2 in this region"]);
        for (status, problem) in [
            (Some(Some(CertificateStatus::Issued)), None),
            (Some(None), None),
            (Some(Some(CertificateStatus::Expired)), Some("certificate arn:x is EXPIRED")),
            (None, Some("there is no certificate arn:x in this region")),
        ] {
            let found = judge_certificate("arn:x", status.as_ref().map(Option::as_ref));
            assert_eq!(problems(&found).first().copied(), problem);
        }
    }

    #[test]
    fn overlaps_with_other_networks_are_warned_of() {
        let vpc = |id: &str, cidr: &str| Vpc::builder().vpc_id(id).cidr_block(cidr);
        let ours = Tag::builder().key(CLUSTER_TAG).value("kvstore-dev").build();
        let second = VpcCidrBlockAssociation::builder().cidr_block("10.0.128.0/20").build();
        let there = [
            vpc("vpc-ours", "10.0.0.0/16").tags(ours).build(),
            vpc("vpc-far", "172.31.0.0/16").build(),
            vpc("vpc-around", "10.0.0.0/8").build(),
            vpc("vpc-second", "192.168.0.0/16").cidr_block_association_set(second).build(),
        ];
        let found = judge_networks(&BTreeSet::from(["10.0.0.0/16".parse().unwrap()]), &there, "kvstore-dev");
        assert_eq!(
            found.warnings,
            [
                "10.0.0.0/16 overlaps 10.0.0.0/8 of vpc-around (nameless): the two networks can never be joined by peering",
                "10.0.0.0/16 overlaps 10.0.128.0/20 of vpc-second (nameless): the two networks can never be joined by peering",
            ]
        );
        assert_eq!(found.problems, []);
    }
}
