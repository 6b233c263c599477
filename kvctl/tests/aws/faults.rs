//! The faults that AWS is known for, as a table, and mixtures of them.
//!
//! Each is what the proxy does, what the emulator is told, and what must come of it. The numbers are those of the
//! project's list of 25; kill -9 (24) is `sweep`. Times are real ones: kvctl's engine waits 20 times faster here.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::client::Client;
use crate::proxy::{Effect, Rule, When};

/// During which command it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum During {
    Up,
    Down,
}

/// What must come of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// The command does its work, without a word about permission or credentials.
    Converges,
    /// It ends with this code and says all of this; the next run, without the fault, converges.
    Exits { code: i32, says: &'static [&'static str] },
    /// As `Exits`, and nothing at all was changed.
    Refuses { code: i32, says: &'static [&'static str] },
}

/// A fault.
pub(crate) struct Fault {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) during: During,
    pub(crate) rules: Vec<Rule>,
    pub(crate) settings: Value,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) expect: Expect,
}

impl Fault {
    fn up(number: u8, name: &'static str) -> Self {
        Self {
            number,
            name,
            during: During::Up,
            rules: Vec::new(),
            settings: json!({}),
            environment: &[],
            expect: Expect::Converges,
        }
    }

    fn down(number: u8, name: &'static str) -> Self {
        Self { during: During::Down, ..Self::up(number, name) }
    }

    fn rule(mut self, actions: &'static str, when: When, effect: Effect) -> Self {
        self.rules.push(Rule { actions, when, effect });
        self
    }

    fn set(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    fn environment(mut self, environment: &'static [(&'static str, &'static str)]) -> Self {
        self.environment = environment;
        self
    }

    fn exits(mut self, code: i32, says: &'static [&'static str]) -> Self {
        self.expect = Expect::Exits { code, says };
        self
    }

    fn refuses(mut self, code: i32, says: &'static [&'static str]) -> Self {
        self.expect = Expect::Refuses { code, says };
        self
    }
}

const fn refuse(status: u16, code: &'static str, message: &'static str) -> Effect {
    Effect::Refuse { status, code, message }
}

const fn refuse_after(status: u16, code: &'static str, message: &'static str) -> Effect {
    Effect::RefuseAfter { status, code, message }
}

const THROTTLED: Effect = refuse(503, "RequestLimitExceeded", "Request limit exceeded.");
const INTERNAL: Effect = refuse_after(500, "InternalError", "An internal error has occurred");
/// Calls that make something and have no client token: a lost reply must not make a second one.
const WITHOUT_TOKEN: &str = "CreateVpc|CreateSubnet|CreateInternetGateway|AllocateAddress|CreateSecurityGroup";

/// Every fault.
pub(crate) fn table() -> Vec<Fault> {
    [seen_late(), lost(), slow_services(), limits(), odd_answers(), going_away()].into_iter().flatten().collect()
}

fn seen_late() -> Vec<Fault> {
    vec![
        Fault::up(1, "new things are not known everywhere").set(json!({ "lag": 0.4 })),
        Fault::up(2, "reads tell what was a moment ago").rule(
            "Describe*|List*|Get*",
            When::Always,
            Effect::Stale(Duration::from_millis(150)),
        ),
        Fault::up(12, "a new profile is not known for long").set(json!({ "profile_propagation": 1.0 })),
        Fault::up(13, "a new role cannot be assumed for long").set(json!({ "role_propagation": 0.5 })),
    ]
}

fn lost() -> Vec<Fault> {
    let every_third = When::OneIn { calls: 3, most: 30 };
    vec![
        Fault::up(3, "the reply to CreateVpc is lost").rule("CreateVpc", When::First(1), Effect::DropAfter),
        Fault::up(3, "replies without client tokens are lost").rule(WITHOUT_TOKEN, every_third, Effect::DropAfter),
        Fault::up(3, "replies to any change are lost").rule("changes", every_third, Effect::DropAfter),
        Fault::up(3, "changes are done and answered with 500").rule("changes", every_third, INTERNAL),
        Fault::up(3, "requests are lost").rule("changes", When::OneIn { calls: 6, most: 8 }, Effect::DropBefore),
        Fault::down(3, "replies to deletes are lost").rule("changes", every_third, Effect::DropAfter),
        Fault::up(4, "answers come after nobody waits any more")
            .rule(WITHOUT_TOKEN, When::First(3), Effect::AnswerLate(Duration::from_secs(3)))
            .environment(&[("KVCTL_AWS_CALL_TIMEOUT", "2s")]),
        Fault::up(5, "calls are throttled").rule("*", When::OneIn { calls: 8, most: 30 }, THROTTLED),
        Fault::up(5, "the load balancer's service is throttled").rule(
            "CreateTargetGroup|CreateLoadBalancer|CreateListener|CreateRule",
            When::First(3),
            refuse(400, "Throttling", "Rate exceeded"),
        ),
    ]
}

