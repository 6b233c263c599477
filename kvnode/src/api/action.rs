//! The table of resources: which path and method means what, and which role it needs.
//!
//! A pure function from method and path to an [`Action`]; a wrong method is told which ones there are. The table
//! is matched by hand because it is small and because keys may hold any byte, `/` included.

use http::Method;

use super::problem::Refused;
use super::tokens::Role;
use crate::metrics::Operation;

/// What precedes a key in a path.
pub(super) const KEY_PREFIX: &str = "/v1/kv/";

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    Put,
    Delete,
    List,
    Batch,
    Cluster,
    Ring,
    Nodes,
    Partitions,
    Bootstrap,
    Drain,
    Undrain,
    Livez,
    Readyz,
    Metrics,
    Version,
    OpenApi,
}

/// Paths without a parameter, with their one action; each takes GET (and HEAD) or POST.
pub(super) const FIXED: [(&str, Action); 14] = [
    ("/v1/kv", Action::List),
    ("/v1/batch", Action::Batch),
    ("/v1/cluster", Action::Cluster),
    ("/v1/ring", Action::Ring),
    ("/v1/nodes", Action::Nodes),
    ("/v1/partitions", Action::Partitions),
    ("/v1/admin/bootstrap", Action::Bootstrap),
    ("/v1/admin/drain", Action::Drain),
    ("/v1/admin/undrain", Action::Undrain),
    ("/livez", Action::Livez),
    ("/readyz", Action::Readyz),
    ("/metrics", Action::Metrics),
    ("/version", Action::Version),
    ("/openapi.json", Action::OpenApi),
];

impl Action {
    /// What the method and path ask for.
    pub(super) fn resolve(method: &Method, path: &str) -> Result<Self, Refused> {
        if path.starts_with(KEY_PREFIX) {
            return match *method {
                Method::GET | Method::HEAD => Ok(Self::Get),
                Method::PUT => Ok(Self::Put),
                Method::DELETE => Ok(Self::Delete),
                _ => Err(Refused::method_not_allowed(method, "GET, HEAD, PUT, DELETE")),
            };
        }
        let fixed = FIXED.iter().find(|(fixed, _)| *fixed == path);
        let (_, action) = fixed.ok_or_else(Refused::no_such_resource)?;
        match (action.is_post(), method) {
            (true, &Method::POST) | (false, &Method::GET | &Method::HEAD) => Ok(*action),
            (true, _) => Err(Refused::method_not_allowed(method, "POST")),
            (false, _) => Err(Refused::method_not_allowed(method, "GET, HEAD")),
        }
    }

    /// Whether the path takes POST rather than GET.
    pub(super) fn is_post(self) -> bool {
        matches!(self, Self::Batch | Self::Bootstrap | Self::Drain | Self::Undrain)
    }

    /// The role it needs; none for what everyone may ask. A batch that writes needs more: see `batch`.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Self::Livez | Self::Readyz | Self::Version => None,
            Self::Put | Self::Delete => Some(Role::Write),
            Self::Bootstrap | Self::Drain | Self::Undrain => Some(Role::Admin),
            _ => Some(Role::Read),
        }
    }

    /// What it is counted as.
    pub(super) fn operation(self) -> Operation {
        match self {
            Self::Get => Operation::Get,
            Self::Put => Operation::Put,
            Self::Delete => Operation::Delete,
            Self::List => Operation::List,
            Self::Batch => Operation::Batch,
            Self::Cluster | Self::Ring | Self::Nodes | Self::Partitions => Operation::View,
            Self::Bootstrap | Self::Drain | Self::Undrain => Operation::Admin,
            Self::Livez | Self::Readyz | Self::Metrics | Self::Version | Self::OpenApi => Operation::Probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_resolve_or_say_what_there_is() {
        fn check(method: &str, path: &str, expected: Result<Action, &str>) {
            let method = method.parse().expect("a method");
            let resolved = Action::resolve(&method, path).map_err(|refused| refused.into_problem(None).detail);
            assert_eq!(resolved, expected.map_err(str::to_owned), "{method} {path}");
        }
        check("GET", "/v1/kv/a/b", Ok(Action::Get));
        check("HEAD", "/v1/kv/", Ok(Action::Get));
        check("PUT", "/v1/kv//", Ok(Action::Put));
        check("DELETE", "/v1/kv/../x", Ok(Action::Delete));
        check("GET", "/v1/kv", Ok(Action::List));
        check("POST", "/v1/batch", Ok(Action::Batch));
        check("HEAD", "/readyz", Ok(Action::Readyz));
        check("POST", "/v1/kv/a", Err("POST is not one of GET, HEAD, PUT, DELETE"));
        check("PATCH", "/v1/kv", Err("PATCH is not one of GET, HEAD"));
        check("GET", "/v1/admin/drain", Err("GET is not one of POST"));
        check("GET", "/v1/kvx", Err("the path leads nowhere"));
        check("GET", "/", Err("the path leads nowhere"));
        check("GET", "/livez/", Err("the path leads nowhere"));
    }
}
