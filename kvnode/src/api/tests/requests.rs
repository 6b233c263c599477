//! Requests in process: what each answers, and every way to get one wrong.

use std::task::{Context, Waker};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::fake::{FakeNode, value_of};
use super::{Answered, api, ask, token};
use crate::api::limits::Limits;
use crate::api::tokens::Role;
use crate::api::types::{BatchResponse, ListDocument};
use crate::node::operation::FailureKind;

/// Asks a fresh node and compares the problem.
async fn check(line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>, expected: &str) {
    let answered = ask(&api(&FakeNode::default(), Limits::default()), line, headers, body).await;
    assert_eq!(answered.problem(), expected, "{line}");
}

#[tokio::test]
async fn a_value_is_written_read_and_deleted() {
    let node = FakeNode::default();
    let api = api(&node, Limits::default());
    let shown = ["etag", "kv-acks", "kv-epoch", "kv-consistency", "content-type"];

    let created = ask(&api, "PUT /v1/kv/user/42?ttl=60s", &[("content-type", "text/x")], "hello").await;
    assert_eq!((created.status.as_u16(), created.body.len()), (201, 0));
    insta::assert_snapshot!(created.headers(&shown), @r#"
    etag: "1-a-0"
    kv-acks: replicas=2/3; zones=2
    kv-epoch: 7
    kv-consistency: absent
    content-type: absent
    "#);
    assert_eq!(node.state.lock().last_ttl.map(|ttl| ttl.as_secs()), Some(60));
    assert_eq!(ask(&api, "PUT /v1/kv/user%2F42", &[("content-type", "text/x")], "world").await.status, 204);

    let got = ask(&api, "GET /v1/kv/user/42?consistency=one", &[], "").await;
    assert_eq!((got.status.as_u16(), &*got.text()), (200, "world"));
    insta::assert_snapshot!(got.headers(&shown), @r#"
    etag: "2-a-0"
    kv-acks: absent
    kv-epoch: 7
    kv-consistency: one
    content-type: text/x
    "#);
    let timing = got.headers["server-timing"].to_str().expect("text");
    assert!(timing.starts_with("total;dur="), "{timing}");

    for condition in ["\"2-a-0\"", "W/\"2-a-0\"", "\"1-a-0\", \"2-a-0\"", "*"] {
        let unchanged = ask(&api, "GET /v1/kv/user/42", &[("if-none-match", condition)], "").await;
        assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0), "{condition}");
    }
    assert_eq!(ask(&api, "GET /v1/kv/user/42", &[("if-none-match", "\"1-a-0\"")], "").await.status, 200);
    assert_eq!(ask(&api, "DELETE /v1/kv/user/42", &[], "").await.status, 204);
    let absent = ask(&api, "GET /v1/kv/user/42", &[], "").await;
    assert_eq!(absent.problem(), "404 key-absent NotApplied: it was never written, was deleted or has expired");
    assert_eq!(absent.headers["kv-epoch"], "7");
}

#[tokio::test]
async fn bad_keys_and_queries_are_named() {
    let long = "k".repeat(1025);
    check("GET /v1/kv/", &[], "", "400 invalid-key NotApplied: a key has 1 to 1024 bytes, this has 0").await;
    check(
        &format!("PUT /v1/kv/{long}"),
        &[],
        "v",
        "400 invalid-key NotApplied: a key has 1 to 1024 bytes, this has 1025",
    )
    .await;
    check(
        "GET /v1/kv/ab%4",
        &[],
        "",
        "400 invalid-key NotApplied: '%' at position 2 is not followed by two hexadecimal digits",
    )
    .await;
    check(
        "GET /v1/kv/a?fresh=1",
        &[],
        "",
        "400 invalid-query NotApplied: there is no parameter \"fresh\" here; there is consistency, timeout, explain",
    )
    .await;
    check(
        "DELETE /v1/kv/a?timeout=1s&timeout=2s",
        &[],
        "",
        "400 invalid-query NotApplied: the parameter \"timeout\" is given more than once",
    )
    .await;
    check("GET /v1/ring?x", &[], "", "400 invalid-query NotApplied: there is no parameter \"x\" here; there is none")
        .await;
    check(
        "PUT /v1/kv/a",
        &[("if-none-match", "*")],
        "v",
        "400 conditional-write NotApplied: the header if-none-match makes this write conditional",
    )
    .await;
    check(
        "PUT /v1/kv/a",
        &[("content-type", "täxt")],
        "v",
        "400 invalid-header NotApplied: a Content-Type has 1 to 255 visible ASCII characters",
    )
    .await;
    check("GET /v2/kv/a", &[], "", "404 no-such-resource NotApplied: the path leads nowhere").await;
    check("POST /v1/kv/a", &[], "", "405 method-not-allowed NotApplied: POST is not one of GET, HEAD, PUT, DELETE")
        .await;
}

