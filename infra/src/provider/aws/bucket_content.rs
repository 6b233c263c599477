//! What lies in a bucket, for the one who deletes it: every version of every object, page by page.
//!
//! Objects that are wanted are `object`'s matter.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::bucket::request;
use super::clients::Clients;
use super::failure::Effect;
use crate::provider::{Class, Failure};

const LIST: &str = "s3:ListBucketVersions";
const DELETE: &str = "s3:DeleteObjects";
/// Most objects that one call lists or deletes: the service's limit.
const PAGE: i32 = 1_000;
/// Most pages of one attempt. An artifact bucket holds a few hundred versions; whoever put a million objects into it
/// clears it in several attempts.
const MAX_PAGES: usize = 1_000;

async fn page(clients: &Clients, bucket: &str, most: i32) -> Result<ListObjectVersionsOutput, Failure> {
    clients.read(LIST, || clients.s3.list_object_versions().bucket(bucket).max_keys(most).send()).await
}

/// Whether there is no object, no old version and no mark of a deleted one.
pub(super) async fn is_empty(clients: &Clients, bucket: &str) -> Result<bool, Failure> {
    let page = page(clients, bucket, 1).await?;
    Ok(page.versions().is_empty() && page.delete_markers().is_empty())
}

/// Deletes everything in it.
///
/// # Errors
/// What went wrong; some of it may be gone, and a second attempt goes on.
pub(super) async fn clear(clients: &Clients, bucket: &str) -> Result<(), Failure> {
    for _ in 0..MAX_PAGES {
        // Always the first page: what was listed before is gone.
        let objects = identifiers(&page(clients, bucket, PAGE).await?)?;
        if objects.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| request(DELETE, &error))?;
        let call = clients.s3.delete_objects().bucket(bucket).delete(delete).send();
        let answer = clients.call(DELETE, Effect::Idempotent, call).await?;
        if let Some(error) = answer.errors().first() {
            return Err(refused(error));
        }
    }
    Err(Failure {
        action: DELETE.to_owned(),
        code: "still not empty".to_owned(),
        message: format!("{bucket} still holds objects after {MAX_PAGES} pages of {PAGE}"),
        class: Class::InUse,
    })
}

fn identifiers(page: &ListObjectVersionsOutput) -> Result<Vec<ObjectIdentifier>, Failure> {
    let versions = page.versions().iter().map(|one| (one.key(), one.version_id()));
    let marks = page.delete_markers().iter().map(|one| (one.key(), one.version_id()));
    let all = versions.chain(marks).filter_map(|(key, version)| Some((key?, version)));
    all.map(|(key, version)| ObjectIdentifier::builder().key(key).set_version_id(version.map(str::to_owned)).build())
        .collect::<Result<_, _>>()
        .map_err(|error| request(DELETE, &error))
}

/// One object that could not be deleted, though the call was taken.
fn refused(error: &aws_sdk_s3::types::Error) -> Failure {
    let code = error.code().unwrap_or("unknown error").to_owned();
    let class = match code.as_str() {
        "AccessDenied" => Class::Denied,
        "SlowDown" => Class::Throttled,
        _ => Class::Transient,
    };
    let message = format!("{}: {}", error.key().unwrap_or_default(), error.message().unwrap_or("no message"));
    Failure { action: DELETE.to_owned(), code, message, class }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

    use super::*;

    #[test]
    fn old_versions_and_marks_are_deleted_too() {
        let page = ListObjectVersionsOutput::builder()
            .versions(ObjectVersion::builder().key("kvnode").version_id("v1").build())
            .versions(ObjectVersion::builder().key("kvnode").version_id("null").build())
            .versions(ObjectVersion::builder().build())
            .delete_markers(DeleteMarkerEntry::builder().key("old").version_id("v2").build())
            .build();
        let all = identifiers(&page).unwrap();
        let all: Vec<_> = all.iter().map(|one| (one.key(), one.version_id())).collect();
        assert_eq!(all, [("kvnode", Some("v1")), ("kvnode", Some("null")), ("old", Some("v2"))]);
    }

    #[test]
    fn a_refusal_of_one_object_has_a_class() {
        for (code, class) in [
            (Some("AccessDenied"), Class::Denied),
            (Some("SlowDown"), Class::Throttled),
            (Some("InternalError"), Class::Transient),
            (None, Class::Transient),
        ] {
            let error = aws_sdk_s3::types::Error::builder().key("kvnode").set_code(code.map(str::to_owned)).build();
            let failure = refused(&error);
            assert_eq!(failure.class, class, "{code:?}");
            assert_eq!(failure.message, "kvnode: no message");
        }
    }
}
