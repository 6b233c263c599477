//! Files in a bucket, recognised by their path; their digest stands in their metadata.
//!
//! A file is read twice from the disk: once for its digest, once to send it, and the service checks what it got
//! against the digest. Only wanted objects are ever looked at.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::timeout::TimeoutConfig;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::resolve;
use super::material::{MAX_ARTIFACT_BYTES, Material, MaterialError};
use super::scope::Scope;
use super::tagged::untagged;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Kind, Object, Reference, Resource, Spec};

const HEAD: &str = "s3:HeadObject";
const PUT: &str = "s3:PutObject";
/// The name of the digest in an object's metadata.
const SHA256: &str = "sha256";
/// Longest time for sending one file: 20 MiB over a line of 1 Mbit/s take three minutes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes read at once.
const CHUNK: usize = 128 * 1024;

fn id_of(bucket: &str, path: &str) -> String {
    format!("{bucket}/{path}")
}

/// Takes `bucket/path` apart; a bucket's name has no slash.
fn parts<'a>(action: &str, id: &'a str) -> Result<(&'a str, &'a str), Failure> {
    id.split_once('/').ok_or_else(|| invalid(action, "unreadable id", format!("{id} is not BUCKET/PATH")))
}

fn invalid(action: &str, code: &str, message: String) -> Failure {
    Failure { action: action.to_owned(), code: code.to_owned(), message, class: Class::Invalid }
}

/// The digest that an object says it has: empty if it says none; none if there is no such object.
async fn digest(clients: &Clients, bucket: &str, path: &str) -> Result<Option<String>, Failure> {
    match clients.read(HEAD, || clients.s3.head_object().bucket(bucket).key(path).send()).await {
        Ok(answer) => {
            let metadata = answer.metadata.unwrap_or_default();
            Ok(Some(metadata.get(SHA256).cloned().unwrap_or_default()))
        }
        Err(failure) if failure.class == Class::Gone => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The wanted objects that are in the wanted buckets.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for resource in scope.of(Kind::Object) {
        let Spec::Object(object) = &resource.spec else { continue };
        let Some(bucket) = bucket_name(scope, object) else { continue };
        if let Some(sha256) = digest(clients, bucket, &object.path).await? {
            let seen = Object { bucket: Reference::Id(bucket.to_owned()), path: object.path.clone(), sha256 };
            all.push(untagged(id_of(bucket, &object.path), Spec::Object(seen), Condition::Ready));
        }
    }
    Ok(all)
}

/// The name of an object's bucket: buckets are called by their name, so that it is known before it exists.
fn bucket_name<'a>(scope: &Scope<'a>, object: &'a Object) -> Option<&'a str> {
    match &object.bucket {
        Reference::Id(id) => Some(id),
        Reference::Key(key) => {
            scope.of(Kind::Bucket).find(|bucket| bucket.key == *key).map(|bucket| bucket.name.as_str())
        }
    }
}

/// The digest of a file's bytes, and how many they are.
async fn measure(path: &Path) -> Result<([u8; 32], u64), MaterialError> {
    let unreadable = |source| MaterialError::Unreadable { path: path.to_owned(), source };
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let (mut hash, mut length, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let count = file.read(&mut chunk).await.map_err(unreadable)?;
        if count == 0 {
            return Ok((hash.finalize().into(), length));
        }
        length += count as u64;
        if length > MAX_ARTIFACT_BYTES {
            return Err(MaterialError::TooLong { path: path.to_owned(), limit: MAX_ARTIFACT_BYTES });
        }
        hash.update(&chunk[..count]);
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn put(clients: &Clients, bucket: &str, spec: &Object, material: &dyn Material) -> Result<(), Failure> {
    let file = material.artifact(&spec.sha256).map_err(|error| error.into_failure(PUT))?;
    let (digest, length) = measure(&file).await.map_err(|error| error.into_failure(PUT))?;
    if hexadecimal(&digest) != spec.sha256 {
        let message = format!("{} is not the file that was planned: its SHA-256 is another", file.display());
        return Err(invalid(PUT, "changed file", message));
    }
    let body =
        ByteStream::from_path(&file).await.map_err(|error| invalid(PUT, "unreadable file", error.to_string()))?;
    let limits = TimeoutConfig::builder().operation_timeout(UPLOAD_TIMEOUT);
    let limits = limits.operation_attempt_timeout(UPLOAD_TIMEOUT).build();
    let call = clients
        .s3
        .put_object()
        .bucket(bucket)
        .key(&spec.path)
        .metadata(SHA256, &spec.sha256)
        .checksum_sha256(aws_smithy_types::base64::encode(digest))
        .content_length(i64::try_from(length).unwrap_or(i64::MAX))
        .body(body)
        .customize()
        .config_override(aws_sdk_s3::config::Builder::new().timeout_config(limits));
    clients.call(PUT, Effect::Idempotent, call.send()).await.map(drop)
}

pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &Object,
    ids: &Ids,
    _token: &str,
    material: &dyn Material,
) -> Result<String, Failure> {
    let bucket = resolve(PUT, &spec.bucket, ids)?;
    put(clients, bucket, spec, material).await?;
    Ok(id_of(bucket, &spec.path))
}

pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &Object,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let bucket = resolve(HEAD, &spec.bucket, ids)?;
    let there = digest(clients, bucket, &spec.path).await?.is_some_and(|digest| digest == spec.sha256);
    Ok(there.then(|| id_of(bucket, &spec.path)).into_iter().collect())
}

/// Sends it again if its digest differs.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    _resource: &Resource,
    spec: &Object,
    changes: Option<&[Difference]>,
    _ids: &Ids,
    material: &dyn Material,
) -> Result<(), Failure> {
    if !any_differs(changes, &["sha256"]) {
        return Ok(());
    }
    let (bucket, _) = parts(PUT, id)?;
    put(clients, bucket, spec, material).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let (bucket, path) = parts(HEAD, id)?;
    Ok(digest(clients, bucket, path).await?.map_or(Condition::Gone, |_| Condition::Ready))
}

