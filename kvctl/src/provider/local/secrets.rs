//! The keys of a local cluster: its certificate authority, certificates, gossip key and administrator's token.
//!
//! Made once, each file by itself, so that an interrupted first start is simply continued. What a formed cluster
//! lost is never made anew in silence (nodes that hold the old one would not know the new one): it is named.
//! Secrets are readable by their owner only and never appear in arguments or messages.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use infra::topology::{NodeName, Topology};
use kvnode::api::tokens::{Entry, ParseError, Role, Token, Tokens};
use kvnode::certificates::{
    self, Authority, DEFAULT_AUTHORITY_VALIDITY, DEFAULT_NODE_VALIDITY, NodeRequest, write_private,
};
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::state::{self, Folder, check_private, read_bounded};

/// Largest secret read; certificates have some hundred bytes, token files some thousand.
const MAX_SECRET: u64 = 256 * 1024;
/// Name of the token that `cluster up` makes for its context.
pub const ADMIN_TOKEN: &str = "kvctl";

/// Why the keys are not all there. What was written before stays and is used by the next attempt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is in the way.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A certificate could not be made or read.
    #[error("cannot make the certificate of {whose}")]
    Certificate {
        /// The node or `the cluster`.
        whose: String,
        /// Why.
        source: certificates::Error,
    },
    /// A formed cluster lost a secret.
    #[error("{} is missing, though the cluster was formed with it", path.display())]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// The authority's files are damaged.
    #[error("{} and its key cannot be used", path.display())]
    Damaged {
        /// Its certificate's file.
        path: PathBuf,
        /// Why.
        source: certificates::Error,
    },
    /// The token file is damaged.
    #[error("{}", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ParseError,
    },
    /// A name that is not a valid node name for the daemon.
    #[error("the daemon does not accept the name {name}")]
    Name {
        /// The name.
        name: String,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random {
        /// Why.
        source: rand::rand_core::OsError,
    },
}

impl From<certificates::WriteError> for Error {
    fn from(error: certificates::WriteError) -> Self {
        Self::State(error.into())
    }
}

/// The files of one node's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFiles {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The certificate that clients trust.
#[must_use]
pub fn ca_file(folder: &Folder) -> PathBuf {
    folder.certificate_dir().join("ca.pem")
}

fn ca_key_file(folder: &Folder) -> PathBuf {
    folder.certificate_dir().join("ca-key.pem")
}

/// Where a node's identity is.
#[must_use]
pub fn node_files(folder: &Folder, node: &NodeName) -> NodeFiles {
    let folder = folder.certificate_dir();
    NodeFiles { certificate: folder.join(format!("{node}.pem")), key: folder.join(format!("{node}-key.pem")) }
}

/// Makes what is missing of a cluster's keys.
///
/// # Errors
/// See [`Error`].
pub fn ensure(folder: &Folder, topology: &Topology, formed: bool) -> Result<(), Error> {
    ensure_for(folder, topology.nodes().iter().map(|node| (&node.name, node.api.ip().to_string())), formed)
}

/// As [`ensure`], for nodes by name and the address that clients use.
///
/// # Errors
/// See [`Error`].
pub fn ensure_for<'a>(
    folder: &Folder,
    nodes: impl Iterator<Item = (&'a NodeName, String)>,
    formed: bool,
) -> Result<(), Error> {
    Folder::ensure_dir(&folder.certificate_dir())?;
    let authority = ensure_authority(folder, formed)?;
    for (name, host) in nodes {
        let files = node_files(folder, name);
        check_private(&files.key, 0o600)?;
        if !(files.certificate.exists() && files.key.exists()) {
            issue(&authority, name, host, &files)?;
        }
    }
    ensure_keyring(folder, formed)?;
    ensure_admin_token(folder, formed)
}

fn ensure_authority(folder: &Folder, formed: bool) -> Result<Authority, Error> {
    let (certificate, key) = (ca_file(folder), ca_key_file(folder));
    check_private(&key, 0o600)?;
    match (read_text(&certificate)?, read_text(&key)?) {
        (Some(certificate_pem), Some(key_pem)) => Authority::from_pem(&certificate_pem, &key_pem)
            .map_err(|source| Error::Damaged { path: certificate, source }),
        (found, _) if formed => Err(Error::Lost { path: if found.is_none() { certificate } else { key } }),
        _ => {
            let label = format!("kvstore {}", folder.cluster());
            let authority = Authority::create(&label, DEFAULT_AUTHORITY_VALIDITY)
                .map_err(|source| Error::Certificate { whose: "the cluster".to_owned(), source })?;
            authority.issued().write(&certificate, &key)?;
            Ok(authority)
        }
    }
}

/// Gives a node a new certificate by the cluster's authority; a running node takes it up when it reads its files again.
///
/// # Errors
/// See [`Error`]; the old certificate stays in place.
pub fn renew(folder: &Folder, node: &NodeName, host: String) -> Result<(), Error> {
    let authority = ensure_authority(folder, true)?;
    issue(&authority, node, host, &node_files(folder, node))
}

/// Where the load balancer's identity is.
#[must_use]
pub fn balancer_files(folder: &Folder) -> NodeFiles {
    let folder = folder.certificate_dir();
    NodeFiles { certificate: folder.join("load-balancer.pem"), key: folder.join("load-balancer-key.pem") }
}