fn slow_services() -> Vec<Fault> {
    vec![
        Fault::up(6, "a NAT gateway fails").set(json!({ "failing_nat_gateways": 1 })),
        Fault::up(6, "NAT gateways are long pending").set(json!({ "nat_pending": 2.0 })),
        Fault::up(14, "a client token was used for something else").rule(
            "CreateNatGateway",
            When::First(1),
            refuse(400, "IdempotentParameterMismatch", "another request"),
        ),
        Fault::up(15, "a load balancer is long provisioning").set(json!({ "balancer_provisioning": 2.0 })),
        Fault::up(15, "a load balancer is impaired").rule(
            "DescribeLoadBalancers",
            When::Always,
            Effect::Rewrite(impaired),
        ),
        Fault::up(16, "targets are long initial").set(json!({ "target_initial": 2.0 })),
        Fault::up(16, "targets stay unhealthy")
            .set(json!({ "target_health": "unhealthy" }))
            .exits(12, &["unhealthy", "kvctl cluster up"]),
        Fault::up(17, "instances are long pending").set(json!({ "instance_pending": 2.0 })),
        Fault::up(17, "a zone has no room")
            .set(json!({ "full_zones": ["us-east-1b"] }))
            .exits(14, &["InsufficientInstanceCapacity", "us-east-1b", "kvctl cluster up"]),
    ]
}

