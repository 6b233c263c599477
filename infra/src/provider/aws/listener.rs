//! Listeners: the ports of a load balancer, recognised by their place in it.
//!
//! What no rule takes is answered 404 by the load balancer itself. A default action that is anything else is told as
//! none, never understood.

use aws_sdk_elasticloadbalancingv2::types::{
    self, Action, ActionTypeEnum, Certificate, FixedResponseActionConfig, ProtocolEnum,
};

use super::balancer::{elb_tags, mend_tags, set_tags};
use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve};
use super::pages::{none_if_gone, translate as translate_all};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Listener, Reference, Resource, Spec, Tags};

const DESCRIBE: &str = "elasticloadbalancing:DescribeListeners";
/// What is answered if the specification says nothing else.
const NOT_FOUND: u16 = 404;

async fn of_balancer(clients: &Clients, load_balancer: &str) -> Result<Vec<types::Listener>, Failure> {
    let page = |marker| clients.elb.describe_listeners().load_balancer_arn(load_balancer).set_marker(marker).send();
    none_if_gone(clients.pages(DESCRIBE, page, |answer| (answer.listeners, answer.next_marker)).await)
}

/// The listeners of a load balancer; their tags and names are not read.
pub(super) async fn list(clients: &Clients, load_balancer: &str) -> Result<Vec<Found>, Failure> {
    translate_all(DESCRIBE, &of_balancer(clients, load_balancer).await?, translate)
}

fn translate(listener: &types::Listener) -> Option<Found> {
    let certificate = listener.certificates().iter().find_map(Certificate::certificate_arn);
    let spec = Listener {
        load_balancer: Reference::Id(listener.load_balancer_arn()?.to_owned()),
        port: u16::try_from(listener.port()?).ok()?,
        protocol: listener.protocol().map_or("none", ProtocolEnum::as_str).to_owned(),
        tls_policy: listener.ssl_policy().unwrap_or("none").to_owned(),
        certificate: Reference::Id(certificate.unwrap_or("none").to_owned()),
        default_status: default_status(listener.default_actions()),
    };
    Some(Found {
        id: listener.listener_arn()?.to_owned(),
        name: String::new(),
        tags: Tags::new(),
        spec: Spec::Listener(spec),
        condition: Condition::Ready,
    })
}

/// The status of a default action that is one fixed answer.
fn default_status(actions: &[Action]) -> Option<u16> {
    match actions {
        [only] if only.r#type() == Some(&ActionTypeEnum::FixedResponse) => {
            only.fixed_response_config()?.status_code()?.parse().ok()
        }
        _ => None,
    }
}

fn default_action(status: Option<u16>) -> Action {
    let status = status.unwrap_or(NOT_FOUND);
    // The service knows no `application/problem+json`.
    let answer = FixedResponseActionConfig::builder()
        .status_code(status.to_string())
        .content_type("application/json")
        .message_body(format!(r#"{{"title":"There is nothing here","status":{status}}}"#))
        .build();
    Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(answer).build()
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Listener,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "elasticloadbalancing:CreateListener";
    let certificate = Certificate::builder().certificate_arn(resolve(action, &spec.certificate, ids)?).build();
    let call = clients
        .elb
        .create_listener()
        .load_balancer_arn(resolve(action, &spec.load_balancer, ids)?)
        .port(spec.port.into())
        .protocol(ProtocolEnum::from(spec.protocol.as_str()))
        .ssl_policy(&spec.tls_policy)
        .certificates(certificate)
        .default_actions(default_action(spec.default_status))
        .set_tags(elb_tags(&resource.tags));
    let answer = clients.call(action, Effect::Create, call.send()).await?;
    let arn = answer.listeners().first().and_then(types::Listener::listener_arn);
    arn.map(str::to_owned).ok_or_else(|| incomplete(action, "ARN", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &Listener,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let listeners = of_balancer(clients, resolve(DESCRIBE, &spec.load_balancer, ids)?).await?;
    let same = |listener: &types::Listener| listener.port() == Some(spec.port.into());
    Ok(listeners.into_iter().filter(same).filter_map(|listener| listener.listener_arn).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Listener,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    // One that was found in place of a new one may say anything.
    if changes.is_none() || any_differs(changes, &["protocol", "tls policy", "certificate", "default status"]) {
        let action = "elasticloadbalancing:ModifyListener";
        let certificate = Certificate::builder().certificate_arn(resolve(action, &spec.certificate, ids)?).build();
        let call = clients
            .elb
            .modify_listener()
            .listener_arn(id)
            .port(spec.port.into())
            .protocol(ProtocolEnum::from(spec.protocol.as_str()))
            .ssl_policy(&spec.tls_policy)
            .certificates(certificate)
            .default_actions(default_action(spec.default_status));
        clients.call(action, Effect::Idempotent, call.send()).await?;
    }
    if changes.is_none() {
        return set_tags(clients, id, &resource.tags).await;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let call = || clients.elb.describe_listeners().listener_arns(id).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.listeners.unwrap_or_default());
    Ok(none_if_gone(answer)?.first().map_or(Condition::Gone, |_| Condition::Ready))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.elb.delete_listener().listener_arn(id).send();
    clients.call("elasticloadbalancing:DeleteListener", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_back() {
        assert_eq!(default_status(&[default_action(Some(404))]), Some(404));
        assert_eq!(default_status(&[default_action(None)]), Some(404));
        let answer = default_action(Some(404)).fixed_response_config.unwrap().message_body.unwrap();
        assert_eq!(answer, r#"{"title":"There is nothing here","status":404}"#);
    }

    #[test]
    fn other_default_actions_are_none() {
        let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("arn:tg").build();
        let unknown = Action::builder().r#type("juggle".into()).build();
        let empty = Action::builder().r#type(ActionTypeEnum::FixedResponse).build();
        for (name, actions) in [
            ("nothing", vec![]),
            ("forward", vec![forward.clone()]),
            ("unknown", vec![unknown]),
            ("no answer", vec![empty]),
            ("two", vec![default_action(None), forward]),
        ] {
            assert_eq!(default_status(&actions), None, "{name}");
        }
    }

    #[test]
    fn a_listener_is_told() {
        let listener = types::Listener::builder()
            .listener_arn("arn:l")
            .load_balancer_arn("arn:lb")
            .port(8080)
            .protocol(ProtocolEnum::Https)
            .ssl_policy("ELBSecurityPolicy-TLS13-1-2-2021-06")
            .certificates(Certificate::builder().certificate_arn("arn:c").build())
            .default_actions(default_action(None))
            .build();
        let found = translate(&listener).unwrap();
        let fields: Vec<String> =
            found.spec.fields().iter().map(|field| format!("{}={}", field.name, field.value)).collect();
        assert_eq!(
            fields,
            [
                "load balancer=arn:lb",
                "port=8080",
                "protocol=HTTPS",
                "tls policy=ELBSecurityPolicy-TLS13-1-2-2021-06",
                "certificate=arn:c",
                "default status=404"
            ]
        );
        for port in [-1, 70_000] {
            let odd = types::Listener::builder().listener_arn("arn:l").load_balancer_arn("arn:lb").port(port).build();
            assert_eq!(translate(&odd), None, "port {port}");
        }
    }
}
