//! The proxy before an emulator: each effect once, seen from both sides.

use std::io::{Read, Write};

use super::*;
use crate::emulator;

/// The status and body of a call through the proxy; none if the connection closed.
fn through(proxy: &Proxy, form: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(proxy.shared.address).expect("it listens");
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, \
         Signature=0\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(form.as_bytes()).expect("sent");
    let mut reader = BufReader::new(stream);
    let mut answer = Vec::new();
    let mut byte = [0];
    // The proxy keeps connections; the length says where the answer ends.
    while !answer.ends_with(b"\r\n\r\n") {
        if reader.read(&mut byte).ok()? == 0 {
            return None;
        }
        answer.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&answer).into_owned();
    let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok())?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

const CREATE: &str = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.9.0.0/16";
const DESCRIBE: &str = "Action=DescribeVpcs&Version=2016-11-15";

#[test]
fn each_effect_does_what_it_says() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let vpcs = || client.ec2("DescribeVpcs", &[]).xml().list("vpcSet").len();
    let proxy = Proxy::start(client);
    let refuse = |status, code| Effect::Refuse { status, code, message: "words" };
    let table = [
        (refuse(503, "RequestLimitExceeded"), 0, Some((503, "RequestLimitExceeded"))),
        (Effect::RefuseAfter { status: 500, code: "InternalError", message: "words" }, 1, Some((500, "InternalError"))),
        (Effect::DropBefore, 0, None),
        (Effect::DropAfter, 1, None),
        (Effect::AnswerLate(Duration::from_millis(50)), 1, Some((200, "vpc-"))),
        (Effect::Html, 0, Some((500, "<html>"))),
        (Effect::HtmlAfter, 1, Some((500, "<html>"))),
        (Effect::Rewrite(|text| text.replace("vpcId", "surprise")), 1, Some((200, "surprise"))),
        (Effect::KillBefore, 0, None),
        (Effect::KillAfter, 1, None),
    ];
    for (effect, made, answer) in table {
        client.reset();
        let before = vpcs();
        proxy.begin(vec![Rule { actions: "CreateVpc", when: When::First(1), effect: effect.clone() }], 1);
        let got = through(&proxy, CREATE);
        assert_eq!(vpcs() - before, made, "{effect:?}");
        match (&got, answer) {
            (None, None) => {}
            (Some((status, body)), Some((wanted, part))) => {
                assert_eq!(*status, wanted, "{effect:?}: {body}");
                assert!(body.contains(part), "{effect:?}: {body}");
            }
            _ => panic!("{effect:?}: {got:?}"),
        }
        assert_eq!(proxy.hits(), [1], "{effect:?}");
        assert_eq!(through(&proxy, CREATE).map(|(status, _)| status), Some(200), "only the first is hit");
        assert_eq!(proxy.changes().len(), 2);
    }
}

#[test]
fn stale_reads_and_other_writers() {
    let Some(lease) = emulator::lease() else { return };
    let client = lease.client();
    let proxy = Proxy::start(client);
    let seen = || through(&proxy, DESCRIBE).map(|(_, body)| body.matches("<vpcId>").count());
    proxy.begin(vec![Rule { actions: "reads", when: When::Always, effect: Effect::Stale(Duration::from_secs(60)) }], 1);
    let before = seen();
    through(&proxy, CREATE);
    assert_eq!(seen(), before, "it still tells what was before");
    let other = |client: Client| {
        client.ec2("CreateVpc", &[("CidrBlock", "10.8.0.0/16")]).xml();
    };
    proxy.begin(vec![Rule { actions: "reads", when: When::First(1), effect: Effect::Meanwhile(Arc::new(other)) }], 1);
    assert_eq!(seen(), before.map(|count| count + 2));
}

#[test]
fn killing_means_killing() {
    let Some(lease) = emulator::lease() else { return };
    let proxy = Proxy::start(lease.client());
    proxy.begin(vec![Rule { actions: "*", when: When::Index(1), effect: Effect::KillBefore }], 1);
    let mut victim = std::process::Command::new("sleep").arg("60").spawn().expect("it starts");
    proxy.set_victim(victim.id());
    assert!(through(&proxy, DESCRIBE).is_some());
    assert!(matches!(victim.try_wait(), Ok(None)), "the first call was not meant");
    assert_eq!(through(&proxy, DESCRIBE), None);
    let ended = victim.wait().expect("it ended");
    assert!(!ended.success());
}
