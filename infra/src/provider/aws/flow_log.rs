//! Flow logs of a network into a log group.
//!
//! EC2 takes the role by ARN while the model knows it by name: the ARN is looked up. A flow log can be active and yet
//! deliver nothing, because its role cannot be taken on: that is a failure, told with the cloud's reason.

use aws_sdk_ec2::types::{
    Filter, FlowLog as Answer, FlowLogsResourceType, LogDestinationType, ResourceType, TrafficType, UnsuccessfulItem,
};

use super::clients::Clients;
use super::failure::{Effect, classify};
use super::identity::{filter, incomplete, of_cluster, resolve, tag_specification};
use super::pages::translate;
use super::role;
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use super::verbs::if_there;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{FlowLog, Reference, Resource, Spec};

const CREATE: &str = "ec2:CreateFlowLogs";
const DELETE: &str = "ec2:DeleteFlowLogs";
const DESCRIBE: &str = "ec2:DescribeFlowLogs";
/// What EC2 uses if nobody says otherwise.
const DEFAULT_AGGREGATION_SECONDS: u32 = 600;

/// The cluster's flow logs.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    translate(DESCRIBE, &describe(clients, &[of_cluster(scope.cluster)]).await?, seen)
}

async fn describe(clients: &Clients, filters: &[Filter]) -> Result<Vec<Answer>, Failure> {
    let page = |token| clients.ec2.describe_flow_logs().set_filter(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.flow_logs, answer.next_token)).await
}

fn seen(log: &Answer) -> Option<Found> {
    let id = |told: Option<&str>| Reference::Id(told.unwrap_or_default().to_owned());
    let seconds = log.max_aggregation_interval().and_then(|seconds| u32::try_from(seconds).ok());
    let spec = FlowLog {
        vpc: id(log.resource_id()),
        log_group: id(log.log_group_name().or(log.log_destination())),
        role: id(log.deliver_logs_permission_arn().and_then(|arn| arn.rsplit('/').next())),
        traffic: log.traffic_type().map_or("", TrafficType::as_str).to_owned(),
        aggregation_seconds: seconds.unwrap_or(DEFAULT_AGGREGATION_SECONDS),
    };
    Some(found(log.flow_log_id()?, log.tags(), Spec::FlowLog(spec), standing(log)))
}

fn standing(log: &Answer) -> Condition {
    if log.deliver_logs_status() == Some("FAILED") {
        let reason = log.deliver_logs_error_message().unwrap_or("delivery of logs failed");
        return Condition::Failed { reason: reason.to_owned() };
    }
    match log.flow_log_status() {
        Some("ACTIVE") | None => Condition::Ready,
        Some(state) => Condition::Pending { state: state.to_owned() },
    }
}

/// Makes it. The client token protects a repeated call on AWS, but not on everything that speaks its protocol.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &FlowLog,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    let role = resolve(CREATE, &spec.role, ids)?;
    let role = if role.starts_with("arn:") { role.to_owned() } else { role::arn(clients, role).await? };
    let call = clients
        .ec2
        .create_flow_logs()
        .resource_type(FlowLogsResourceType::Vpc)
        .resource_ids(resolve(CREATE, &spec.vpc, ids)?)
        .traffic_type(TrafficType::from(spec.traffic.as_str()))
        .log_destination_type(LogDestinationType::CloudWatchLogs)
        .log_group_name(resolve(CREATE, &spec.log_group, ids)?)
        .deliver_logs_permission_arn(role)
        .max_aggregation_interval(i32::try_from(spec.aggregation_seconds).unwrap_or(i32::MAX))
        .client_token(token)
        .tag_specifications(tag_specification(ResourceType::VpcFlowLog, resource));
    let answer = clients.call(CREATE, Effect::Create, call.send()).await?;
    refused(CREATE, Effect::Create, answer.unsuccessful())?;
    let id = answer.flow_log_ids.unwrap_or_default().into_iter().next();
    id.ok_or_else(|| incomplete(CREATE, "flow log id", Class::Unknown))
}

