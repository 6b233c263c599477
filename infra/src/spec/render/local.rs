//! A cluster on this machine as the text of its cluster.yaml.
//!
//! Every key is written, defaults too. Nothing is checked: a draft is written as is.

use std::fmt::Write;

use crate::topology::Draft;

/// The text for a draft.
#[must_use]
pub(super) fn render(draft: &Draft) -> String {
    let mut text = String::new();
    let Draft { cluster, zones, replicas, partitions, ports, accept_zone_outage } = draft;
    let _infallible = (|| -> std::fmt::Result {
        writeln!(text, "# A kvstore cluster. Check it: kvctl cluster plan -f cluster.yaml")?;
        writeln!(text, "cluster: \"{cluster}\"        # its state folder and its context")?;
        writeln!(text, "provider: local        # daemons of this machine, on 127.0.<zone>.<node>")?;
        writeln!(text, "zones:                 # failure domains; copies of a key stand in different ones")?;
        for zone in zones {
            writeln!(text, "  - name: \"{}\"", zone.name)?;
            writeln!(text, "    nodes: {}", zone.nodes)?;
        }
        writeln!(text, "replicas: {replicas}            # copies of each key; a quorum is more than half of them")?;
        writeln!(text, "partitions: {partitions}        # a power of two; cannot be changed later")?;
        writeln!(text, "ports:")?;
        writeln!(text, "  api: {}            # REST over TLS (TCP)", ports.api)?;
        writeln!(text, "  peer: {}           # node to node, mutual TLS (TCP)", ports.peer)?;
        writeln!(text, "  gossip: {}         # membership (UDP)", ports.gossip)?;
        writeln!(text, "accept_zone_outage: {accept_zone_outage}  # true allows a layout that losing one zone stops")
    })();
    text
}
