//! The cloud as the engine drives it: each operation goes to the file that knows the kind.
//!
//! Nothing is decided here but what belongs together: kinds that one look tells, and that a look which was refused
//! leaves those kinds unseen. Calls are boxed: thirty kinds' states in one future would be as large as the largest.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::clients::Clients;
use super::material::Material;
use super::pace::pause;
use super::scope::Scope;
use super::{
    balancer, bucket, certificate, consistency, elastic_ip, flow_log, gateway_endpoint, holders, instance,
    instance_profile, internet_gateway, listener, listener_rule, load_balancer, log_group, nat_gateway, network_acl,
    network_acl_association, network_acl_entry, object, parameter, role, route, route_table, route_table_association,
    security_group, security_group_rule, subnet, target_group, target_registration, volume, volume_attachment, vpc,
};
use crate::observed::{Condition, Found, Observed, Unseen};
use crate::plan::Difference;
use crate::provider::{Class, Cloud, Failure, Holder, Ids};
use crate::resource::{Kind, Resource, Spec};

type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Observations made until one can be true; an answer lags behind another for seconds.
const MAX_LOOKS: u32 = 4;
/// Wait between two of them, times how many there were.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What `route_table::observe` tells.
const ROUTING: [Kind; 3] = [Kind::RouteTable, Kind::Route, Kind::RouteTableAssociation];
/// What `security_group::observe` tells.
const GROUPS: [Kind; 2] = [Kind::SecurityGroup, Kind::SecurityGroupRule];
/// What `network_acl::observe` tells.
const ACLS: [Kind; 3] = [Kind::NetworkAcl, Kind::NetworkAclEntry, Kind::NetworkAclAssociation];
/// What `balancer::observe` tells.
const BALANCER: [Kind; 5] =
    [Kind::TargetGroup, Kind::LoadBalancer, Kind::Listener, Kind::ListenerRule, Kind::TargetRegistration];

/// AWS. It remembers nothing between two calls but how fast they may leave.
pub struct Aws {
    clients: Clients,
    material: Arc<dyn Material>,
}

impl Aws {
    /// A cloud behind some clients; `material` is asked for what stands in no plan.
    #[must_use]
    pub fn new(clients: Clients, material: Arc<dyn Material>) -> Self {
        Self { clients, material }
    }

    /// The clients: what left so far, who we are.
    #[must_use]
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The public name of a load balancer; none while it does not exist.
    ///
    /// # Errors
    /// It could not be asked for; nothing was changed.
    pub async fn balancer_host(&self, name: &str) -> Result<Option<String>, Failure> {
        load_balancer::host(&self.clients, name).await
    }

    async fn observe_once(&self, cluster: &str, wanted: &[Resource]) -> Result<Observed, Failure> {
        let scope = Scope::new(cluster, wanted);
        let mut observed = Observed { cluster: cluster.to_owned(), ..Observed::default() };
        for look in try_join_all(self.looks(&scope).into_iter().map(Look::take)).await? {
            match look {
                Ok(found) => observed.found.extend(found),
                Err(unseen) => observed.unseen.push(unseen),
            }
        }
        Ok(observed)
    }