/// These calls succeed as a whole and tell inside what failed.
fn refused(action: &str, effect: Effect, items: &[UnsuccessfulItem]) -> Result<(), Failure> {
    let Some(error) = items.first().and_then(UnsuccessfulItem::error) else { return Ok(()) };
    let (code, message) = (error.code().unwrap_or("unknown error"), error.message().unwrap_or("no message"));
    // Told inside an answer of status 200, it is an error of the request as any of status 400.
    let class = classify(code, message, 400, effect);
    Err(Failure { action: action.to_owned(), code: code.to_owned(), message: message.to_owned(), class })
}

/// By tags on its network. The cloud allows one per network, destination and traffic.
pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &FlowLog,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let mut filters = of_resource(resource);
    filters.push(filter("resource-id", resolve(DESCRIBE, &spec.vpc, ids)?));
    Ok(describe(clients, &filters).await?.into_iter().filter_map(|log| log.flow_log_id).collect())
}

/// Sets tags; nothing else can be changed.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    _spec: &FlowLog,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    mend_tags(clients, id, resource, changes).await
}

/// Failed if it delivers nothing.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let call = || clients.ec2.describe_flow_logs().flow_log_ids(id).send();
    let answer = if_there(clients.read(DESCRIBE, call).await)?;
    let log = answer.and_then(|answer| answer.flow_logs.unwrap_or_default().into_iter().next());
    Ok(log.as_ref().map_or(Condition::Gone, standing))
}

/// Deletes it; what it wrote stays in the log group.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_flow_logs().flow_log_ids(id);
    let answer = clients.call(DELETE, Effect::Idempotent, call.send()).await?;
    refused(DELETE, Effect::Idempotent, answer.unsuccessful())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::UnsuccessfulItemError;

    use super::*;

    #[test]
    fn flow_logs_are_told_as_they_are() {
        let log = Answer::builder()
            .flow_log_id("fl-1")
            .resource_id("vpc-1")
            .log_group_name("/kvstore/dev/flow")
            .deliver_logs_permission_arn("arn:aws:iam::123456789012:role/service/kvstore-dev-role-flow-logs")
            .traffic_type(TrafficType::All)
            .max_aggregation_interval(60)
            .flow_log_status("ACTIVE")
            .deliver_logs_status("SUCCESS");
        let found = seen(&log.build()).unwrap();
        let id = |id: &str| Reference::Id(id.to_owned());
        let spec = FlowLog {
            vpc: id("vpc-1"),
            log_group: id("/kvstore/dev/flow"),
            role: id("kvstore-dev-role-flow-logs"),
            traffic: "ALL".to_owned(),
            aggregation_seconds: 60,
        };
        assert_eq!((found.spec, found.condition), (Spec::FlowLog(spec), Condition::Ready));
    }

    #[test]
    fn one_that_delivers_nothing_has_failed() {
        let failed = |reason: &str| Condition::Failed { reason: reason.to_owned() };
        for (status, delivery, message, condition) in [
            (Some("ACTIVE"), Some("FAILED"), Some("Access error"), failed("Access error")),
            (Some("ACTIVE"), Some("FAILED"), None, failed("delivery of logs failed")),
            (Some("ACTIVE"), None, None, Condition::Ready),
            (Some("CREATING"), None, None, Condition::Pending { state: "CREATING".to_owned() }),
        ] {
            let log = Answer::builder()
                .set_flow_log_status(status.map(str::to_owned))
                .set_deliver_logs_status(delivery.map(str::to_owned))
                .set_deliver_logs_error_message(message.map(str::to_owned));
            assert_eq!(standing(&log.build()), condition);
        }
    }

    #[test]
    fn refusals_inside_an_answer_are_failures() {
        let item = |code: &str| {
            let error = UnsuccessfulItemError::builder().code(code).message("why").build();
            UnsuccessfulItem::builder().resource_id("vpc-1").error(error).build()
        };
        for (code, class) in [
            ("FlowLogAlreadyExists", Class::Exists),
            ("InvalidFlowLogId.NotFound", Class::Gone),
            ("UnauthorizedOperation", Class::Denied),
        ] {
            let failure = refused(CREATE, Effect::Create, &[item(code)]).unwrap_err();
            assert_eq!((failure.class, failure.code.as_str()), (class, code));
        }
        assert_eq!(refused(CREATE, Effect::Create, &[]), Ok(()));
    }
}
