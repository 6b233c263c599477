//! Blocks of addresses: read from texts, derived where none were given, checked against each other.
//!
//! Missing subnets take the first free blocks of the network: all private ones in the order of their zones, then all
//! public ones. Blocks have the largest size of which all subnets would fit, so that a zone added later, beside
//! blocks that were written down, finds room where there is some. What was written down is never moved.

use ipnet::Ipv4Net;

use super::draft::{Draft, ZoneDraft};
use crate::topology::Impossible;
use crate::topology::layout::impossible;

/// Longest prefix of a private subnet: the cloud's own bound.
const LONGEST_PRIVATE: u8 = 28;
/// Longest prefix of a public subnet: the load balancer needs eight free addresses in each and refuses smaller ones.
const LONGEST_PUBLIC: u8 = 27;
/// The cloud's bounds of a network's prefix.
const VPC_PREFIXES: std::ops::RangeInclusive<u8> = 16..=28;
/// Blocks that no network may use: they mean something else everywhere.
const RESERVED: [(&str, [u8; 4], u8); 4] = [
    ("this host", [0, 0, 0, 0], 8),
    ("loopback", [127, 0, 0, 0], 8),
    ("link-local", [169, 254, 0, 0], 16),
    ("multicast and reserved", [224, 0, 0, 0], 3),
];

/// The two subnets of each zone, in the zones' order.
pub(super) type Pairs = Vec<(Ipv4Net, Ipv4Net)>;

/// A block without host bits.
pub(super) fn block(text: &str, path: &str, found: &mut Vec<Impossible>) -> Option<Ipv4Net> {
    match text.parse::<Ipv4Net>() {
        Err(_) => {
            let reason = format!("{text:?} is not a block of IPv4 addresses");
            found.push(impossible(path, reason, "for example 10.0.0.0/16"));
            None
        }
        Ok(net) if net.trunc() != net => {
            let reason = format!("{net} has host bits set");
            found.push(impossible(path, reason, format!("{} is the block that holds it", net.trunc())));
            None
        }
        Ok(net) => Some(net),
    }
}

/// The network's own block.
pub(super) fn vpc(draft: &Draft, found: &mut Vec<Impossible>) -> Option<Ipv4Net> {
    let net = block(&draft.vpc_cidr, "vpc_cidr", found)?;
    if !VPC_PREFIXES.contains(&net.prefix_len()) {
        found.push(impossible("vpc_cidr", format!("{net}: a network is a /16 to a /28"), "for example 10.0.0.0/16"));
        return None;
    }
    for (what, [a, b, c, d], prefix) in RESERVED {
        let reserved = Ipv4Net::new_assert([a, b, c, d].into(), prefix);
        if reserved.contains(&net) {
            found.push(impossible("vpc_cidr", format!("{net} is {what}"), "a private block, for example 10.0.0.0/16"));
            return None;
        }
    }
    Some(net)
}

/// All subnets, given and derived. None if any is impossible; the reasons are told.
pub(super) fn subnets(draft: &Draft, vpc: Ipv4Net, found: &mut Vec<Impossible>) -> Option<Pairs> {
    let before = found.len();
    let mut taken: Vec<(String, Ipv4Net)> = Vec::new();
    let mut given = |index: usize, zone: &ZoneDraft, public: bool| {
        let (text, name) =
            if public { (&zone.public_cidr, "public_cidr") } else { (&zone.private_cidr, "private_cidr") };
        let path = format!("zones[{index}].{name}");
        let net = block(text.as_deref()?, &path, found)?;
        check(net, vpc, public, &path, &taken, found);
        taken.push((path, net));
        Some(net)
    };
    let asked: Vec<(Option<Ipv4Net>, Option<Ipv4Net>)> = draft
        .zones
        .iter()
        .enumerate()
        .map(|(index, zone)| (given(index, zone, false), given(index, zone, true)))
        .collect();
    if found.len() > before {
        return None;
    }
    let size = block_size(vpc, draft.zones.len());
    let mut free = Free { vpc, size, taken: taken.into_iter().map(|(_, net)| net).collect() };
    let private: Vec<_> = asked.iter().map(|(private, _)| private.or_else(|| free.take(LONGEST_PRIVATE))).collect();
    let public: Vec<_> = asked.iter().map(|(_, public)| public.or_else(|| free.take(LONGEST_PUBLIC))).collect();
    let pairs: Option<Pairs> = private.into_iter().zip(public).map(|(private, public)| private.zip(public)).collect();
    if pairs.is_none() {
        let reason = format!("{vpc} has no room for all subnets of {} zones", draft.zones.len());
        found.push(impossible(
            "vpc_cidr",
            reason,
            "give a larger network, or private_cidr and public_cidr of each zone",
        ));
    }
    pairs
}

fn check(
    net: Ipv4Net,
    vpc: Ipv4Net,
    public: bool,
    path: &str,
    taken: &[(String, Ipv4Net)],
    found: &mut Vec<Impossible>,
) {
    if !vpc.contains(&net) {
        found.push(impossible(path, format!("{net} is outside the network {vpc}"), format!("choose a block of {vpc}")));
    }
    let longest = if public { LONGEST_PUBLIC } else { LONGEST_PRIVATE };
    if net.prefix_len() > longest {
        let reason = format!(
            "{net} is too small; a {} subnet is a /{longest} at least",
            if public { "public" } else { "private" }
        );
        found.push(impossible(path, reason, format!("{} for example", widened(net, longest))));
    }
    if let Some((other, overlapped)) = taken.iter().find(|(_, other)| other.contains(&net) || net.contains(other)) {
        let reason = format!("{net} overlaps {overlapped} ({other})");
        found.push(impossible(path, reason, "subnets share no address; leave one of them out to have it chosen"));
    }
}

fn widened(net: Ipv4Net, prefix: u8) -> Ipv4Net {
    Ipv4Net::new(net.network(), prefix).map_or(net, |wide| wide.trunc())
}

/// The prefix of which twice as many blocks as there are zones fit.
fn block_size(vpc: Ipv4Net, zones: usize) -> u8 {
    let blocks = (2 * zones.max(1)).next_power_of_two();
    let bits = u8::try_from(blocks.trailing_zeros()).unwrap_or(u8::MAX);
    vpc.prefix_len().saturating_add(bits)
}

struct Free {
    vpc: Ipv4Net,
    size: u8,
    taken: Vec<Ipv4Net>,
}

impl Free {
    /// The first block that overlaps nothing taken; none if there is none or it would be too small.
    fn take(&mut self, longest: u8) -> Option<Ipv4Net> {
        if self.size > longest {
            return None;
        }
        let mut blocks = self.vpc.subnets(self.size).ok()?;
        let free =
            blocks.find(|block| !self.taken.iter().any(|other| other.contains(block) || block.contains(other)))?;
        self.taken.push(free);
        Some(free)
    }
}