#[tokio::test]
async fn keys_may_be_any_bytes_of_any_length_up_to_the_limit() {
    let api = api(&FakeNode::default(), Limits::default());
    for target in ["%00%FF%25", "//", "a/../b", "%2e", &"%C3%A4".repeat(512), "a+b&c"] {
        assert_eq!(ask(&api, &format!("PUT /v1/kv/{target}"), &[], "v").await.status, 201, "{target}");
        assert_eq!(ask(&api, &format!("GET /v1/kv/{target}"), &[], "").await.text(), "v", "{target}");
    }
}

#[tokio::test]
async fn roles_are_enforced() {
    async fn check(line: &str, authorization: &str, expected: &str, challenge: &str) {
        let api = api(&FakeNode::default(), Limits::default());
        let answered = ask(&api, line, &[("authorization", authorization)], "").await;
        assert_eq!(answered.problem(), expected, "{line}");
        assert_eq!(answered.headers["www-authenticate"], challenge, "{line}");
    }
    let plain = "Bearer realm=\"kvstore\"";
    let none = "401 not-authenticated NotApplied: the request shows no bearer token";
    check("GET /v1/kv/a", "", none, plain).await;
    check("GET /v1/kv/a", "Basic abc", none, plain).await;
    check("GET /metrics", "", none, plain).await;
    let bad = "401 not-authenticated NotApplied: the token is not one of this node's";
    check("GET /v1/kv/a", "Bearer kv_admin_guess", bad, "Bearer realm=\"kvstore\", error=\"invalid_token\"").await;
    let scope = |role: &str| format!("Bearer realm=\"kvstore\", error=\"insufficient_scope\", scope=\"{role}\"");
    let read = format!("bearer {}", token(Role::Read));
    let needs_write = "403 forbidden NotApplied: this needs the role write, the token has the role read";
    check("PUT /v1/kv/a", &read, needs_write, &scope("write")).await;
    let write = format!("Bearer {}", token(Role::Write));
    let needs_admin = "403 forbidden NotApplied: this needs the role admin, the token has the role write";
    check("POST /v1/admin/drain", &write, needs_admin, &scope("admin")).await;
    check("GET /v1/kv/a?explain=true", &write, needs_admin, &scope("admin")).await;

    let api = api(&FakeNode::default(), Limits::default());
    for open in ["GET /livez", "GET /readyz?verbose", "GET /version"] {
        assert_eq!(ask(&api, open, &[("authorization", "")], "").await.status, 200, "{open}");
    }
    assert_eq!(ask(&api, "PUT /v1/kv/a", &[("authorization", &write)], "v").await.status, 201);
    assert_eq!(ask(&api, "GET /v1/kv/a", &[("authorization", &read)], "").await.status, 200);
    let put = r#"{"operations":[{"op":"put","key":"a","value":""}]}"#;
    assert_eq!(ask(&api, "POST /v1/batch", &[("authorization", &read)], put).await.problem(), needs_write);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let limits = Limits { max_value_bytes: 100, max_body_bytes: 1_000_000, ..Limits::default() };
    let api = api(&FakeNode::default(), limits);
    assert_eq!(ask(&api, "PUT /v1/kv/a", &[], value_of(100)).await.status, 201);
    assert_eq!(
        ask(&api, "PUT /v1/kv/a", &[], value_of(101)).await.problem(),
        "413 too-large NotApplied: at most 100 bytes are taken; 101 bytes are announced"
    );
    let chunks = http_body_util::StreamBody::new(futures_util::stream::iter(
        (0..2).map(|_| Ok::<_, std::io::Error>(hyper::body::Frame::data(value_of(60)))),
    ));
    let request = http::Request::put("/v1/kv/a").header("authorization", format!("Bearer {}", token(Role::Admin)));
    let answer = api.respond(request.body(chunks).expect("a request")).await;
    assert_eq!(answer.status(), 413);

    let share = api.shared.bodies.enter(999_000);
    let batch = format!("{{\"operations\":[]}}{}", " ".repeat(20_000));
    let crowded = ask(&api, "POST /v1/batch", &[], batch).await;
    assert!(crowded.problem().starts_with("503 overloaded NotApplied"), "{}", crowded.problem());
    assert_eq!(crowded.headers["retry-after"], "1");
    drop(share);
    assert_eq!(api.shared.bodies.count(), 0);
}