    /// Every look that an observation takes, each with the kinds that it tells.
    fn looks<'a>(&'a self, scope: &'a Scope<'a>) -> Vec<Look<'a>> {
        let clients = &self.clients;
        vec![
            Look::new(&[Kind::Vpc], vpc::observe(clients, scope)),
            Look::new(&[Kind::InternetGateway], internet_gateway::observe(clients, scope)),
            Look::new(&[Kind::Subnet], subnet::observe(clients, scope)),
            Look::new(&[Kind::ElasticIp], elastic_ip::observe(clients, scope)),
            Look::new(&[Kind::NatGateway], nat_gateway::observe(clients, scope)),
            Look::new(&ROUTING, route_table::observe(clients, scope)),
            Look::new(&[Kind::GatewayEndpoint], gateway_endpoint::observe(clients, scope)),
            Look::new(&GROUPS, security_group::observe(clients, scope)),
            Look::new(&ACLS, network_acl::observe(clients, scope)),
            Look::new(&[Kind::LogGroup], log_group::observe(clients, scope)),
            Look::new(&[Kind::Role], role::observe(clients, scope)),
            Look::new(&[Kind::InstanceProfile], instance_profile::observe(clients, scope)),
            Look::new(&[Kind::FlowLog], flow_log::observe(clients, scope)),
            Look::new(&[Kind::Certificate], certificate::observe(clients, scope)),
            Look::new(&BALANCER, balancer::observe(clients, scope)),
            Look::new(&[Kind::Bucket], bucket::observe(clients, scope)),
            Look::new(&[Kind::Object], object::observe(clients, scope)),
            Look::new(&[Kind::Parameter], parameter::observe(clients, scope)),
            Look::new(&[Kind::Volume, Kind::VolumeAttachment], volume::observe(clients, scope)),
            Look::new(&[Kind::Instance], instance::observe(clients, scope)),
        ]
    }
}

/// A look at some kinds at once.
struct Look<'a> {
    kinds: &'static [Kind],
    call: Call<'a, Vec<Found>>,
}

impl<'a> Look<'a> {
    fn new(kinds: &'static [Kind], call: impl Future<Output = Result<Vec<Found>, Failure>> + Send + 'a) -> Self {
        Self { kinds, call: Box::pin(call) }
    }

    /// What was seen; or, where it was refused, what was not. Other failures end the observation.
    async fn take(self) -> Result<Result<Vec<Found>, Unseen>, Failure> {
        match self.call.await {
            Err(Failure { class: Class::Denied, action, message, .. }) => {
                Ok(Err(Unseen { kinds: self.kinds.to_vec(), action, reason: message, permission: true }))
            }
            other => other.map(Ok),
        }
    }
}

/// Sends an operation to the file that knows the kind. Rows: the kind, its file, and in brackets what `create` and
/// `configure` of that file take besides what all take.
macro_rules! dispatch {
    ($material:ident: $($kind:ident => $file:ident($($create:ident)?)($($configure:ident)?),)*) => {
        impl Cloud for Aws {
            async fn observe(&self, cluster: &str, wanted: &[Resource]) -> Result<Observed, Failure> {
                let mut looks = 1;
                loop {
                    let mut observed = self.observe_once(cluster, wanted).await?;
                    let hidden = consistency::hidden(&self.clients, cluster, &observed.found).await?;
                    if hidden.is_empty() {
                        return Ok(observed);
                    }
                    if looks == MAX_LOOKS {
                        observed.unseen.push(consistency::unseen(cluster, &hidden));
                        return Ok(observed);
                    }
                    pause(LOOK_AGAIN * looks).await;
                    looks += 1;
                }
            }

            async fn create(&self, resource: &Resource, ids: &Ids, token: &str) -> Result<String, Failure> {
                let (clients, $material) = (&self.clients, self.material.as_ref());
                let call: Call<'_, String> = match &resource.spec {
                    $(Spec::$kind(spec) => {
                        Box::pin($file::create(clients, resource, spec, ids, token $(, $create)?))
                    })*
                };
                call.await
            }

            async fn find(&self, resource: &Resource, ids: &Ids) -> Result<Vec<String>, Failure> {
                let call: Call<'_, Vec<String>> = match &resource.spec {
                    $(Spec::$kind(spec) => Box::pin($file::find(&self.clients, resource, spec, ids)),)*
                };
                call.await
            }

            async fn configure(
                &self,
                id: &str,
                resource: &Resource,
                changes: Option<&[Difference]>,
                ids: &Ids,
            ) -> Result<(), Failure> {
                let (clients, $material) = (&self.clients, self.material.as_ref());
                let call: Call<'_, ()> = match &resource.spec {
                    $(Spec::$kind(spec) => {
                        Box::pin($file::configure(clients, id, resource, spec, changes, ids $(, $configure)?))
                    })*
                };
                call.await
            }

            async fn condition(&self, kind: Kind, id: &str) -> Result<Condition, Failure> {
                let call: Call<'_, Condition> = match kind {
                    $(Kind::$kind => Box::pin($file::condition(&self.clients, id)),)*
                };
                call.await
            }

            async fn delete(&self, kind: Kind, id: &str) -> Result<(), Failure> {
                let call: Call<'_, ()> = match kind {
                    $(Kind::$kind => Box::pin($file::delete(&self.clients, id)),)*
                };
                call.await
            }

            async fn holders(&self, kind: Kind, id: &str) -> Result<Vec<Holder>, Failure> {
                holders::of(&self.clients, kind, id).await
            }
        }
    };
}

