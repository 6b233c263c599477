//! Parameters: the cluster's secrets, recognised by their names below `/CLUSTER/`.
//!
//! Values are written once and never read: not to compare them, not to show them. A value is asked for at the moment
//! of the call and kept nowhere.

use std::collections::BTreeSet;

use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter, ParameterType, ResourceTypeForTagging, Tag};

use super::changes::tags_to_mend;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::incomplete;
use super::material::Material;
use super::scope::Scope;
use super::verbs::is_it;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{CLUSTER_TAG, Kind, Parameter, ROLE_TAG, Resource, Spec, Tags};

const DESCRIBE: &str = "ssm:DescribeParameters";
const PUT: &str = "ssm:PutParameter";
/// The tags that differ from parameter to parameter.
const OWN_TAGS: [&str; 2] = [ROLE_TAG, "Name"];
/// Most parameters in one page.
const PAGE: i32 = 50;

fn request(action: &str, error: &aws_smithy_types::error::operation::BuildError) -> Failure {
    Failure { action: action.to_owned(), code: "request".to_owned(), message: error.to_string(), class: Class::Invalid }
}

fn filter(key: &str, option: &str, value: &str) -> Result<ParameterStringFilter, Failure> {
    let filter = ParameterStringFilter::builder().key(key).option(option).values(value).build();
    filter.map_err(|error| request(DESCRIBE, &error))
}

async fn list(clients: &Clients, filters: Vec<ParameterStringFilter>) -> Result<Vec<ParameterMetadata>, Failure> {
    let page = |token| {
        let call = clients.ssm.describe_parameters().set_parameter_filters(Some(filters.clone())).max_results(PAGE);
        call.set_next_token(token).send()
    };
    clients.pages(DESCRIBE, page, |answer| (answer.parameters, answer.next_token)).await
}

async fn called(clients: &Clients, name: &str) -> Result<bool, Failure> {
    Ok(!list(clients, vec![filter("Name", "Equals", name)?]).await?.is_empty())
}

async fn tags(clients: &Clients, name: &str) -> Result<Option<Tags>, Failure> {
    let call = || {
        let call = clients.ssm.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter);
        call.resource_id(name).send()
    };
    match clients.read("ssm:ListTagsForResource", call).await {
        Ok(answer) => Ok(Some(tags_of(answer.tag_list()))),
        // `InvalidResourceId`: it went between the calls.
        Err(failure) if failure.class == Class::Gone || failure.code == "InvalidResourceId" => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn tags_of(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}

fn ssm_tags(action: &str, tags: &Tags) -> Result<Vec<Tag>, Failure> {
    let one = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(one).collect::<Result<_, _>>().map_err(|error| request(action, &error))
}

/// Everything below the cluster's path, whoever made it.
///
/// Tags cannot be listed for many at once, and a cluster has some parameters for each node. So a second list is asked
/// for, of those that carry all the tags that every parameter of the cluster shall carry; what is on it is known to be
/// ours, and its role and name are what its path says. Only the tags of the others are read, one by one.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let below = filter("Path", "Recursive", &format!("/{}", scope.cluster))?;
    let all = list(clients, vec![below.clone()]).await?;
    let common = common_tags(scope.of(Kind::Parameter));
    let well_tagged = match common.get(CLUSTER_TAG) {
        Some(cluster) if cluster == scope.cluster && !all.is_empty() => {
            let tagged = common.iter().map(|(key, value)| filter(&format!("tag:{key}"), "Equals", value));
            list(clients, std::iter::once(Ok(below)).chain(tagged).collect::<Result<_, _>>()?).await?
        }
        _ => Vec::new(),
    };
    let well_tagged: BTreeSet<String> = well_tagged.into_iter().filter_map(|parameter| parameter.name).collect();
    let mut found = Vec::new();
    for parameter in all {
        let name = parameter.name().ok_or_else(|| incomplete(DESCRIBE, "name", Class::Transient))?;
        let tags = match well_tagged.contains(name) {
            true => Some(own_tags(scope.cluster, name, &common)),
            false => tags(clients, name).await?,
        };
        found.extend(tags.map(|tags| translate(name, &parameter, tags)));
    }
    Ok(found)
}

/// The tags that all wanted parameters shall carry alike; empty if none is wanted.
fn common_tags<'a>(mut wanted: impl Iterator<Item = &'a Resource>) -> Tags {
    let mut common = wanted.next().map(|first| first.tags.clone()).unwrap_or_default();
    common.retain(|key, _| !OWN_TAGS.contains(&key.as_str()));
    for other in wanted {
        common.retain(|key, value| other.tags.get(key) == Some(value));
    }
    common
}

