//! Pins the bytes of every message, and the laws: what is encoded decodes to itself, what is random never panics.
//!
//! A change of a golden line is a change of the protocol: it needs a new wire version.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::peer::{
    FailureKind, ForwardReply, MAX_WRITE_MANY, Operation, OperationFailure, PeerIdentity, PeerReply, PeerRequest,
    ScanRequest,
};
use crate::protocol::id::{ClusterId, EpochNumber, NodeId, NodeName, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;
use crate::protocol::record::{Content, Record, Value, Version};
use crate::protocol::register::{Refusal, Reply, Request};
use crate::protocol::stamp::Stamp;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

fn request_bytes(request: &PeerRequest) -> Bytes {
    let mut out = BytesMut::new();
    encode_request(&mut out, request).expect("small");
    out.freeze()
}

fn reply_bytes(reply: &PeerReply) -> Bytes {
    let mut out = BytesMut::new();
    encode_reply(&mut out, reply).expect("small");
    out.freeze()
}

fn hello_bytes(hello: &Hello) -> Bytes {
    let mut out = BytesMut::new();
    encode_hello(&mut out, hello);
    out.freeze()
}

fn welcome_bytes(welcome: &Welcome) -> Bytes {
    let mut out = BytesMut::new();
    encode_welcome(&mut out, welcome);
    out.freeze()
}

fn key(text: &'static str) -> Key {
    Key::parse(Bytes::from_static(text.as_bytes())).expect("valid key")
}

fn name(text: &str) -> NodeName {
    text.parse().expect("valid name")
}

const EPOCH: EpochNumber = EpochNumber(7);
const PARTITION: PartitionId = PartitionId(0x102);
const STAMP: Stamp = Stamp { time: 0xa1, writer: 0xb2, rmw: 0xc3 };

fn value() -> Value {
    Value { bytes: Bytes::from_static(b"hello"), content_type: Some("t/p".into()), expires_at: Some(9) }
}

fn plain(text: &'static str) -> Record {
    let value = Value { bytes: Bytes::from_static(text.as_bytes()), content_type: None, expires_at: None };
    Record { stamp: STAMP, content: Content::Value(value) }
}

const TOMBSTONE: Record = Record { stamp: STAMP, content: Content::Tombstone };

fn register(request: Request) -> PeerRequest {
    PeerRequest::Register { epoch: EPOCH, request }
}

fn forward(operation: Operation) -> PeerRequest {
    PeerRequest::Forward { epoch: EPOCH, operation }
}

#[test]
fn golden_requests() {
    let full = Record { stamp: STAMP, content: Content::Value(value()) };
    let scan = ScanRequest {
        epoch: EPOCH,
        partitions: vec![PartitionId(1), PartitionId(2)],
        start: Bytes::from_static(b"a"),
        end: Bytes::new(),
        limit: 1000,
        with_values: true,
    };
    let write = |value| forward(Operation::Write { key: key("key"), consistency: Consistency::All, value });
    let requests = [
        register(Request::Read { partition: PARTITION, key: key("key") }),
        register(Request::ReadVersion { partition: PARTITION, key: key("key") }),
        register(Request::LatestVersion { partition: PARTITION, key: key("key") }),
        register(Request::Write { partition: PARTITION, key: key("key"), record: full }),
        register(Request::Write { partition: PARTITION, key: key("key"), record: TOMBSTONE }),
        forward(Operation::Get { key: key("key"), consistency: Consistency::One }),
        forward(Operation::Get { key: key("key"), consistency: Consistency::Quorum }),
        write(Some(value())),
        write(None),
        PeerRequest::WriteMany {
            epoch: EPOCH,
            records: vec![(PARTITION, key("k"), plain("v")), (PARTITION, key("l"), TOMBSTONE)],
        },
        PeerRequest::Scan(scan),
        PeerRequest::GossipExchange(Bytes::from_static(b"state")),
        PeerRequest::FetchEpoch,
        PeerRequest::RingCommit(Bytes::from_static(b"step")),
    ];
    let lines: Vec<String> = requests.iter().map(|request| hex(&request_bytes(request))).collect();
    for (line, request) in lines.iter().zip(&requests) {
        assert_eq!(decode_request(request_bytes(request)).as_ref(), Ok(request), "{line}");
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    010000000000000007010200036b6579
    020000000000000007010200036b6579
    030000000000000007010200036b6579
    040000000000000007010200036b657900000000000000a100000000000000b2000000c307000000000000000903742f700000000568656c6c6f
    040000000000000007010200036b657900000000000000a100000000000000b2000000c300
    0500000000000000070100036b6579
    0500000000000000070200036b6579
    0600000000000000070300036b657907000000000000000903742f700000000568656c6c6f
    0600000000000000070300036b657900
    0700000000000000070002010200016b00000000000000a100000000000000b2000000c3010000000176010200016c00000000000000a100000000000000b2000000c300
    0800000000000000070002000100020001610000000003e801
    097374617465
    0a
    0b73746570
    ");
}

fn one_of_each_reply() -> Vec<PeerReply> {
    let version = Version { stamp: STAMP, is_value: true, expires_at: Some(9) };
    let failed = |kind| {
        PeerReply::Forward(ForwardReply::Failed(OperationFailure {
            kind,
            may_be_applied: true,
            required: 2,
            received: 1,
        }))
    };
    let wrote = ForwardReply::Wrote { stamp: STAMP, replaced: true, acked: vec![name("a1"), name("b-2")] };
    let refused = |refusal| PeerReply::Register(Reply::Refused(refusal));
    vec![
        PeerReply::Register(Reply::Record(None)),
        PeerReply::Register(Reply::Record(Some(plain("v")))),
        PeerReply::Register(Reply::Record(Some(TOMBSTONE))),
        PeerReply::Register(Reply::Version(Version::NONE)),
        PeerReply::Register(Reply::Version(version)),
        PeerReply::Register(Reply::Written),
        refused(Refusal::WrongEpoch { current: EpochNumber(8) }),
        refused(Refusal::NotReplica),
        refused(Refusal::Overloaded),
        refused(Refusal::DiskFull),
        refused(Refusal::StoreFailed),
        refused(Refusal::Expired),
        PeerReply::Forward(ForwardReply::Got(None)),
        PeerReply::Forward(ForwardReply::Got(Some(plain("v")))),
        PeerReply::Forward(wrote),
        failed(FailureKind::QuorumUnavailable),
        failed(FailureKind::Deadline),
        failed(FailureKind::Overloaded),
        failed(FailureKind::DiskFull),
        failed(FailureKind::StoreFailed),
        failed(FailureKind::NoRing),
        failed(FailureKind::NotReplica),
        PeerReply::WrittenMany,
        PeerReply::Scanned { items: vec![(key("k"), plain("v"))], more: true },
        PeerReply::GossipExchange(Bytes::from_static(b"state")),
        PeerReply::Epoch(Bytes::from_static(b"epoch")),
        PeerReply::RingCommit(Bytes::from_static(b"step")),
        PeerReply::Refused(Refusal::Overloaded),
    ]
}

#[test]
fn golden_replies() {
    let replies = one_of_each_reply();
    let lines: Vec<String> = replies.iter().map(|reply| hex(&reply_bytes(reply))).collect();
    for (line, reply) in lines.iter().zip(&replies) {
        assert_eq!(decode_reply(reply_bytes(reply)).as_ref(), Ok(reply), "{line}");
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    0100
    010100000000000000a100000000000000b2000000c3010000000176
    010100000000000000a100000000000000b2000000c300
    02000000000000000000000000000000000000000000
    0200000000000000a100000000000000b2000000c3030000000000000009
    03
    04010000000000000008
    0402
    0403
    0404
    0405
    0406
    0500
    050100000000000000a100000000000000b2000000c3010000000176
    0600000000000000a100000000000000b2000000c3010202613103622d32
    0701010201
    0702010201
    0703010201
    0704010201
    0705010201
    0706010201
    0707010201
    08
    09010000000100016b00000000000000a100000000000000b2000000c3010000000176
    0a7374617465
    0b65706f6368
    0c73746570
    0d03
    ");
}

fn hello(cluster: Option<u128>, purpose: Purpose) -> Hello {
    let identity = PeerIdentity { name: name("a1"), id: NodeId::from_bits(0xabc) };
    Hello { versions: 1..=2, cluster: cluster.map(ClusterId::from_bits), identity, purpose }
}

#[test]
fn golden_greetings() {
    let hellos = [hello(None, Purpose::Clients), hello(Some(0xdef), Purpose::Bulk), hello(None, Purpose::Once)];
    let refusals = [
        HelloRefusal::Version { versions: 3..=4 },
        HelloRefusal::Cluster { theirs: ClusterId::from_bits(0xdef) },
        HelloRefusal::Name,
        HelloRefusal::SameNode,
        HelloRefusal::NameTaken { theirs: NodeId::from_bits(0xabc) },
        HelloRefusal::Other { code: 99 },
    ];
    let accepted = Welcome::Accepted { version: 1, hello: hello(None, Purpose::Clients) };
    let welcomes: Vec<Welcome> = std::iter::once(accepted).chain(refusals.map(Welcome::Refused)).collect();
    for hello in &hellos {
        assert_eq!(decode_hello(hello_bytes(hello)).as_ref(), Ok(hello));
    }
    for welcome in &welcomes {
        assert_eq!(decode_welcome(welcome_bytes(welcome)).as_ref(), Ok(welcome));
    }
    let lines: Vec<String> =
        hellos.iter().map(hello_bytes).chain(welcomes.iter().map(welcome_bytes)).map(|bytes| hex(&bytes)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    6b766e5000010002000000000000000000000000000000000000000000000000000000000000000abc01026131
    6b766e50000100020100000000000000000000000000000def00000000000000000000000000000abc02026131
    6b766e5000010002000000000000000000000000000000000000000000000000000000000000000abc03026131
    6b766e5000000100010002000000000000000000000000000000000000000000000000000000000000000abc01026131
    6b766e50010100030004
    6b766e50010200000000000000000000000000000def
    6b766e500103
    6b766e500104
    6b766e50010500000000000000000000000000000abc
    6b766e500163
    ");
}

#[test]
fn greetings_may_grow_and_must_start_right() {
    let mut longer = hello_bytes(&hello(None, Purpose::Clients)).to_vec();
    longer.extend_from_slice(b"from a later release");
    assert_eq!(decode_hello(longer.into()), Ok(hello(None, Purpose::Clients)));
    assert_eq!(decode_hello(Bytes::from_static(b"GET / HTTP/1.1\r\n")), Err(Malformed { what: "greeting" }));
}

#[test]
fn versions_are_negotiated_down_to_a_common_one() {
    for (theirs, expected) in [(1..=1, Some(1)), (1..=2, Some(1)), (0..=1, Some(1)), (2..=3, None), (0..=0, None)] {
        assert_eq!(negotiate(&theirs), expected, "{theirs:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_by_the_sender() {
    let records = vec![(PARTITION, key("k"), TOMBSTONE); MAX_WRITE_MANY + 1];
    let mut value = value();
    value.content_type = Some("x".repeat(256).into());
    let write = Request::Write {
        partition: PARTITION,
        key: key("k"),
        record: Record { stamp: STAMP, content: Content::Value(value) },
    };
    for request in [PeerRequest::WriteMany { epoch: EPOCH, records }, register(write)] {
        assert!(encode_request(&mut BytesMut::new(), &request).is_err(), "{request:?}");
    }
}

#[test]
fn counts_that_cannot_be_true_are_refused_before_allocation() {
    // A scan reply that announces four thousand million items and holds none.
    assert_eq!(decode_reply(Bytes::from_static(&[9, 0, 255, 255, 255, 255])), Err(Malformed { what: "list of items" }));
}

fn any_key() -> impl Strategy<Value = Key> {
    vec(any::<u8>(), 1..40).prop_map(|bytes| Key::parse(bytes).expect("valid"))
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    any::<(u64, u64, u32)>().prop_map(|(time, writer, rmw)| Stamp { time, writer, rmw })
}

fn any_value() -> impl Strategy<Value = Value> {
    (vec(any::<u8>(), 0..100), option::of("[ -~]{0,20}"), option::of(any::<u64>())).prop_map(
        |(bytes, content_type, expires_at)| Value {
            bytes: bytes.into(),
            content_type: content_type.map(Into::into),
            expires_at,
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    (any_stamp(), option::of(any_value()))
        .prop_map(|(stamp, value)| Record { stamp, content: value.map_or(Content::Tombstone, Content::Value) })
}

fn any_consistency() -> impl Strategy<Value = Consistency> {
    prop_oneof![Just(Consistency::One), Just(Consistency::Quorum), Just(Consistency::All)]
}

fn any_opaque() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..50).prop_map(Bytes::from)
}

fn any_register() -> impl Strategy<Value = Request> {
    (0..4, any::<u16>().prop_map(PartitionId), any_key(), any_record()).prop_map(|(kind, partition, key, record)| {
        match kind {
            0 => Request::Read { partition, key },
            1 => Request::ReadVersion { partition, key },
            2 => Request::LatestVersion { partition, key },
            _ => Request::Write { partition, key, record },
        }
    })
}

fn any_request() -> impl Strategy<Value = PeerRequest> {
    let epoch = || any::<u64>().prop_map(EpochNumber);
    let partition = || any::<u16>().prop_map(PartitionId);
    prop_oneof![
        (epoch(), any_register()).prop_map(|(epoch, request)| PeerRequest::Register { epoch, request }),
        (epoch(), any_key(), any_consistency()).prop_map(|(epoch, key, consistency)| PeerRequest::Forward {
            epoch,
            operation: Operation::Get { key, consistency }
        }),
        (epoch(), any_key(), any_consistency(), option::of(any_value())).prop_map(
            |(epoch, key, consistency, value)| PeerRequest::Forward {
                epoch,
                operation: Operation::Write { key, consistency, value }
            }
        ),
        (epoch(), vec((partition(), any_key(), any_record()), 0..8))
            .prop_map(|(epoch, records)| PeerRequest::WriteMany { epoch, records }),
        (epoch(), vec(partition(), 0..20), any_opaque(), any_opaque(), any::<u32>(), any::<bool>()).prop_map(
            |(epoch, partitions, start, end, limit, with_values)| PeerRequest::Scan(ScanRequest {
                epoch,
                partitions,
                start,
                end,
                limit,
                with_values
            })
        ),
        any_opaque().prop_map(PeerRequest::GossipExchange),
        Just(PeerRequest::FetchEpoch),
        any_opaque().prop_map(PeerRequest::RingCommit),
    ]
}

fn any_reply() -> impl Strategy<Value = PeerReply> {
    let wrote = (any_stamp(), any::<bool>(), vec("[a-z0-9]{1,20}", 0..5)).prop_map(|(stamp, replaced, names)| {
        let acked = names.iter().map(|text| name(text)).collect();
        PeerReply::Forward(ForwardReply::Wrote { stamp, replaced, acked })
    });
    prop_oneof![
        option::of(any_record()).prop_map(|record| PeerReply::Register(Reply::Record(record))),
        (any_stamp(), any::<bool>(), option::of(any::<u64>())).prop_map(|(stamp, is_value, expires_at)| {
            PeerReply::Register(Reply::Version(Version { stamp, is_value, expires_at }))
        }),
        option::of(any_record()).prop_map(|record| PeerReply::Forward(ForwardReply::Got(record))),
        wrote,
        (vec((any_key(), any_record()), 0..8), any::<bool>())
            .prop_map(|(items, more)| PeerReply::Scanned { items, more }),
        any_opaque().prop_map(PeerReply::Epoch),
    ]
}

proptest! {
    #[test]
    fn requests_round_trip(request in any_request()) {
        prop_assert_eq!(decode_request(request_bytes(&request)), Ok(request));
    }

    #[test]
    fn replies_round_trip(reply in any_reply()) {
        prop_assert_eq!(decode_reply(reply_bytes(&reply)), Ok(reply));
    }

    #[test]
    fn a_message_cut_short_is_refused(request in any_request(), at in any::<proptest::sample::Index>()) {
        let bytes = request_bytes(&request);
        let cut = bytes.slice(..at.index(bytes.len()));
        let opaque = matches!(request, PeerRequest::GossipExchange(_) | PeerRequest::RingCommit(_)) && !cut.is_empty();
        prop_assert_eq!(decode_request(cut).is_ok(), opaque);
    }

    /// One spelling per message: whatever random or damaged bytes decode to encodes to the same bytes.
    #[test]
    fn damaged_requests_never_panic(request in any_request(), at in any::<proptest::sample::Index>(), flip in 1u8..) {
        let mut bytes = request_bytes(&request).to_vec();
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        if let Ok(decoded) = decode_request(bytes.clone().into()) {
            prop_assert_eq!(request_bytes(&decoded).to_vec(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        if let Ok(request) = decode_request(bytes.clone()) {
            prop_assert_eq!(request_bytes(&request), bytes.clone());
        }
        if let Ok(reply) = decode_reply(bytes.clone()) {
            prop_assert_eq!(reply_bytes(&reply), bytes.clone());
        }
        prop_assert!(decode_hello(bytes.clone()).is_err());
        prop_assert!(decode_welcome(bytes).is_err());
    }
}
