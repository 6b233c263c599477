//! What one observation is about: the cluster, the resources whose names are to be looked up, and the two lists that
//! several looks need.
//!
//! Kinds that are recognised by their name (a load balancer, a bucket) can be looked up only if one knows the name;
//! the wanted resources give it. The networks and subnets are asked for once, by the first look that needs them, and
//! forgotten with the observation.

use aws_sdk_ec2::types;
use tokio::sync::OnceCell;

use super::clients::Clients;
use super::identity::of_cluster;
use super::{subnet, vpc};
use crate::provider::Failure;
use crate::resource::{Kind, Resource};

/// What to look for.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The cluster (`project-environment`).
    pub(super) cluster: &'a str,
    /// The resources that are wanted; those of kinds recognised by name are looked up by it.
    pub(super) wanted: &'a [Resource],
    vpcs: OnceCell<Vec<types::Vpc>>,
    subnets: OnceCell<Vec<types::Subnet>>,
}

impl<'a> Scope<'a> {
    /// Of one observation.
    pub(super) const fn new(cluster: &'a str, wanted: &'a [Resource]) -> Self {
        Self { cluster, wanted, vpcs: OnceCell::const_new(), subnets: OnceCell::const_new() }
    }

    /// The wanted resources of one kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &'a Resource> + use<'a> {
        self.wanted.iter().filter(move |resource| resource.key.kind == kind)
    }

    /// The names that are wanted for one kind.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &'a str> + use<'a> {
        self.of(kind).map(|resource| resource.name.as_str())
    }

    /// The cluster's networks.
    ///
    /// # Errors
    /// They could not be listed; each who asks is told so.
    pub(super) async fn vpcs(&self, clients: &Clients) -> Result<&[types::Vpc], Failure> {
        let list = || async { vpc::list(clients, &[of_cluster(self.cluster)]).await };
        self.vpcs.get_or_try_init(list).await.map(Vec::as_slice)
    }

    /// Ids of the cluster's networks.
    ///
    /// # Errors
    /// As [`Scope::vpcs`].
    pub(super) async fn vpc_ids(&self, clients: &Clients) -> Result<Vec<String>, Failure> {
        Ok(self.vpcs(clients).await?.iter().filter_map(|vpc| vpc.vpc_id.clone()).collect())
    }

    /// The cluster's subnets.
    ///
    /// # Errors
    /// They could not be listed; each who asks is told so.
    pub(super) async fn subnets(&self, clients: &Clients) -> Result<&[types::Subnet], Failure> {
        let list = || async { subnet::list(clients, &[of_cluster(self.cluster)]).await };
        self.subnets.get_or_try_init(list).await.map(Vec::as_slice)
    }

    /// Ids of the cluster's subnets.
    ///
    /// # Errors
    /// As [`Scope::subnets`].
    pub(super) async fn subnet_ids(&self, clients: &Clients) -> Result<Vec<String>, Failure> {
        Ok(self.subnets(clients).await?.iter().filter_map(|subnet| subnet.subnet_id.clone()).collect())
    }
}
