//! Which nodes hold which partition: an explicit table, computed from weights and zones.
//!
//! As many zones as replicas splits into one quota problem per zone: slots by weight (largest remainder), a holder
//! under its quota keeps its slot, freed slots go to nodes under theirs. That is exact in balance and in movement.
//! Otherwise zones are chosen per partition first, then nodes inside each zone, by the same rule; distinct zones
//! whenever there are enough, else each zone as evenly as its nodes allow. Nodes always differ.
//! Freed slots are dealt in a seeded random order, so that a lost node's load falls on many others; the price is that
//! more combinations of nodes share some partition. Draining nodes get nothing. No clock, no global randomness.

use std::collections::BTreeMap;

use super::epoch::{NodeState, RingNode};
use super::quota::{Claim, Distribution, Stuck, distribute, shares};
use crate::protocol::id::{NodeId, PartitionId, ZoneName};

#[cfg(test)]
mod tests;

/// `partition -> [node index; replicas]`, where an index counts in the epoch's list of nodes. The first replica of a
/// partition is the preferred coordinator; firsts are balanced over nodes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    replicas: usize,
    cells: Vec<u16>,
}

impl Table {
    /// Takes rows of `replicas` cells, one row per partition; none if they don't come out even.
    #[must_use]
    pub fn from_cells(replicas: usize, cells: Vec<u16>) -> Option<Self> {
        (replicas > 0 && cells.len().is_multiple_of(replicas)).then_some(Self { replicas, cells })
    }

    /// Copies of each partition.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// Number of partitions.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.cells.len() / self.replicas
    }

    /// Node indexes of one partition, preferred coordinator first; empty if there is no such partition.
    #[must_use]
    pub fn row(&self, partition: PartitionId) -> &[u16] {
        let start = usize::from(partition.0) * self.replicas;
        self.cells.get(start..start + self.replicas).unwrap_or_default()
    }

    /// All rows in partition order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.cells.chunks_exact(self.replicas)
    }
}

/// The assignment to move as little as possible away from.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// The nodes that the table's indexes count in.
    pub nodes: &'a [RingNode],
    /// The table.
    pub table: &'a Table,
}

/// Why no table was made. Nothing was changed; the same request fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two copies would land on one node.
    #[error("{replicas} replicas need at least {replicas} active nodes, there are {active}")]
    TooFewNodes {
        /// Copies wanted.
        replicas: usize,
        /// Nodes that may hold any.
        active: usize,
    },
    /// No replicas or no partitions were asked for.
    #[error("a ring needs at least 1 replica and 1 partition")]
    Nothing,
    /// The number of partitions is fixed for the life of a cluster.
    #[error("the cluster has {previous} partitions, this asks for {wanted}")]
    PartitionsChanged {
        /// Partitions of the previous table.
        previous: usize,
        /// Partitions asked for.
        wanted: usize,
    },
    /// The quotas contradict each other.
    #[error("no node can be found for partition {partition}; this is a defect of the assignment, not of the request")]
    Unplaceable {
        /// The first partition that could not be placed.
        partition: usize,
    },
}

impl From<Stuck> for Error {
    fn from(stuck: Stuck) -> Self {
        Self::Unplaceable { partition: stuck.row }
    }
}

/// Computes the table. Deterministic: equal arguments give equal tables, on every node and release.
pub fn assign(
    nodes: &[RingNode],
    replicas: usize,
    partitions: u16,
    previous: Option<Previous<'_>>,
    seed: u64,
) -> Result<Table, Error> {
    let partitions = usize::from(partitions);
    let zones = zones_of(nodes);
    let active = zones.iter().map(|zone| zone.nodes.len()).sum();
    if replicas == 0 || partitions == 0 {
        return Err(Error::Nothing);
    }
    if active < replicas {
        return Err(Error::TooFewNodes { replicas, active });
    }
    let held = previous_rows(nodes, partitions, previous)?;
    let mut random = SplitMix64(seed);
    let demands = zone_demands(&zones, replicas, &held, &mut random)?;
    let mut rows = vec![Vec::with_capacity(replicas); partitions];
    for (zone, demand) in zones.iter().zip(demands) {
        place_in_zone(zone, &demand, &held, &mut random, &mut rows)?;
    }
    let firsts = choose_firsts(nodes.len(), replicas, &rows, &held)?;
    Ok(Table { replicas, cells: in_order(nodes, rows, &firsts) })
}

/// One zone's nodes that may hold partitions.
struct Zone {
    /// Indexes in the epoch's list.
    nodes: Vec<usize>,
    /// Their weights.
    weights: Vec<u64>,
}

fn zones_of(nodes: &[RingNode]) -> Vec<Zone> {
    let mut zones: BTreeMap<&ZoneName, Zone> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.state == NodeState::Active) {
        let zone = zones.entry(&node.zone).or_insert(Zone { nodes: Vec::new(), weights: Vec::new() });
        zone.nodes.push(index);
        zone.weights.push(u64::from(node.weight));
    }
    zones.into_values().collect()
}

/// The previous rows in today's indexes, without nodes that are gone.
fn previous_rows(
    nodes: &[RingNode],
    partitions: usize,
    previous: Option<Previous<'_>>,
) -> Result<Vec<Vec<usize>>, Error> {
    let Some(previous) = previous else { return Ok(vec![Vec::new(); partitions]) };
    if previous.table.partitions() != partitions {
        return Err(Error::PartitionsChanged { previous: previous.table.partitions(), wanted: partitions });
    }
    let today: BTreeMap<NodeId, usize> = nodes.iter().enumerate().map(|(index, node)| (node.id, index)).collect();
    let today_of = |cell: &u16| previous.nodes.get(usize::from(*cell)).and_then(|node| today.get(&node.id)).copied();
    Ok(previous.table.rows().map(|row| row.iter().filter_map(today_of).collect()).collect())
}