fn limits() -> Vec<Fault> {
    let expired = refuse(403, "ExpiredToken", "The security token included in the request is expired");
    vec![
        Fault::up(19, "a zone does not exist in this account")
            .rule("DescribeAvailabilityZones", When::Always, Effect::Rewrite(without_a_zone))
            .refuses(13, &["us-east-1c"]),
        Fault::up(20, "too few addresses are left").set(json!({ "quota_addresses": 2 })).refuses(13, &["Elastic IP"]),
        Fault::up(20, "a limit is reached on the way")
            .rule(
                "AllocateAddress",
                When::Always,
                refuse(400, "AddressLimitExceeded", "The maximum number of addresses"),
            )
            .exits(14, &["AddressLimitExceeded", "kvctl cluster up"]),
        Fault::up(21, "credentials expire on the way")
            .rule("CreateRouteTable|CreateNatGateway", When::Always, expired)
            .exits(15, &["ExpiredToken", "credentials"]),
        Fault::up(21, "credentials are wrong")
            .rule(
                "*",
                When::Always,
                refuse(401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
            )
            .refuses(15, &["credentials"]),
        Fault::up(22, "two actions are not allowed")
            .set(json!({ "denied": ["ec2:CreateNatGateway", "ec2:AllocateAddress"] }))
            .refuses(15, &["CreateNatGateway", "AllocateAddress"]),
        Fault::up(22, "an action without dry run is not allowed")
            .set(json!({ "denied": ["iam:CreateRole"] }))
            .exits(15, &["iam:CreateRole", "kvctl cluster up"]),
        Fault::up(22, "something may not be looked at")
            .set(json!({ "denied": ["ec2:DescribeNatGateways"] }))
            .refuses(11, &["DescribeNatGateways"]),
    ]
}

fn odd_answers() -> Vec<Fault> {
    let few = When::OneIn { calls: 10, most: 12 };
    vec![
        Fault::up(18, "lists come in short pages").set(json!({ "page": 2 })),
        Fault::up(18, "lists begin with an empty page").set(json!({ "page": 3, "empty_pages": true })),
        Fault::down(18, "lists come in short pages").set(json!({ "page": 2, "empty_pages": true })),
        Fault::up(23, "somebody deletes a rule meanwhile").rule(
            "CreateLoadBalancer",
            When::First(1),
            Effect::Meanwhile(Arc::new(revoke_a_rule)),
        ),
        Fault::up(25, "answers have fields that nobody knows").rule("*", When::Always, Effect::Rewrite(surprise)),
        Fault::up(25, "states that nobody knows").rule(
            "DescribeNatGateways",
            When::First(2),
            Effect::Rewrite(thinking),
        ),
        Fault::up(25, "pages of HTML instead of answers").rule("*", few, Effect::Html),
        Fault::up(25, "pages of HTML after the work").rule("changes", few, Effect::HtmlAfter),
    ]
}

fn going_away() -> Vec<Fault> {
    let dependency = |message| refuse(400, "DependencyViolation", message);
    vec![
        Fault::down(7, "NAT gateways are long deleting").set(json!({ "nat_deleting": 2.0 })),
        Fault::down(8, "addresses are held when their NAT gateways are gone").set(json!({ "address_held": 1.5 })),
        Fault::down(9, "the gateway has mapped addresses for long").rule(
            "DetachInternetGateway",
            When::First(4),
            dependency("Network vpc-1 has some mapped public address(es)."),
        ),
        Fault::down(10, "a load balancer's interfaces linger").set(json!({ "balancer_interfaces": 2.0 })),
        Fault::down(11, "subnets and the network have dependencies for long").rule(
            "DeleteSubnet|DeleteVpc",
            When::First(6),
            dependency("The resource has dependencies and cannot be deleted."),
        ),
        Fault::down(17, "instances are long shutting down").set(json!({ "instance_shutting_down": 2.0 })),
        Fault::down(16, "targets drain for long").set(json!({ "target_draining": 2.0 })),
        Fault::down(5, "deletes are throttled").rule("*", When::OneIn { calls: 8, most: 30 }, THROTTLED),
        Fault::down(25, "pages of HTML after the work").rule(
            "changes",
            When::OneIn { calls: 5, most: 12 },
            Effect::HtmlAfter,
        ),
    ]
}

fn impaired(text: &str) -> String {
    text.replace("<Code>active</Code>", "<Code>active_impaired</Code>")
}

fn without_a_zone(text: &str) -> String {
    text.replace("us-east-1c", "us-east-1z")
}

fn thinking(text: &str) -> String {
    text.replace("<state>pending</state>", "<state>thinking</state>")
}

/// A field of the future in every element of an XML answer, and in every JSON document.
fn surprise(text: &str) -> String {
    let xml = text.replace("</requestId>", "</requestId><surprise><item>1</item></surprise>");
    let xml = xml.replace("</item>", "<surprise2027>yes</surprise2027></item>");
    match xml.strip_prefix('{') {
        Some("}") | None => xml,
        Some(rest) => format!("{{\"Surprise\": {{\"a\": [1]}}, {rest}"),
    }
}

fn revoke_a_rule(client: Client) {
    let rules = client.ec2("DescribeSecurityGroupRules", &[]).xml();
    let monitored = |rule: &&crate::xml::Element| rule.text_at("fromPort") == "9090";
    if let Some(rule) = rules.list("securityGroupRuleSet").iter().find(monitored) {
        let parameters =
            [("GroupId", rule.text_at("groupId")), ("SecurityGroupRuleId.1", rule.text_at("securityGroupRuleId"))];
        client.ec2("RevokeSecurityGroupIngress", &parameters).xml();
    }
}

/// Several faults at once that all pass: the proxy's and the emulator's. The same seed gives the same ones.
pub(crate) fn mixture(seed: u64) -> (Vec<Rule>, Value) {
    let mut random = StdRng::seed_from_u64(seed);
    let every = |calls: u32, most: usize| When::OneIn { calls, most };
    let mut rules = vec![
        Rule { actions: "*", when: every(20, 20), effect: THROTTLED },
        Rule { actions: "changes", when: every(12, 8), effect: Effect::DropAfter },
        Rule { actions: "changes", when: every(40, 2), effect: Effect::DropBefore },
        Rule { actions: "changes", when: every(20, 5), effect: INTERNAL },
        Rule { actions: "changes", when: every(30, 4), effect: Effect::HtmlAfter },
        Rule { actions: "reads", when: every(25, 10), effect: Effect::Html },
        Rule { actions: "reads", when: every(25, 10), effect: refuse(500, "InternalError", "try again") },
        Rule { actions: "reads", when: every(25, 6), effect: Effect::DropBefore },
        Rule { actions: "Describe*", when: every(6, 40), effect: Effect::Stale(Duration::from_millis(100)) },
        Rule { actions: "*", when: every(3, 200), effect: Effect::Rewrite(surprise) },
    ];
    rules.retain(|_| random.random_bool(0.5));
    let mut some = |longest: f64| if random.random_bool(0.4) { random.random_range(0.0..longest) } else { 0.05 };
    let settings = json!({
        "lag": some(0.3),
        "nat_pending": some(1.0),
        "nat_deleting": some(1.0),
        "address_held": some(0.6),
        "balancer_provisioning": some(1.0),
        "balancer_interfaces": some(1.0),
        "instance_pending": some(0.6),
        "instance_shutting_down": some(0.6),
        "profile_propagation": some(0.8),
        "role_propagation": some(0.4),
        "target_initial": some(0.6),
        "target_draining": some(0.6),
        "page": if seed.is_multiple_of(3) { 3 } else { 0 },
        "empty_pages": seed.is_multiple_of(6),
        "failing_nat_gateways": u32::from(seed.is_multiple_of(5)),
    });
    (rules, settings)
}
