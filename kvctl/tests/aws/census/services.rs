//! The other services' part of the census: identities, certificates, load balancers, logs, parameters, buckets.

use serde_json::{Value, json};

use super::{Census, Tags, query_tags};
use crate::client::{Client, REGION};
use crate::xml::{self, Element};

pub(super) fn look(client: Client, census: &mut Census) {
    roles(client, census);
    profiles(client, census);
    log_groups(client, census);
    certificates(client, census);
    target_groups(client, census);
    load_balancers(client, census);
    parameters(client, census);
    buckets(client, census);
}

fn roles(client: Client, census: &mut Census) {
    for role in client.iam("ListRoles", &[]).xml().list("ListRolesResult/Roles") {
        let name = role.text_at("RoleName");
        let of_role = [("RoleName", name)];
        let tags = client.iam("ListRoleTags", &of_role).xml();
        let attached = client.iam("ListAttachedRolePolicies", &of_role).xml();
        let attached = texts(attached.list("ListAttachedRolePoliciesResult/AttachedPolicies"), "PolicyName");
        let inline = client.iam("ListRolePolicies", &of_role).xml();
        let mut inline: Vec<&str> =
            inline.list("ListRolePoliciesResult/PolicyNames").iter().map(|name| name.text.as_str()).collect();
        inline.sort_unstable();
        let rest = format!("inline [{}] attached [{attached}]", inline.join(" "));
        census.add_named("role", role.text_at("Arn"), name, query_tags(tags.list("ListRoleTagsResult/Tags")), &rest);
    }
}

fn texts(list: &[Element], path: &str) -> String {
    let mut texts: Vec<&str> = list.iter().map(|element| element.text_at(path)).collect();
    texts.sort_unstable();
    texts.join(" ")
}

fn profiles(client: Client, census: &mut Census) {
    let profiles = client.iam("ListInstanceProfiles", &[]).xml();
    for profile in profiles.list("ListInstanceProfilesResult/InstanceProfiles") {
        let name = profile.text_at("InstanceProfileName");
        let more = client.iam("GetInstanceProfile", &[("InstanceProfileName", name)]).xml();
        let tags = query_tags(more.list("GetInstanceProfileResult/InstanceProfile/Tags"));
        let rest = format!("with [{}]", texts(profile.list("Roles"), "RoleName"));
        census.add_named("profile", profile.text_at("Arn"), name, tags, &rest);
    }
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document[name].as_str().unwrap_or_default()
}

/// Tags as JSON services write them: a list of `Key` and `Value`.
fn json_tags(document: &Value, name: &str) -> Tags {
    list(document, name).iter().map(|tag| (text(tag, "Key").to_owned(), text(tag, "Value").to_owned())).collect()
}

fn log_groups(client: Client, census: &mut Census) {
    let groups = client.json("logs", "Logs_20140328.DescribeLogGroups", &json!({})).json();
    for group in list(&groups, "logGroups") {
        let name = text(group, "logGroupName");
        let tags = client.json("logs", "Logs_20140328.ListTagsLogGroup", &json!({ "logGroupName": name })).json();
        let tags = tags["tags"].as_object().into_iter().flatten();
        let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        census.add_named("log-group", name, name, tags, &format!("kept {} days", group["retentionInDays"]));
    }
}

fn certificates(client: Client, census: &mut Census) {
    let found = client.json("acm", "CertificateManager.ListCertificates", &json!({})).json();
    for certificate in list(&found, "CertificateSummaryList") {
        let arn = text(certificate, "CertificateArn");
        let of_arn = json!({ "CertificateArn": arn });
        let tags = client.json("acm", "CertificateManager.ListTagsForCertificate", &of_arn).json();
        let tags = json_tags(&tags, "Tags");
        let more = client.json("acm", "CertificateManager.DescribeCertificate", &of_arn).json();
        let more = &more["Certificate"];
        let rest = format!("{} {} {}", text(more, "DomainName"), text(more, "Type"), text(more, "Status"));
        census.add("certificate", arn, tags, &rest);
    }
}

