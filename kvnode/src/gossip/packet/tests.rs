//! Bytes on the wire: pinned forms, round trips, hostile input, and the bound the machine fills packets to.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::id::{ClusterId, EpochNumber, NodeId};
use crate::protocol::membership::member::{Addresses, Facts, Incarnation, Member};
use crate::protocol::membership::message::PACKET_BUDGET;

fn plain_member() -> Member {
    let address = |port: u16| ([127, 0, 1, 1], port).into();
    Member {
        id: NodeId::from_bits(0xa1),
        name: "a1".parse().unwrap(),
        zone: "a".parse().unwrap(),
        addresses: Addresses { api: address(8080), peer: address(7946), gossip: address(7947) },
        incarnation: Incarnation::new(5).unwrap(),
        release: "0.1.0".parse().unwrap(),
        facts: Facts { cluster: None, epoch: EpochNumber(1), epoch_hash: [0xee; 32], draining: true },
        load: 9,
    }
}

fn accusation_of(subject: u128) -> Accusation {
    let incarnation = Incarnation::new(3).unwrap();
    Accusation { subject: NodeId::from_bits(subject), incarnation, accuser: NodeId::from_bits(0xc1) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn packet_bytes_are_pinned() {
    let body = Body::Ping { sequence: 0x0102, target: NodeId::from_bits(0xb1) };
    let updates = vec![Update::Suspect(accusation_of(0xd1))];
    let packet = Packet { sender: Arc::new(plain_member()), body, updates };
    insta::assert_snapshot!(hex(&encode(&packet).unwrap()), @"01000000000000000000000000000000a10000000000000005026131016105302e312e30047f0001011f90047f0001011f0a047f0001011f0b000000000000000001eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0109010000000000000102000000000000000000000000000000b10101000000000000000000000000000000d10000000000000003000000000000000000000000000000c1");
}

#[test]
fn exchange_bytes_are_pinned() {
    let standing = Standing::Dead { incarnation: Incarnation::new(7).unwrap(), accuser: NodeId::from_bits(0xc1) };
    let sender = Arc::new(plain_member());
    let exchange = Exchange { members: vec![(Arc::clone(&sender), standing)], sender };
    insta::assert_snapshot!(hex(&encode_exchange(&exchange).unwrap()), @"01000000000000000000000000000000a10000000000000005026131016105302e312e30047f0001011f90047f0001011f0a047f0001011f0b000000000000000001eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee01090001000000000000000000000000000000a10000000000000005026131016105302e312e30047f0001011f90047f0001011f0a047f0001011f0b000000000000000001eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0109020000000000000007000000000000000000000000000000c1");
}

#[test]
fn memberlist_358_an_incarnation_near_overflow_is_refused() {
    let packet = Packet { sender: Arc::new(plain_member()), body: Body::Gossip, updates: vec![] };
    let mut bytes = encode(&packet).unwrap();
    assert!(decode(&bytes).is_ok());
    bytes[17..25].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(decode(&bytes), Err(DecodeError::Invalid { part: "incarnation" }));
}

#[test]
fn too_much_is_refused_on_both_sides() {
    let updates = (0..40).map(|subject| Update::Dead(accusation_of(subject))).collect();
    let packet = Packet { sender: Arc::new(plain_member()), body: Body::Gossip, updates };
    assert!(matches!(encode(&packet), Err(TooLarge { max: MAX_PACKET, .. })));
    assert_eq!(decode(&vec![1; MAX_PACKET + 1]), Err(DecodeError::TooLong));
    assert_eq!(decode_exchange(&vec![1; MAX_EXCHANGE + 1]), Err(DecodeError::TooLong));
}

fn any_member() -> impl Strategy<Value = Member> {
    let texts = ("[a-z0-9]{1,63}", "[a-z0-9]{1,63}", "[!-~]{1,32}");
    let address = (any::<bool>(), any::<[u8; 16]>(), any::<u16>()).prop_map(|(six, ip, port)| match six {
        true => (ip, port).into(),
        false => ([ip[0], ip[1], ip[2], ip[3]], port).into(),
    });
    let facts = (any::<Option<u128>>(), any::<u64>(), any::<[u8; 32]>(), any::<bool>());
    let addresses = [address.clone().boxed(), address.clone().boxed(), address.boxed()];
    (any::<u128>(), texts, addresses, 0..=1_u64 << 56, facts, any::<u8>()).prop_map(
        |(
            id,
            (name, zone, release),
            [api, peer, gossip],
            incarnation,
            (cluster, epoch, epoch_hash, draining),
            load,
        )| {
            let (cluster, epoch) = (cluster.map(ClusterId::from_bits), EpochNumber(epoch));
            Member {
                id: NodeId::from_bits(id),
                name: name.parse().unwrap(),
                zone: zone.parse().unwrap(),
                addresses: Addresses { api, peer, gossip },
                incarnation: Incarnation::new(incarnation).unwrap(),
                release: release.parse().unwrap(),
                facts: Facts { cluster, epoch, epoch_hash, draining },
                load,
            }
        },
    )
}

fn any_accusation() -> impl Strategy<Value = Accusation> {
    any::<(u128, u32, u128)>().prop_map(|(subject, incarnation, accuser)| Accusation {
        subject: NodeId::from_bits(subject),
        incarnation: Incarnation::new(incarnation.into()).unwrap(),
        accuser: NodeId::from_bits(accuser),
    })
}

fn any_update() -> impl Strategy<Value = Update> {
    prop_oneof![
        any_member().prop_map(|member| Update::Alive(Arc::new(member))),
        any_accusation().prop_map(Update::Suspect),
        any_accusation().prop_map(Update::Dead),
        any_accusation().prop_map(|a| Update::Left { subject: a.subject, incarnation: a.incarnation }),
    ]
}

fn any_body() -> impl Strategy<Value = Body> {
    let node = any::<u128>().prop_map(NodeId::from_bits);
    prop_oneof![
        Just(Body::Gossip),
        (any::<u64>(), node.clone()).prop_map(|(sequence, target)| Body::Ping { sequence, target }),
        (any::<u64>(), node.clone()).prop_map(|(sequence, about)| Body::Ack { sequence, about }),
        (any::<u64>(), node, any::<[u8; 16]>()).prop_map(|(sequence, target, ip)| Body::PingRequest {
            sequence,
            target,
            address: (ip, 7947).into()
        }),
        any::<u64>().prop_map(|sequence| Body::Nack { sequence }),
    ]
}

fn any_standing() -> impl Strategy<Value = Standing> {
    any_accusation().prop_flat_map(|Accusation { incarnation, accuser, .. }| {
        prop_oneof![
            Just(Standing::Alive),
            Just(Standing::Suspect { incarnation, accuser }),
            Just(Standing::Dead { incarnation, accuser }),
            Just(Standing::Left { incarnation }),
        ]
    })
}

proptest! {
    #[test]
    fn packets_round_trip(sender in any_member(), body in any_body(), updates in vec(any_update(), 0..4)) {
        let packet = Packet { sender: Arc::new(sender), body, updates };
        if let Ok(bytes) = encode(&packet) {
            prop_assert_eq!(decode(&bytes), Ok(packet));
        }
    }

    #[test]
    fn exchanges_round_trip(sender in any_member(), members in vec((any_member(), any_standing()), 0..8)) {
        let members = members.into_iter().map(|(member, standing)| (Arc::new(member), standing)).collect();
        let exchange = Exchange { sender: Arc::new(sender), members };
        prop_assert_eq!(decode_exchange(&encode_exchange(&exchange).unwrap()), Ok(exchange));
    }

    #[test]
    fn what_the_machine_fills_to_its_budget_fits_a_datagram(
        sender in any_member(), body in any_body(), updates in vec(any_update(), 0..40),
    ) {
        let mut room = PACKET_BUDGET - sender.bytes_at_most();
        let fits = |update: &Update| {
            let size = update.bytes_at_most();
            let fits = size <= room;
            room -= if fits { size } else { 0 };
            fits
        };
        let packet = Packet { sender: Arc::new(sender), body, updates: updates.into_iter().filter(fits).collect() };
        prop_assert!(encode(&packet).is_ok());
    }

    #[test]
    fn noise_never_panics(noise: Vec<u8>, place: usize, byte: u8, cut: usize) {
        let packet = Packet { sender: Arc::new(plain_member()), body: Body::Gossip, updates: vec![Update::Dead(accusation_of(1))] };
        let mut near = encode(&packet).unwrap();
        let length = near.len();
        near[place % length] = byte;
        for bytes in [&noise[..], &near[..], &near[..cut % length]] {
            let (as_packet, as_exchange) = (decode(bytes), decode_exchange(bytes));
            prop_assert!(as_packet.is_err() || encode(&as_packet.unwrap()).unwrap() == bytes);
            prop_assert!(as_exchange.is_err() || encode_exchange(&as_exchange.unwrap()).unwrap() == bytes);
        }
    }
}
