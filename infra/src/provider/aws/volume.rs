//! Disks, recognised by their tags, and with them their attachments: one list tells both.
//!
//! Only disks with a role are told: an instance's own root disk carries the cluster's tags but no role, and comes and
//! goes with its instance. A disk is never replaced and can only grow.

use aws_sdk_ec2::types::{self, Filter, ResourceType, VolumeState, VolumeType};

use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, of_cluster, tag_specification};
use super::pages::none_if_gone;
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use super::volume_attachment;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{ROLE_TAG, Resource, Spec, Volume};

pub(super) const DESCRIBE: &str = "ec2:DescribeVolumes";

async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::Volume>, Failure> {
    let page = |token| clients.ec2.describe_volumes().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.volumes, answer.next_token)).await
}

/// A disk by its id; none if it is gone.
pub(super) async fn by_id(clients: &Clients, id: &str) -> Result<Option<types::Volume>, Failure> {
    let call = || clients.ec2.describe_volumes().volume_ids(id).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.volumes.unwrap_or_default());
    Ok(none_if_gone(answer)?.into_iter().next())
}

/// The disks with a role, and their attachments.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for volume in list(clients, &[of_cluster(scope.cluster)]).await? {
        let readable = translate(&volume).ok_or_else(|| incomplete(DESCRIBE, "readable volume", Class::Transient))?;
        if readable.condition != Condition::Gone && readable.tags.contains_key(ROLE_TAG) {
            all.push(readable);
            all.extend(volume_attachment::of_volume(&volume));
        }
    }
    Ok(all)
}

fn translate(volume: &types::Volume) -> Option<Found> {
    let spec = Volume {
        zone: volume.availability_zone().unwrap_or("none").to_owned(),
        gib: volume.size().and_then(|size| u32::try_from(size).ok())?,
        volume_type: volume.volume_type().map_or("none", VolumeType::as_str).to_owned(),
        encrypted: volume.encrypted().unwrap_or(false),
    };
    Some(found(volume.volume_id()?, volume.tags(), Spec::Volume(spec), standing(volume)))
}

fn standing(volume: &types::Volume) -> Condition {
    match volume.state().map_or("unknown", VolumeState::as_str) {
        "available" | "in-use" => Condition::Ready,
        "deleting" => Condition::Deleting { state: "deleting".to_owned() },
        "deleted" => Condition::Gone,
        "error" => Condition::Failed { reason: "the volume could not be made".to_owned() },
        state => Condition::Pending { state: state.to_owned() },
    }
}

fn size(spec: &Volume) -> i32 {
    i32::try_from(spec.gib).unwrap_or(i32::MAX)
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Volume,
    _ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    let action = "ec2:CreateVolume";
    let call = clients
        .ec2
        .create_volume()
        .availability_zone(&spec.zone)
        .size(size(spec))
        .volume_type(VolumeType::from(spec.volume_type.as_str()))
        .encrypted(spec.encrypted)
        .client_token(token)
        .tag_specifications(tag_specification(ResourceType::Volume, resource));
    let answer = clients.call(action, Effect::Create, call.send()).await?;
    answer.volume_id.ok_or_else(|| incomplete(action, "volume id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &Volume,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let volumes = list(clients, &of_resource(resource)).await?;
    let lives = |volume: &types::Volume| !matches!(standing(volume), Condition::Gone | Condition::Deleting { .. });
    Ok(volumes.into_iter().filter(lives).filter_map(|volume| volume.volume_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Volume,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    if any_differs(changes, &["size in GiB", "type"]) {
        let kind = VolumeType::from(spec.volume_type.as_str());
        let call = clients.ec2.modify_volume().volume_id(id).size(size(spec)).volume_type(kind).send();
        clients.call("ec2:ModifyVolume", Effect::Idempotent, call).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(by_id(clients, id).await?.map_or(Condition::Gone, |volume| standing(&volume)))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_volume().volume_id(id).send();
    clients.call("ec2:DeleteVolume", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(state: &str) -> types::Volume {
        types::Volume::builder()
            .volume_id("vol-1")
            .availability_zone("us-east-1a")
            .size(100)
            .volume_type(VolumeType::Gp3)
            .encrypted(true)
            .state(state.into())
            .build()
    }

    #[test]
    fn states_have_conditions() {
        for (state, expected) in [
            ("creating", Condition::Pending { state: "creating".to_owned() }),
            ("available", Condition::Ready),
            ("in-use", Condition::Ready),
            ("deleting", Condition::Deleting { state: "deleting".to_owned() }),
            ("deleted", Condition::Gone),
            ("error", Condition::Failed { reason: "the volume could not be made".to_owned() }),
            ("something-new", Condition::Pending { state: "something-new".to_owned() }),
        ] {
            assert_eq!(standing(&volume(state)), expected, "{state}");
        }
    }

    #[test]
    fn a_disk_is_told() {
        let Spec::Volume(spec) = translate(&volume("available")).unwrap().spec else { panic!("another kind") };
        let expected =
            Volume { zone: "us-east-1a".to_owned(), gib: 100, volume_type: "gp3".to_owned(), encrypted: true };
        assert_eq!(spec, expected);
        let odd = types::Volume::builder().volume_id("vol-1").size(-1).build();
        assert_eq!(translate(&odd), None, "a size below zero");
    }
}
