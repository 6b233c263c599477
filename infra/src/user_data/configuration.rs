//! The daemon's configuration file for one machine, TOML with keys named like the daemon's flags.
//!
//! Paths are those that `machine.sh` makes. What is not here keeps the daemon's default.

use super::Machine;

/// The text of `kvnode.toml`.
pub(super) fn render(machine: &Machine) -> String {
    let [api, peer, gossip] = machine.ports.map(|port| text(&format!("{}:{port}", machine.address)));
    let mut lines = vec![
        "# Written by the machine's user data.".to_owned(),
        format!("name = {}", text(&machine.node)),
        format!("zone = {}", text(&machine.zone)),
        "data-dir = \"/var/lib/kvnode/data\"".to_owned(),
        format!("listen-api = {api}"),
        format!("listen-peer = {peer}"),
        format!("listen-gossip = {gossip}"),
        format!("join = {}", list(&machine.join)),
    ];
    if !machine.bootstrap.is_empty() {
        lines.push(format!("bootstrap = {}", list(&machine.bootstrap)));
    }
    lines.extend([
        format!("replicas = {}", machine.replicas),
        format!("partitions = {}", machine.partitions),
        "ca-file = \"/etc/kvstore/credentials/ca.pem\"".to_owned(),
        "cert-file = \"/etc/kvstore/credentials/certificate.pem\"".to_owned(),
        "key-file = \"/etc/kvstore/credentials/key.pem\"".to_owned(),
        "gossip-key-file = \"/etc/kvstore/credentials/gossip-keyring\"".to_owned(),
        "tokens-file = \"/etc/kvstore/credentials/tokens\"".to_owned(),
        "log-format = \"json\"".to_owned(),
    ]);
    lines.push(String::new());
    lines.join("\n")
}

/// A basic TOML string; every text has one.
pub(super) fn text(text: &str) -> String {
    let escaped = text.chars().map(|letter| match letter {
        '"' | '\\' => format!("\\{letter}"),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        plain => plain.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|entry| text(entry)).collect();
    format!("[{}]", texts.join(", "))
}