/// For each zone, how many copies of each partition it holds.
fn zone_demands(
    zones: &[Zone],
    replicas: usize,
    held: &[Vec<usize>],
    random: &mut SplitMix64,
) -> Result<Vec<Vec<usize>>, Error> {
    // Every zone that can takes `level` copies of every partition; what remains goes to larger zones, one more each.
    let (mut level, mut remaining) = (0, replicas);
    let larger = |level: usize| zones.iter().filter(|zone| zone.nodes.len() > level).count();
    while remaining > 0 && remaining >= larger(level) {
        remaining -= larger(level);
        level += 1;
    }
    let mut demands: Vec<Vec<usize>> = zones.iter().map(|zone| vec![zone.nodes.len().min(level); held.len()]).collect();
    if remaining > 0 {
        let extra = spread_remaining(zones, level, remaining, held, random)?;
        for (partition, zones_with_extra) in extra.into_iter().enumerate() {
            for zone in zones_with_extra {
                demands[zone][partition] += 1;
            }
        }
    }
    Ok(demands)
}

/// Which zones hold one copy more of each partition: by what their weight entitles them to in all.
fn spread_remaining(
    zones: &[Zone],
    level: usize,
    remaining: usize,
    held: &[Vec<usize>],
    random: &mut SplitMix64,
) -> Result<Vec<Vec<usize>>, Error> {
    let partitions = held.len();
    let held_in = |row: &[usize], zone: &Zone| row.iter().filter(|index| zone.nodes.contains(index)).count();
    let keep: Vec<Vec<usize>> =
        held.iter().map(|row| (0..zones.len()).filter(|&zone| held_in(row, &zones[zone]) > level).collect()).collect();
    let base = |zone: &Zone| zone.nodes.len().min(level) * partitions;
    let claims: Vec<Claim> = zones
        .iter()
        .enumerate()
        .map(|(number, zone)| Claim {
            weight: zone.weights.iter().sum(),
            least: base(zone),
            most: base(zone) + if zone.nodes.len() > level { partitions } else { 0 },
            held: keep.iter().filter(|row| row.contains(&number)).count(),
        })
        .collect();
    let total = zones.iter().map(base).sum::<usize>() + remaining * partitions;
    let room = shares(total, &claims).into_iter().zip(zones).map(|(share, zone)| share - base(zone)).collect();
    Ok(distribute(Distribution {
        demand: &vec![remaining; partitions],
        room,
        keep: &keep,
        order: &random.shuffled(partitions),
        allowed: |_, _| true,
    })?)
}

/// Adds one zone's nodes to the rows.
fn place_in_zone(
    zone: &Zone,
    demand: &[usize],
    held: &[Vec<usize>],
    random: &mut SplitMix64,
    rows: &mut [Vec<usize>],
) -> Result<(), Error> {
    let local = |index: &usize| zone.nodes.iter().position(|node| node == index);
    let keep: Vec<Vec<usize>> = held.iter().map(|row| row.iter().filter_map(local).collect()).collect();
    let rows_here = demand.iter().filter(|&&copies| copies > 0).count();
    let claims: Vec<Claim> = zone
        .weights
        .iter()
        .enumerate()
        .map(|(column, &weight)| Claim {
            weight,
            least: 0,
            most: rows_here,
            held: keep.iter().filter(|row| row.contains(&column)).count(),
        })
        .collect();
    let chosen = distribute(Distribution {
        demand,
        room: shares(demand.iter().sum(), &claims),
        keep: &keep,
        order: &random.shuffled(demand.len()),
        allowed: |_, _| true,
    })?;
    for (row, columns) in rows.iter_mut().zip(chosen) {
        row.extend(columns.into_iter().map(|column| zone.nodes[column]));
    }
    Ok(())
}

/// The preferred coordinator of each partition: no node has more than its share of those it holds, rounded up.
fn choose_firsts(nodes: usize, replicas: usize, rows: &[Vec<usize>], held: &[Vec<usize>]) -> Result<Vec<usize>, Error> {
    let mut slots = vec![0usize; nodes];
    for &index in rows.iter().flatten() {
        slots[index] += 1;
    }
    let keep: Vec<Vec<usize>> = held.iter().map(|row| row.iter().take(1).copied().collect()).collect();
    let chosen = distribute(Distribution {
        demand: &vec![1; rows.len()],
        room: slots.into_iter().map(|held| held.div_ceil(replicas)).collect(),
        keep: &keep,
        order: &(0..rows.len()).collect::<Vec<_>>(),
        allowed: |row: usize, column| rows[row].contains(&column),
    })?;
    Ok(chosen.into_iter().flatten().collect())
}

/// Rows as cells: the first, then the others in zone order after the first's, which balances seconds as well.
fn in_order(nodes: &[RingNode], rows: Vec<Vec<usize>>, firsts: &[usize]) -> Vec<u16> {
    let mut cells = Vec::with_capacity(rows.iter().map(Vec::len).sum());
    for (mut row, first) in rows.into_iter().zip(firsts) {
        row.sort_by_key(|&index| (&nodes[index].zone, index));
        let start = row.iter().position(|index| index == first).unwrap_or(0);
        row.rotate_left(start);
        cells.extend(row.into_iter().map(|index| u16::try_from(index).unwrap_or(u16::MAX)));
    }
    cells
}

/// `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014): tiny and the same for ever, which no random crate promises.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `count - 1` in random order (Fisher and Yates).
    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            let bound = u64::try_from(last + 1).unwrap_or(u64::MAX);
            order.swap(last, usize::try_from(self.next() % bound).unwrap_or(0));
        }
        order
    }
}
