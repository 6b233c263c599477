//! The one call that makes a machine, and what it needs to know before: the image and its root disk.
//!
//! The root disk is encrypted whatever the image says, since secrets are written to it. It and the network interface
//! carry all tags but the role: they belong to the machine and come and go with it.

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, Image,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceType,
    ResourceType, TagSpecification, VolumeType,
};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{ec2_tags, incomplete, resolve};
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Instance, ROLE_TAG, Resource};

const RUN: &str = "ec2:RunInstances";
/// The tag that keeps the digest of what a machine did at its first start.
pub(super) const USER_DATA_TAG: &str = "kvstore:user-data";
/// Session tokens of the metadata service go no further than the machine itself, not into containers on it.
const METADATA_HOPS: i32 = 1;

/// The image's id: as it stands, or looked up in the public parameter that names it.
async fn image_id(clients: &Clients, image: &str) -> Result<String, Failure> {
    if !image.starts_with('/') {
        return Ok(image.to_owned());
    }
    let action = "ssm:GetParameter";
    let answer = clients.read(action, || clients.ssm.get_parameter().name(image).send()).await?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    value.ok_or_else(|| incomplete(action, "value", Class::Invalid))
}

/// The image's root disk, to be encrypted; none if nothing is said of it.
async fn root_disk(clients: &Clients, image: &str) -> Result<Option<BlockDeviceMapping>, Failure> {
    let call = || clients.ec2.describe_images().image_ids(image).send();
    let answer = clients.read("ec2:DescribeImages", call).await?;
    Ok(answer.images().first().and_then(encrypted_root))
}

fn encrypted_root(image: &Image) -> Option<BlockDeviceMapping> {
    let name = image.root_device_name()?;
    let own = image.block_device_mappings().iter().find(|one| one.device_name() == Some(name));
    let disk = EbsBlockDevice::builder()
        .encrypted(true)
        .delete_on_termination(true)
        .volume_type(VolumeType::Gp3)
        .set_volume_size(own.and_then(BlockDeviceMapping::ebs).and_then(EbsBlockDevice::volume_size))
        .build();
    Some(BlockDeviceMapping::builder().device_name(name).ebs(disk).build())
}

/// Only the machine itself gets a role: by it its own disk would be taken for its data disk.
fn tags(resource: &Resource, spec: &Instance) -> Vec<TagSpecification> {
    let (mut machine, mut part) = (resource.tags.clone(), resource.tags.clone());
    machine.insert(USER_DATA_TAG.to_owned(), spec.user_data_digest.clone());
    part.remove(ROLE_TAG);
    let of = |resource_type, tags| {
        TagSpecification::builder().resource_type(resource_type).set_tags(Some(ec2_tags(tags))).build()
    };
    vec![
        of(ResourceType::Instance, &machine),
        of(ResourceType::NetworkInterface, &part),
        of(ResourceType::Volume, &part),
    ]
}

fn interface(spec: &Instance, ids: &Ids) -> Result<InstanceNetworkInterfaceSpecification, Failure> {
    let groups: Result<Vec<String>, Failure> =
        spec.groups.iter().map(|group| resolve(RUN, group, ids).map(str::to_owned)).collect();
    Ok(InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .subnet_id(resolve(RUN, &spec.subnet, ids)?)
        .private_ip_address(spec.address.to_string())
        .set_groups(Some(groups?))
        .associate_public_ip_address(spec.public_address)
        .delete_on_termination(true)
        .build())
}

/// Makes the machine.
///
/// # Errors
/// What went wrong; with the same token a second call makes no second machine.
pub(super) async fn launch(
    clients: &Clients,
    resource: &Resource,
    spec: &Instance,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    let interface = interface(spec, ids)?;
    let profile = spec.profile.as_ref().map(|profile| resolve(RUN, profile, ids)).transpose()?;
    let profile = profile.map(|name| IamInstanceProfileSpecification::builder().name(name).build());
    let image = image_id(clients, &spec.image).await?;
    let root = root_disk(clients, &image).await?;
    let metadata = InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .http_tokens(http_tokens(spec.metadata_tokens_required))
        .http_put_response_hop_limit(METADATA_HOPS)
        .build();
    let call = clients
        .ec2
        .run_instances()
        .min_count(1)
        .max_count(1)
        .client_token(token)
        .image_id(image)
        .instance_type(InstanceType::from(spec.instance_type.as_str()))
        .network_interfaces(interface)
        .set_iam_instance_profile(profile)
        .metadata_options(metadata)
        .set_block_device_mappings(root.map(|root| vec![root]))
        .set_tag_specifications(Some(tags(resource, spec)))
        .set_user_data((!spec.user_data.is_empty()).then(|| aws_smithy_types::base64::encode(&spec.user_data)));
    let answer = clients.call(RUN, Effect::Create, call.send()).await.map_err(profile_not_known_yet)?;
    let id = answer.instances().first().and_then(|instance| instance.instance_id());
    id.map(str::to_owned).ok_or_else(|| incomplete(RUN, "instance id", Class::Unknown))
}

