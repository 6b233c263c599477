//! The OpenAPI description: equal to the checked-in file and to the table of resources.

use std::collections::BTreeSet;
use std::path::Path;

use crate::api::action::FIXED;
use crate::api::openapi;

/// `docs/openapi.json` is what clients are generated from: a change of it shows in review.
/// `make fix` writes it anew.
#[test]
fn the_checked_in_description_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("KVSTORE_REGENERATE").is_some() {
        std::fs::write(&path, openapi::document()).expect("docs is writable");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == openapi::document(), "docs/openapi.json is stale: run make fix");
}

#[test]
fn every_resource_is_described_and_nothing_else() {
    let document: serde_json::Value = serde_json::from_str(&openapi::document()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("methods").keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    let fixed = FIXED.iter().map(|(path, action)| format!("{} {path}", if action.is_post() { "post" } else { "get" }));
    let keyed = ["get", "put", "delete"].map(|method| format!("{method} /v1/kv/{{key}}"));
    assert_eq!(described, fixed.chain(keyed).collect());
}
