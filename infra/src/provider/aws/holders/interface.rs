//! Network interfaces: what each belongs to, read from the cloud's own descriptions.
//!
//! Services keep interfaces in a network for minutes after what they served is gone. The description is then all
//! that tells whose they were; it is made for people, so that anything unexpected in it is shown as it stands.

use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceStatus, NetworkInterfaceType};

use super::Held;
use crate::provider::Failure;
use crate::provider::aws::clients::Clients;
use crate::provider::aws::identity::filter;

/// Descriptions by what stands before the id or name, and what such a thing is called.
const DESCRIPTIONS: [(&str, &str); 3] =
    [("ELB ", "load balancer"), ("Interface for NAT Gateway ", "nat gateway"), ("VPC Endpoint Interface ", "endpoint")];

pub(super) async fn list(clients: &Clients, by: &str, value: &str) -> Result<Vec<NetworkInterface>, Failure> {
    let page =
        |token| clients.ec2.describe_network_interfaces().filters(filter(by, value)).set_next_token(token).send();
    let split = |answer: aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput| {
        (answer.network_interfaces, answer.next_token)
    };
    clients.pages("ec2:DescribeNetworkInterfaces", page, split).await
}

/// An interface as a holder.
pub(super) fn held(interface: &NetworkInterface) -> Held {
    let state = interface.status().map_or("unknown", NetworkInterfaceStatus::as_str);
    let plain = Held::new("network interface", interface.network_interface_id(), state);
    let instance = interface.attachment().and_then(|attachment| attachment.instance_id()).filter(|id| !id.is_empty());
    if let Some(instance) = instance {
        return Held {
            what: format!("{} of instance {instance}", plain.what),
            owners: vec![instance.to_owned()],
            ..plain
        };
    }
    let description = interface.description().unwrap_or_default();
    let known = DESCRIPTIONS.iter().find_map(|(start, noun)| Some((*noun, description.strip_prefix(start)?)));
    match known {
        Some((noun @ "load balancer", rest)) => {
            let name = balancer(rest);
            Held { what: format!("{} of {noun} {}", plain.what, shown(rest)), balancer: Some(name.to_owned()), ..plain }
        }
        Some((noun, id)) => {
            Held { what: format!("{} of {noun} {id}", plain.what), owners: vec![id.to_owned()], ..plain }
        }
        None => Held { what: format!("{} ({})", plain.what, hint(interface)), ..plain },
    }
}

/// The name in `app/kvstore-dev-alb/50dc6c495c0c9188`, or in a classic one's description, which is the name itself.
fn balancer(rest: &str) -> &str {
    rest.split('/').nth(1).unwrap_or(rest)
}

/// The same without its last part, which tells people nothing.
fn shown(rest: &str) -> &str {
    rest.rsplit_once('/').map_or(rest, |(front, _)| front)
}

/// What little is known of an interface of something else.
fn hint(interface: &NetworkInterface) -> String {
    let kind = interface.interface_type().map_or("interface", NetworkInterfaceType::as_str);
    let by = interface.requester_id().filter(|requester| !requester.is_empty());
    let description = interface.description().filter(|description| !description.is_empty());
    let by = by.map(|requester| format!("made by {requester}"));
    let parts = [Some(kind.to_owned()), by, description.map(str::to_owned)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::NetworkInterfaceAttachment;

    use super::*;

    fn check(description: &str, instance: Option<&str>, what: &str, owners: &[&str], balancer: Option<&str>) {
        let attachment = instance.map(|instance| NetworkInterfaceAttachment::builder().instance_id(instance).build());
        let interface = NetworkInterface::builder()
            .network_interface_id("eni-1")
            .status(NetworkInterfaceStatus::InUse)
            .interface_type(NetworkInterfaceType::Interface)
            .requester_id("amazon-elb")
            .description(description)
            .set_attachment(attachment)
            .build();
        let expected = Held {
            id: "eni-1".to_owned(),
            what: format!("network interface eni-1 {what}"),
            state: "in-use".to_owned(),
            owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
            balancer: balancer.map(str::to_owned),
        };
        assert_eq!(held(&interface), expected, "{description}");
    }

    #[test]
    fn interfaces_are_told_by_what_they_belong_to() {
        let alb = "ELB app/kvstore-dev-alb/50dc6c495c0c9188";
        check(alb, None, "of load balancer app/kvstore-dev-alb", &[], Some("kvstore-dev-alb"));
        check("ELB classic", None, "of load balancer classic", &[], Some("classic"));
        check("Interface for NAT Gateway nat-1", None, "of nat gateway nat-1", &["nat-1"], None);
        check("VPC Endpoint Interface vpce-1", None, "of endpoint vpce-1", &["vpce-1"], None);
        check("Primary network interface", Some("i-1"), "of instance i-1", &["i-1"], None);
        check("of the shop", None, "(interface, made by amazon-elb, of the shop)", &[], None);
        check("", None, "(interface, made by amazon-elb)", &[], None);
    }
}
