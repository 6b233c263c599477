//! Drift: what somebody else changed is planned back, and nothing besides.
//!
//! One row is one edit: calls of the tests' own, the steps that must be planned for it, and what may have another id
//! afterwards. All rows of a table share one cluster. After each the census is the healthy one again and everything
//! that was not made anew has kept its id; another plan has nothing to do.

mod filters;
mod machines;
mod neighbours;
mod network;
mod services;

use std::time::Duration;

use kvnode::runtime::clock;
use serde_json::{Value, json};

use crate::census::Census;
use crate::client::{Client, Reply};
use crate::harness::{Bed, UP};

const PLAN: &str = "cluster plan --provider aws -o json";
/// Names of the cluster's own resources begin so.
const OURS: &str = "kvstore-dev-";
/// Longer than the emulator's states last.
const SETTLED: Duration = Duration::from_millis(300);

type Parameters = &'static [(&'static str, &'static str)];

/// A call of an edit. A value `@x` stands for the id of what is called `kvstore-dev-x`, `@@x` for that of `x`.
enum Call {
    Ec2(&'static str, Parameters),
    Elb(&'static str, Parameters),
    Iam(&'static str, Parameters),
    /// The service, the action, and the document.
    Json(&'static str, &'static str, &'static str),
    /// The method, the path and the body.
    S3(&'static str, &'static str, &'static str),
    /// Until what was begun has come to its end.
    Wait,
}

/// What somebody did.
struct Edit {
    name: &'static str,
    calls: &'static [Call],
    /// The steps, in any order: `create KEY`, `change KEY: FIELD, FIELD`, `delete KEY`, `await KEY`. Ids in keys are
    /// names, `*` if the census before the edit knew none.
    steps: &'static [&'static str],
    /// Names of what has another id afterwards.
    anew: &'static [&'static str],
}

impl Call {
    fn make(&self, client: Client, census: &Census) {
        let named = |parameters: Parameters| -> Vec<(&'static str, String)> {
            parameters.iter().map(|(name, value)| (*name, id(census, value))).collect()
        };
        type Send<'a> = &'a dyn Fn(&[(&str, &str)]) -> Reply;
        let query = |send: Send<'_>, parameters: Parameters| {
            let values = named(parameters);
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            send(&values)
        };
        let reply = match self {
            Self::Ec2(action, parameters) => query(&|values| client.ec2(action, values), parameters),
            Self::Elb(action, parameters) => query(&|values| client.elb(action, values), parameters),
            Self::Iam(action, parameters) => query(&|values| client.iam(action, values), parameters),
            Self::Json(service, target, document) => {
                let mut document: Value = serde_json::from_str(document).expect("a document");
                for value in document.as_object_mut().expect("an object").values_mut() {
                    if let Some(text) = value.as_str() {
                        *value = Value::from(id(census, text));
                    }
                }
                client.json(service, target, &document)
            }
            Self::S3(method, path, body) => client.s3(method, path, body),
            Self::Wait => return settle(client),
        };
        let done = (200..300).contains(&reply.status);
        assert!(done, "{}: {} {}", self.action(), reply.status, reply.body);
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Ec2(action, _) | Self::Elb(action, _) | Self::Iam(action, _) | Self::Json(_, action, _) => action,
            Self::S3(_, path, _) => path,
            Self::Wait => "wait",
        }
    }
}

/// What the emulator began comes to its end at the first call after it is due; that may begin something else.
fn settle(client: Client) {
    for _ in 0..2 {
        clock::pause_thread(SETTLED);
        client.ec2("DescribeVpcs", &[]).xml();
    }
}

fn id(census: &Census, value: &str) -> String {
    match (value.strip_prefix("@@"), value.strip_prefix('@')) {
        (Some(name), _) => census.id(name).to_owned(),
        (None, Some(name)) => census.id(&format!("{OURS}{name}")).to_owned(),
        (None, None) => value.to_owned(),
    }
}

/// The steps of a plan's document as rows write them, sorted.
pub(crate) fn steps(document: &Value, census: &Census) -> Vec<String> {
    let steps = document["plan"]["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines: Vec<String> = steps.iter().map(|step| line(step, census)).collect();
    lines.sort();
    lines
}

fn line(step: &Value, census: &Census) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let action = step["action"].as_object().and_then(|action| action.iter().next());
    let (verb, more) = action.unwrap_or_else(|| panic!("a step without an action: {step}"));
    let role = census.with_names(&text(&step["key"]["role"]));
    let role = match role.split_once("arn:") {
        Some((known, _)) => format!("{known}*"),
        None => role.split('/').map(|part| if looks_like_id(part) { "*" } else { part }).collect::<Vec<_>>().join("/"),
    };
    let key = format!("{}/{role}", text(&step["key"]["kind"]).replace('_', "-"));
    if verb != "update" {
        return format!("{verb} {key}");
    }
    let changes = more["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let fields: Vec<String> = changes.iter().map(|change| text(&change["field"])).collect();
    format!("change {key}: {}", fields.join(", "))
}

/// `sgr-0a1b2c3d4e5f60718`, but not `kvstore-dev` or `us-east-1a`.
fn looks_like_id(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(_, end)| end.len() >= 16 && end.chars().all(|one| one.is_ascii_hexdigit()))
}

/// Everything that must be as before: what the census sees, policies, and the secrets themselves.
struct World {
    census: Census,
    details: Vec<String>,
}

impl World {
    fn look(client: Client) -> Self {
        Self { census: Census::take(client), details: details(client) }
    }