fn elb_tags(client: Client, arn: &str) -> Tags {
    let root = client.elb("DescribeTags", &[("ResourceArns.member.1", arn)]).xml();
    let described = root.list("DescribeTagsResult/TagDescriptions");
    described.first().map(|one| query_tags(one.list("Tags"))).unwrap_or_default()
}

/// The named attributes of a load balancer or target group.
fn attributes(list: &[Element], names: &[&str]) -> String {
    let value = |name: &str| {
        let found = list.iter().find(|attribute| attribute.text_at("Key") == name);
        found.map_or("unset", |attribute| attribute.text_at("Value")).to_owned()
    };
    names.iter().map(|name| format!("{name}={}", value(name))).collect::<Vec<_>>().join(" ")
}

fn target_groups(client: Client, census: &mut Census) {
    let root = client.elb("DescribeTargetGroups", &[]).xml();
    for group in root.list("DescribeTargetGroupsResult/TargetGroups") {
        let (arn, name) = (group.text_at("TargetGroupArn"), group.text_at("TargetGroupName"));
        let more = client.elb("DescribeTargetGroupAttributes", &[("TargetGroupArn", arn)]).xml();
        let more = more.list("DescribeTargetGroupAttributesResult/Attributes");
        let rest = [
            census.name(group.text_at("VpcId")),
            format!("{} {}", group.text_at("Protocol"), group.text_at("Port")),
            format!("checks {} {}", group.text_at("HealthCheckProtocol"), group.text_at("HealthCheckPath")),
            format!("every {}s", group.text_at("HealthCheckIntervalSeconds")),
            format!("within {}s", group.text_at("HealthCheckTimeoutSeconds")),
            format!("up after {}", group.text_at("HealthyThresholdCount")),
            format!("down after {}", group.text_at("UnhealthyThresholdCount")),
            attributes(more, &["deregistration_delay.timeout_seconds"]),
        ];
        census.add_named("target-group", arn, name, elb_tags(client, arn), &rest.join(" "));
        let health = client.elb("DescribeTargetHealth", &[("TargetGroupArn", arn)]).xml();
        for target in health.list("DescribeTargetHealthResult/TargetHealthDescriptions") {
            let state = target.text_at("TargetHealth/State");
            if state != "draining" {
                let instance = census.name(target.text_at("Target/Id"));
                census.line("target", &format!("{instance} {} in {name} {state}", target.text_at("Target/Port")));
            }
        }
    }
}

fn load_balancers(client: Client, census: &mut Census) {
    let root = client.elb("DescribeLoadBalancers", &[]).xml();
    for balancer in root.list("DescribeLoadBalancersResult/LoadBalancers") {
        let (arn, name) = (balancer.text_at("LoadBalancerArn"), balancer.text_at("LoadBalancerName"));
        let more = client.elb("DescribeLoadBalancerAttributes", &[("LoadBalancerArn", arn)]).xml();
        let more = more.list("DescribeLoadBalancerAttributesResult/Attributes");
        let mut subnets: Vec<String> =
            balancer.list("AvailabilityZones").iter().map(|zone| census.name(zone.text_at("SubnetId"))).collect();
        subnets.sort();
        let groups: Vec<String> =
            balancer.list("SecurityGroups").iter().map(|group| census.name(&group.text)).collect();
        let rest = [
            balancer.text_at("Type").to_owned(),
            balancer.text_at("Scheme").to_owned(),
            subnets.join(","),
            groups.join(","),
            balancer.text_at("State/Code").to_owned(),
            attributes(more, &["idle_timeout.timeout_seconds", "routing.http.drop_invalid_header_fields.enabled"]),
        ];
        census.add_named("alb", arn, name, elb_tags(client, arn), &rest.join(" "));
        let listeners = client.elb("DescribeListeners", &[("LoadBalancerArn", arn)]).xml();
        for listener in listeners.list("DescribeListenersResult/Listeners") {
            listener_lines(client, census, name, listener);
        }
    }
}

