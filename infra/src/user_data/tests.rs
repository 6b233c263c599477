//! The script as text: what it says for the reference network, that no text breaks out of its quotes, that it fits.
//!
//! That it works is shown where it is executed, on throw-away machines (kvctl's tests).

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::network::{Draft, ZoneDraft};

fn inputs() -> Inputs {
    let artifact_sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef".to_owned();
    Inputs { account: "123456789012".to_owned(), artifact_sha256 }
}

fn script_of(network: &Network, name: &str) -> String {
    let node = network.nodes().iter().find(|node| node.name.as_str() == name).expect("a node of the network");
    render(network, node, &inputs())
}

fn reference() -> Network {
    Network::parse(Draft::default()).expect("the default")
}

/// Whether a program can be started here. Tests that need one say so loudly, and fail where nothing may be left out.
fn here(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is needed and not installed");
    if !found {
        println!("LEFT OUT: {program} is not installed");
    }
    found
}

#[test]
fn the_settings_of_the_reference_network() {
    let script = script_of(&reference(), "a1");
    let settings = script.split_once("UNIT='").expect("the unit comes last").0;
    insta::assert_snapshot!(settings, @r#"
    #!/bin/bash
    # Makes this machine node a1 of kvstore-dev; written by kvctl.
    CLUSTER='kvstore-dev'
    REGION='us-east-1'
    NODE='a1'
    ADDRESS='10.0.0.11'
    PORT='8080'
    VOLUME='/dev/sdf'
    BUCKET='kvstore-dev-artifacts-123456789012-us-east-1'
    OBJECT='kvnode/5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef/kvnode'
    SHA256='5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef'
    PARAMETERS='/kvstore-dev'
    CONFIG='# Written by the machine'\''s user data.
    name = "a1"
    zone = "us-east-1a"
    data-dir = "/var/lib/kvnode/data"
    listen-api = "10.0.0.11:8080"
    listen-peer = "10.0.0.11:7946"
    listen-gossip = "10.0.0.11:7947"
    join = ["10.0.32.11:7946", "10.0.64.11:7946"]
    bootstrap = ["a1", "b1", "c1"]
    replicas = 3
    partitions = 256
    ca-file = "/etc/kvstore/credentials/ca.pem"
    cert-file = "/etc/kvstore/credentials/certificate.pem"
    key-file = "/etc/kvstore/credentials/key.pem"
    gossip-key-file = "/etc/kvstore/credentials/gossip-keyring"
    tokens-file = "/etc/kvstore/credentials/tokens"
    log-format = "json"'
    "#);
    assert!(script.ends_with(BODY), "the body is the file, unchanged");
    let unit = script.split_once("UNIT='").expect("a unit").1.split_once("'\n\n").expect("its end").0;
    assert_eq!(unit.replace(r"'\''", "'"), UNIT.trim_end());
}

#[test]
fn only_the_first_node_of_each_zone_forms_the_ring() {
    let zones = ["us-east-1a", "us-east-1b", "us-east-1c"].map(|name| ZoneDraft { nodes: 2, ..ZoneDraft::new(name) });
    let network = Network::parse(Draft { zones: zones.to_vec(), ..Draft::default() }).expect("valid");
    let forming: Vec<&str> = network
        .nodes()
        .iter()
        .filter(|node| render(&network, node, &inputs()).contains("\nbootstrap = ["))
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(forming, ["a1", "b1", "c1"]);
    assert!(script_of(&network, "b1").contains(r#"bootstrap = ["a1", "a2", "b1", "b2", "c1", "c2"]"#));
}

#[test]
fn the_largest_network_fits() {
    let zones = ["a", "b", "c", "d", "e", "f"].map(|letter| {
        let name = format!("us-east-1{letter}");
        ZoneDraft { nodes: crate::topology::MAX_NODES_PER_ZONE, ..ZoneDraft::new(name) }
    });
    let network = Network::parse(Draft { zones: zones.to_vec(), ..Draft::default() }).expect("valid");
    assert_eq!(network.nodes().len(), 192);
    let join = |name: &str| script_of(&network, name).lines().find(|line| line.starts_with("join")).map(str::to_owned);
    let (met, other) = (join("a1").expect("a list"), join("f32").expect("a list"));
    assert_eq!([met, other].map(|list| list.matches(":7946").count()), [23, 24], "the first four of each zone");
    let longest = network.nodes().iter().map(|node| render(&network, node, &inputs()).len()).max().expect("nodes");
    assert!(longest <= MAX_BYTES, "{longest} bytes of user data, EC2 takes {MAX_BYTES}");
}

#[test]
fn the_unit_is_hardened() {
    for line in [
        "User=kvnode",
        "Restart=on-failure",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "SystemCallFilter=@system-service",
        "StateDirectory=kvnode",
        "LimitNOFILE=131072",
        "TimeoutStopSec=90",
        "AssertPathIsMountPoint=/var/lib/kvnode",
    ] {
        assert!(UNIT.lines().any(|found| found == line), "the unit lacks {line}");
    }
    for line in UNIT.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
        assert!(line.split_once('=').is_some_and(|(key, _)| key.chars().all(char::is_alphanumeric)), "{line}");
    }
}

#[test]
fn bash_can_read_every_script() {
    if !here("bash") {
        return;
    }
    let network = reference();
    for node in network.nodes() {
        let mut bash = Command::new("bash");
        let status = bash.args(["-n", "-c", &render(&network, node, &inputs())]).status().expect("bash runs");
        assert!(status.success(), "{}", node.name);
    }
}

#[test]
fn the_body_never_shows_what_it_does_nor_passes_secrets_on() {
    assert!(BODY.contains("set +x") && !BODY.contains("set -x"));
    assert!(BODY.contains("umask 077"));
    // The value goes from the reply to the file through a variable and standard input alone.
    let uses: Vec<&str> = BODY.lines().map(str::trim).filter(|line| line.contains("SECRET\"")).collect();
    assert_eq!(
        uses,
        [
            r#"[ -n "$SECRET" ] && [ "$SECRET" != None ]"#,
            r#"if place "$SECRETS/$2" "$3" "$4" <<<"$SECRET"; then RELOAD="$RELOAD $2"; fi"#
        ]
    );
}

fn any_text() -> impl Strategy<Value = String> {
    let hostile =
        prop::sample::select(vec!["'", "\"", "\\", "$(touch x)", "`x`", "\n", "'\n'", "!", "UNIT='", "é", "\t"]);
    let part = prop_oneof![hostile.prop_map(str::to_owned), "[^\0]{0,8}"];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_quoted_text_is_one_word_to_the_shell(text in any_text()) {
        if here("bash") {
            let script = format!("A={}\nprintf '%s' \"$A\"", shell::quote(&text));
            let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), text);
            prop_assert!(output.stderr.is_empty());
        }
    }

    /// A basic TOML string that escapes every control character is a JSON string too.
    #[test]
    fn a_text_in_the_configuration_reads_back(text in ".*") {
        let read: String = serde_json::from_str(&configuration::text(&text)).expect("a JSON string");
        prop_assert_eq!(read, text);
    }
}