pub(super) fn http_tokens(required: bool) -> HttpTokensState {
    if required { HttpTokensState::Required } else { HttpTokensState::Optional }
}

/// The profile is one that was just made: nothing else in this call is known to IAM.
fn profile_not_known_yet(failure: Failure) -> Failure {
    match failure.code.as_str() {
        "NoSuchEntity" => Failure { class: Class::NotYet, ..failure },
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Tag;

    use super::*;
    use crate::resource::{Key, Kind, Reference, Spec};

    fn instance() -> Instance {
        Instance {
            subnet: Reference::Key(Key::new(Kind::Subnet, "private-us-east-1a")),
            address: [10, 0, 0, 11].into(),
            instance_type: "m6i.large".to_owned(),
            image: "ami-1".to_owned(),
            groups: [Reference::Id("sg-1".to_owned())].into(),
            profile: None,
            user_data: "#!/bin/bash".to_owned(),
            user_data_digest: "0123456789abcdef".to_owned(),
            metadata_tokens_required: true,
            public_address: false,
            running: true,
        }
    }

    #[test]
    fn only_the_machine_has_a_role() {
        let spec = instance();
        let resource = Resource {
            key: Key::new(Kind::Instance, "a1"),
            name: "kvstore-dev-node-a1".to_owned(),
            tags: [(ROLE_TAG.to_owned(), "a1".to_owned()), ("Name".to_owned(), "kvstore-dev-node-a1".to_owned())]
                .into(),
            spec: Spec::Instance(spec.clone()),
            needs: Vec::new(),
        };
        let told: Vec<String> = tags(&resource, &spec)
            .iter()
            .map(|one| {
                let tags: Vec<&str> = one.tags().iter().filter_map(Tag::key).collect();
                format!("{}: {}", one.resource_type().unwrap().as_str(), tags.join(" "))
            })
            .collect();
        assert_eq!(told, ["instance: Name kvstore:role kvstore:user-data", "network-interface: Name", "volume: Name"]);
    }

    #[test]
    fn the_root_disk_is_encrypted_and_keeps_its_size() {
        let own = |name: &str, size: i32| {
            let disk = EbsBlockDevice::builder().volume_size(size).encrypted(false).snapshot_id("snap-1").build();
            BlockDeviceMapping::builder().device_name(name).ebs(disk).build()
        };
        let image = Image::builder()
            .root_device_name("/dev/xvda")
            .block_device_mappings(own("/dev/sdb", 50))
            .block_device_mappings(own("/dev/xvda", 8))
            .build();
        let root = encrypted_root(&image).unwrap();
        let disk = root.ebs().unwrap();
        assert_eq!(
            (root.device_name(), disk.volume_size(), disk.encrypted()),
            (Some("/dev/xvda"), Some(8), Some(true))
        );
        assert_eq!(disk.snapshot_id(), None, "the image's own is taken");
        assert_eq!(encrypted_root(&Image::builder().build()), None);
    }

    #[test]
    fn the_address_is_fixed_and_private() {
        let ids = [(Key::new(Kind::Subnet, "private-us-east-1a"), "subnet-1".to_owned())].into();
        let made = interface(&instance(), &ids).unwrap();
        assert_eq!(made.private_ip_address(), Some("10.0.0.11"));
        assert_eq!((made.subnet_id(), made.groups()), (Some("subnet-1"), &["sg-1".to_owned()][..]));
        assert_eq!(made.associate_public_ip_address(), Some(false));
        let unknown = interface(&instance(), &Ids::new()).unwrap_err();
        assert_eq!(unknown.message, "subnet/private-us-east-1a does not exist yet");
    }
}
