//! What is shown while a plan is carried out, event by event.

use infra::apply::{Event, News, Subject, Verb};
use infra::plan::{Action, Plan, Risk, Step};
use infra::resource::{ElasticIp, Key, Kind, Resource, Spec, Tags};

use super::board::{Board, State, plural};

fn plan(kinds: &[Kind]) -> Plan {
    let step = |(number, kind): (usize, &Kind)| {
        let key = Key::new(*kind, number.to_string());
        let spec = Spec::ElasticIp(ElasticIp {});
        let resource =
            Resource { key: key.clone(), name: format!("n{number}"), tags: Tags::new(), spec, needs: Vec::new() };
        Step {
            key,
            name: format!("n{number}"),
            action: Action::Create { resource },
            because: "it does not exist".to_owned(),
            risk: Risk::Safe,
            after: [].into(),
        }
    };
    Plan {
        format: infra::plan::FORMAT,
        cluster: "kvstore-dev".to_owned(),
        basis: String::new(),
        steps: kinds.iter().enumerate().map(step).collect(),
        ids: Vec::new(),
        blockers: Vec::new(),
        notes: Vec::new(),
    }
}

fn event(plan: &Plan, step: usize, at_ms: u64, news: News) -> Event {
    let of = &plan.steps[step];
    let subject = Subject { step, key: of.key.clone(), name: of.name.clone(), verb: Verb::Create };
    Event { at_ms, subject: Some(subject), news }
}

#[test]
fn a_line_counts_and_names_what_it_waits_for() {
    let plan = plan(&[Kind::NatGateway, Kind::NatGateway, Kind::Vpc]);
    let mut board = Board::new(&plan);
    let line = |board: &Board, now| board.line(Kind::NatGateway, now).expect("a line");
    assert_eq!(line(&board, 0).state, State::Idle);
    assert_eq!(board.take(&event(&plan, 0, 0, News::Started)), Some(Kind::NatGateway));
    let waiting = News::Waiting { id: "nat-0a1".to_owned(), what: "pending".to_owned(), since_ms: 1000 };
    board.take(&event(&plan, 0, 1000, waiting));
    assert_eq!(line(&board, 42_000).text, "0/2, waiting for nat-0a1 (pending 41 s)");
    board.take(&event(&plan, 0, 60_000, News::Done { id: "nat-0a1".to_owned(), took_ms: 60_000 }));
    assert_eq!((line(&board, 60_000).text.as_str(), line(&board, 60_000).state), ("1/2", State::Working));
    assert_eq!(board.working(), [Kind::NatGateway]);
    board.take(&event(&plan, 1, 61_000, News::Done { id: "nat-0a2".to_owned(), took_ms: 1 }));
    assert_eq!(line(&board, 61_000).state, State::Done);
    assert!(board.working().is_empty());
}

#[test]
fn kinds_have_plurals() {
    for (kind, count, word) in [
        (Kind::NatGateway, 3, "nat gateways"),
        (Kind::Vpc, 1, "vpc"),
        (Kind::NetworkAclEntry, 2, "network acl entries"),
        (Kind::ElasticIp, 3, "elastic ips"),
    ] {
        assert_eq!(plural(kind, count), word);
    }
}