dispatch! { material:
    Vpc => vpc()(),
    InternetGateway => internet_gateway()(),
    Subnet => subnet()(),
    ElasticIp => elastic_ip()(),
    NatGateway => nat_gateway()(),
    RouteTable => route_table()(),
    Route => route()(),
    RouteTableAssociation => route_table_association()(),
    SecurityGroup => security_group()(),
    SecurityGroupRule => security_group_rule()(),
    NetworkAcl => network_acl()(),
    NetworkAclEntry => network_acl_entry()(),
    NetworkAclAssociation => network_acl_association()(),
    GatewayEndpoint => gateway_endpoint()(),
    LogGroup => log_group()(),
    Role => role()(),
    InstanceProfile => instance_profile()(),
    FlowLog => flow_log()(),
    Certificate => certificate(material)(material),
    TargetGroup => target_group()(),
    LoadBalancer => load_balancer()(),
    Listener => listener()(),
    ListenerRule => listener_rule()(),
    TargetRegistration => target_registration()(),
    Bucket => bucket()(),
    Object => object(material)(material),
    Parameter => parameter(material)(),
    Volume => volume()(),
    Instance => instance()(),
    VolumeAttachment => volume_attachment()(),
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::provider::aws::clients::Options;
    use crate::provider::aws::material::{CertificateMaterial, MaterialError, Secret};

    struct Nothing;

    impl Material for Nothing {
        fn parameter(&self, role: &str) -> Result<Secret, MaterialError> {
            Err(MaterialError::Missing { what: role.to_owned() })
        }

        fn certificate(&self, domain: &str) -> Result<CertificateMaterial, MaterialError> {
            Err(MaterialError::Missing { what: domain.to_owned() })
        }

        fn artifact(&self, sha256: &str) -> Result<PathBuf, MaterialError> {
            Err(MaterialError::Missing { what: sha256.to_owned() })
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn look(kinds: &'static [Kind], class: Class) -> Result<Result<Vec<Found>, Unseen>, Failure> {
        let text = |text: &str| text.to_owned();
        let failure = Failure { action: text("ec2:DescribeVpcs"), code: text("c"), message: text("no"), class };
        run(Look::new(kinds, std::future::ready(Err(failure))).take())
    }

    #[test]
    fn every_kind_is_looked_at_once() {
        let options = Options { loopback_only: true, ..Options::new("us-east-1") };
        let aws = Aws::new(run(Clients::connect(&options)).unwrap(), Arc::new(Nothing));
        let scope = Scope::new("kvstore-dev", &[]);
        let mut kinds: Vec<Kind> = aws.looks(&scope).iter().flat_map(|look| look.kinds).copied().collect();
        kinds.sort_unstable();
        let mut all = Kind::ALL;
        all.sort_unstable();
        assert_eq!(kinds, all);
    }

    #[test]
    fn a_refused_look_is_unseen_and_any_other_failure_ends_it() {
        let unseen = look(&ROUTING, Class::Denied).unwrap().unwrap_err();
        assert_eq!(unseen.kinds, ROUTING);
        assert_eq!(
            (unseen.action.as_str(), unseen.reason.as_str(), unseen.permission),
            ("ec2:DescribeVpcs", "no", true)
        );
        for class in [Class::Throttled, Class::Transient, Class::Credentials, Class::Gone, Class::Invalid] {
            assert_eq!(look(&ROUTING, class).unwrap_err().class, class);
        }
    }
}
