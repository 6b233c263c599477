//! Certificates that were imported, recognised by their tags.
//!
//! Certificates that the cloud issued itself are nobody's business here. One that ends soon is imported again under
//! its own ARN, so that whoever uses it goes on using it. Its key is asked for at the moment of the call and kept
//! nowhere.

use aws_sdk_acm::types::{
    CertificateDetail, CertificateStatus, CertificateSummary, CertificateType, Filters, KeyAlgorithm, Tag,
};
use aws_smithy_types::Blob;

use super::changes::{any_differs, tags_to_mend};
use super::clients::Clients;
use super::failure::Effect;
use super::identity::incomplete;
use super::material::Material;
use super::pace::wall_seconds;
use super::scope::Scope;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{CLUSTER_TAG, Certificate, Kind, ROLE_TAG, Resource, Spec, Tags};

const DESCRIBE: &str = "acm:DescribeCertificate";
const LIST: &str = "acm:ListCertificates";
const IMPORT: &str = "acm:ImportCertificate";
/// A certificate with less than this left, in seconds, is imported again: 30 days.
const SOON_SECONDS: i64 = 30 * 24 * 3600;

/// Every algorithm: without a list the service tells only of RSA keys up to 2048 bits.
const ALGORITHMS: [KeyAlgorithm; 7] = [
    KeyAlgorithm::EcPrime256v1,
    KeyAlgorithm::EcSecp384r1,
    KeyAlgorithm::EcSecp521r1,
    KeyAlgorithm::Rsa1024,
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::Rsa3072,
    KeyAlgorithm::Rsa4096,
];

/// The imported certificates that carry a cluster's tag: ARNs with all their tags.
async fn tagged(clients: &Clients, cluster: &str) -> Result<Vec<(String, Tags)>, Failure> {
    let filter = Filters::builder().set_key_types(Some(ALGORITHMS.to_vec())).build();
    let page = |token| clients.acm.list_certificates().includes(filter.clone()).set_next_token(token).send();
    let all = clients.pages(LIST, page, |answer| (answer.certificate_summary_list, answer.next_token)).await?;
    let mut ours = Vec::new();
    for arn in all.into_iter().filter(may_be_imported).filter_map(|summary| summary.certificate_arn) {
        let call = || clients.acm.list_tags_for_certificate().certificate_arn(&arn).send();
        let tags = match clients.read("acm:ListTagsForCertificate", call).await {
            Ok(answer) => tags_of(answer.tags()),
            // It went between the calls.
            Err(failure) if failure.class == Class::Gone => continue,
            Err(failure) => return Err(failure),
        };
        if tags.get(CLUSTER_TAG).is_some_and(|tag| tag == cluster) {
            ours.push((arn, tags));
        }
    }
    Ok(ours)
}

fn may_be_imported(summary: &CertificateSummary) -> bool {
    summary.r#type().is_none_or(|kind| *kind == CertificateType::Imported)
}

fn tags_of(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().map(|tag| (tag.key().to_owned(), tag.value().unwrap_or_default().to_owned()));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}

fn acm_tags(action: &str, tags: &Tags) -> Result<Vec<Tag>, Failure> {
    let one = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let tags: Result<_, _> = tags.iter().map(one).collect();
    tags.map_err(|error| Failure {
        action: action.to_owned(),
        code: "request".to_owned(),
        message: error.to_string(),
        class: Class::Invalid,
    })
}