#[tokio::test]
async fn operations_in_flight_are_bounded() {
    let node = FakeNode::default();
    node.state.lock().stuck = true;
    let api = api(&node, Limits { max_operations: 1, ..Limits::default() });
    let mut first = std::pin::pin!(ask(&api, "GET /v1/kv/a", &[], ""));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let second = ask(&api, "GET /v1/kv/a", &[], "").await;
    assert!(second.problem().starts_with("503 overloaded NotApplied"), "{}", second.problem());
    let metrics = ask(&api, "GET /metrics", &[], "").await.text();
    assert!(metrics.contains("kvnode_inflight_requests 1"), "{metrics}");
    assert!(metrics.contains("kvnode_shed_requests_total{reason=\"operations\"} 1"), "{metrics}");
}

#[tokio::test]
async fn failures_say_whether_they_may_be_applied() {
    let node = FakeNode::default();
    let api = api(&node, Limits::default());
    let fail = |kind, applied| node.state.lock().failure = Some((kind, applied));

    fail(FailureKind::QuorumUnavailable, false);
    let refused = ask(&api, "PUT /v1/kv/a", &[], "v").await;
    assert_eq!(refused.headers["retry-after"], "1");
    insta::assert_snapshot!(refused.text(), @r#"{"type":"urn:kvstore:error:quorum-unavailable","title":"Not enough replicas answer","status":503,"detail":"1 of 3 replicas of partition 113 answered, 2 are needed","instance":"urn:kvstore:request:00000abc-0","outcome":"not_applied","required":2,"received":1,"epoch":7,"hint":"try again later, or see 'kvctl cluster status'"}"#);
    fail(FailureKind::Deadline, true);
    let counts = "1 of 3 replicas of partition 113 answered, 2 are needed";
    assert_eq!(ask(&api, "DELETE /v1/kv/a", &[], "").await.problem(), format!("504 deadline Unknown: {counts}"));
    assert_eq!(ask(&api, "GET /v1/kv/a", &[], "").await.problem(), format!("504 deadline NotApplied: {counts}"));
    assert_eq!(ask(&api, "GET /v1/kv", &[], "").await.problem(), format!("504 deadline NotApplied: {counts}"));
    fail(FailureKind::DiskFull, false);
    assert_eq!(ask(&api, "PUT /v1/kv/a", &[], "v").await.problem(), format!("507 disk-full NotApplied: {counts}"));
    fail(FailureKind::NoRing, false);
    let no_ring = ask(&api, "PUT /v1/kv/a", &[], "v").await;
    assert_eq!(no_ring.problem(), "503 no-ring NotApplied: this node does not know who holds which key");
    assert!(no_ring.text().contains("kvnode --bootstrap"), "{}", no_ring.text());
    let metrics = ask(&api, "GET /metrics", &[], "").await.text();
    assert!(metrics.contains("kvnode_quorum_failures_total{op=\"put\",reason=\"disk_full\"} 1"), "{metrics}");
}

#[tokio::test]
async fn listings_page_through_all_keys_once() {
    let api = api(&FakeNode::default(), Limits::default());
    for key in ["a", "b%00", "b%ff", "c/d"] {
        ask(&api, &format!("PUT /v1/kv/{key}"), &[("content-type", "t/x")], "v").await;
    }
    let page = |answered: Answered| serde_json::from_slice::<ListDocument>(&answered.body).expect("a page");
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(ask(&api, &format!("GET /v1/kv?limit=1{cursor}"), &[], "").await);
        assert!(page.items.iter().all(|item| item.value.is_none()));
        keys.extend(page.items.into_iter().map(|item| item.key));
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(keys, ["a", "b%00", "b%FF", "c/d"]);
    let with_values = ask(&api, "GET /v1/kv?prefix=b&values=true", &[], "").await;
    insta::assert_snapshot!(with_values.text(), @r#"{"items":[{"key":"b%00","etag":"\"2-a-0\"","value":"dg==","content_type":"t/x"},{"key":"b%FF","etag":"\"3-a-0\"","value":"dg==","content_type":"t/x"}]}"#);
    assert_eq!(page(ask(&api, "GET /v1/kv?prefix=b&end=a", &[], "").await).items, []);
}

#[tokio::test]
async fn long_pages_are_cut_and_go_on() {
    let api = api(&FakeNode::default(), Limits::default());
    for number in 10..30 {
        ask(&api, &format!("PUT /v1/kv/{number}"), &[], value_of(1024 * 1024)).await;
    }
    let first: ListDocument =
        serde_json::from_slice(&ask(&api, "GET /v1/kv?values=true", &[], "").await.body).expect("a page");
    assert_eq!((first.items.len(), first.items[7].key.as_str()), (8, "17"));
    let next = format!("GET /v1/kv?values=true&limit=1&cursor={}", first.next.expect("more"));
    assert!(ask(&api, &next, &[], "").await.text().starts_with(r#"{"items":[{"key":"18""#));
}

#[tokio::test]
async fn a_batch_gives_each_operation_its_own_status() {
    let api = api(&FakeNode::default(), Limits { max_value_bytes: 4, ..Limits::default() });
    ask(&api, "PUT /v1/kv/here", &[], "v").await;
    let batch = r#"{"operations":[
        {"op":"get","key":"here"}, {"op":"get","key":"gone"}, {"op":"get","key":"%"},
        {"op":"put","key":"new","value":"aGk=","content_type":"t/x","ttl":"5m"}, {"op":"put","key":"bad","value":"?"},
        {"op":"put","key":"big","value":"MTIzNDU="}, {"op":"put","key":"late","value":"","ttl":"soon"},
        {"op":"delete","key":"here"}]}"#;
    let answered = ask(&api, "POST /v1/batch?timeout=1s", &[], batch).await;
    assert_eq!(answered.status, 200);
    let response: BatchResponse = serde_json::from_slice(&answered.body).expect("a response");
    let line = |result: &crate::api::types::BatchResult| {
        let problem = result.problem.as_ref().map(|problem| &*problem.detail);
        let said = problem.or(result.value.as_deref()).or(result.acks.as_deref());
        format!("{} {}: {}", result.key, result.status, said.unwrap_or_default())
    };
    insta::assert_snapshot!(response.results.iter().map(line).collect::<Vec<_>>().join("\n"), @r#"
    here 200: dg==
    gone 404: it was never written, was deleted or has expired
    % 400: '%' at position 0 is not followed by two hexadecimal digits
    new 201: replicas=2/3; zones=2
    bad 400: value: Invalid symbol 63, offset 0.
    big 413: at most 4 bytes are taken; this value has 5
    late 400: ttl="soon" is not a time such as 60s or 12h (ms, s, m, h, d), 1ms to 3660d
    here 204: replicas=2/3; zones=2
    "#);
}

#[tokio::test]
async fn unreadable_batches_fail_as_a_whole() {
    let found = "a batch has 1 to 100 operations, this has";
    let put = |operations: usize| {
        let one = r#"{"op":"get","key":"a"}"#;
        format!(r#"{{"operations":[{}]}}"#, vec![one; operations].join(","))
    };
    check("POST /v1/batch", &[], put(0), &format!("400 invalid-body NotApplied: {found} 0")).await;
    check("POST /v1/batch", &[], put(101), &format!("400 invalid-body NotApplied: {found} 101")).await;
    check(
        "POST /v1/batch",
        &[],
        r#"{"operations":[{"op":"cas","key":"a"}]}"#,
        "400 invalid-body NotApplied: unknown variant `cas`, expected one of `get`, `put`, `delete` at line 1 column 26",
    )
    .await;
    let long = value_of(4 * 1024 * 1024 + 1);
    check(
        "POST /v1/batch",
        &[],
        long,
        "413 too-large NotApplied: at most 4194304 bytes are taken; 4194305 bytes are announced",
    )
    .await;
}

#[tokio::test]
async fn a_batch_leaves_out_values_past_its_bound() {
    let api = api(&FakeNode::default(), Limits::default());
    ask(&api, "PUT /v1/kv/big", &[], value_of(1024 * 1024)).await;
    let batch = format!(r#"{{"operations":[{}]}}"#, [r#"{"op":"get","key":"big"}"#; 8].join(","));
    let answered = ask(&api, "POST /v1/batch", &[], batch).await;
    let response: BatchResponse = serde_json::from_slice(&answered.body).expect("a response");
    let statuses: Vec<_> = response.results.iter().map(|result| result.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 413, 413, 413]);
    let value = response.results[0].value.as_deref().map(|value| STANDARD.decode(value).expect("base64").len());
    assert_eq!(value, Some(1024 * 1024));
}

#[tokio::test]
async fn views_show_what_the_node_believes() {
    let api = api(&FakeNode::default(), Limits::default());
    let text = |answered: Answered| {
        assert_eq!(answered.status, 200);
        answered.text()
    };
    insta::assert_snapshot!(text(ask(&api, "GET /v1/partitions", &[], "").await), @r#"{"epoch":7,"replicas":3,"quorum":2,"counts":{"ok":0,"degraded":0,"quorum":2,"unavailable":0},"partitions":[{"partition":0,"replicas":["a1","b1","c1"],"alive":2,"status":"quorum"},{"partition":1,"replicas":["c1","a1","00000000000000000000000000000009"],"alive":2,"status":"quorum"}]}"#);
    insta::assert_snapshot!(text(ask(&api, "GET /v1/ring", &[], "").await), @r#"{"cluster":"0000000000000000000000000000000c","epoch":7,"epoch_hash":"ab","replicas":3,"partitions":2,"nodes":[{"id":"00000000000000000000000000000001","name":"a1","zone":"a","state":"alive","partitions":2},{"id":"00000000000000000000000000000002","name":"b1","zone":"b","state":"dead","partitions":1},{"id":"00000000000000000000000000000003","name":"c1","zone":"c","state":"alive","partitions":2}]}"#);
    let cluster = text(ask(&api, "GET /v1/cluster", &[], "").await);
    let (facts, nodes) = cluster.split_once(",\"nodes\":").expect("nodes");
    insta::assert_snapshot!(facts, @r#"{"cluster":"0000000000000000000000000000000c","epoch":7,"epoch_hash":"ab","replicas":3,"partitions":2,"partition_status":{"ok":0,"degraded":0,"quorum":2,"unavailable":0},"this_node":{"id":"00000000000000000000000000000001","name":"a1","zone":"a","pid":42,"uptime_seconds":0,"draining":false,"store_bytes":4096,"records":0,"hints":{"b1":5},"hint_bytes":0,"dirty":{},"health_score":0}"#);
    assert_eq!(format!("{{\"nodes\":{nodes}"), text(ask(&api, "GET /v1/nodes", &[], "").await));
    insta::assert_snapshot!(nodes.split_once("},").expect("several").0, @r#"[{"id":"00000000000000000000000000000001","name":"a1","zone":"a","state":"alive","since":"2023-11-14T22:13:20Z","incarnation":2,"version":"0.1.0","api":"127.0.1.1:8080","peer":"127.0.1.1:7946","gossip":"127.0.1.1:7947","epoch":7,"in_ring":true,"hints":0,"connected":true"#);
    let explained = text(ask(&api, "GET /v1/kv/a%2Fb?explain=true", &[], "").await);
    insta::assert_snapshot!(explained, @r#"{"key":"a/b","partition":113,"epoch":7,"replicas":[{"node":"a1","zone":"a","answered":true,"tombstone":false,"latency_micros":250,"hints":0},{"node":"b1","zone":"b","answered":false,"tombstone":false,"hints":0}]}"#);
}

#[tokio::test]
async fn a_ring_is_formed_or_the_reason_named() {
    async fn check(body: &str, expected: &str) {
        let api = api(&FakeNode::default(), Limits::default());
        let answered = ask(&api, "POST /v1/admin/bootstrap", &[], body.to_owned()).await;
        let text = if answered.status == 200 { answered.text() } else { answered.problem() };
        assert_eq!(text, expected, "{body}");
    }
    check(
        r#"{"nodes":["a1","b1","c1"],"replicas":3}"#,
        r#"{"cluster":"0000000000000000000000000000000c","epoch":1,"already":false}"#,
    )
    .await;
    check(
        r#"{"nodes":["a1"],"replicas":1}"#,
        "409 ring-conflict NotApplied: not every named node is alive here: missing a1",
    )
    .await;
    check(
        r#"{"nodes":["a1","b1"],"replicas":1}"#,
        "409 ring-conflict NotApplied: this node is already in cluster 00000000000000000000000000000001 with nodes a1, b1",
    )
    .await;
    check(
        r#"{"nodes":["a","b","c","d"],"replicas":3}"#,
        "503 not-agreed NotApplied: the nodes did not agree: b1 did not answer",
    )
    .await;
    check(r#"{"nodes":[],"replicas":3}"#, "400 invalid-body NotApplied: more replicas than nodes").await;
    check(
        r#"{"nodes":["A"],"replicas":3}"#,
        "400 invalid-body NotApplied: nodes: node name may hold only a-z, 0-9 and '-', and must start and end with a letter or digit; found 'A' at position 0",
    )
    .await;
    check(
        r#"{"nodes":["a"],"replicas":3,"zones":3}"#,
        "400 invalid-body NotApplied: unknown field `zones`, expected one of `nodes`, `replicas`, `partitions` at line 1 column 35",
    )
    .await;
}

#[tokio::test]
async fn probes_answer_as_etcd_does() {
    let api = api(&FakeNode::default(), Limits::default());
    assert_eq!(ask(&api, "GET /readyz", &[], "").await.text(), "ok");
    insta::assert_snapshot!(ask(&api, "GET /livez?verbose", &[], "").await.text(), @r"
    [+]loop ok
    [+]committer ok
    livez check passed
    ");
    assert_eq!(ask(&api, "POST /v1/admin/drain", &[], "").await.text(), r#"{"draining":true}"#);
    let draining = ask(&api, "GET /readyz", &[], "").await;
    assert_eq!(draining.status, 503);
    insta::assert_snapshot!(draining.text(), @r"
    [+]ring ok
    [-]draining failed: draining on request
    readyz check failed
    ");
    assert_eq!(ask(&api, "POST /v1/admin/undrain", &[], "").await.text(), r#"{"draining":false}"#);
    assert_eq!(ask(&api, "GET /readyz?verbose=false", &[], "").await.text(), "ok");
    assert_eq!(ask(&api, "GET /version", &[], "").await.text(), r#"{"name":"kvnode","version":"0.1.0"}"#);
}

#[tokio::test]
async fn metrics_show_the_view_and_the_requests() {
    let api = api(&FakeNode::default(), Limits::default());
    ask(&api, "GET /v1/kv/a", &[], "").await;
    let text = ask(&api, "GET /metrics", &[], "").await.text();
    let shown = ["members{", "partitions{", "hints_b", "hints_p", "ring_epoch ", "requests_total{"];
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#') && shown.iter().any(|part| line.contains(part))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    kvnode_http_requests_total{op="get",code="404"} 1
    kvnode_hints_bytes 0.0
    kvnode_hints_pending{peer="b1"} 0.0
    kvnode_hints_pending{peer="c1"} 0.0
    kvnode_members{state="alive",zone="a"} 1.0
    kvnode_members{state="dead",zone="b"} 1.0
    kvnode_members{state="alive",zone="c"} 1.0
    kvnode_partitions{state="ok"} 0.0
    kvnode_partitions{state="degraded"} 0.0
    kvnode_partitions{state="quorum"} 2.0
    kvnode_partitions{state="unavailable"} 0.0
    kvnode_ring_epoch 7.0
    "#);
    assert!(text.ends_with("# EOF\n"));
}
