//! What stands beside the network: flow logs, identities, artifacts, secrets.
//!
//! Of a secret only its place is said here, never its value: that is asked for when it is handed over.

use std::collections::{BTreeMap, BTreeSet};

use super::list::{List, bucket, role, vpc};
use super::{artifact_path, policies};
use crate::resource::{Bucket, FlowLog, InstanceProfile, Key, Kind, LogGroup, Object, Parameter, Role, Spec};

/// Longest time that a flow log sums up: a minute shows what happened, ten hide it.
const AGGREGATION_SECONDS: u32 = 60;
/// Paths of what all nodes share; a public one is not encrypted.
const SHARED: [(&str, bool); 3] = [("ca.pem", false), ("gossip-keyring", true), ("tokens", true)];

pub(super) fn add(list: &mut List<'_>) {
    flow_logs(list);
    nodes_identity(list);
    artifacts(list);
    parameters(list);
}

fn flow_logs(list: &mut List<'_>) {
    let (network, inputs) = (list.network, list.inputs);
    let group = network.name("lg-flow-logs");
    let spec = Spec::LogGroup(LogGroup { retention_days: Some(network.draft().flow_log_days) });
    let log_group = list.add("flow-logs", group.clone(), spec, Vec::new());
    let writer = Spec::Role(Role {
        trust: policies::flow_logs_trust(network, inputs),
        policies: BTreeMap::from([("write-flow-logs".to_owned(), policies::flow_logs(network, inputs, &group))]),
        managed_policies: BTreeSet::new(),
    });
    let writer = list.add("flow-logs", network.name_in_region("role-flow-logs"), writer, Vec::new());
    let spec = Spec::FlowLog(FlowLog {
        vpc: vpc().into(),
        log_group: log_group.into(),
        role: writer.into(),
        traffic: "ALL".to_owned(),
        aggregation_seconds: AGGREGATION_SECONDS,
    });
    list.add("flow-logs", network.name("fl-vpc"), spec, Vec::new());
}

fn nodes_identity(list: &mut List<'_>) {
    let (network, inputs) = (list.network, list.inputs);
    let policies = [
        ("read-artifacts", policies::artifacts(network, inputs)),
        ("read-secrets", policies::secrets(network, inputs)),
        ("take-commands", policies::agent()),
    ];
    let spec = Spec::Role(Role {
        trust: policies::instances_trust(network),
        policies: policies.into_iter().map(|(name, policy)| (name.to_owned(), policy)).collect(),
        managed_policies: BTreeSet::new(),
    });
    list.add("nodes", network.name_in_region("role-nodes"), spec, Vec::new());
    let spec = Spec::InstanceProfile(InstanceProfile { role: Some(role("nodes").into()) });
    list.add("nodes", network.name_in_region("profile-nodes"), spec, Vec::new());
}

fn artifacts(list: &mut List<'_>) {
    let (network, inputs) = (list.network, list.inputs);
    let spec = Spec::Bucket(Bucket { versioned: true, encrypted: true, private: true });
    list.add("artifacts", network.bucket(&inputs.account), spec, Vec::new());
    let path = artifact_path(&inputs.artifact_sha256);
    let object = Object { bucket: bucket().into(), path: path.clone(), sha256: inputs.artifact_sha256.clone() };
    list.add(&format!("artifacts/{path}"), path, Spec::Object(object), Vec::new());
}

fn parameters(list: &mut List<'_>) {
    let network = list.network;
    let own = network.nodes().iter().flat_map(|node| {
        [(format!("nodes/{}/certificate.pem", node.name), false), (format!("nodes/{}/key.pem", node.name), true)]
    });
    let shared = SHARED.into_iter().map(|(path, secure)| (path.to_owned(), secure));
    for (path, secure) in shared.chain(own) {
        list.add(&path, network.parameter(&path), Spec::Parameter(Parameter { secure }), Vec::new());
    }
}

/// Everything that one node reads at its first start.
pub(super) fn read_by(node: &str) -> Vec<Key> {
    let shared = SHARED.iter().map(|(path, _)| (*path).to_owned());
    let own = ["certificate.pem", "key.pem"].map(|file| format!("nodes/{node}/{file}"));
    shared.chain(own).map(|path| Key::new(Kind::Parameter, path)).collect()
}
