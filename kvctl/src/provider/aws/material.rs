//! What the cluster's state folder hands to AWS: secrets, the load balancer's certificate, the daemon's program.
//!
//! The secrets are made once and kept where a local cluster keeps its own; AWS gets copies. Nothing here is logged or
//! shown, and nothing is sent.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use infra::network::Network;
use infra::provider::aws::{CertificateMaterial, Material, MaterialError, Secret, read_text};
use infra::provider::aws::{MAX_ARTIFACT_BYTES, MAX_PEM_BYTES};
use sha2::{Digest, Sha256};

use crate::error::CommandError;
use crate::provider::local::secrets;
use crate::provider::local::state::Folder;

/// Bytes read at once while a digest is made.
const READ_BLOCK: usize = 1024 * 1024;

/// Makes what is missing of a cluster's secrets in its folder.
///
/// `exists` says whether AWS holds copies already: then a secret lost here is named, never made anew.
///
/// # Errors
/// A secret is lost, damaged or open to others, or the folder cannot be written.
pub fn ensure(folder: &Folder, network: &Network, exists: bool) -> Result<(), CommandError> {
    let nodes = network.nodes().iter().map(|node| (&node.name, node.address.to_string()));
    secrets::ensure_for(folder, nodes, exists)?;
    Ok(secrets::issue_balancer(folder, &network.domain(), true)?)
}

/// The digest of a file as `infra::desired` wants it: SHA-256 in lower-case hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn sha256(path: &Path) -> Result<String, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::failed(format!("cannot read {}", path.display())).because(&error).hint("nothing was changed")
    };
    let mut file = File::open(path).map_err(failed)?.take(MAX_ARTIFACT_BYTES);
    let (mut hash, mut block) = (Sha256::new(), vec![0; READ_BLOCK]);
    loop {
        match file.read(&mut block).map_err(failed)? {
            0 => break,
            count => hash.update(&block[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The folder's contents, as they are asked for.
#[derive(Debug)]
pub struct FolderMaterial {
    folder: Folder,
    program: PathBuf,
    sha256: String,
}

impl FolderMaterial {
    /// Hands over what is in `folder`, and `program`, whose digest is `sha256`.
    #[must_use]
    pub fn new(folder: Folder, program: PathBuf, sha256: String) -> Self {
        Self { folder, program, sha256 }
    }

    /// Where the value of a parameter is kept.
    fn file(&self, role: &str) -> Option<PathBuf> {
        match role {
            "ca.pem" => return Some(secrets::ca_file(&self.folder)),
            "gossip-keyring" => return Some(self.folder.keyring_file()),
            "tokens" => return Some(self.folder.tokens_file()),
            _ => {}
        }
        let (node, what) = role.strip_prefix("nodes/")?.split_once('/')?;
        let files = secrets::node_files(&self.folder, &node.parse().ok()?);
        match what {
            "certificate.pem" => Some(files.certificate),
            "key.pem" => Some(files.key),
            _ => None,
        }
    }
}

impl Material for FolderMaterial {
    fn parameter(&self, role: &str) -> Result<Secret, MaterialError> {
        let missing = || MaterialError::Missing { what: format!("value for the parameter {role}") };
        Secret::read(&self.file(role).ok_or_else(missing)?)
    }

    fn certificate(&self, _domain: &str) -> Result<CertificateMaterial, MaterialError> {
        let files = secrets::balancer_files(&self.folder);
        Ok(CertificateMaterial {
            certificate_pem: read_text(&files.certificate, MAX_PEM_BYTES)?,
            key_pem: Secret::read(&files.key)?,
            chain_pem: read_text(&secrets::ca_file(&self.folder), MAX_PEM_BYTES)?,
        })
    }

    fn artifact(&self, sha256: &str) -> Result<PathBuf, MaterialError> {
        if sha256 == self.sha256 {
            Ok(self.program.clone())
        } else {
            Err(MaterialError::Missing { what: format!("kvnode with the digest {sha256}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use infra::network::Draft;

    use super::*;

    #[test]
    fn every_secret_of_the_default_network_is_there() {
        let temporary = tempfile::tempdir().expect("a folder");
        let network = Network::parse(Draft::default()).expect("the default");
        let folder = Folder::new(temporary.path(), &network.cluster().parse().expect("a name"));
        Folder::ensure_dir(folder.root()).expect("made");
        ensure(&folder, &network, false).expect("made");
        let program = temporary.path().join("kvnode");
        std::fs::write(&program, b"abc").expect("written");
        let digest = sha256(&program).expect("read");
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let inputs = infra::desired::Inputs { account: "123456789012".to_owned(), artifact_sha256: digest.clone() };
        let material = FolderMaterial::new(folder, program.clone(), digest.clone());
        let mut parameters = 0;
        for resource in infra::desired::resources(&network, &inputs) {
            if resource.key.kind == infra::resource::Kind::Parameter {
                let secret = material.parameter(&resource.key.role);
                assert!(secret.is_ok_and(|secret| !secret.expose().is_empty()), "{}", resource.key);
                parameters += 1;
            }
        }
        assert!(parameters >= 9, "three for all and two for each of three nodes, found {parameters}");
        assert!(material.certificate(&network.domain()).is_ok());
        assert_eq!(material.artifact(&digest).ok(), Some(program));
        assert!(material.artifact("00").is_err());
        assert!(material.parameter("nodes/z9/key.pem").is_err());
    }
}
