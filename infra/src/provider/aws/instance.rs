//! Machines, recognised by their tags.
//!
//! Image, user data and disks matter when a machine is made (`instance_launch`) and never again. Groups, the metadata
//! service, the identity and whether it runs can be changed in place. Stopping is not: nobody wants it from here.

use aws_sdk_ec2::types::{
    self, Filter, HttpTokensState, IamInstanceProfileSpecification, InstanceStateName, InstanceType,
};

use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::{filter, incomplete, of_cluster, resolve};
use super::instance_launch::{USER_DATA_TAG, http_tokens, launch};
use super::pages::none_if_gone;
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Instance, Reference, Resource, Spec};

const DESCRIBE: &str = "ec2:DescribeInstances";

async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::Instance>, Failure> {
    let page =
        |token| clients.ec2.describe_instances().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    let all = clients.pages(DESCRIBE, page, |answer| (answer.reservations, answer.next_token)).await?;
    Ok(all.into_iter().filter_map(|reservation| reservation.instances).flatten().collect())
}

async fn by_id(clients: &Clients, id: &str) -> Result<Option<types::Instance>, Failure> {
    let call = || clients.ec2.describe_instances().instance_ids(id).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.reservations.unwrap_or_default());
    let mut all = none_if_gone(answer)?.into_iter().filter_map(|reservation| reservation.instances).flatten();
    Ok(all.next())
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for instance in list(clients, &[of_cluster(scope.cluster)]).await? {
        // One that is gone is listed for another hour, without most of what it was.
        if word(&instance) == "terminated" {
            continue;
        }
        let readable = translate(&instance);
        all.push(readable.ok_or_else(|| incomplete(DESCRIBE, "readable instance", Class::Transient))?);
    }
    Ok(all)
}

fn word(instance: &types::Instance) -> &str {
    let name = instance.state().and_then(types::InstanceState::name);
    name.map_or("unknown", InstanceStateName::as_str)
}

fn translate(instance: &types::Instance) -> Option<Found> {
    let digest = instance.tags().iter().find(|tag| tag.key() == Some(USER_DATA_TAG)).and_then(|tag| tag.value());
    let tokens = instance.metadata_options().and_then(|options| options.http_tokens());
    let spec = Instance {
        // One that is going has lost its place already.
        subnet: Reference::Id(instance.subnet_id().unwrap_or("none").to_owned()),
        address: instance.private_ip_address().map_or(Some([0, 0, 0, 0].into()), |text| text.parse().ok())?,
        instance_type: instance.instance_type().map_or("none", InstanceType::as_str).to_owned(),
        image: instance.image_id().unwrap_or_default().to_owned(),
        groups: groups(instance).iter().filter_map(|group| Some(Reference::Id(group.group_id()?.to_owned()))).collect(),
        profile: profile_name(instance).map(|name| Reference::Id(name.to_owned())),
        user_data: String::new(),
        user_data_digest: digest.unwrap_or_default().to_owned(),
        metadata_tokens_required: tokens == Some(&HttpTokensState::Required),
        public_address: instance.public_ip_address().is_some_and(|address| !address.is_empty()),
        running: matches!(word(instance), "pending" | "running"),
    };
    let condition = match standing(instance) {
        // It stands, and its being stopped is a difference that can be mended.
        Condition::Pending { .. } if word(instance) == "stopped" => Condition::Ready,
        other => other,
    };
    Some(found(instance.instance_id()?, instance.tags(), Spec::Instance(spec), condition))
}

/// Its own groups, or those of its first network interface, where they were given at creation.
fn groups(instance: &types::Instance) -> &[types::GroupIdentifier] {
    match (instance.security_groups(), instance.network_interfaces()) {
        ([], [first, ..]) => first.groups(),
        (own, _) => own,
    }
}

/// `kvstore-dev-nodes` of `arn:aws:iam::123456789012:instance-profile/kvstore-dev-nodes`.
fn profile_name(instance: &types::Instance) -> Option<&str> {
    instance.iam_instance_profile()?.arn()?.rsplit('/').next()
}

