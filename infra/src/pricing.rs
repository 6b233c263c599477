//! About what a network costs: a dated table of list prices, on demand, without taxes, traffic or discounts.
//!
//! The table is checked in and says when it was written. It knows one region and a dozen machine sizes; for
//! everything else the estimate says that it does not know, and counts nothing. Usage is not estimated at all: bytes
//! through gateways and the load balancer, log entries, requests.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resource::{Kind, Resource, Spec};

/// When the table was written.
pub const DATE: &str = "2026-10";
/// The region that the table is for.
pub const REGION: &str = "us-east-1";
/// Hours in an average month, as the cloud's own calculator has it.
const HOURS_A_MONTH: f64 = 730.0;

/// USD an hour.
const NAT_GATEWAY: f64 = 0.045;
/// USD an hour, without capacity units.
const LOAD_BALANCER: f64 = 0.0225;
/// USD an hour for each public IPv4 address, in use or not.
const PUBLIC_ADDRESS: f64 = 0.005;
/// USD a month for each GiB of gp3, with the 3000 operations and 125 MB a second that are included.
const GP3_GIB_MONTH: f64 = 0.08;
/// USD an hour on demand, Linux.
const INSTANCES: [(&str, f64); 14] = [
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.medium", 0.0416),
    ("m5.large", 0.096),
    ("m6i.large", 0.096),
    ("m6i.xlarge", 0.192),
    ("m6i.2xlarge", 0.384),
    ("c6i.large", 0.085),
    ("c6i.xlarge", 0.17),
    ("r6i.large", 0.126),
    ("r6i.xlarge", 0.252),
    ("c7g.large", 0.0725),
    ("m7g.large", 0.0816),
    ("m7g.xlarge", 0.1632),
];

/// What something costs as long as it stands there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// USD an hour.
    pub hourly: f64,
    /// USD a month of 730 hours.
    pub monthly: f64,
    /// When the prices were written down.
    pub date: &'static str,
    /// What costs something that the table does not know; it is not in the sums.
    pub unknown: Vec<String>,
}

impl Estimate {
    /// In words, for example `about 0.19 USD an hour, 139 a month (prices of 2026-10; traffic not included)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let known = format!(
            "about {:.2} USD an hour, {:.0} a month (prices of {}; traffic not included)",
            self.hourly, self.monthly, self.date
        );
        match self.unknown.is_empty() {
            true => known,
            false => format!("{known}, and what is not in the price table: {}", self.unknown.join(", ")),
        }
    }
}

/// What resources of a region cost. Those of other regions than [`REGION`] are all unknown.
pub fn estimate<'a>(region: &str, resources: impl Iterator<Item = &'a Resource>) -> Estimate {
    let mut hourly = 0.0;
    let mut unknown: BTreeMap<String, u32> = BTreeMap::new();
    for resource in resources {
        match price(resource) {
            Price::Free => {}
            Price::Hourly(price) if region == REGION => hourly += price,
            Price::Hourly(_) => *unknown.entry(format!("{} in {region}", resource.key.kind.noun())).or_default() += 1,
            Price::Unknown(what) => *unknown.entry(what).or_default() += 1,
        }
    }
    let unknown = unknown.into_iter().map(|(what, count)| format!("{count} × {what}")).collect();
    Estimate { hourly, monthly: hourly * HOURS_A_MONTH, date: DATE, unknown }
}

enum Price {
    Free,
    Hourly(f64),
    Unknown(String),
}

fn price(resource: &Resource) -> Price {
    match &resource.spec {
        Spec::NatGateway(_) => Price::Hourly(NAT_GATEWAY),
        Spec::ElasticIp(_) => Price::Hourly(PUBLIC_ADDRESS),
        // An internet-facing one has one public address in each subnet.
        Spec::LoadBalancer(balancer) => {
            let addresses = if balancer.internet_facing { balancer.subnets.len() } else { 0 };
            let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
            Price::Hourly(LOAD_BALANCER + f64::from(addresses) * PUBLIC_ADDRESS)
        }
        Spec::Volume(volume) if volume.volume_type == "gp3" => {
            Price::Hourly(f64::from(volume.gib) * GP3_GIB_MONTH / HOURS_A_MONTH)
        }
        Spec::Volume(volume) => Price::Unknown(format!("{} of type {}", Kind::Volume.noun(), volume.volume_type)),
        Spec::Instance(instance) => INSTANCES.iter().find(|(size, _)| *size == instance.instance_type).map_or_else(
            || Price::Unknown(format!("instance of type {}", instance.instance_type)),
            |(_, price)| Price::Hourly(*price),
        ),
        // Parameters of the standard tier, gateway endpoints, imported certificates, and rules cost nothing; buckets
        // and logs cost by use.
        _ => Price::Free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Inputs, resources};
    use crate::network::{Draft, Network};

    fn of(draft: Draft) -> Estimate {
        let region = draft.region.clone();
        let network = Network::parse(draft).unwrap();
        let inputs = Inputs { account: "123456789012".to_owned(), artifact_sha256: "ab".repeat(32) };
        estimate(&region, resources(&network, &inputs).iter())
    }

    #[test]
    fn the_reference_network_sums_up_by_hand() {
        let estimate = of(Draft::default());
        // 3 NAT gateways, 3 of their addresses, a load balancer with 3 addresses, 3 machines, 3 disks of 100 GiB.
        let hourly = 3.0 * 0.045 + 3.0 * 0.005 + 0.0225 + 3.0 * 0.005 + 3.0 * 0.096 + 3.0 * 100.0 * 0.08 / 730.0;
        assert!((estimate.hourly - hourly).abs() < 1e-9, "{estimate:?}");
        assert_eq!(estimate.unknown, Vec::<String>::new());
        assert_eq!(
            estimate.sentence(),
            "about 0.51 USD an hour, 371 a month (prices of 2026-10; traffic not included)"
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_said_and_not_guessed() {
        let odd = of(Draft { instance_type: "x9.mega".to_owned(), ..Draft::default() });
        assert_eq!(odd.unknown, ["3 × instance of type x9.mega"]);
        let far = of(Draft::for_region("eu-central-1"));
        assert!(far.hourly.abs() < f64::EPSILON, "{far:?}");
        assert_eq!(far.unknown.len(), 5, "{far:?}");
    }
}
