//! Disks in machines, recognised by the disk: it is in one machine at most.
//!
//! A disk that is in the wrong machine is taken out, and put into the right one by a later attempt: waiting in
//! between is not done here. It is observed together with its disk.

use aws_sdk_ec2::types::{self, VolumeAttachmentState};

use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::resolve;
use super::tagged::untagged;
use super::volume::{DESCRIBE, by_id};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, Spec, VolumeAttachment};

const ATTACH: &str = "ec2:AttachVolume";
const DETACH: &str = "ec2:DetachVolume";

fn id_of(volume: &str, instance: &str) -> String {
    format!("{volume}/{instance}")
}

fn parts<'a>(action: &str, id: &'a str) -> Result<(&'a str, &'a str), Failure> {
    id.split_once('/')
        .ok_or_else(|| failure(action, "unreadable id", format!("{id} is not VOLUME/INSTANCE"), Class::Invalid))
}

fn failure(action: &str, code: &str, message: String, class: Class) -> Failure {
    Failure { action: action.to_owned(), code: code.to_owned(), message, class }
}

/// The attachments of a disk.
pub(super) fn of_volume(volume: &types::Volume) -> Vec<Found> {
    volume.attachments().iter().filter_map(|one| translate(volume.volume_id()?, one)).collect()
}

fn translate(volume: &str, one: &types::VolumeAttachment) -> Option<Found> {
    let instance = one.instance_id()?;
    let spec = VolumeAttachment {
        volume: Reference::Id(volume.to_owned()),
        instance: Reference::Id(instance.to_owned()),
        device: one.device().unwrap_or("none").to_owned(),
    };
    match standing(one) {
        Condition::Gone => None,
        condition => Some(untagged(id_of(volume, instance), Spec::VolumeAttachment(spec), condition)),
    }
}

fn standing(one: &types::VolumeAttachment) -> Condition {
    match one.state().map_or("unknown", VolumeAttachmentState::as_str) {
        "attached" => Condition::Ready,
        "detached" => Condition::Gone,
        // Busy: it is to be taken out, but the machine still uses it.
        state @ ("detaching" | "busy") => Condition::Deleting { state: state.to_owned() },
        state => Condition::Pending { state: state.to_owned() },
    }
}

/// The attachment of a disk as it is now; none if it is in no machine, or there is no such disk.
async fn current(clients: &Clients, volume: &str) -> Result<Option<types::VolumeAttachment>, Failure> {
    let attachments = by_id(clients, volume).await?.and_then(|volume| volume.attachments).unwrap_or_default();
    Ok(attachments.into_iter().find(|one| standing(one) != Condition::Gone))
}

async fn attach(clients: &Clients, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
    let call = clients.ec2.attach_volume().volume_id(volume).instance_id(instance).device(device).send();
    clients.call(ATTACH, Effect::Create, call).await.map(drop)
}

pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &VolumeAttachment,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let (volume, instance) = (resolve(ATTACH, &spec.volume, ids)?, resolve(ATTACH, &spec.instance, ids)?);
    match attach(clients, volume, instance, &spec.device).await {
        // An earlier attempt may have done it, without anybody having been told.
        Err(failure) if failure.class == Class::InUse => match current(clients, volume).await? {
            Some(there) if there.instance_id() == Some(instance) => Ok(id_of(volume, instance)),
            _ => Err(failure),
        },
        other => other.map(|()| id_of(volume, instance)),
    }
}

pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &VolumeAttachment,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let (volume, instance) = (resolve(ATTACH, &spec.volume, ids)?, resolve(ATTACH, &spec.instance, ids)?);
    let there = current(clients, volume).await?.is_some_and(|there| there.instance_id() == Some(instance));
    Ok(there.then(|| id_of(volume, instance)).into_iter().collect())
}

/// Moves the disk into the right machine. While it is on its way out of the wrong one this fails with
/// [`Class::InUse`]: to be tried again.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    _resource: &Resource,
    spec: &VolumeAttachment,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if !any_differs(changes, &["instance"]) {
        return Ok(());
    }
    let (volume, _) = parts(ATTACH, id)?;
    let instance = resolve(ATTACH, &spec.instance, ids)?;
    let Some(there) = current(clients, volume).await? else {
        return attach(clients, volume, instance, &spec.device).await;
    };
    let holder = there.instance_id().unwrap_or("another machine");
    if holder == instance {
        return Ok(());
    }
    if !matches!(standing(&there), Condition::Deleting { .. }) {
        let call = clients.ec2.detach_volume().volume_id(volume).instance_id(holder).send();
        clients.call(DETACH, Effect::Idempotent, call).await?;
    }
    let message = format!("{volume} is on its way out of {holder}");
    Err(failure(ATTACH, "still attached", message, Class::InUse))
}

/// Where the disk's attachment stands, whichever machine it is to: an attachment that was moved keeps its old id in
/// the plan that moved it.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let (volume, _) = parts(DESCRIBE, id)?;
    Ok(current(clients, volume).await?.map_or(Condition::Gone, |there| standing(&there)))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let (volume, instance) = parts(DETACH, id)?;
    let there = current(clients, volume).await?;
    match there.filter(|there| there.instance_id() == Some(instance)) {
        None => Err(failure(DETACH, "not attached", format!("{volume} is not in {instance}"), Class::Gone)),
        Some(there) if matches!(standing(&there), Condition::Deleting { .. }) => Ok(()),
        Some(_) => {
            let call = clients.ec2.detach_volume().volume_id(volume).instance_id(instance).send();
            clients.call(DETACH, Effect::Idempotent, call).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(state: &str) -> types::VolumeAttachment {
        types::VolumeAttachment::builder().instance_id("i-1").device("/dev/sdf").state(state.into()).build()
    }

    #[test]
    fn states_have_conditions() {
        let deleting = |state: &str| Condition::Deleting { state: state.to_owned() };
        for (state, expected) in [
            ("attaching", Condition::Pending { state: "attaching".to_owned() }),
            ("attached", Condition::Ready),
            ("detaching", deleting("detaching")),
            ("busy", deleting("busy")),
            ("detached", Condition::Gone),
            ("something-new", Condition::Pending { state: "something-new".to_owned() }),
        ] {
            assert_eq!(standing(&attachment(state)), expected, "{state}");
        }
    }

    #[test]
    fn only_attachments_that_last_are_told() {
        let volume = types::Volume::builder()
            .volume_id("vol-1")
            .attachments(attachment("detached"))
            .attachments(attachment("attached"))
            .attachments(types::VolumeAttachment::builder().state("attached".into()).build())
            .build();
        let spec = VolumeAttachment {
            volume: Reference::Id("vol-1".to_owned()),
            instance: Reference::Id("i-1".to_owned()),
            device: "/dev/sdf".to_owned(),
        };
        let expected = untagged("vol-1/i-1".to_owned(), Spec::VolumeAttachment(spec), Condition::Ready);
        assert_eq!(of_volume(&volume), [expected]);
    }

    #[test]
    fn ids_are_taken_apart() {
        assert_eq!(parts(DETACH, "vol-1/i-1"), Ok(("vol-1", "i-1")));
        assert_eq!(parts(DETACH, "vol-1").unwrap_err().class, Class::Invalid);
    }
}
