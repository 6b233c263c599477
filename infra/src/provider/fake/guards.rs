//! What a fake cloud refuses, and with which of the real one's codes.
//!
//! Everything that the real services check and their emulators let pass: order of deletion, double use of addresses
//! and places, states, things that other services do not know yet. Nothing here changes anything.

use std::time::Duration;

use super::nature;
use super::thing::Thing;
use super::world::{Trace, World, refusal};
use crate::provider::{Class, Failure, Holder};
use crate::resource::{CLUSTER_TAG, Identity, Instance, Kind, NatGateway, Reference, Spec, VolumeAttachment};

type Verdict = Result<(), Failure>;

/// Whether something may be made.
pub(super) fn creation(world: &mut World, action: &str, name: &str, spec: &Spec) -> Verdict {
    let kind = spec.kind();
    let count = || world.things.values().filter(|thing| thing.kind() == kind).count();
    if world.faults.quotas.get(&kind).is_some_and(|most| count() >= *most) {
        return Err(refusal(action, &format!("{}LimitExceeded", kind.noun()), Class::Quota));
    }
    if let Some(other) = world.things.values().find(|thing| same_place(thing, name, spec)) {
        return Err(match other.gone {
            Some(_) => refusal(action, "ResourceInUse", Class::InUse),
            None => refusal(action, "AlreadyExists", Class::Exists),
        });
    }
    match spec {
        Spec::NatGateway(gateway) => address_is_free(world, action, gateway),
        Spec::Instance(instance) => instance_can_start(world, action, instance),
        Spec::VolumeAttachment(attachment) => is_running(world, action, attachment),
        _ => Ok(()),
    }
}

/// Whether another thing has what a new one needs for itself alone.
fn same_place(thing: &Thing, name: &str, spec: &Spec) -> bool {
    if thing.kind() != spec.kind() {
        return false;
    }
    match (&thing.spec, spec) {
        // Switching an association replaces it.
        (Spec::NetworkAclAssociation(_), _) => false,
        (Spec::Subnet(old), Spec::Subnet(new)) => {
            old.vpc == new.vpc && (old.cidr.contains(&new.cidr) || new.cidr.contains(&old.cidr))
        }
        (Spec::SecurityGroup(old), Spec::SecurityGroup(new)) => old.vpc == new.vpc && thing.name == name,
        (Spec::GatewayEndpoint(old), Spec::GatewayEndpoint(new)) => old.vpc == new.vpc && old.service == new.service,
        (Spec::FlowLog(old), Spec::FlowLog(new)) => old.vpc == new.vpc && old.log_group == new.log_group,
        _ => match spec.kind().identity() {
            Identity::Name => thing.name == name,
            Identity::Content => thing.takes_the_place_of(spec),
            Identity::Tag => false,
        },
    }
}

fn address_is_free(world: &World, action: &str, gateway: &NatGateway) -> Verdict {
    let address = gateway.address.to_string();
    let used = world.things.values().any(|thing| thing.kind() == Kind::NatGateway && thing.names(&address));
    match used || traced(world, &address) {
        true => Err(refusal(action, "Resource.AlreadyAssociated", Class::InUse)),
        false => Ok(()),
    }
}

fn instance_can_start(world: &mut World, action: &str, instance: &Instance) -> Verdict {
    if instance.profile.as_ref().is_some_and(|profile| is_fresh(world, profile)) {
        return Err(refusal(action, "InvalidParameterValue", Class::NotYet));
    }
    let taken = world.things.values().any(|thing| {
        matches!(&thing.spec, Spec::Instance(other) if other.subnet == instance.subnet && other.address == instance.address)
    });
    if taken {
        return Err(refusal(action, "InvalidIPAddress.InUse", Class::InUse));
    }
    match world.chance.permille(world.faults.no_capacity) {
        true => Err(refusal(action, "InsufficientInstanceCapacity", Class::Capacity)),
        false => Ok(()),
    }
}

fn is_running(world: &World, action: &str, attachment: &VolumeAttachment) -> Verdict {
    let ready = |reference: &Reference| {
        world.things.get(&reference.to_string()).is_some_and(|thing| thing.ready <= world.now && thing.gone.is_none())
    };
    match ready(&attachment.instance) && ready(&attachment.volume) {
        true => Ok(()),
        false => Err(refusal(action, "IncorrectState", Class::InUse)),
    }
}

/// Whether a role or profile is not yet known to other services.
fn is_fresh(world: &World, reference: &Reference) -> bool {
    let made = world.things.get(&reference.to_string()).map(|thing| thing.made);
    made.is_some_and(|made| world.now < made + world.faults.propagation)
}

