//! Saved plans: what comes back, what is refused, when a plan is stale.

use super::world::World;
use super::{small, wanted};
use crate::observed::Condition;
use crate::plan::{LoadError, Plan, Stale};

fn plan() -> (Plan, World) {
    let world = World::empty();
    (Plan::between(&wanted(small()), &world.observed), world)
}

#[test]
fn a_saved_plan_comes_back_the_same() {
    let (plan, world) = plan();
    let back = Plan::from_json(&plan.to_json().unwrap()).unwrap();
    assert_eq!(back, plan);
    assert_eq!(back.check(&world.observed), Ok(()));
}

#[test]
fn what_cannot_be_carried_out_is_refused() {
    let (plan, _) = plan();
    let edit = |change: &dyn Fn(&mut Plan)| {
        let mut changed = plan.clone();
        change(&mut changed);
        Plan::from_json(&changed.to_json().unwrap()).map(|_| ())
    };
    assert!(matches!(edit(&|plan| plan.format = 7), Err(LoadError::Format { found: 7 })));
    assert!(matches!(edit(&|plan| plan.steps[0].after = [1].into()), Err(LoadError::Order { step: 0 })));
    assert!(matches!(edit(&|plan| plan.steps[1].after = [1].into()), Err(LoadError::Order { step: 1 })));
    for text in ["", "{}", "[]", "{\"format\": 1}", "{\"format\": 1, \"steps\": 3}"] {
        assert!(matches!(Plan::from_json(text), Err(LoadError::Unreadable(_))), "{text}");
    }
}

#[test]
fn a_plan_is_stale_when_the_world_moved() {
    let wanted = wanted(small());
    let mut world = World::of(&wanted);
    let plan = Plan::between(&wanted, &world.observed);
    assert_eq!(plan.check(&world.observed), Ok(()));
    world.observed.found[0].condition = Condition::Pending { state: "pending".to_owned() };
    assert!(matches!(plan.check(&world.observed), Err(Stale::Moved { .. })));
    world.observed.cluster = "kvstore-prod".to_owned();
    assert!(matches!(plan.check(&world.observed), Err(Stale::OtherCluster { .. })));
}
