//! Who keeps a resource of a service other than EC2 from being deleted: certificates, target groups and roles say it
//! themselves.
//!
//! Names of the cluster's own load balancers and profiles start with the cluster's name, and the resource's own name
//! or tag tells the cluster; what starts otherwise is somebody else's. Nothing is changed.

use crate::provider::aws::clients::Clients;
use crate::provider::aws::{certificate, role, target_group};
use crate::provider::{Failure, Holder};
use crate::resource::Kind;

/// Who holds it; empty for kinds that nobody can hold.
pub(super) async fn of(clients: &Clients, kind: Kind, id: &str) -> Result<Vec<Holder>, Failure> {
    let (cluster, noun, holders) = match kind {
        Kind::Certificate => {
            let (cluster, users) = certificate::users(clients, id).await?;
            (cluster, "", users)
        }
        Kind::TargetGroup => {
            let (cluster, users) = target_group::users(clients, id).await?;
            (cluster, "", users)
        }
        Kind::Role => {
            let (cluster, users) = role::users(clients, id).await?;
            (cluster, "instance profile ", users)
        }
        _ => return Ok(Vec::new()),
    };
    Ok(holders.into_iter().map(|holder| judge(cluster.as_deref(), noun, holder)).collect())
}

fn judge(cluster: Option<&str>, noun: &str, id: String) -> Holder {
    let rest = cluster.and_then(|cluster| name(&id).strip_prefix(cluster));
    let ours = rest.is_some_and(|rest| rest.starts_with('-'));
    Holder { what: format!("{noun}{}", label(&id)), state: "uses it".to_owned(), ours, id }
}

/// `kvstore-dev-alb` of `arn:…:loadbalancer/app/kvstore-dev-alb/50dc6c495c0c9188`, and everything that is no such ARN.
fn name(id: &str) -> &str {
    match id.split_once(":loadbalancer/") {
        Some((_, rest)) => rest.split('/').nth(1).unwrap_or(rest),
        None => id,
    }
}

/// What people call it.
fn label(id: &str) -> String {
    match id.contains(":loadbalancer/") {
        true => format!("load balancer {}", name(id)),
        false => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_holder_is_stands_in_its_name() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app";
        for (cluster, noun, id, what, ours) in [
            (Some("kvstore-dev"), "", format!("{arn}/kvstore-dev-alb/50d"), "load balancer kvstore-dev-alb", true),
            (Some("kvstore-dev"), "", format!("{arn}/shop/50d"), "load balancer shop", false),
            (Some("kvstore-dev"), "", format!("{arn}/kvstore-dev2-alb/50d"), "load balancer kvstore-dev2-alb", false),
            (None, "", format!("{arn}/kvstore-dev-alb/50d"), "load balancer kvstore-dev-alb", false),
            (Some("kvstore-dev"), "instance profile ", "shop".to_owned(), "instance profile shop", false),
            (Some("kvstore-dev"), "", "arn:aws:apigateway:x".to_owned(), "arn:aws:apigateway:x", false),
        ] {
            let holder = judge(cluster, noun, id);
            assert_eq!((holder.what.as_str(), holder.ours), (what, ours));
        }
    }
}
