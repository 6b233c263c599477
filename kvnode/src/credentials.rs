//! The files that prove who a node is: read as configured, or made in the data folder at a first start alone.
//!
//! What is made: a certificate authority, a certificate of this node, a gossip keyring, an admin token and the file
//! of its hash, all readable by the owner only (the two certificates may be read by all). Private files that others
//! may read are refused, never repaired: who widened them must know. No secret leaves this module but in memory.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;

use crate::api::tokens::{Entry, Role, Token, Tokens};
use crate::certificates::{self, Authority, DEFAULT_AUTHORITY_VALIDITY, NodeRequest};
use crate::config::{Config, Credentials};
use crate::peer::tls::Pem;
use crate::protocol::id::NodeName;

/// Largest file read here, in bytes: chains and keyrings are a few KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why the credentials cannot be used. Nothing was changed, except that a first start may have made some files;
/// it may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {what} {}", path.display())]
    Read {
        /// What it holds.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A private file is readable by others.
    #[error("{what} {} may be read by others (mode {mode:04o}); chmod 600 {}", path.display(), path.display())]
    Permissions {
        /// What it holds.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file was read but its content is wrong.
    #[error("{what} {} is not usable: {problem}", path.display())]
    Content {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file could not be made.
    #[error(transparent)]
    Write(#[from] certificates::WriteError),
    /// The folder could not be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] certificates::Error),
}

/// Everything read, ready to be used.
pub struct Loaded {
    /// Authority, certificate and key, PEM.
    pub pem: Pem,
    /// The keyring's text.
    pub gossip_keys: String,
    /// Accepted tokens.
    pub tokens: Tokens,
    /// Where the files are.
    pub files: Files,
}

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Files {
    /// Certificates and keys.
    pub credentials: Credentials,
    /// Token hashes.
    pub tokens: PathBuf,
    /// The admin token of a node on its own.
    pub admin_token: Option<PathBuf>,
}

impl Files {
    /// The files a node makes for itself, in this folder.
    #[must_use]
    pub fn own(folder: &Path) -> Self {
        let credentials = Credentials {
            ca_file: folder.join("ca.pem"),
            cert_file: folder.join("node.pem"),
            key_file: folder.join("node.key"),
            gossip_key_file: folder.join("gossip.key"),
        };
        Self { credentials, tokens: folder.join("tokens"), admin_token: Some(folder.join("admin.token")) }
    }
}

/// Reads the configured files, or the node's own, made first if they are missing.
pub fn load(config: &Config) -> Result<Loaded, Error> {
    let own_folder = config.data_dir.join("credentials");
    let own = Files::own(&own_folder);
    let files = match &config.credentials {
        Some(credentials) => {
            let tokens = config.tokens_file.clone().unwrap_or_else(|| own.tokens.clone());
            Files { credentials: credentials.clone(), tokens, admin_token: None }
        }
        None => {
            make_missing(&own_folder, &own, &config.name, &hosts(config))?;
            let tokens = config.tokens_file.clone().unwrap_or_else(|| own.tokens.clone());
            Files { tokens, ..own }
        }
    };
    read(files, config)
}

fn hosts(config: &Config) -> Vec<String> {
    let addresses = &config.addresses;
    let all: [SocketAddr; 3] = [addresses.listen_api, addresses.advertise_api, addresses.advertise_peer];
    all.iter().filter(|address| !address.ip().is_unspecified()).map(|address| address.ip().to_string()).collect()
}

fn read(files: Files, config: &Config) -> Result<Loaded, Error> {
    let credentials = &files.credentials;
    let pem = Pem {
        authority: read_public("the CA certificate", &credentials.ca_file)?.into_bytes(),
        certificate: read_public("the certificate", &credentials.cert_file)?.into_bytes(),
        key: read_private("the private key", &credentials.key_file)?.into_bytes(),
    };
    let gossip_keys = read_private("the gossip keyring", &credentials.gossip_key_file)?;
    let tokens = match config.authentication {
        crate::config::Authentication::Off => Tokens::default(),
        crate::config::Authentication::Tokens => read_tokens(&files.tokens)?,
    };
    Ok(Loaded { pem, gossip_keys, tokens, files })
}

/// Reads a token file; also used when it is read again on SIGHUP.
pub fn read_tokens(path: &Path) -> Result<Tokens, Error> {
    let text = read_public("the token file", path)?;
    Tokens::parse(&text).map_err(|error| Error::Content {
        what: "the token file",
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

fn read_public(what: &'static str, path: &Path) -> Result<String, Error> {
    let failed = |source| Error::Read { what, path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        let problem = format!("it has {length} bytes, at most {MAX_FILE_BYTES} make sense");
        return Err(Error::Content { what, path: path.to_owned(), problem });
    }
    fs::read_to_string(path).map_err(failed)
}

fn read_private(what: &'static str, path: &Path) -> Result<String, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { what, path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Permissions { what, path: path.to_owned(), mode });
    }
    read_public(what, path)
}

/// Makes the credentials of one node of a cluster whose authority is kept in a folder (made at the first call).
///
/// `out` gets everything the node needs and nothing of the authority's key; it may be copied to another host.
pub fn make_for_cluster(authority: &Path, out: &Path, name: &NodeName, hosts: &[String]) -> Result<Files, Error> {
    let shared = Files::own(authority);
    make_folder(authority)?;
    make_folder(out)?;
    let authority_key = authority.join("ca.key");
    // The certificate is written last. Without its key, which may be kept elsewhere, reading that fails below: another
    // authority in its place would be one that no node of the cluster knows.
    if !shared.credentials.ca_file.exists() {
        let made = Authority::create("kvstore", DEFAULT_AUTHORITY_VALIDITY)?;
        made.issued().write(&shared.credentials.ca_file, &authority_key)?;
    }
    make_missing_secrets(&shared)?;
    let ca = read_public("the CA certificate", &shared.credentials.ca_file)?;
    let ca_key = read_private("the CA key", &authority_key)?;
    let node = Authority::from_pem(&ca, &ca_key)?.issue(&NodeRequest::new(name.clone(), hosts.to_vec()))?;
    let files = Files { admin_token: None, ..Files::own(out) };
    node.write(&files.credentials.cert_file, &files.credentials.key_file)?;
    let gossip = read_private("the gossip keyring", &shared.credentials.gossip_key_file)?;
    certificates::write_public(&files.credentials.ca_file, ca.as_bytes())?;
    certificates::write_private(&files.credentials.gossip_key_file, gossip.as_bytes())?;
    certificates::write_private(&files.tokens, read_public("the token file", &shared.tokens)?.as_bytes())?;
    Ok(files)
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| Error::Folder { path: folder.to_owned(), source })
}

/// Makes what is not there yet. Each file is replaced whole, so a start cut off half-way is finished by the next.
fn make_missing(folder: &Path, files: &Files, name: &NodeName, hosts: &[String]) -> Result<(), Error> {
    make_folder(folder)?;
    let credentials = &files.credentials;
    if !(credentials.cert_file.exists() && credentials.key_file.exists() && credentials.ca_file.exists()) {
        let authority = Authority::create(&format!("kvstore {name}"), DEFAULT_AUTHORITY_VALIDITY)?;
        let node = authority.issue(&NodeRequest::new(name.clone(), hosts.to_vec()))?;
        authority.issued().write(&credentials.ca_file, &folder.join("ca.key"))?;
        node.write(&credentials.cert_file, &credentials.key_file)?;
    }
    make_missing_secrets(files)
}

fn make_missing_secrets(files: &Files) -> Result<(), Error> {
    let credentials = &files.credentials;
    if !credentials.gossip_key_file.exists() {
        certificates::write_private(&credentials.gossip_key_file, new_gossip_key().as_bytes())?;
    }
    // The token file is written last, so without it nothing was in use. With it the secret is not missed: whoever took
    // it to a safer place must not lose all other tokens for that.
    if let Some(admin_token) = files.admin_token.as_ref().filter(|_| !files.tokens.exists()) {
        let token = Token::from_random(Role::Admin, rand::random());
        let entry = Entry { role: Role::Admin, name: "admin".to_owned(), hash: token.hash() };
        certificates::write_private(admin_token, token.secret_text().as_bytes())?;
        certificates::write_private(&files.tokens, format!("{entry}\n").as_bytes())?;
    }
    Ok(())
}

/// The text of a new keyring: one random key.
#[must_use]
pub fn new_gossip_key() -> String {
    let key: [u8; 32] = rand::random();
    format!("{}\n", base64::engine::general_purpose::STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_to_a_safer_place_is_not_made_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let (authority, out) = (folder.path().join("authority"), folder.path().join("a1"));
        let name: NodeName = "a1".parse().expect("a name");
        make_for_cluster(&authority, &out, &name, &[]).expect("made");
        let kept = |file: &str| fs::read(authority.join(file)).expect("there");
        let (tokens, ca) = (kept("tokens"), kept("ca.pem"));
        fs::remove_file(authority.join("admin.token")).expect("taken");
        make_for_cluster(&authority, &out, &name, &[]).expect("made again");
        assert_eq!(kept("tokens"), tokens);
        fs::remove_file(authority.join("ca.key")).expect("taken");
        let error = make_for_cluster(&authority, &out, &name, &[]).expect_err("no key").to_string();
        assert_eq!(error, format!("cannot read the CA key {}", authority.join("ca.key").display()));
        assert_eq!(kept("ca.pem"), ca);
    }
}