async fn detail(clients: &Clients, arn: &str) -> Result<Option<CertificateDetail>, Failure> {
    let call = || clients.acm.describe_certificate().certificate_arn(arn).send();
    match clients.read(DESCRIBE, call).await {
        Ok(answer) => Ok(answer.certificate),
        Err(failure) if failure.class == Class::Gone => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The cluster that a certificate is tagged with, and the ARNs of those who use it.
pub(super) async fn users(clients: &Clients, arn: &str) -> Result<(Option<String>, Vec<String>), Failure> {
    let Some(detail) = detail(clients, arn).await? else { return Ok((None, Vec::new())) };
    let call = || clients.acm.list_tags_for_certificate().certificate_arn(arn).send();
    let mut tags = tags_of(clients.read("acm:ListTagsForCertificate", call).await?.tags());
    Ok((tags.remove(CLUSTER_TAG), detail.in_use_by.unwrap_or_default()))
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for (arn, tags) in tagged(clients, scope.cluster).await? {
        if let Some(detail) = detail(clients, &arn).await? {
            let role = tags.get(ROLE_TAG);
            let domain = scope.of(Kind::Certificate).find(|one| Some(&one.key.role) == role).and_then(wanted_domain);
            all.push(translate(arn, tags, &detail, domain, wall_seconds()));
        }
    }
    Ok(all)
}

fn wanted_domain(resource: &Resource) -> Option<&str> {
    match &resource.spec {
        Spec::Certificate(certificate) => Some(&certificate.domain),
        _ => None,
    }
}

fn translate(arn: String, tags: Tags, detail: &CertificateDetail, wanted: Option<&str>, now: i64) -> Found {
    // Which of its names the service calls the domain is the service's choice.
    let covers = |domain: &&str| {
        detail.domain_name() == Some(*domain) || detail.subject_alternative_names().iter().any(|name| name == domain)
    };
    let domain = wanted.filter(covers).or(detail.domain_name()).unwrap_or("none");
    let spec = Certificate { domain: domain.to_owned(), ends_soon: ends_soon(detail, now) };
    let name = tags.get("Name").cloned().unwrap_or_default();
    // An expired one stands and can be mended in place.
    let condition = match standing(detail) {
        Condition::Pending { .. } if spec.ends_soon => Condition::Ready,
        other => other,
    };
    Found { id: arn, name, tags, spec: Spec::Certificate(spec), condition }
}

fn ends_soon(detail: &CertificateDetail, now: i64) -> bool {
    detail.not_after().is_some_and(|end| end.secs().saturating_sub(now) < SOON_SECONDS)
}

fn standing(detail: &CertificateDetail) -> Condition {
    let word = detail.status().map_or("unknown", CertificateStatus::as_str);
    match word {
        "ISSUED" => Condition::Ready,
        "FAILED" | "REVOKED" | "VALIDATION_TIMED_OUT" => Condition::Failed { reason: word.to_lowercase() },
        _ => Condition::Pending { state: word.to_lowercase() },
    }
}

/// Imports it, under an ARN that exists or a new one. Tags can only be given to a new one.
async fn import(
    clients: &Clients,
    domain: &str,
    arn: Option<&str>,
    tags: Option<Vec<Tag>>,
    material: &dyn Material,
) -> Result<Option<String>, Failure> {
    let pem = material.certificate(domain).map_err(|error| error.into_failure(IMPORT))?;
    let chain = (!pem.chain_pem.is_empty()).then(|| Blob::new(pem.chain_pem));
    let call = clients
        .acm
        .import_certificate()
        .set_certificate_arn(arn.map(str::to_owned))
        .certificate(Blob::new(pem.certificate_pem))
        .private_key(Blob::new(pem.key_pem.expose()))
        .set_certificate_chain(chain)
        .set_tags(tags);
    let effect = if arn.is_some() { Effect::Idempotent } else { Effect::Create };
    Ok(clients.call(IMPORT, effect, call.send()).await?.certificate_arn)
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Certificate,
    _ids: &Ids,
    _token: &str,
    material: &dyn Material,
) -> Result<String, Failure> {
    let tags = acm_tags(IMPORT, &resource.tags)?;
    let arn = import(clients, &spec.domain, None, Some(tags), material).await?;
    arn.ok_or_else(|| incomplete(IMPORT, "ARN", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &Certificate,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let Some(cluster) = resource.tags.get(CLUSTER_TAG) else {
        return Ok(Vec::new());
    };
    let ours = tagged(clients, cluster).await?;
    let same = |tags: &Tags| tags.get(ROLE_TAG) == Some(&resource.key.role);
    Ok(ours.into_iter().filter(|(_, tags)| same(tags)).map(|(arn, _)| arn).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Certificate,
    changes: Option<&[Difference]>,
    _ids: &Ids,
    material: &dyn Material,
) -> Result<(), Failure> {
    let again = any_differs(changes, &["ends soon"]);
    if again {
        import(clients, &spec.domain, Some(id), None, material).await?;
    }
    let mut tags = tags_to_mend(resource, changes);
    if again {
        // Not every endpoint keeps the tags of a certificate that is imported again.
        tags.clone_from(&resource.tags);
    }
    if tags.is_empty() {
        return Ok(());
    }
    let action = "acm:AddTagsToCertificate";
    let tags = acm_tags(action, &tags)?;
    let call = clients.acm.add_tags_to_certificate().certificate_arn(id).set_tags(Some(tags)).send();
    clients.call(action, Effect::Idempotent, call).await.map(drop)
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(detail(clients, id).await?.map_or(Condition::Gone, |detail| standing(&detail)))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.acm.delete_certificate().certificate_arn(id).send();
    clients.call("acm:DeleteCertificate", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn detail(domain: Option<&str>, names: &[&str], end: i64, status: &str) -> CertificateDetail {
        CertificateDetail::builder()
            .set_domain_name(domain.map(str::to_owned))
            .set_subject_alternative_names(Some(names.iter().map(|name| (*name).to_owned()).collect()))
            .not_after(DateTime::from_secs(end))
            .status(status.into())
            .build()
    }

    #[test]
    fn a_domain_is_the_wanted_one_if_it_is_covered() {
        for (domain, names, wanted, expected) in [
            (Some("lb.example.com"), vec![], Some("lb.example.com"), "lb.example.com"),
            (Some("kvstore"), vec!["lb.example.com"], Some("lb.example.com"), "lb.example.com"),
            (Some("kvstore"), vec!["other.example.com"], Some("lb.example.com"), "kvstore"),
            (Some("kvstore"), vec![], None, "kvstore"),
            (None, vec![], Some("lb.example.com"), "none"),
        ] {
            let detail = detail(domain, &names, NOW + 2 * SOON_SECONDS, "ISSUED");
            let found = translate("arn:c".to_owned(), Tags::new(), &detail, wanted, NOW);
            assert_eq!(found.spec, Spec::Certificate(Certificate { domain: expected.to_owned(), ends_soon: false }));
            assert_eq!(found.condition, Condition::Ready);
        }
    }

    #[test]
    fn what_ends_soon_is_told_and_can_be_mended() {
        for (end, status, ends_soon, ready) in [
            (NOW + SOON_SECONDS, "ISSUED", false, true),
            (NOW + SOON_SECONDS - 1, "ISSUED", true, true),
            (NOW - 1, "EXPIRED", true, true),
            (NOW + 2 * SOON_SECONDS, "PENDING_VALIDATION", false, false),
            (NOW + 2 * SOON_SECONDS, "REVOKED", false, false),
        ] {
            let detail = detail(Some("d"), &[], end, status);
            let found = translate("arn:c".to_owned(), Tags::new(), &detail, None, NOW);
            assert_eq!(found.spec, Spec::Certificate(Certificate { domain: "d".to_owned(), ends_soon }), "{status}");
            assert_eq!(found.condition == Condition::Ready, ready, "{status}");
        }
    }

    #[test]
    fn only_imported_certificates_are_looked_at() {
        let of = |kind: Option<CertificateType>| CertificateSummary::builder().set_type(kind).build();
        assert!(may_be_imported(&of(Some(CertificateType::Imported))));
        assert!(may_be_imported(&of(None)), "an endpoint that does not say");
        assert!(!may_be_imported(&of(Some(CertificateType::AmazonIssued))));
    }
}
