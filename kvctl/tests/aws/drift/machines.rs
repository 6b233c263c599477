//! Edits of the machines and their disks. Whatever happens, a disk that may hold data is never replaced.

use super::Call::{Ec2, Wait};
use super::{Edit, check_all};

#[test]
fn edits_of_machines_are_planned_back() {
    check_all(&EDITS);
}

const EDITS: [Edit; 8] = [
    Edit {
        name: "a machine stopped",
        calls: &[Ec2("StopInstances", &[("InstanceId.1", "@node-a1")]), Wait],
        steps: &["await target-registration/nodes/a1/8080", "change instance/a1: running"],
        anew: &[],
    },
    Edit {
        name: "a machine that gives its credentials to any request",
        calls: &[Ec2(
            "ModifyInstanceMetadataOptions",
            &[("InstanceId", "@node-b1"), ("HttpTokens", "optional"), ("HttpEndpoint", "enabled")],
        )],
        steps: &["change instance/b1: metadata tokens required"],
        anew: &[],
    },
    Edit {
        name: "a machine in another group",
        calls: &[Ec2("ModifyInstanceAttribute", &[("InstanceId", "@node-b1"), ("GroupId.1", "@sg-lb")])],
        steps: &["change instance/b1: groups"],
        anew: &[],
    },
    Edit {
        name: "a machine's tag removed",
        calls: &[Ec2("DeleteTags", &[("ResourceId.1", "@node-c1"), ("Tag.1.Key", "Region")])],
        steps: &["change instance/c1: tag Region"],
        anew: &[],
    },
    Edit {
        name: "a disk's name changed",
        calls: &[Ec2("CreateTags", &[("ResourceId.1", "@vol-c1"), ("Tag.1.Key", "Name"), ("Tag.1.Value", "mine")])],
        steps: &["change volume/c1: tag Name"],
        anew: &[],
    },
    Edit {
        name: "a disk taken out",
        calls: &[
            Ec2("DetachVolume", &[("VolumeId", "@vol-c1"), ("InstanceId", "@node-c1"), ("Device", "/dev/sdf")]),
            Wait,
        ],
        steps: &["create volume-attachment/c1"],
        anew: &[],
    },
    Edit {
        name: "a machine terminated",
        calls: &[Ec2("TerminateInstances", &[("InstanceId.1", "@node-a1")]), Wait],
        steps: &["create instance/a1", "create target-registration/nodes/a1/8080", "create volume-attachment/a1"],
        anew: &["kvstore-dev-node-a1"],
    },
    Edit {
        name: "a machine of another size",
        calls: &[
            Ec2("StopInstances", &[("InstanceId.1", "@node-b1")]),
            Wait,
            Ec2("ModifyInstanceAttribute", &[("InstanceId", "@node-b1"), ("InstanceType.Value", "t3.large")]),
            Ec2("StartInstances", &[("InstanceId.1", "@node-b1")]),
            Wait,
        ],
        steps: &[
            "create instance/b1",
            "create target-registration/nodes/b1/8080",
            "create volume-attachment/b1",
            "delete instance/b1",
            "delete target-registration/nodes/b1/8080",
        ],
        anew: &["kvstore-dev-node-b1"],
    },
];
