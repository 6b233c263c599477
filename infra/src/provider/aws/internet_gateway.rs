//! Internet gateways, and what network they are attached to.
//!
//! A gateway is attached by a call of its own and can be deleted only while it is not, so that deleting one may be
//! refused twice: while addresses of the network are still mapped to it, and while it is attached.

use aws_sdk_ec2::types::{self, AttachmentStatus, Filter, InternetGatewayAttachment, ResourceType};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, of_cluster, resolve, tag_specification};
use super::pages::{none_if_gone, translate};
use super::scope::Scope;
use super::tagged::{differs, found, mend_tags, of_resource};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{InternetGateway, Reference, Resource, Spec};

const DESCRIBE: &str = "ec2:DescribeInternetGateways";
const ATTACH: &str = "ec2:AttachInternetGateway";
const DETACH: &str = "ec2:DetachInternetGateway";

pub(super) async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::InternetGateway>, Failure> {
    let page = |token| {
        clients.ec2.describe_internet_gateways().set_filters(Some(filters.to_vec())).set_next_token(token).send()
    };
    clients.pages(DESCRIBE, page, |answer| (answer.internet_gateways, answer.next_token)).await
}

async fn by_id(clients: &Clients, id: &str) -> Result<Option<types::InternetGateway>, Failure> {
    let page = |token| clients.ec2.describe_internet_gateways().internet_gateway_ids(id).set_next_token(token).send();
    let all = clients.pages(DESCRIBE, page, |answer| (answer.internet_gateways, answer.next_token)).await;
    Ok(none_if_gone(all)?.pop())
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    translate(DESCRIBE, &list(clients, &[of_cluster(scope.cluster)]).await?, seen)
}

fn seen(gateway: &types::InternetGateway) -> Option<Found> {
    let vpc = attached_to(gateway).map(|vpc| Reference::Id(vpc.to_owned()));
    let spec = Spec::InternetGateway(InternetGateway { vpc });
    Some(found(gateway.internet_gateway_id()?, gateway.tags(), spec, standing(gateway)))
}

fn attachments(gateway: &types::InternetGateway) -> impl Iterator<Item = &InternetGatewayAttachment> {
    gateway.attachments().iter().filter(|attachment| attachment.state() != Some(&AttachmentStatus::Detached))
}

fn attached_to(gateway: &types::InternetGateway) -> Option<&str> {
    attachments(gateway).find_map(InternetGatewayAttachment::vpc_id)
}

fn standing(gateway: &types::InternetGateway) -> Condition {
    let moving = attachments(gateway).filter_map(InternetGatewayAttachment::state).find_map(|state| match state {
        AttachmentStatus::Attaching | AttachmentStatus::Detaching => Some(state.as_str().to_owned()),
        // The documentation says `attached`, the service says `available`.
        _ => None,
    });
    moving.map_or(Condition::Ready, |state| Condition::Pending { state })
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    _spec: &InternetGateway,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "ec2:CreateInternetGateway";
    let tags = tag_specification(ResourceType::InternetGateway, resource);
    let call = clients.ec2.create_internet_gateway().tag_specifications(tags).send();
    let answer = clients.call(action, Effect::Create, call).await?;
    let id = answer.internet_gateway.and_then(|gateway| gateway.internet_gateway_id);
    id.ok_or_else(|| incomplete(action, "internet gateway id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &InternetGateway,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let gateways = list(clients, &of_resource(resource)).await?;
    Ok(gateways.into_iter().filter_map(|gateway| gateway.internet_gateway_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &InternetGateway,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    let wanted = spec.vpc.as_ref().map(|vpc| resolve(ATTACH, vpc, ids)).transpose()?;
    if differs(changes, "attached to") {
        let now = by_id(clients, id).await?;
        let now = now.as_ref().and_then(attached_to);
        if let Some(other) = now.filter(|now| wanted != Some(*now)) {
            detach(clients, id, other).await?;
        }
        if let Some(vpc) = wanted.filter(|wanted| now != Some(*wanted)) {
            attach(clients, id, vpc).await?;
        }
    } else if let (None, Some(vpc)) = (changes, wanted) {
        attach(clients, id, vpc).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

async fn attach(clients: &Clients, id: &str, vpc: &str) -> Result<(), Failure> {
    let call = clients.ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(vpc).send();
    match clients.call(ATTACH, Effect::Idempotent, call).await {
        // The reply to an earlier attempt may have been lost: then it is attached as it should be.
        Err(failure) if failure.code == "Resource.AlreadyAssociated" => {
            let now = by_id(clients, id).await?;
            if now.as_ref().and_then(attached_to) == Some(vpc) { Ok(()) } else { Err(failure) }
        }
        other => other.map(drop),
    }
}

async fn detach(clients: &Clients, id: &str, vpc: &str) -> Result<(), Failure> {
    let call = clients.ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc).send();
    match clients.call(DETACH, Effect::Idempotent, call).await {
        Err(failure) if failure.code == "Gateway.NotAttached" => Ok(()),
        other => other.map(drop),
    }
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(by_id(clients, id).await?.as_ref().map_or(Condition::Gone, standing))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    if let Some(vpc) = by_id(clients, id).await?.as_ref().and_then(attached_to) {
        detach(clients, id, vpc).await?;
    }
    let call = clients.ec2.delete_internet_gateway().internet_gateway_id(id).send();
    clients.call("ec2:DeleteInternetGateway", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_told_as_they_are_attached() {
        let pending = |state: &str| Condition::Pending { state: state.to_owned() };
        for (state, vpc, condition) in [
            (None, None, Condition::Ready),
            (Some("available"), Some("vpc-1"), Condition::Ready),
            (Some("attached"), Some("vpc-1"), Condition::Ready),
            (Some("attaching"), Some("vpc-1"), pending("attaching")),
            (Some("detaching"), Some("vpc-1"), pending("detaching")),
            (Some("detached"), None, Condition::Ready),
            (Some("never heard of"), Some("vpc-1"), Condition::Ready),
        ] {
            let attachment = state.map(|state| {
                InternetGatewayAttachment::builder().vpc_id("vpc-1").state(AttachmentStatus::from(state)).build()
            });
            let gateway = types::InternetGateway::builder()
                .internet_gateway_id("igw-1")
                .set_attachments(Some(attachment.into_iter().collect()))
                .build();
            let found = seen(&gateway).unwrap();
            let vpc = vpc.map(|vpc: &str| Reference::Id(vpc.to_owned()));
            assert_eq!(found.spec, Spec::InternetGateway(InternetGateway { vpc }), "{state:?}");
            assert_eq!(found.condition, condition, "{state:?}");
        }
    }
}
