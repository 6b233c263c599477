//! Buckets, recognised by name.
//!
//! A bucket's name is unique in the world: one that we may not even look at is told without tags, as somebody else's.
//! `configure` sets versions, encryption, the block of public access and the tags; a policy is not set.

use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    Tag, Tagging, VersioningConfiguration,
};
use aws_smithy_types::error::operation::BuildError;

use super::bucket_content::{clear, is_empty};
use super::changes::{any_differs, tags_to_mend};
use super::clients::Clients;
use super::failure::Effect;
use super::scope::Scope;
use super::verbs::is_it;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Bucket, CLUSTER_TAG, Kind, ROLE_TAG, Resource, Spec, Tags};

/// The region whose name may not be given when a bucket is made there.
const FIRST_REGION: &str = "us-east-1";

/// What can be said of a bucket's tags.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    /// There is no such bucket.
    Nobody,
    /// We may not look, and not only at the tags: another account's.
    Other,
    /// These are its tags.
    Tagged(Tags),
}

pub(super) fn request(action: &str, error: &BuildError) -> Failure {
    Failure { action: action.to_owned(), code: "request".to_owned(), message: error.to_string(), class: Class::Invalid }
}

async fn owner(clients: &Clients, name: &str) -> Result<Owner, Failure> {
    let call = || clients.s3.get_bucket_tagging().bucket(name).send();
    match clients.read("s3:GetBucketTagging", call).await {
        Ok(answer) => Ok(Owner::Tagged(tags_of(answer.tag_set()))),
        Err(failure) if failure.code == "NoSuchTagSet" => Ok(Owner::Tagged(Tags::new())),
        Err(failure) if failure.class == Class::Gone => Ok(Owner::Nobody),
        // In another region of another account, or of ours: not what is wanted either way.
        Err(failure) if matches!(failure.code.as_str(), "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            Ok(Owner::Other)
        }
        Err(failure) if failure.class == Class::Denied => match head(clients, name).await {
            Err(head) if head.class == Class::Denied => Ok(Owner::Other),
            // It is ours, but we may not read its tags.
            _ => Err(failure),
        },
        Err(failure) => Err(failure),
    }
}

async fn head(clients: &Clients, name: &str) -> Result<(), Failure> {
    clients.read("s3:HeadBucket", || clients.s3.head_bucket().bucket(name).send()).await.map(drop)
}

fn tags_of(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}

/// The tags of a bucket with a wanted name.
///
/// One that carries none at all and holds nothing is one that we made and could not finish: an endpoint that takes no
/// tags at creation leaves such a one behind when the process dies in between. It is told with our cluster's tag, so
/// that it is finished; nobody loses anything by that.
async fn adopt(clients: &Clients, resource: &Resource, tags: Tags) -> Result<Tags, Failure> {
    if !tags.is_empty() || !is_empty(clients, &resource.name).await? {
        return Ok(tags);
    }
    let ours = [CLUSTER_TAG, ROLE_TAG].into_iter().filter_map(|tag| resource.tags.get_key_value(tag));
    Ok(ours.map(|(key, value)| (key.clone(), value.clone())).collect())
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for resource in scope.of(Kind::Bucket) {
        let name = &resource.name;
        let (tags, spec) = match owner(clients, name).await? {
            Owner::Nobody => continue,
            // Nothing of a foreign one is looked at but that it is there.
            Owner::Other => (Tags::new(), Bucket { versioned: false, encrypted: false, private: false }),
            Owner::Tagged(tags) => (adopt(clients, resource, tags).await?, details(clients, name).await?),
        };
        let (id, name) = (name.clone(), name.clone());
        all.push(Found { id, name, tags, spec: Spec::Bucket(spec), condition: Condition::Ready });
    }
    Ok(all)
}

async fn details(clients: &Clients, name: &str) -> Result<Bucket, Failure> {
    let call = || clients.s3.get_bucket_versioning().bucket(name).send();
    let versioned = clients.read("s3:GetBucketVersioning", call).await?.status == Some(BucketVersioningStatus::Enabled);
    let call = || clients.s3.get_bucket_encryption().bucket(name).send();
    let encryption = none_if_gone(clients.read("s3:GetEncryptionConfiguration", call).await)?;
    let encrypted = encryption.and_then(|answer| answer.server_side_encryption_configuration).is_some_and(encrypts);
    let call = || clients.s3.get_public_access_block().bucket(name).send();
    let block = none_if_gone(clients.read("s3:GetBucketPublicAccessBlock", call).await)?;
    let private = block.and_then(|answer| answer.public_access_block_configuration).is_some_and(blocks_all);
    Ok(Bucket { versioned, encrypted, private })
}