fn standing(instance: &types::Instance) -> Condition {
    let reason = instance.state_reason().and_then(types::StateReason::message);
    match word(instance) {
        "running" => Condition::Ready,
        "shutting-down" => Condition::Deleting { state: "shutting-down".to_owned() },
        "terminated" => Condition::Gone,
        word => {
            Condition::Pending { state: reason.map_or_else(|| word.to_owned(), |reason| format!("{word}: {reason}")) }
        }
    }
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Instance,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    launch(clients, resource, spec, ids, token).await
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &Instance,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let instances = list(clients, &of_resource(resource)).await?;
    let lives = |instance: &types::Instance| !matches!(word(instance), "shutting-down" | "terminated");
    Ok(instances.into_iter().filter(lives).filter_map(|instance| instance.instance_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Instance,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if any_differs(changes, &["groups"]) {
        put_groups(clients, id, spec, ids).await?;
    }
    if any_differs(changes, &["metadata tokens required"]) {
        let tokens = http_tokens(spec.metadata_tokens_required);
        let call = clients.ec2.modify_instance_metadata_options().instance_id(id).http_tokens(tokens).send();
        clients.call("ec2:ModifyInstanceMetadataOptions", Effect::Idempotent, call).await?;
    }
    if any_differs(changes, &["profile"]) {
        put_profile(clients, id, spec, ids).await?;
    }
    if spec.running && any_differs(changes, &["running"]) {
        let call = clients.ec2.start_instances().instance_ids(id).send();
        clients.call("ec2:StartInstances", Effect::Idempotent, call).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

async fn put_groups(clients: &Clients, id: &str, spec: &Instance, ids: &Ids) -> Result<(), Failure> {
    let action = "ec2:ModifyInstanceAttribute";
    let groups: Result<Vec<String>, Failure> =
        spec.groups.iter().map(|group| resolve(action, group, ids).map(str::to_owned)).collect();
    let call = clients.ec2.modify_instance_attribute().instance_id(id).set_groups(Some(groups?)).send();
    clients.call(action, Effect::Idempotent, call).await.map(drop)
}

/// Gives the machine its identity, in place of another one or of none.
async fn put_profile(clients: &Clients, id: &str, spec: &Instance, ids: &Ids) -> Result<(), Failure> {
    let list = "ec2:DescribeIamInstanceProfileAssociations";
    let page = |token| {
        let call = clients.ec2.describe_iam_instance_profile_associations().filters(filter("instance-id", id));
        call.set_next_token(token).send()
    };
    let associations =
        clients.pages(list, page, |answer| (answer.iam_instance_profile_associations, answer.next_token)).await?;
    let current = associations.into_iter().find(lasts).and_then(|association| association.association_id);
    match (current, &spec.profile) {
        (Some(association), Some(profile)) => {
            let action = "ec2:ReplaceIamInstanceProfileAssociation";
            let profile = profile_called(resolve(action, profile, ids)?);
            let call = clients.ec2.replace_iam_instance_profile_association().association_id(association);
            clients.call(action, Effect::Idempotent, call.iam_instance_profile(profile).send()).await.map(drop)
        }
        (None, Some(profile)) => {
            let action = "ec2:AssociateIamInstanceProfile";
            let profile = profile_called(resolve(action, profile, ids)?);
            let call = clients.ec2.associate_iam_instance_profile().instance_id(id).iam_instance_profile(profile);
            clients.call(action, Effect::Idempotent, call.send()).await.map(drop)
        }
        (Some(association), None) => {
            let call = clients.ec2.disassociate_iam_instance_profile().association_id(association).send();
            clients.call("ec2:DisassociateIamInstanceProfile", Effect::Idempotent, call).await.map(drop)
        }
        (None, None) => Ok(()),
    }
}

fn profile_called(name: &str) -> IamInstanceProfileSpecification {
    IamInstanceProfileSpecification::builder().name(name).build()
}

fn lasts(association: &types::IamInstanceProfileAssociation) -> bool {
    association.state().is_none_or(|state| !state.as_str().starts_with("disassociat"))
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(by_id(clients, id).await?.map_or(Condition::Gone, |instance| standing(&instance)))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.terminate_instances().instance_ids(id).send();
    clients.call("ec2:TerminateInstances", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        GroupIdentifier, IamInstanceProfile, InstanceMetadataOptionsResponse, InstanceNetworkInterface, InstanceState,
        StateReason, Tag,
    };

    use super::*;

    fn instance(state: &str) -> types::builders::InstanceBuilder {
        types::Instance::builder()
            .instance_id("i-1")
            .state(InstanceState::builder().name(state.into()).build())
            .subnet_id("subnet-1")
            .private_ip_address("10.0.0.11")
            .instance_type("m6i.large".into())
            .image_id("ami-1")
            .security_groups(GroupIdentifier::builder().group_id("sg-1").build())
            .metadata_options(InstanceMetadataOptionsResponse::builder().http_tokens(HttpTokensState::Required).build())
            .iam_instance_profile(
                IamInstanceProfile::builder()
                    .arn("arn:aws:iam::123456789012:instance-profile/kvstore-dev-nodes")
                    .build(),
            )
            .tags(Tag::builder().key(USER_DATA_TAG).value("0123456789abcdef").build())
    }

    #[test]
    fn states_have_conditions() {
        let pending = |state: &str| Condition::Pending { state: state.to_owned() };
        let deleting = Condition::Deleting { state: "shutting-down".to_owned() };
        for (state, while_awaited, observed, running) in [
            ("pending", pending("pending"), pending("pending"), true),
            ("running", Condition::Ready, Condition::Ready, true),
            ("stopping", pending("stopping"), pending("stopping"), false),
            ("stopped", pending("stopped"), Condition::Ready, false),
            ("shutting-down", deleting.clone(), deleting, false),
            ("something-new", pending("something-new"), pending("something-new"), false),
        ] {
            let instance = instance(state).build();
            assert_eq!(standing(&instance), while_awaited, "{state}");
            let found = translate(&instance).unwrap();
            assert_eq!(found.condition, observed, "{state}");
            let Spec::Instance(spec) = found.spec else { panic!("another kind") };
            assert_eq!(spec.running, running, "{state}");
        }
        assert_eq!(standing(&instance("terminated").build()), Condition::Gone);
    }

    #[test]
    fn a_machine_that_does_not_come_up_says_why() {
        let reason = StateReason::builder().code("Client.InternalError").message("Client error on launch").build();
        let stopped = instance("stopped").state_reason(reason).build();
        assert_eq!(standing(&stopped), Condition::Pending { state: "stopped: Client error on launch".to_owned() });
    }

    #[test]
    fn a_machine_is_told() {
        let found = translate(&instance("running").build()).unwrap();
        let fields: Vec<String> =
            found.spec.fields().iter().map(|field| format!("{}={}", field.name, field.value)).collect();
        assert_eq!(
            fields,
            [
                "subnet=subnet-1",
                "address=10.0.0.11",
                "type=m6i.large",
                "groups=sg-1",
                "profile=kvstore-dev-nodes",
                "user data=0123456789abcdef",
                "metadata tokens required=yes",
                "public address=no",
                "running=yes"
            ]
        );
    }

    #[test]
    fn groups_are_the_machines_own_or_its_interfaces() {
        let group = |id: &str| GroupIdentifier::builder().group_id(id).build();
        let interface = |id: &str| InstanceNetworkInterface::builder().groups(group(id)).build();
        let bare = types::Instance::builder;
        for (instance, expected) in [
            (bare().build(), vec![]),
            (bare().security_groups(group("sg-1")).network_interfaces(interface("sg-2")).build(), vec!["sg-1"]),
            (bare().network_interfaces(interface("sg-2")).network_interfaces(interface("sg-3")).build(), vec!["sg-2"]),
        ] {
            assert_eq!(groups(&instance).iter().filter_map(GroupIdentifier::group_id).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_machine_that_is_going_has_lost_its_place() {
        let bare = types::Instance::builder().instance_id("i-1").build();
        let Spec::Instance(spec) = translate(&bare).unwrap().spec else { panic!("another kind") };
        assert_eq!((spec.subnet, spec.profile), (Reference::Id("none".to_owned()), None));
        let odd = instance("running").private_ip_address("here").build();
        assert_eq!(translate(&odd), None, "an address that is none");
    }
}
