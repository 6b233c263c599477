//! Contexts: named ways to a cluster, made by `cluster up`, kept in one file of the state folder.
//!
//! A context holds addresses and the places of secrets, never secrets. The file is replaced atomically; two kvctl
//! that change it at once leave the later one's version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::provider::local::state::{self, read_bounded};

/// Largest file read: thousands of contexts.
const MAX_FILE: u64 = 1024 * 1024;

/// A way to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// How the cluster came to be, for example `local`.
    pub provider: String,
    /// The cluster's name.
    pub cluster: String,
    /// APIs of its nodes, as `https://host:port`.
    pub endpoints: Vec<String>,
    /// PEM of the authority that signs the nodes' certificates.
    pub ca_file: PathBuf,
    /// File that holds the bearer token.
    pub token_file: PathBuf,
    /// Where in AWS it is; none for other providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsPlace>,
}

/// The account and region a cluster is pinned to: credentials of another account are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsPlace {
    /// Twelve digits.
    pub account: String,
    /// For example `us-east-1`.
    pub region: String,
}

/// All contexts and which of them is the current one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// Name of the current one.
    pub current: Option<String>,
    /// By name.
    pub contexts: BTreeMap<String, Context>,
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("contexts.json")
}

impl Contexts {
    /// Reads the contexts; none if there is no file.
    ///
    /// # Errors
    /// The file cannot be read or is not what kvctl writes.
    pub fn load(state_dir: &Path) -> Result<Self, CommandError> {
        let path = file(state_dir);
        let Some(bytes) = read_bounded(&path, MAX_FILE)? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|error| {
            CommandError::failed(format!("{} cannot be read", path.display()))
                .because(&error)
                .hint("move it away; cluster up writes its contexts anew")
        })
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// It cannot be written; the old one is in place.
    pub fn save(&self, state_dir: &Path) -> Result<(), CommandError> {
        state::Folder::ensure_dir(state_dir)?;
        let bytes = serde_json::to_vec_pretty(self).expect("invariant: plain structs serialize");
        kvnode::certificates::write_private(&file(state_dir), &bytes).map_err(state::Error::from)?;
        Ok(())
    }

    /// Finds a context: the named one, else the current one.
    ///
    /// # Errors
    /// There is none of that name, or none at all.
    pub fn find(&self, named: Option<&str>) -> Result<(&str, &Context), CommandError> {
        let Some(name) = named.or(self.current.as_deref()) else {
            return Err(CommandError::usage("no cluster is chosen").hint("make one: kvctl cluster up"));
        };
        let known = || self.contexts.keys().cloned().collect::<Vec<_>>().join(", ");
        match self.contexts.get_key_value(name) {
            Some((name, context)) => Ok((name, context)),
            None if self.contexts.is_empty() => {
                Err(CommandError::usage(format!("there is no context {name}")).hint("make one: kvctl cluster up"))
            }
            None => {
                Err(CommandError::usage(format!("there is no context {name}")).hint(format!("there are: {}", known())))
            }
        }
    }

    /// Removes a context; the current one is no longer chosen.
    pub fn remove(&mut self, name: &str) -> Option<Context> {
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        self.contexts.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(cluster: &str) -> Context {
        Context {
            provider: "local".to_owned(),
            cluster: cluster.to_owned(),
            endpoints: vec!["https://127.0.1.1:8080".to_owned()],
            ca_file: "/ca.pem".into(),
            token_file: "/token".into(),
            aws: None,
        }
    }

    #[test]
    fn contexts_are_kept_and_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        assert_eq!(Contexts::load(&state).expect("nothing there"), Contexts::default());
        let contexts = ["a", "b"].map(|name| (name.to_owned(), context(name)));
        let mut saved = Contexts { current: Some("a".to_owned()), contexts: contexts.into() };
        saved.save(&state).expect("saved");
        let loaded = Contexts::load(&state).expect("loaded");
        assert_eq!(loaded, saved);
        assert_eq!(loaded.find(None).map(|(name, _)| name).ok(), Some("a"));
        assert_eq!(loaded.find(Some("b")).map(|(name, _)| name).ok(), Some("b"));
        saved.remove("a");
        assert_eq!((saved.current.clone(), saved.contexts.len()), (None, 1));
        insta::assert_snapshot!(saved.find(Some("c")).expect_err("none").render(), @r"
        error: there is no context c
               there are: b
        ");
    }
}
