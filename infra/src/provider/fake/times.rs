//! How long things take in a fake cloud, from seeded chance: the orders of magnitude of the real one.
//!
//! Times only; that they pass is `world`'s doing.

use std::time::Duration;

use super::chance::Chance;
use crate::resource::Kind;

/// Seconds, from and to, until one of this kind is ready.
const fn making(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::NatGateway => (20, 150),
        Kind::LoadBalancer => (30, 240),
        Kind::Instance => (5, 60),
        Kind::Volume => (0, 4),
        Kind::GatewayEndpoint | Kind::VolumeAttachment => (0, 3),
        _ => (0, 0),
    }
}

/// Seconds, from and to, until one of this kind is gone.
const fn unmaking(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::NatGateway => (10, 120),
        Kind::Instance => (5, 90),
        Kind::LoadBalancer | Kind::Volume | Kind::VolumeAttachment | Kind::GatewayEndpoint => (0, 5),
        _ => (0, 0),
    }
}

pub(super) fn until_ready(kind: Kind, chance: &mut Chance) -> Duration {
    between(making(kind), chance)
}

pub(super) fn until_gone(kind: Kind, chance: &mut Chance) -> Duration {
    between(unmaking(kind), chance)
}

/// How long the traces of something deleted keep others from being deleted: interfaces of a load balancer, the
/// mapping of an address whose NAT gateway is `deleted` already, a certificate of a listener.
pub(super) fn lingering(kind: Kind, chance: &mut Chance) -> Duration {
    match kind {
        Kind::LoadBalancer => between((5, 150), chance),
        Kind::NatGateway => between((0, 10), chance),
        _ => Duration::ZERO,
    }
}

fn between((least, most): (u64, u64), chance: &mut Chance) -> Duration {
    Duration::from_secs(least) + chance.up_to(Duration::from_secs(most - least))
}