/// All tags of a parameter that carries the common ones.
fn own_tags(cluster: &str, name: &str, common: &Tags) -> Tags {
    let role = name.strip_prefix(&format!("/{cluster}/")).unwrap_or(name);
    let own = OWN_TAGS.into_iter().zip([role, name]).map(|(key, value)| (key.to_owned(), value.to_owned()));
    common.clone().into_iter().chain(own).collect()
}

fn translate(name: &str, parameter: &ParameterMetadata, tags: Tags) -> Found {
    let secure = parameter.r#type() == Some(&ParameterType::SecureString);
    Found {
        id: name.to_owned(),
        name: name.to_owned(),
        tags,
        spec: Spec::Parameter(Parameter { secure }),
        condition: Condition::Ready,
    }
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Parameter,
    _ids: &Ids,
    _token: &str,
    material: &dyn Material,
) -> Result<String, Failure> {
    let secret = material.parameter(&resource.key.role).map_err(|error| error.into_failure(PUT))?;
    let call = clients
        .ssm
        .put_parameter()
        .name(&resource.name)
        .r#type(if spec.secure { ParameterType::SecureString } else { ParameterType::String })
        .value(secret.expose())
        .overwrite(false)
        .set_tags(Some(ssm_tags(PUT, &resource.tags)?));
    clients.call(PUT, Effect::Create, call.send()).await?;
    Ok(resource.name.clone())
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &Parameter,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    if !called(clients, &resource.name).await? {
        return Ok(Vec::new());
    }
    let tags = tags(clients, &resource.name).await?.unwrap_or_default();
    Ok(is_it(&tags, resource).then(|| resource.name.clone()).into_iter().collect())
}

/// Tags only: a value that is there stays.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    _spec: &Parameter,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    let action = "ssm:AddTagsToResource";
    let tags = tags_to_mend(resource, changes);
    if tags.is_empty() {
        return Ok(());
    }
    let call = clients.ssm.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(id);
    let call = call.set_tags(Some(ssm_tags(action, &tags)?)).send();
    clients.call(action, Effect::Idempotent, call).await.map(drop)
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(if called(clients, id).await? { Condition::Ready } else { Condition::Gone })
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ssm.delete_parameter().name(id).send();
    clients.call("ssm:DeleteParameter", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Key;

    #[test]
    fn tags_that_all_share_are_asked_for_and_the_rest_follows_from_the_path() {
        let wanted = |role: &str| {
            let name = format!("/kvstore-dev/{role}");
            let tags = [(CLUSTER_TAG, "kvstore-dev"), ("Region", "us-east-1"), ("Name", &name), (ROLE_TAG, role)];
            Resource {
                key: Key::new(Kind::Parameter, role),
                name: name.clone(),
                tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                spec: Spec::Parameter(Parameter { secure: true }),
                needs: Vec::new(),
            }
        };
        let mut all = [wanted("ca.pem"), wanted("nodes/a1/key.pem")];
        let common = common_tags(all.iter());
        assert_eq!(common.keys().collect::<Vec<_>>(), ["Region", CLUSTER_TAG]);
        for one in &all {
            assert_eq!(own_tags("kvstore-dev", &one.name, &common), one.tags);
        }
        all[1].tags.insert("Region".to_owned(), "eu-west-1".to_owned());
        assert_eq!(common_tags(all.iter()).keys().collect::<Vec<_>>(), [CLUSTER_TAG]);
        assert_eq!(common_tags([].iter()), Tags::new());
    }

    #[test]
    fn only_a_secure_string_is_secure() {
        for (kind, secure) in [
            (Some(ParameterType::SecureString), true),
            (Some(ParameterType::String), false),
            (Some("Vault".into()), false),
            (None, false),
        ] {
            let metadata = ParameterMetadata::builder().set_type(kind.clone()).build();
            let found = translate("/kvstore-dev/ca.pem", &metadata, Tags::new());
            assert_eq!(found.spec, Spec::Parameter(Parameter { secure }), "{kind:?}");
            assert_eq!((found.id.as_str(), found.condition), ("/kvstore-dev/ca.pem", Condition::Ready));
        }
    }

    #[test]
    fn tags_go_there_and_back() {
        let tags: Tags =
            [("Name".to_owned(), "n".to_owned()), (CLUSTER_TAG.to_owned(), "kvstore-dev".to_owned())].into();
        assert_eq!(tags_of(&ssm_tags(PUT, &tags).unwrap()), tags);
    }
}
