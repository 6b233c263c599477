//! What has to be handed to the cloud and stands in no plan: secrets, certificates, programs.
//!
//! A plan is shown, saved and compared; it holds digests and names only. The contents are asked for at the very
//! moment of the call that needs them, from whoever keeps them. Nothing here keeps, logs or prints them: neither
//! [`Secret`] nor [`CertificateMaterial`] can be formatted.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::provider::{Class, Failure};

/// Longest secret: the cloud takes 4096 bytes for a parameter of the standard tier.
pub const MAX_SECRET_BYTES: u64 = 4096;
/// Longest PEM file: a certificate with a long chain has some 10 KiB.
pub const MAX_PEM_BYTES: u64 = 64 * 1024;
/// Longest artifact: a program has some 20 MiB, and one upload takes 5 GiB.
pub const MAX_ARTIFACT_BYTES: u64 = 512 * 1024 * 1024;

/// A text that nobody but the cloud may see. It cannot be formatted, compared or cloned.
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads one from a file of at most [`MAX_SECRET_BYTES`].
    ///
    /// # Errors
    /// The file cannot be read, is too long or is not text.
    pub fn read(path: &Path) -> Result<Self, MaterialError> {
        read_text(path, MAX_SECRET_BYTES).map(Self)
    }

    /// The text, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A certificate with its key, each as PEM.
pub struct CertificateMaterial {
    /// The certificate alone.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: Secret,
    /// The certificates of the authorities above it; empty if it is self-signed.
    pub chain_pem: String,
}

/// Why there is nothing to hand over. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// Nobody knows of it.
    #[error("there is no {what}")]
    Missing {
        /// What was asked for, for example `value for the parameter nodes/a1/key.pem`.
        what: String,
    },
    /// Its file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its file is longer than it may be.
    #[error("{} is longer than {limit} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Most bytes.
        limit: u64,
    },
}

impl MaterialError {
    /// As the failure of the call that it was for.
    pub(super) fn into_failure(self, action: &str) -> Failure {
        let cause = std::error::Error::source(&self).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure {
            action: action.to_owned(),
            code: "missing material".to_owned(),
            message: format!("{self}{cause}"),
            class: Class::Invalid,
        }
    }
}

/// Whoever keeps the contents: the cluster's state folder, a test. Asked once for each call that needs something.
pub trait Material: Send + Sync {
    /// The value of the parameter with a role, for example `gossip-keyring`.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    fn parameter(&self, role: &str) -> Result<Secret, MaterialError>;

    /// The certificate for a host name.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    fn certificate(&self, domain: &str) -> Result<CertificateMaterial, MaterialError>;

    /// The file with a digest (SHA-256, lower-case hexadecimal). Whoever opens it checks the digest again.
    ///
    /// # Errors
    /// There is none.
    fn artifact(&self, sha256: &str) -> Result<PathBuf, MaterialError>;
}

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// The file cannot be read, is longer or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, MaterialError> {
    let unreadable = |source| MaterialError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    // One byte more than allowed, so that a longer file is noticed without being read.
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text));
    match read.map_err(unreadable)? {
        count if count as u64 > limit => Err(MaterialError::TooLong { path: path.to_owned(), limit }),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(name: &str, content: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("infra-material-{}-{name}", std::process::id()));
        File::create(&path).and_then(|mut file| file.write_all(content)).unwrap();
        path
    }

    #[test]
    fn files_are_read_up_to_their_limit() {
        for (content, limit, expected) in [
            (&b"secret"[..], 6, Ok("secret")),
            (b"secret", 5, Err("is longer than 5 bytes")),
            (b"", 0, Ok("")),
            (b"\xff\xfe", 10, Err("cannot read")),
        ] {
            let path = file("limit", content);
            match (read_text(&path, limit), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (other, expected) => panic!("{:?} instead of {expected:?}", other.map_err(|error| error.to_string())),
            }
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_failure_names_the_file_and_the_cause() {
        let error = Secret::read(Path::new("/nowhere/key.pem")).err().unwrap();
        let failure = error.into_failure("ssm:PutParameter");
        assert_eq!(
            failure.to_string(),
            "ssm:PutParameter: missing material: cannot read /nowhere/key.pem: No such file or directory (os error 2)"
        );
        assert_eq!(failure.class, Class::Invalid);
    }
}
