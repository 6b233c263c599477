//! Instance profiles, recognised by name: a role as instances carry it.
//!
//! A profile holds at most one role. Found under the wanted names even if they are not tagged: the planner refuses
//! what is foreign. EC2 knows a new profile only after some seconds; that shows where instances are made, not here.

use aws_sdk_iam::types::{InstanceProfile as Answer, Role as IamRole};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::resolve;
use super::role::{iam_tags, tags_of};
use super::scope::Scope;
use super::verbs::{gone, if_there, is_it, tags_differ, there, to_set};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Failure, Ids};
use crate::resource::{InstanceProfile, Kind, Reference, Resource, Spec};

const ADD_ROLE: &str = "iam:AddRoleToInstanceProfile";
const CREATE: &str = "iam:CreateInstanceProfile";
const DELETE: &str = "iam:DeleteInstanceProfile";
const GET: &str = "iam:GetInstanceProfile";
const REMOVE_ROLE: &str = "iam:RemoveRoleFromInstanceProfile";

/// Those with a wanted name.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for name in scope.names(Kind::InstanceProfile) {
        all.extend(by_name(clients, name).await?.map(|profile| found(name, &profile)));
    }
    Ok(all)
}

async fn by_name(clients: &Clients, name: &str) -> Result<Option<Answer>, Failure> {
    let answer = clients.read(GET, || clients.iam.get_instance_profile().instance_profile_name(name).send()).await;
    Ok(if_there(answer)?.and_then(|answer| answer.instance_profile))
}

fn found(name: &str, profile: &Answer) -> Found {
    let role = profile.roles().first().map(|role| Reference::Id(role.role_name().to_owned()));
    Found {
        id: name.to_owned(),
        name: name.to_owned(),
        tags: tags_of(profile.tags()),
        spec: Spec::InstanceProfile(InstanceProfile { role }),
        condition: Condition::Ready,
    }
}

/// Makes it, without its role. The cloud refuses a second one of the same name.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    _spec: &InstanceProfile,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let call = clients
        .iam
        .create_instance_profile()
        .instance_profile_name(&resource.name)
        .set_tags(Some(iam_tags(&resource.tags)));
    clients.call(CREATE, Effect::Idempotent, call.send()).await?;
    Ok(resource.name.clone())
}

/// By name, if it is ours.
pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &InstanceProfile,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let profile = by_name(clients, &resource.name).await?;
    let ours = profile.is_some_and(|profile| is_it(&tags_of(profile.tags()), resource));
    Ok(ours.then(|| resource.name.clone()).into_iter().collect())
}

/// Gives it its role, in place of another, and sets tags.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &InstanceProfile,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if to_set(changes, "role") {
        let wanted = spec.role.as_ref().map(|role| resolve(ADD_ROLE, role, ids)).transpose()?;
        let profile = by_name(clients, id).await?.ok_or_else(|| gone(ADD_ROLE, id))?;
        let there: Vec<&str> = profile.roles().iter().map(IamRole::role_name).collect();
        remove_roles(clients, id, there.iter().copied().filter(|role| Some(*role) != wanted)).await?;
        // Asked for a second time, the cloud speaks of a limit: it is asked only if it is not there.
        if let Some(role) = wanted.filter(|role| !there.contains(role)) {
            let call = clients.iam.add_role_to_instance_profile().instance_profile_name(id).role_name(role);
            clients.call(ADD_ROLE, Effect::Idempotent, call.send()).await?;
        }
    }
    if tags_differ(changes) {
        let call = clients.iam.tag_instance_profile().instance_profile_name(id);
        let call = call.set_tags(Some(iam_tags(&resource.tags)));
        clients.call("iam:TagInstanceProfile", Effect::Idempotent, call.send()).await?;
    }
    Ok(())
}

async fn remove_roles(clients: &Clients, id: &str, roles: impl Iterator<Item = &str>) -> Result<(), Failure> {
    for role in roles {
        let call = clients.iam.remove_role_from_instance_profile().instance_profile_name(id).role_name(role);
        if_there(clients.call(REMOVE_ROLE, Effect::Idempotent, call.send()).await)?;
    }
    Ok(())
}

/// Ready as soon as it is there.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(there(by_name(clients, id).await?))
}

/// Takes its role out and deletes it.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let profile = by_name(clients, id).await?.ok_or_else(|| gone(DELETE, id))?;
    remove_roles(clients, id, profile.roles().iter().map(IamRole::role_name)).await?;
    let call = clients.iam.delete_instance_profile().instance_profile_name(id);
    clients.call(DELETE, Effect::Idempotent, call.send()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::Role;
    use aws_smithy_types::DateTime;

    use super::*;

    fn role(name: &str) -> Role {
        let role = Role::builder().path("/").role_name(name).role_id("AROA1").arn("arn:aws:iam::1:role/x");
        role.create_date(DateTime::from_secs(0)).build().unwrap()
    }

    #[test]
    fn profiles_are_told_as_they_are() {
        for (roles, told) in [
            (vec![], None),
            (vec![role("kvstore-dev-role-nodes")], Some(Reference::Id("kvstore-dev-role-nodes".to_owned()))),
        ] {
            let profile = Answer::builder()
                .path("/")
                .instance_profile_name("kvstore-dev-profile-nodes")
                .instance_profile_id("AIPA1")
                .arn("arn:aws:iam::1:instance-profile/kvstore-dev-profile-nodes")
                .create_date(DateTime::from_secs(0))
                .set_roles(Some(roles))
                .build()
                .unwrap();
            let found = found("kvstore-dev-profile-nodes", &profile);
            assert_eq!(found.spec, Spec::InstanceProfile(InstanceProfile { role: told }));
        }
    }
}
