//! The reference network as machines: its user data, its secrets and its artifact in the emulator, and its API.
//!
//! Secrets are made by the daemon itself, the user data by `infra`; nothing here knows what is in either.

use std::path::{Path, PathBuf};

use infra::desired::{Inputs, artifact_path};
use infra::network::{Draft, Network};
use infra::user_data;
use serde_json::Value;

use crate::lab::{Lab, run, wait_until};
use crate::machine::{Machine, Volume};
use crate::needs;

/// The emulator's account.
const ACCOUNT: &str = "123456789012";

/// A network that can be booted.
pub(crate) struct Cluster {
    network: Network,
    inputs: Inputs,
    lab: Lab,
}

impl Cluster {
    /// Makes the secrets and fills the emulator; boots nothing.
    pub(crate) fn new() -> Self {
        let network = Network::parse(Draft::default()).expect("the reference network");
        let digest = run(&["sha256sum", needs::daemon().to_str().expect("a plain path")]);
        let artifact_sha256 = digest.split(' ').next().expect("a digest").to_owned();
        let inputs = Inputs { account: ACCOUNT.to_owned(), artifact_sha256 };
        let cluster = Self { network, inputs, lab: Lab::new() };
        for node in cluster.network.nodes() {
            cluster.issue(node.name.as_str());
        }
        cluster.repair_artifact();
        cluster
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.lab.folder.join(name)
    }

    fn address(&self, name: &str) -> String {
        let node = self.network.nodes().iter().find(|node| node.name.as_str() == name).expect("a node");
        node.address.to_string()
    }

    /// Has the daemon make a node's credentials and lays them where the emulator is filled from.
    fn issue(&self, name: &str) {
        let (authority, out) = (self.folder("authority"), self.folder("credentials").join(name));
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let address = self.address(name);
        run(&[
            &text(&needs::daemon()),
            "make-credentials",
            "--authority",
            &text(&authority),
            "--name",
            name,
            "--host",
            &address,
            "--out",
            &text(&out),
        ]);
        for (file, path) in [
            ("ca.pem", "ca.pem".to_owned()),
            ("gossip.key", "gossip-keyring".to_owned()),
            ("tokens", "tokens".to_owned()),
            ("node.pem", format!("nodes/{name}/certificate.pem")),
            ("node.key", format!("nodes/{name}/key.pem")),
        ] {
            copy(&out.join(file), &self.parameter_file(&path));
        }
    }

    fn parameter_file(&self, path: &str) -> PathBuf {
        self.folder("seed").join("parameters").join(self.network.parameter(path).trim_start_matches('/'))
    }

    fn artifact_file(&self) -> PathBuf {
        let objects = self.folder("seed").join("objects").join(self.network.bucket(ACCOUNT));
        objects.join(artifact_path(&self.inputs.artifact_sha256))
    }

    fn seed(&self) {
        self.lab.seed(&self.folder("seed"));
    }

    /// A new certificate and key for a node, of the same authority.
    pub(crate) fn issue_again(&self, name: &str) {
        self.issue(name);
        self.seed();
    }

    /// The artifact becomes another program than its checksum says.
    pub(crate) fn damage_artifact(&self) {
        std::fs::write(self.artifact_file(), b"#!/bin/sh\necho something else\n").expect("written");
        self.seed();
    }

    /// The artifact is the daemon under test.
    pub(crate) fn repair_artifact(&self) {
        copy(&needs::daemon(), &self.artifact_file());
        self.seed();
    }

    /// Takes a parameter away; what [`Cluster::show_parameter`] needs to bring it back.
    pub(crate) fn hide_parameter(&self, path: &str) -> (PathBuf, PathBuf) {
        let (file, aside) = (self.parameter_file(path), self.folder("aside"));
        std::fs::rename(&file, &aside).expect("moved");
        self.seed();
        (aside, file)
    }

    pub(crate) fn show_parameter(&self, (aside, file): (PathBuf, PathBuf)) {
        std::fs::rename(aside, file).expect("moved");
        self.seed();
    }

