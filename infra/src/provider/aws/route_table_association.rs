//! Which table a subnet uses, by subnet and association: `subnet-1/rtbassoc-1`.
//!
//! The cloud gives an association a new id whenever its table is replaced, so that its own id does not outlive a
//! change; the subnet does, and has one association at most. A subnet without any uses its network's main table,
//! which is never told.

use aws_sdk_ec2::types::{self, RouteTableAssociationStateCode};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve};
use super::route_table::{self, DESCRIBE};
use super::tagged::{differs, untagged};
use super::verbs::MAX_FILTER_VALUES;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, RouteTableAssociation, Spec};

const CREATE: &str = "ec2:AssociateRouteTable";
const REPLACE: &str = "ec2:ReplaceRouteTableAssociation";
const DELETE: &str = "ec2:DisassociateRouteTable";
const BY_SUBNET: &str = "association.subnet-id";

/// The associations of some tables, and those of some subnets with any table, once each.
pub(super) async fn of(
    clients: &Clients,
    tables: &[types::RouteTable],
    subnets: &[String],
) -> Result<Vec<Found>, Failure> {
    let mut all = told(tables);
    for chunk in subnets.chunks(MAX_FILTER_VALUES) {
        let filter = types::Filter::builder().name(BY_SUBNET).set_values(Some(chunk.to_vec())).build();
        let others = route_table::list(clients, &[filter]).await?;
        // Such a table holds subnets of others too.
        let ours = |found: &Found| subnets.iter().any(|subnet| parts(&found.id).0 == subnet);
        all.extend(told(&others).into_iter().filter(ours));
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all.dedup_by(|one, other| one.id == other.id);
    Ok(all)
}

fn told(tables: &[types::RouteTable]) -> Vec<Found> {
    let of_table = |table: &types::RouteTable| -> Vec<Found> {
        let id = table.route_table_id().unwrap_or_default().to_owned();
        table.associations().iter().filter_map(|association| seen(&id, association)).collect()
    };
    tables.iter().flat_map(of_table).collect()
}

/// None for a main table's, a gateway's, and one that has ended.
fn seen(table: &str, association: &types::RouteTableAssociation) -> Option<Found> {
    let subnet = association.subnet_id().filter(|subnet| !subnet.is_empty())?;
    let id = format!("{subnet}/{}", association.route_table_association_id()?);
    let spec = RouteTableAssociation {
        table: Reference::Id(association.route_table_id().unwrap_or(table).to_owned()),
        subnet: Reference::Id(subnet.to_owned()),
    };
    let condition = standing(association);
    (condition != Condition::Gone).then(|| untagged(id, Spec::RouteTableAssociation(spec), condition))
}

fn standing(association: &types::RouteTableAssociation) -> Condition {
    let state = association.association_state();
    let reason = || state.and_then(|state| state.status_message()).unwrap_or("failed").to_owned();
    match state.and_then(|state| state.state()).map(RouteTableAssociationStateCode::as_str) {
        None | Some("associated") => Condition::Ready,
        Some("disassociated") => Condition::Gone,
        Some("disassociating") => Condition::Deleting { state: "disassociating".to_owned() },
        Some("failed") => Condition::Failed { reason: reason() },
        Some(state) => Condition::Pending { state: state.to_owned() },
    }
}

/// The subnet and the association's own id.
fn parts(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or(("", id))
}

async fn of_subnet(clients: &Clients, subnet: &str) -> Result<Vec<Found>, Failure> {
    of(clients, &[], &[subnet.to_owned()]).await
}

pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &RouteTableAssociation,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let (table, subnet) = (resolve(CREATE, &spec.table, ids)?, resolve(CREATE, &spec.subnet, ids)?);
    let call = clients.ec2.associate_route_table().route_table_id(table).subnet_id(subnet).send();
    let answer = clients.call(CREATE, Effect::Create, call).await.map_err(taken)?;
    let own = answer.association_id.ok_or_else(|| incomplete(CREATE, "association id", Class::Unknown))?;
    Ok(format!("{subnet}/{own}"))
}

/// The subnet has an association already, with this table or another: it is looked for, and put right.
fn taken(failure: Failure) -> Failure {
    if failure.code == "Resource.AlreadyAssociated" { Failure { class: Class::Exists, ..failure } } else { failure }
}

/// The subnet's association, whichever table it is with: a subnet has one at most.
pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &RouteTableAssociation,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let found = of_subnet(clients, resolve(DESCRIBE, &spec.subnet, ids)?).await?;
    let lasts = |found: &Found| !matches!(found.condition, Condition::Deleting { .. } | Condition::Gone);
    Ok(found.into_iter().filter(lasts).map(|found| found.id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    _resource: &Resource,
    spec: &RouteTableAssociation,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if changes.is_some() && !differs(changes, "table") {
        return Ok(());
    }
    let table = resolve(REPLACE, &spec.table, ids)?;
    // An earlier attempt may have gone through without an answer, and the association's own id is another since.
    let now = of_subnet(clients, parts(id).0).await?;
    let own = now.first().map_or(parts(id).1, |found| parts(&found.id).1);
    let done = now.iter().any(|found| match &found.spec {
        Spec::RouteTableAssociation(association) => association.table == Reference::Id(table.to_owned()),
        _ => false,
    });
    if done {
        return Ok(());
    }
    let call = clients.ec2.replace_route_table_association().association_id(own).route_table_id(table).send();
    clients.call(REPLACE, Effect::Idempotent, call).await.map(drop)
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let found = of_subnet(clients, parts(id).0).await?;
    Ok(found.into_iter().next().map_or(Condition::Gone, |found| found.condition))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.disassociate_route_table().association_id(parts(id).1).send();
    clients.call(DELETE, Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn association(state: &str) -> types::RouteTableAssociation {
        let state = types::RouteTableAssociationState::builder().state(state.into()).build();
        types::RouteTableAssociation::builder()
            .route_table_association_id("rtbassoc-1")
            .route_table_id("rtb-1")
            .subnet_id("subnet-1")
            .association_state(state)
            .build()
    }

    #[test]
    fn associations_are_told_by_their_state() {
        let text = |text: &str| text.to_owned();
        for (state, condition) in [
            ("associated", Some(Condition::Ready)),
            ("associating", Some(Condition::Pending { state: text("associating") })),
            ("disassociating", Some(Condition::Deleting { state: text("disassociating") })),
            ("disassociated", None),
            ("failed", Some(Condition::Failed { reason: text("failed") })),
        ] {
            let found = seen("rtb-1", &association(state));
            assert_eq!(found.as_ref().map(|found| found.condition.clone()), condition, "{state}");
            assert!(found.is_none_or(|found| found.id == "subnet-1/rtbassoc-1"));
        }
    }

    #[test]
    fn main_tables_and_gateways_have_none() {
        let main = types::RouteTableAssociation::builder().main(true).route_table_association_id("rtbassoc-1").build();
        let gateway = types::RouteTableAssociation::builder().gateway_id("igw-1").build();
        for other in [main, gateway] {
            assert_eq!(seen("rtb-1", &other), None);
        }
    }
}
