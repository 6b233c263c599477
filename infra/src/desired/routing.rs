//! The network itself, its subnets, and the ways out: gateways, addresses, route tables.
//!
//! Each private subnet routes through its own zone's NAT gateway: no zone needs another one to reach the internet.

use std::collections::BTreeSet;

use super::list::{List, internet_gateway, private_subnet, public_subnet, vpc};
use crate::network::Zone;
use crate::resource::{
    ElasticIp, GatewayEndpoint, InternetGateway, Key, Kind, NatGateway, Route, RouteTable, RouteTableAssociation,
    RouteTarget, Spec, Subnet, Vpc,
};

/// Everything that has no route of its own.
const DEFAULT_ROUTE: &str = "0.0.0.0/0";

pub(super) fn add(list: &mut List<'_>) {
    let network = list.network;
    let spec = Spec::Vpc(Vpc { cidr: network.vpc(), dns_support: true, dns_hostnames: true });
    list.add("main", network.name("vpc"), spec, Vec::new());
    let spec = Spec::InternetGateway(InternetGateway { vpc: Some(vpc().into()) });
    list.add("main", network.name("igw"), spec, Vec::new());
    subnets(list);
    public_routes(list);
    for zone in network.zones() {
        way_out(list, zone);
    }
    endpoint(list);
}

fn subnets(list: &mut List<'_>) {
    let network = list.network;
    let private = network.zones().iter().map(|zone| (zone.private_role(), zone.private, zone));
    let public = network.zones().iter().map(|zone| (zone.public_role(), zone.public, zone));
    for (role, cidr, zone) in private.chain(public) {
        let subnet = Subnet { vpc: vpc().into(), cidr, zone: zone.name.to_string(), public_addresses: false };
        list.add(&role, network.name(&format!("subnet-{role}")), Spec::Subnet(subnet), Vec::new());
    }
}

fn table(list: &mut List<'_>, role: &str) -> Key {
    let name = list.network.name(&format!("rtb-{role}"));
    list.add(role, name, Spec::RouteTable(RouteTable { vpc: vpc().into() }), Vec::new())
}

fn route(list: &mut List<'_>, table: &Key, target: RouteTarget) {
    let route = Route { table: table.clone().into(), destination: DEFAULT_ROUTE.to_owned(), target };
    list.add_content(Spec::Route(route), Vec::new());
}

fn associate(list: &mut List<'_>, table: &Key, subnet: Key) {
    let association = RouteTableAssociation { table: table.clone().into(), subnet: subnet.into() };
    list.add_content(Spec::RouteTableAssociation(association), Vec::new());
}

fn public_routes(list: &mut List<'_>) {
    let table = table(list, "public");
    route(list, &table, RouteTarget::InternetGateway(internet_gateway().into()));
    for zone in list.network.zones() {
        associate(list, &table, public_subnet(zone));
    }
}

fn way_out(list: &mut List<'_>, zone: &Zone) {
    let network = list.network;
    let zone_name = zone.name.as_str();
    // An address that is in use keeps the internet gateway attached: it goes first, hence the need.
    let needs = vec![internet_gateway()];
    let address = list.add(zone_name, network.name(&format!("eip-{zone_name}")), Spec::ElasticIp(ElasticIp {}), needs);
    let gateway = NatGateway { subnet: public_subnet(zone).into(), address: address.into() };
    let needs = vec![internet_gateway()];
    let gateway = list.add(zone_name, network.name(&format!("nat-{zone_name}")), Spec::NatGateway(gateway), needs);
    let table = table(list, &zone.private_role());
    route(list, &table, RouteTarget::NatGateway(gateway.into()));
    associate(list, &table, private_subnet(zone));
}

/// Artifacts come through it, not through the NAT gateways, which cost by the byte.
fn endpoint(list: &mut List<'_>) {
    let network = list.network;
    let private = network.zones().iter().map(|zone| Key::new(Kind::RouteTable, zone.private_role()).into());
    let tables: BTreeSet<_> = private.collect();
    let service = format!("{}.{}.s3", service_prefix(network.partition()), network.region());
    let endpoint = GatewayEndpoint { vpc: vpc().into(), service, tables };
    list.add("s3", network.name("vpce-s3"), Spec::GatewayEndpoint(endpoint), Vec::new());
}

fn service_prefix(partition: &str) -> &'static str {
    if partition == "aws-cn" { "cn.com.amazonaws" } else { "com.amazonaws" }
}

/// What a private subnet needs to reach the internet.
pub(super) fn ways_out(zone: &Zone) -> Vec<Key> {
    vec![
        Key::new(Kind::Route, format!("{}/{DEFAULT_ROUTE}", zone.private_role())),
        Key::new(Kind::RouteTableAssociation, zone.private_role()),
        Key::new(Kind::Route, format!("public/{DEFAULT_ROUTE}")),
        Key::new(Kind::RouteTableAssociation, zone.public_role()),
    ]
}

/// What the public subnets need to be reached.
pub(super) fn public_ways(zones: &[Zone]) -> Vec<Key> {
    let associations = zones.iter().map(|zone| Key::new(Kind::RouteTableAssociation, zone.public_role()));
    std::iter::once(Key::new(Kind::Route, format!("public/{DEFAULT_ROUTE}"))).chain(associations).collect()
}