    /// Pieces of a node's secrets that must not be seen anywhere: each line of its key and of the keyring.
    pub(crate) fn secrets(&self, name: &str) -> Vec<String> {
        let key = format!("nodes/{name}/key.pem");
        let files = [key.as_str(), "gossip-keyring"].map(|path| std::fs::read_to_string(self.parameter_file(path)));
        let texts = files.map(|text| text.expect("a secret"));
        let lines = texts.iter().flat_map(|text| text.lines());
        lines.filter(|line| !line.starts_with('-') && line.len() > 16).map(str::to_owned).collect()
    }

    /// Boots one machine of the network with its user data.
    pub(crate) fn boot(&self, name: &str, volume: Volume) -> Machine {
        let node = self.network.nodes().iter().find(|node| node.name.as_str() == name).expect("a node");
        let user_data = user_data::render(&self.network, node, &self.inputs);
        Machine::boot(&self.lab, name, &self.address(name), &user_data, volume)
    }

    /// Boots all machines at once.
    pub(crate) fn boot_all(&self) -> Vec<Machine> {
        self.network.nodes().iter().map(|node| self.boot(node.name.as_str(), Volume::Empty)).collect()
    }

    fn call(&self, name: &str, path: &str, options: &[&str]) -> Result<String, String> {
        let url = format!("https://{}:{}{path}", self.address(name), self.network.ports().api);
        let authority = self.folder("authority");
        let token = std::fs::read_to_string(authority.join("admin.token")).expect("the token");
        let headers = self.folder("headers");
        std::fs::write(&headers, format!("Authorization: Bearer {}\n", token.trim())).expect("written");
        let (ca, headers) = (authority.join("ca.pem"), format!("@{}", headers.display()));
        let ca = ca.to_str().expect("a plain path");
        let mut words =
            vec!["curl", "--silent", "--show-error", "--fail-with-body", "--cacert", ca, "--header", &headers];
        words.extend_from_slice(options);
        words.push(&url);
        self.lab.attempt_inside(&words)
    }

    /// Waits until machines say that they are ready.
    pub(crate) fn await_ready<const N: usize>(&self, names: [&str; N]) {
        for name in names {
            wait_until(|| self.call(name, "/readyz", &[]));
        }
    }

    /// Writes with a quorum through a machine.
    pub(crate) fn put(&self, name: &str, key: &str, value: &str) {
        wait_until(|| self.call(name, &format!("/v1/kv/{key}"), &["--request", "PUT", "--data-binary", value]));
    }

    /// Reads with a quorum through a machine.
    pub(crate) fn get(&self, name: &str, key: &str) -> String {
        wait_until(|| self.call(name, &format!("/v1/kv/{key}"), &[]))
    }

    /// Identity and epoch of the ring.
    pub(crate) fn ring(&self) -> (Value, Value) {
        let text = self.call("b1", "/v1/cluster", &[]).expect("the cluster");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let (cluster, epoch) = (document["cluster"].clone(), document["epoch"].clone());
        assert!(!cluster.is_null() && !epoch.is_null(), "{text}");
        (cluster, epoch)
    }

    /// A machine breaks; another takes its place with its volume.
    pub(crate) fn replace(&self, machine: &mut Machine) {
        machine.replace();
    }

    /// Fingerprint of the certificate that a machine's API shows.
    pub(crate) fn served_certificate(&self, name: &str) -> String {
        let line = format!(
            "openssl s_client -connect {}:{} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256",
            self.address(name),
            self.network.ports().api
        );
        wait_until(|| self.lab.attempt_inside(&["sh", "-c", &line]))
    }

    /// Waits until a machine's API shows another certificate than this.
    pub(crate) fn await_other_certificate(&self, name: &str, old: &str) {
        wait_until(
            || if self.served_certificate(name) == old { Err("another certificate".to_owned()) } else { Ok(()) },
        );
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
    std::fs::copy(from, to).expect("copied");
}