/// What is not configured is answered as 404, with a code for each thing.
fn none_if_gone<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.class == Class::Gone => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain of options")]
fn encrypts(configuration: ServerSideEncryptionConfiguration) -> bool {
    configuration.rules().iter().any(|rule| rule.apply_server_side_encryption_by_default().is_some())
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain of options")]
fn blocks_all(block: PublicAccessBlockConfiguration) -> bool {
    [block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets]
        .iter()
        .all(|flag| *flag == Some(true))
}

fn s3_tags(action: &str, tags: &Tags) -> Result<Vec<Tag>, Failure> {
    let one = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(one).collect::<Result<_, _>>().map_err(|error| request(action, &error))
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    _spec: &Bucket,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "s3:CreateBucket";
    let place = (clients.region() != FIRST_REGION).then(|| BucketLocationConstraint::from(clients.region()));
    let tags = s3_tags(action, &resource.tags)?;
    let place = CreateBucketConfiguration::builder().set_location_constraint(place).set_tags(Some(tags)).build();
    let call = clients.s3.create_bucket().bucket(&resource.name).create_bucket_configuration(place).send();
    clients.call(action, Effect::Create, call).await?;
    Ok(resource.name.clone())
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &Bucket,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let Owner::Tagged(tags) = owner(clients, &resource.name).await? else {
        return Ok(Vec::new());
    };
    let tags = adopt(clients, resource, tags).await?;
    Ok(is_it(&tags, resource).then(|| resource.name.clone()).into_iter().collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Bucket,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    let fresh = changes.is_none();
    // First of all whose it is: everything else can be made up for later.
    if fresh || !tags_to_mend(resource, changes).is_empty() {
        put_tags(clients, id, &resource.tags).await?;
    }
    if (fresh && spec.private) || any_differs(changes, &["private"]) {
        put_block(clients, id, spec.private).await?;
    }
    if (fresh && spec.encrypted) || any_differs(changes, &["encrypted"]) {
        put_encryption(clients, id, spec.encrypted).await?;
    }
    if (fresh && spec.versioned) || any_differs(changes, &["versioned"]) {
        put_versioning(clients, id, spec.versioned).await?;
    }
    Ok(())
}

/// Writes our tags and keeps all others: the service knows only the whole set.
async fn put_tags(clients: &Clients, id: &str, wanted: &Tags) -> Result<(), Failure> {
    let action = "s3:PutBucketTagging";
    let mut tags = match owner(clients, id).await? {
        Owner::Tagged(tags) => tags,
        Owner::Nobody | Owner::Other => Tags::new(),
    };
    tags.extend(wanted.clone());
    let tagging = Tagging::builder().set_tag_set(Some(s3_tags(action, &tags)?)).build();
    let tagging = tagging.map_err(|error| request(action, &error))?;
    let call = clients.s3.put_bucket_tagging().bucket(id).tagging(tagging).send();
    clients.call(action, Effect::Idempotent, call).await.map(drop)
}

async fn put_block(clients: &Clients, id: &str, on: bool) -> Result<(), Failure> {
    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(on)
        .ignore_public_acls(on)
        .block_public_policy(on)
        .restrict_public_buckets(on)
        .build();
    let call = clients.s3.put_public_access_block().bucket(id).public_access_block_configuration(block).send();
    clients.call("s3:PutBucketPublicAccessBlock", Effect::Idempotent, call).await.map(drop)
}

async fn put_encryption(clients: &Clients, id: &str, on: bool) -> Result<(), Failure> {
    let action = "s3:PutEncryptionConfiguration";
    if !on {
        let call = clients.s3.delete_bucket_encryption().bucket(id).send();
        return clients.call(action, Effect::Idempotent, call).await.map(drop);
    }
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build();
    let default = default.map_err(|error| request(action, &error))?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build();
    let configuration = configuration.map_err(|error| request(action, &error))?;
    let call = clients.s3.put_bucket_encryption().bucket(id).server_side_encryption_configuration(configuration);
    clients.call(action, Effect::Idempotent, call.send()).await.map(drop)
}

async fn put_versioning(clients: &Clients, id: &str, on: bool) -> Result<(), Failure> {
    let status = if on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let versioning = VersioningConfiguration::builder().status(status).build();
    let call = clients.s3.put_bucket_versioning().bucket(id).versioning_configuration(versioning).send();
    clients.call("s3:PutBucketVersioning", Effect::Idempotent, call).await.map(drop)
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(none_if_gone(head(clients, id).await)?.map_or(Condition::Gone, |()| Condition::Ready))
}

/// Deletes it with every object and every version of each.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    clear(clients, id).await?;
    let call = clients.s3.delete_bucket().bucket(id).send();
    clients.call("s3:DeleteBucket", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_block_makes_a_bucket_private() {
        let block = |flags: [bool; 4]| {
            PublicAccessBlockConfiguration::builder()
                .block_public_acls(flags[0])
                .ignore_public_acls(flags[1])
                .block_public_policy(flags[2])
                .restrict_public_buckets(flags[3])
                .build()
        };
        assert!(blocks_all(block([true; 4])));
        for missing in 0..4 {
            let mut flags = [true; 4];
            flags[missing] = false;
            assert!(!blocks_all(block(flags)), "flag {missing}");
        }
        assert!(!blocks_all(PublicAccessBlockConfiguration::builder().build()));
    }

    #[test]
    fn any_default_encryption_counts() {
        let with = |algorithm: Option<ServerSideEncryption>| {
            let default = algorithm
                .map(|algorithm| ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm).build().unwrap());
            let rule = ServerSideEncryptionRule::builder().set_apply_server_side_encryption_by_default(default).build();
            ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap()
        };
        assert!(encrypts(with(Some(ServerSideEncryption::Aes256))));
        assert!(encrypts(with(Some(ServerSideEncryption::AwsKms))));
        assert!(!encrypts(with(None)));
    }

    #[test]
    fn tags_go_there_and_back_without_the_clouds_own() {
        let tags: Tags = [("Name".to_owned(), "n".to_owned()), ("aws:x".to_owned(), "y".to_owned())].into();
        let expected: Tags = [("Name".to_owned(), "n".to_owned())].into();
        assert_eq!(tags_of(&s3_tags("s3:CreateBucket", &tags).unwrap()), expected);
    }
}