/// Why something that may be made will not work.
pub(super) fn breaks(world: &mut World, spec: &Spec) -> Option<String> {
    match spec {
        Spec::NatGateway(gateway) => {
            let subnet = world.things.get(&gateway.subnet.to_string())?;
            let Spec::Subnet(subnet) = &subnet.spec else { return None };
            let attached = world.things.values().any(
                |thing| matches!(&thing.spec, Spec::InternetGateway(one) if one.vpc.as_ref() == Some(&subnet.vpc)),
            );
            match (attached, world.chance.permille(world.faults.failing_gateways)) {
                (false, _) => Some("Gateway.NotAttached".to_owned()),
                (true, true) => Some("InternalError".to_owned()),
                (true, false) => None,
            }
        }
        Spec::FlowLog(log) => is_fresh(world, &log.role).then(|| "Access error".to_owned()),
        _ => None,
    }
}

/// Whether something may be changed so.
pub(super) fn configuration(world: &World, action: &str, id: &str, spec: &Spec) -> Verdict {
    if world.things.get(id).is_some_and(|thing| thing.gone.is_some()) {
        return Err(refusal(action, "IncorrectState", Class::InUse));
    }
    let Spec::InternetGateway(wanted) = spec else { return Ok(()) };
    let taken = world.things.values().any(|thing| {
        matches!(&thing.spec, Spec::InternetGateway(other) if thing.id != id && other.vpc.is_some() && other.vpc == wanted.vpc)
    });
    match taken {
        true => Err(refusal(action, "Resource.AlreadyAssociated", Class::InUse)),
        false => Ok(()),
    }
}

/// Whether something may be deleted.
pub(super) fn deletion(world: &World, action: &str, id: &str) -> Verdict {
    let Some(thing) = world.things.get(id) else { return Ok(()) };
    if matches!(&thing.spec, Spec::SecurityGroup(group) if group.default) {
        return Err(refusal(action, "CannotDelete", Class::Invalid));
    }
    match held_by(world, thing).next().is_some() || traced(world, id) {
        // The real one says so of an address whose gateway is going; the border knows better.
        true if thing.kind() == Kind::ElasticIp => Err(refusal(action, "AuthFailure", Class::InUse)),
        true => Err(refusal(action, "DependencyViolation", Class::InUse)),
        false => Ok(()),
    }
}

/// Who keeps something from being deleted.
pub(super) fn holders(world: &World, id: &str) -> Vec<Holder> {
    let Some(thing) = world.things.get(id) else { return Vec::new() };
    let things = held_by(world, thing).map(|holder| Holder {
        id: holder.id.clone(),
        what: format!("{} {} ({})", holder.kind().noun(), holder.id, holder.name),
        state: if holder.gone.is_some() { "deleting" } else { "in-use" }.to_owned(),
        ours: !holder.kind().takes_tags() || holder.tags.get(CLUSTER_TAG) == thing.tags.get(CLUSTER_TAG),
    });
    let traces = world.traces.iter().filter(|trace| trace.holds.iter().any(|held| held == id)).map(|trace| Holder {
        id: "eni-of-the-service".to_owned(),
        what: trace.what.clone(),
        state: "in-use".to_owned(),
        ours: true,
    });
    things.chain(traces).collect()
}

fn held_by<'a>(world: &'a World, thing: &'a Thing) -> impl Iterator<Item = &'a Thing> {
    world.things.values().filter(move |other| match thing.kind() {
        Kind::InternetGateway => maps_addresses(world, thing, other),
        kind => {
            nature::blocks(kind).contains(&other.kind())
                && other.names(&thing.id)
                && !nature::dies_with(other, &thing.id)
        }
    })
}

/// Whether something holds public addresses that need the gateway.
fn maps_addresses(world: &World, gateway: &Thing, other: &Thing) -> bool {
    let Spec::InternetGateway(gateway) = &gateway.spec else { return false };
    let Some(vpc) = &gateway.vpc else { return false };
    let inside =
        |subnet: &Reference| world.things.get(&subnet.to_string()).is_some_and(|found| found.names(&vpc.to_string()));
    match &other.spec {
        Spec::NatGateway(nat) => inside(&nat.subnet),
        Spec::LoadBalancer(balancer) => balancer.internet_facing && balancer.subnets.iter().any(inside),
        _ => false,
    }
}

fn traced(world: &World, id: &str) -> bool {
    world.traces.iter().any(|trace| world.now < trace.until && trace.holds.iter().any(|held| held == id))
}

/// What something leaves behind that holds others until then.
pub(super) fn trace(world: &World, id: &str, until: Duration) -> Option<Trace> {
    let thing = world.things.get(id)?;
    match &thing.spec {
        Spec::NatGateway(gateway) => Some(Trace {
            holds: vec![gateway.address.to_string()],
            what: format!("mapping of nat gateway {id}"),
            until,
        }),
        Spec::LoadBalancer(balancer) => {
            let named = balancer.subnets.iter().chain(&balancer.groups).map(ToString::to_string);
            let gateways = world
                .things
                .values()
                .filter(|other| other.kind() == Kind::InternetGateway && maps_addresses(world, other, thing));
            let holds = named.chain(gateways.map(|gateway| gateway.id.clone())).collect();
            Some(Trace { holds, what: format!("network interface of load balancer app/{}", thing.name), until })
        }
        _ => None,
    }
}