/// Its old versions go with the bucket.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let action = "s3:DeleteObject";
    let (bucket, path) = parts(action, id)?;
    let call = clients.s3.delete_object().bucket(bucket).key(path).send();
    clients.call(action, Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::resource::Key;

    #[test]
    fn ids_are_taken_apart_at_the_first_slash() {
        assert_eq!(parts(HEAD, "bucket/kvnode/0a1/kvnode"), Ok(("bucket", "kvnode/0a1/kvnode")));
        assert_eq!(parts(HEAD, "bucket").unwrap_err().class, Class::Invalid);
    }

    #[test]
    fn a_bucket_is_known_by_name_before_it_exists() {
        let key = Key::new(Kind::Bucket, "artifacts");
        let wanted = [Resource {
            key: key.clone(),
            name: "kvstore-dev-artifacts-123456789012".to_owned(),
            tags: [].into(),
            spec: Spec::Bucket(crate::resource::Bucket { versioned: true, encrypted: true, private: true }),
            needs: Vec::new(),
        }];
        let scope = Scope::new("kvstore-dev", &wanted);
        let object = |bucket: Reference| Object { bucket, path: String::new(), sha256: String::new() };
        for (bucket, expected) in [
            (Reference::Key(key), Some("kvstore-dev-artifacts-123456789012")),
            (Reference::Key(Key::new(Kind::Bucket, "other")), None),
            (Reference::Id("given".to_owned()), Some("given")),
        ] {
            assert_eq!(bucket_name(&scope, &object(bucket)), expected);
        }
    }

    #[tokio::test]
    async fn files_are_measured() {
        let path = std::env::temp_dir().join(format!("infra-object-{}", std::process::id()));
        for (content, expected) in [
            (vec![], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc".to_vec(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            std::fs::write(&path, &content).unwrap();
            let (digest, length) = measure(&path).await.unwrap();
            assert_eq!((hexadecimal(&digest).as_str(), length), (expected, content.len() as u64));
        }
        std::fs::remove_file(&path).unwrap();
        let missing = measure(&PathBuf::from("/nowhere")).await.unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nowhere");
    }
}
