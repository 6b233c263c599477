//! Client tokens: how the cloud recognises a second attempt at the same creation.
//!
//! A token is a function of the run, the key and everything the creation says, references resolved: the same attempt
//! has the same token, other parameters have another one, and a thing that is made, deleted and made again in another
//! run does not meet the cloud's memory of the first. A new run after a kill has other tokens as well: it finds what
//! was made by its tags, and the planner deletes what was made twice because it was not yet visible. Only what holds
//! data is never deleted so: its tokens are the same in every run of one lineage.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::provider::Ids;
use crate::resource::Resource;

/// The token of the `generation`-th making of `resource` in the run called `nonce`: 32 hexadecimal digits.
pub(super) fn token(nonce: &str, resource: &Resource, ids: &Ids, generation: u32) -> String {
    let mut text = format!("{nonce}\n{}\n{}\n{generation}\n", resource.key, resource.name);
    for (key, value) in &resource.tags {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "tag {key}={value}");
    }
    // All of it, also what is never compared (an image, user data). Sets and maps are ordered, so the text is stable.
    text.push_str(&serde_json::to_string(&resource.spec).unwrap_or_default());
    for reference in resource.spec.references() {
        let id = reference.key().and_then(|key| ids.get(key));
        let _ = writeln!(text, "{reference}={}", id.map_or("", String::as_str));
    }
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Key, Kind, NatGateway, Spec, Tags};

    fn gateway(address: &str) -> Resource {
        let spec = Spec::NatGateway(NatGateway {
            subnet: Key::new(Kind::Subnet, "public-a").into(),
            address: Key::new(Kind::ElasticIp, address).into(),
        });
        Resource {
            key: Key::new(Kind::NatGateway, "a"),
            name: "nat".to_owned(),
            tags: Tags::new(),
            spec,
            needs: Vec::new(),
        }
    }

    fn ids(address: &str) -> Ids {
        [(Key::new(Kind::Subnet, "public-a"), "subnet-1"), (Key::new(Kind::ElasticIp, "a"), address)]
            .map(|(key, id)| (key, id.to_owned()))
            .into()
    }

    #[test]
    fn everything_that_is_asked_for_makes_another_token() {
        let first = token("run", &gateway("a"), &ids("eip-1"), 0);
        assert_eq!(first.len(), 32);
        assert_eq!(first, token("run", &gateway("a"), &ids("eip-1"), 0));
        let others = [
            token("next run", &gateway("a"), &ids("eip-1"), 0),
            token("run", &gateway("b"), &ids("eip-1"), 0),
            token("run", &gateway("a"), &ids("eip-2"), 0),
            token("run", &gateway("a"), &ids("eip-1"), 1),
        ];
        for other in others {
            assert_ne!(other, first);
        }
    }
}