fn listener_lines(client: Client, census: &mut Census, balancer: &str, listener: &Element) {
    let arn = listener.text_at("ListenerArn");
    let certificates: Vec<String> =
        listener.list("Certificates").iter().map(|one| census.name(one.text_at("CertificateArn"))).collect();
    let port = listener.text_at("Port");
    let rest = [
        listener.text_at("Protocol").to_owned(),
        listener.text_at("SslPolicy").to_owned(),
        certificates.join(","),
        format!("else {}", actions(census, listener.list("DefaultActions"))),
    ];
    let tags = elb_tags(client, arn);
    census.add_named("listener", arn, &format!("{balancer}:{port}"), tags, &rest.join(" "));
    let rules = client.elb("DescribeRules", &[("ListenerArn", arn)]).xml();
    for rule in rules.list("DescribeRulesResult/Rules") {
        if rule.text_at("IsDefault") == "true" {
            continue;
        }
        let mut values: Vec<&str> = rule
            .list("Conditions")
            .iter()
            .flat_map(|condition| condition.list("PathPatternConfig/Values"))
            .map(|value| value.text.as_str())
            .collect();
        values.sort_unstable();
        let rest = format!("{} -> {}", values.join(" "), actions(census, rule.list("Actions")));
        let (arn, name) = (rule.text_at("RuleArn"), format!("{balancer}:{port}/{}", rule.text_at("Priority")));
        census.add_named("listener-rule", arn, &name, elb_tags(client, arn), &rest);
    }
}

fn actions(census: &Census, actions: &[Element]) -> String {
    let text = |action: &Element| match action.text_at("Type") {
        "fixed-response" => format!("answer {}", action.text_at("FixedResponseConfig/StatusCode")),
        "forward" => {
            let grouped = action.list("ForwardConfig/TargetGroups").first();
            let direct = action.text_at("TargetGroupArn");
            let arn = if direct.is_empty() { grouped.map_or("", |one| one.text_at("TargetGroupArn")) } else { direct };
            format!("forward to {}", census.name(arn))
        }
        other => other.to_owned(),
    };
    actions.iter().map(text).collect::<Vec<_>>().join(",")
}

fn parameters(client: Client, census: &mut Census) {
    let mut token = Value::Null;
    loop {
        let mut asked = json!({ "MaxResults": 50 });
        if token.is_string() {
            asked["NextToken"] = token.clone();
        }
        let page = client.json("ssm", "AmazonSSM.DescribeParameters", &asked).json();
        for parameter in list(&page, "Parameters") {
            let name = text(parameter, "Name");
            // AWS's own, which everybody may read.
            if name.starts_with("/aws/") {
                continue;
            }
            let asked = json!({ "ResourceType": "Parameter", "ResourceId": name });
            let tags = client.json("ssm", "AmazonSSM.ListTagsForResource", &asked).json();
            census.add_named("parameter", name, name, json_tags(&tags, "TagList"), text(parameter, "Type"));
        }
        token = page["NextToken"].clone();
        if !token.is_string() {
            return;
        }
    }
}

fn buckets(client: Client, census: &mut Census) {
    let buckets = client.s3("GET", "/", "").xml();
    for bucket in buckets.list("Buckets") {
        let name = bucket.text_at("Name");
        let get = |what: &str| {
            let reply = client.s3("GET", &format!("/{name}?{what}"), "");
            if reply.status == 200 { xml::parse(&reply.body).unwrap_or_default() } else { Element::default() }
        };
        let access = get("publicAccessBlock");
        let private = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
            .iter()
            .all(|field| access.text_at(field) == "true");
        let encryption = get("encryption");
        let algorithm = encryption.find("SSEAlgorithm").map_or("none", |algorithm| algorithm.text.as_str());
        let versioning = get("versioning");
        let tags = query_tags(get("tagging").list("TagSet"));
        let rest = format!("versioning={} encryption={algorithm} private={private}", versioning.text_at("Status"));
        census.add_named("bucket", name, name, tags, &format!("in {REGION} {rest}"));
        // A lost reply leaves an older version of the same bytes, which is what versions are for.
        let versions = get("versions");
        let latest = |child: &&Element| child.name == "Version" && child.text_at("IsLatest") == "true";
        for object in versions.children.iter().filter(latest) {
            census.line("object", &format!("{name}/{}", object.text_at("Key")));
        }
    }
}