    /// What is not as it was, in words; nothing if all is.
    fn compare(&self, healthy: &Self, anew: &[&str]) -> Vec<String> {
        let mut wrong = difference("line", &healthy.census.lines, &self.census.lines);
        let tags = |world: &Self| world.census.tags.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>();
        wrong.extend(difference("tags", &tags(healthy), &tags(self)));
        wrong.extend(difference("detail", &healthy.details, &self.details));
        let mut expected: Vec<String> = anew.iter().map(|name| (*name).to_owned()).collect();
        expected.sort();
        for (what, names) in [
            ("lost its id", healthy.census.missing_in(&self.census)),
            ("has a new id", self.census.missing_in(&healthy.census)),
        ] {
            if names != expected {
                wrong.push(format!("{what}: {names:?}, expected {expected:?}"));
            }
        }
        wrong
    }
}

fn difference(what: &str, before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("missing {what}: {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("extra {what}: {line}"));
    gone.chain(new).collect()
}

/// What the census leaves out: policy documents and the values of parameters.
fn details(client: Client) -> Vec<String> {
    let mut lines = Vec::new();
    for role in ["kvstore-dev-role-nodes-us-east-1", "kvstore-dev-role-flow-logs-us-east-1"] {
        let trust = client.iam("GetRole", &[("RoleName", role)]).value("AssumeRolePolicyDocument");
        lines.push(format!("{role} trusts {}", readable(&trust)));
        let listed = client.iam("ListRolePolicies", &[("RoleName", role)]).xml();
        for policy in listed.list("ListRolePoliciesResult/PolicyNames") {
            let asked = [("RoleName", role), ("PolicyName", policy.text.as_str())];
            let document = client.iam("GetRolePolicy", &asked).value("PolicyDocument");
            lines.push(format!("{role} {} {}", policy.text, readable(&document)));
        }
    }
    let asked = json!({ "Path": "/kvstore-dev", "Recursive": true, "WithDecryption": true, "MaxResults": 10 });
    let found = client.json("ssm", "AmazonSSM.GetParametersByPath", &asked).json();
    for parameter in found["Parameters"].as_array().into_iter().flatten() {
        lines.push(format!("{} {}", parameter["Name"], parameter["Value"]));
    }
    lines
}

/// A policy document whatever its spelling: percent-encoded or not, keys in any order.
fn readable(document: &str) -> String {
    let mut text = String::new();
    let mut rest = document;
    while let Some((start, end)) = rest.split_once('%') {
        let code = end.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        text.push_str(start);
        text.push(code.map_or('%', char::from));
        rest = if code.is_some() { &end[2..] } else { end };
    }
    text.push_str(rest);
    serde_json::from_str::<Value>(&text).map_or(text, |document| document.to_string())
}

/// Makes one edit and has it mended; tells what went wrong.
fn check(bed: &Bed, edit: &Edit, healthy: &World) -> Result<World, Vec<String>> {
    for call in edit.calls {
        call.make(bed.client(), &healthy.census);
    }
    let mut wrong = Vec::new();
    let plan = bed.kvctl(PLAN);
    let document: Value = serde_json::from_str(&plan.stdout).unwrap_or_default();
    let mut expected: Vec<String> = edit.steps.iter().map(|step| (*step).to_owned()).collect();
    expected.sort();
    let planned = steps(&document, &healthy.census);
    if plan.exit != Some(10) || planned != expected {
        wrong.push(format!("planned, exit {:?}: {planned:#?}\n{}", plan.exit, plan.stderr));
    }
    let up = bed.kvctl(UP);
    if up.exit != Some(0) {
        wrong.push(format!("up: {up}"));
    }
    let world = World::look(bed.client());
    wrong.extend(world.compare(healthy, edit.anew));
    let again = bed.kvctl(PLAN);
    if again.exit != Some(0) {
        wrong.push(format!("then planned: {again}"));
    }
    if wrong.is_empty() { Ok(world) } else { Err(wrong) }
}

/// Makes each edit of a table; after one that was not mended the next begins with a new cluster.
fn check_all(edits: &[Edit]) {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(UP).exits(0);
    let mut healthy = World::look(bed.client());
    let mut wrong = Vec::new();
    for edit in edits {
        match check(&bed, edit, &healthy) {
            Ok(world) => healthy = world,
            Err(reasons) => {
                wrong.push(format!("{}:\n  {}", edit.name, reasons.join("\n  ")));
                bed.clear();
                bed.kvctl(UP).exits(0);
                healthy = World::look(bed.client());
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} edits\n{}", wrong.len(), edits.len(), wrong.join("\n\n"));
}

#[test]
fn ids_are_told_from_names() {
    for (text, id) in [("sgr-0a1b2c3d4e5f60718", true), ("kvstore-dev", false), ("us-east-1a", false), ("a1", false)] {
        assert_eq!(looks_like_id(text), id, "{text}");
    }
    assert_eq!(readable("%7B%22b%22%3A1,\"a\":2%7D"), r#"{"a":2,"b":1}"#);
}
