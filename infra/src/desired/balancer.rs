//! The clients' way in: certificate, target group, load balancer, its one port and its one rule.
//!
//! There is none of it in a cluster of one zone.
//! Only the key-value paths are handed on; everything else, the admin paths too, answers 404 before a node sees it.

use std::collections::BTreeSet;

use super::list::{List, internet_gateway, public_subnet, target_group, vpc};
use super::routing;
use crate::resource::{Certificate, Key, Kind, Listener, ListenerRule, LoadBalancer, Reference, Spec, TargetGroup};

/// What clients may ask for.
const PATHS: [&str; 3] = ["/v1/batch", "/v1/kv", "/v1/kv/*"];
/// Seconds after which a silent connection is closed: a request takes 30 s at most.
const IDLE_TIMEOUT_SECONDS: u32 = 60;
/// Seconds between health checks. Two in a row decide either way: a node is out within 20 s.
const HEALTH_INTERVAL_SECONDS: u32 = 10;
/// Seconds after which a health check failed.
const HEALTH_TIMEOUT_SECONDS: u32 = 5;
/// Checks in a row that decide.
const HEALTH_THRESHOLD: u32 = 2;
/// Seconds that a leaving node may finish its requests: as long as a request may take, and a little.
const DEREGISTRATION_DELAY_SECONDS: u32 = 35;

pub(super) fn add(list: &mut List<'_>) {
    let network = list.network;
    if !network.has_load_balancer() {
        return;
    }
    let group = TargetGroup {
        vpc: vpc().into(),
        protocol: "HTTPS".to_owned(),
        port: network.ports().api,
        health_path: "/readyz".to_owned(),
        health_interval_seconds: HEALTH_INTERVAL_SECONDS,
        health_timeout_seconds: HEALTH_TIMEOUT_SECONDS,
        healthy_after: HEALTH_THRESHOLD,
        unhealthy_after: HEALTH_THRESHOLD,
        deregistration_delay_seconds: DEREGISTRATION_DELAY_SECONDS,
    };
    list.add("nodes", network.name("tg-nodes"), Spec::TargetGroup(group), Vec::new());
    let certificate = certificate(list);
    load_balancer(list);
    let listener = Listener {
        load_balancer: load_balancer_key().into(),
        port: network.ports().api,
        protocol: "HTTPS".to_owned(),
        tls_policy: network.draft().tls_policy.clone(),
        certificate,
        default_status: Some(404),
    };
    let listener = list.add_content(Spec::Listener(listener), Vec::new());
    let rule = ListenerRule {
        listener: listener.into(),
        priority: 1,
        paths: PATHS.map(str::to_owned).into(),
        target_group: Some(target_group().into()),
    };
    list.add_content(Spec::ListenerRule(rule), Vec::new());
}

fn certificate(list: &mut List<'_>) -> Reference {
    let network = list.network;
    if let Some(arn) = &network.draft().certificate {
        return Reference::Id(arn.clone());
    }
    let spec = Spec::Certificate(Certificate { domain: network.domain(), ends_soon: false });
    list.add("lb", network.name("cert-lb"), spec, Vec::new()).into()
}

fn load_balancer_key() -> Key {
    Key::new(Kind::LoadBalancer, "main")
}

fn load_balancer(list: &mut List<'_>) {
    let network = list.network;
    let group = Key::new(Kind::SecurityGroup, "lb");
    let mut needs = vec![internet_gateway()];
    needs.extend(routing::public_ways(network.zones()));
    needs.extend(list.inside(Kind::SecurityGroupRule, &group));
    needs.extend(network.zones().iter().map(|zone| Key::new(Kind::NetworkAclAssociation, zone.public_role())));
    let balancer = LoadBalancer {
        internet_facing: true,
        subnets: network.zones().iter().map(|zone| public_subnet(zone).into()).collect(),
        groups: BTreeSet::from([group.into()]),
        drop_invalid_headers: true,
        idle_timeout_seconds: IDLE_TIMEOUT_SECONDS,
    };
    list.add("main", network.name("alb"), Spec::LoadBalancer(balancer), needs);
}
