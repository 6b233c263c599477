//! The machines: a data volume, an instance, the one in the other, and the instance in the target group.
//!
//! An instance runs its script as soon as it exists, so that everything the script reaches for is there first.

use sha2::{Digest, Sha256};

use super::list::{List, target_group};
use super::{routing, services};
use crate::network::{Group, Node, Zone};
use crate::resource::{Instance, Key, Kind, Spec, TargetRegistration, Volume, VolumeAttachment};
use crate::user_data;

/// The device name that a data volume is attached as; the machine may call it otherwise.
pub const DATA_DEVICE: &str = "/dev/sdf";
/// Bytes of the script's digest that are kept in a tag.
const DIGEST_BYTES: usize = 8;

pub(super) fn add(list: &mut List<'_>) {
    let shared = shared_needs(list);
    for zone in list.network.zones() {
        for node in list.network.nodes().iter().filter(|node| node.zone == zone.name) {
            machine(list, zone, node, &shared);
        }
    }
}

fn shared_needs(list: &List<'_>) -> Vec<Key> {
    let mut needs = list.keys(Kind::Object);
    needs.extend(list.keys(Kind::GatewayEndpoint));
    for group in groups() {
        needs.extend(list.inside(Kind::SecurityGroupRule, &group));
    }
    needs
}

/// Monitoring's group too: without it nothing could ask a machine for its figures.
fn groups() -> [Key; 2] {
    [Group::Nodes, Group::Monitoring].map(|group| Key::new(Kind::SecurityGroup, group.role()))
}

fn machine(list: &mut List<'_>, zone: &Zone, node: &Node, shared: &[Key]) {
    let network = list.network;
    let name = node.name.as_str();
    let volume = Spec::Volume(Volume {
        zone: zone.name.to_string(),
        gib: network.draft().volume_gib,
        volume_type: "gp3".to_owned(),
        encrypted: true,
    });
    let volume = list.add(name, network.name(&format!("vol-{name}")), volume, Vec::new());
    let mut needs = shared.to_vec();
    needs.extend(routing::ways_out(zone));
    let lists = [zone.private_role(), zone.public_role()];
    needs.extend(lists.map(|subnet| Key::new(Kind::NetworkAclAssociation, subnet)));
    needs.extend(services::read_by(name));
    let spec = instance(list, node);
    let instance = list.add(name, network.name(&format!("node-{name}")), spec, needs);
    let device = DATA_DEVICE.to_owned();
    let attachment = VolumeAttachment { volume: volume.into(), instance: instance.clone().into(), device };
    let attachment = list.add_content(Spec::VolumeAttachment(attachment), Vec::new());
    if !network.has_load_balancer() {
        return;
    }
    // A target whose group no rule names is never checked.
    let mut needs = list.keys(Kind::ListenerRule);
    needs.push(attachment);
    let port = network.ports().api;
    let target = TargetRegistration { target_group: target_group().into(), instance: instance.into(), port };
    list.add_content(Spec::TargetRegistration(target), needs);
}

fn instance(list: &List<'_>, node: &Node) -> Spec {
    let draft = list.network.draft();
    let user_data = user_data::render(list.network, node, list.inputs);
    Spec::Instance(Instance {
        subnet: Key::new(Kind::Subnet, node.subnet_role()).into(),
        address: node.address,
        instance_type: draft.instance_type.clone(),
        image: draft.image.clone(),
        groups: groups().map(Into::into).into(),
        profile: Some(Key::new(Kind::InstanceProfile, "nodes").into()),
        user_data_digest: digest(&user_data),
        user_data,
        metadata_tokens_required: true,
        public_address: false,
        running: true,
    })
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}