/// Gives the load balancer a new certificate for `domain` by the cluster's authority.
///
/// # Errors
/// See [`Error`]; the old certificate stays in place.
pub fn issue_balancer(folder: &Folder, domain: &str, formed: bool) -> Result<(), Error> {
    let authority = ensure_authority(folder, formed)?;
    // The cloud shows a certificate by its common name.
    let issued = authority
        .issue_server(domain, vec![domain.to_owned()], DEFAULT_NODE_VALIDITY)
        .map_err(|source| Error::Certificate { whose: "the load balancer".to_owned(), source })?;
    let files = balancer_files(folder);
    Ok(issued.write(&files.certificate, &files.key)?)
}

fn issue(authority: &Authority, node: &NodeName, host: String, files: &NodeFiles) -> Result<(), Error> {
    let name = node.as_str().parse().map_err(|_| Error::Name { name: node.to_string() })?;
    let issued = authority
        .issue(&NodeRequest::new(name, vec![host]))
        .map_err(|source| Error::Certificate { whose: node.to_string(), source })?;
    Ok(issued.write(&files.certificate, &files.key)?)
}

fn ensure_keyring(folder: &Folder, formed: bool) -> Result<(), Error> {
    let path = folder.keyring_file();
    check_private(&path, 0o600)?;
    match (path.exists(), formed) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::Lost { path }),
        (false, false) => Ok(write_private(&path, format!("{}\n", STANDARD.encode(random()?)).as_bytes())?),
    }
}

fn ensure_admin_token(folder: &Folder, formed: bool) -> Result<(), Error> {
    let (hashes, secret) = (folder.tokens_file(), folder.admin_token_file());
    check_private(&secret, 0o600)?;
    match (hashes.exists() && secret.exists(), formed) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::Lost { path: if hashes.exists() { secret } else { hashes } }),
        (false, false) => {
            let token = Token::from_random(Role::Admin, random()?);
            write_private(&secret, format!("{}\n", token.secret_text()).as_bytes())?;
            let entry = Entry { role: Role::Admin, name: ADMIN_TOKEN.to_owned(), hash: token.hash() };
            write_tokens(folder, &[entry])
        }
    }
}

/// The tokens that the nodes accept.
///
/// # Errors
/// The file is missing or damaged.
pub fn tokens(folder: &Folder) -> Result<Vec<Entry>, Error> {
    let path = folder.tokens_file();
    let text = read_text(&path)?.ok_or_else(|| Error::Lost { path: path.clone() })?;
    let tokens = Tokens::parse(&text).map_err(|source| Error::Tokens { path, source })?;
    Ok(tokens.entries().to_vec())
}

/// Replaces the tokens that the nodes accept, when they read the file again.
///
/// # Errors
/// The file cannot be written; the old one is in place.
pub fn write_tokens(folder: &Folder, entries: &[Entry]) -> Result<(), Error> {
    let mut text = "# role name sha256-of-the-token; made by kvctl token\n".to_owned();
    for entry in entries {
        text.push_str(&format!("{entry}\n"));
    }
    Ok(write_private(&folder.tokens_file(), text.as_bytes())?)
}

/// A new token.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_token(role: Role) -> Result<Token, Error> {
    Ok(Token::from_random(role, random()?))
}

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|source| Error::Random { source })?;
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<Option<String>, Error> {
    let Some(bytes) = read_bounded(path, MAX_SECRET)? else { return Ok(None) };
    let odd = |_| state::Error::HalfWritten { path: path.to_owned(), reason: "is not text".to_owned() };
    Ok(Some(String::from_utf8(bytes).map_err(odd)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use infra::topology::Draft;

    use super::*;

    #[test]
    fn keys_are_made_once_and_their_loss_is_named() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(temporary.path(), &"local".parse().expect("a name"));
        drop(folder.prepare().expect("prepared"));
        let topology = Topology::parse(Draft::default()).expect("the default");
        ensure(&folder, &topology, false).expect("made");
        let before = std::fs::read(ca_file(&folder)).expect("there");
        ensure(&folder, &topology, true).expect("all there");
        assert_eq!(std::fs::read(ca_file(&folder)).expect("there"), before);
        let secret = std::fs::read_to_string(folder.admin_token_file()).expect("there");
        let accepted = Tokens::parse(&std::fs::read_to_string(folder.tokens_file()).expect("there")).expect("good");
        assert_eq!(accepted.role_of(secret.trim().as_bytes()), Some(Role::Admin));
        for path in [folder.admin_token_file(), folder.keyring_file(), ca_key_file(&folder)] {
            let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        std::fs::remove_file(folder.keyring_file()).expect("removed");
        assert!(matches!(ensure(&folder, &topology, true), Err(Error::Lost { .. })));
        ensure(&folder, &topology, false).expect("a first start goes on");
    }

    #[test]
    fn a_key_open_to_others_is_refused() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(temporary.path(), &"local".parse().expect("a name"));
        drop(folder.prepare().expect("prepared"));
        let topology = Topology::parse(Draft::default()).expect("the default");
        ensure(&folder, &topology, false).expect("made");
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.admin_token_file(), open).expect("changed");
        assert!(matches!(
            ensure(&folder, &topology, true),
            Err(Error::State(state::Error::Open { mode: 0o644, wanted: 0o600, .. }))
        ));
    }
}
