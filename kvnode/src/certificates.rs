//! Makes the cluster's certificate authority and the certificates of its nodes, and stores them on disk.
//!
//! One authority signs both the REST and the peer certificates of a cluster: an operator then hands clients one
//! file. Keys are ECDSA P-256 (fast to verify on every handshake, accepted everywhere); files that hold keys are
//! written for the owner only, and every file is replaced atomically, so that a crash leaves the old one or the
//! new one. Used by the daemon's first start and by `kvctl certs`.
//!
//! It does not keep a list of what it issued, does not revoke (short validity and rotation do that), and never
//! decides where files belong.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::Digest as _;
use time::OffsetDateTime;

use crate::peer::tls::node_dns_name;
use crate::protocol::id::NodeName;
use crate::runtime::clock;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an authority is valid unless said otherwise: 10 years, replacing it means touching every client.
pub const DEFAULT_AUTHORITY_VALIDITY: Duration = DAY.saturating_mul(3650);
/// How long a node certificate is valid unless said otherwise: one year.
pub const DEFAULT_NODE_VALIDITY: Duration = DAY.saturating_mul(365);
/// Certificates are valid from an hour before they are made, so that a node whose clock is behind accepts them.
const CLOCK_ALLOWANCE: Duration = Duration::from_secs(60 * 60);

/// Why a certificate could not be made or read. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that no certificate can carry.
    #[error("{name:?} is neither a DNS name nor an IP address")]
    SubjectName {
        /// The name given.
        name: String,
    },
    /// The validity is longer than the calendar or zero.
    #[error("a validity of {} days cannot be written into a certificate", validity.as_secs() / DAY.as_secs())]
    Validity {
        /// The validity given.
        validity: Duration,
    },
    /// The authority's certificate or key is not usable.
    #[error("the authority's {what} cannot be read")]
    Authority {
        /// "certificate" or "key".
        what: &'static str,
        /// Details.
        source: rcgen::Error,
    },
    /// Making a key or a signature failed.
    #[error("the certificate could not be made")]
    Generate {
        /// Details.
        #[from]
        source: rcgen::Error,
    },
    /// The text holds no certificate.
    #[error("no certificate in this PEM text")]
    NoCertificate,
}

/// A file that could not be written; the old content, if any, is still in place.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, for anyone.
    pub certificate_pem: String,
    /// The PKCS #8 key, for its owner only.
    pub key_pem: String,
}

impl fmt::Debug for Issued {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

impl Issued {
    /// Stores both files, the key first and readable by its owner only. May be repeated after a failure.
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), WriteError> {
        write_private(key, self.key_pem.as_bytes())?;
        write_public(certificate, self.certificate_pem.as_bytes())
    }
}

/// What a node's certificate shall say.
#[derive(Debug, Clone)]
pub struct NodeRequest {
    /// The node's name, put in as `<name>.kvnode.internal`.
    pub name: NodeName,
    /// DNS names and IP addresses clients use for it; `localhost`, `127.0.0.1` and `::1` are always added.
    pub hosts: Vec<String>,
    /// From now on.
    pub validity: Duration,
}

impl NodeRequest {
    /// A certificate for these hosts, valid as long as [`DEFAULT_NODE_VALIDITY`].
    #[must_use]
    pub fn new(name: NodeName, hosts: Vec<String>) -> Self {
        Self { name, hosts, validity: DEFAULT_NODE_VALIDITY }
    }
}

/// A cluster's certificate authority with its key.
pub struct Authority {
    issued: Issued,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("issued", &self.issued).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new authority; `label` is shown to people who inspect certificates, for example the cluster's name.
    pub fn create(label: &str, validity: Duration) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Two authorities of one name (two clusters, or a replaced authority) would be taken for each other, and a
        // certificate of the other be reported as damaged instead of foreign.
        let digest = sha2::Sha256::digest(key.public_key_raw());
        let mut params =
            params(&format!("{label} {:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate_pem = params.self_signed(&key)?.pem();
        let issued = Issued { certificate_pem, key_pem: key.serialize_pem() };
        Ok(Self { issued, issuer: Issuer::new(params, key) })
    }

    /// Takes up an authority made earlier, by [`Authority::create`] or any other tool.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem).map_err(|source| Error::Authority { what: "key", source })?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key)
            .map_err(|source| Error::Authority { what: "certificate", source })?;
        let issued = Issued { certificate_pem: certificate_pem.to_owned(), key_pem: key_pem.to_owned() };
        Ok(Self { issued, issuer })
    }

    /// The authority's own certificate and key.
    #[must_use]
    pub fn issued(&self) -> &Issued {
        &self.issued
    }

    /// Makes a key and a certificate that serves a node as server and as client.
    pub fn issue(&self, request: &NodeRequest) -> Result<Issued, Error> {
        let always = [node_dns_name(&request.name), "localhost".into(), "127.0.0.1".into(), "::1".into()];
        let hosts = always.into_iter().chain(request.hosts.iter().cloned()).collect();
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(request.name.as_str(), hosts, usages, request.validity)
    }

    /// Makes a key and a certificate for a server that is no node, for example a load balancer: peers refuse it,
    /// because it is for no client and names no node. `label` is shown to people who inspect it.
    pub fn issue_server(&self, label: &str, hosts: Vec<String>, validity: Duration) -> Result<Issued, Error> {
        self.sign(label, hosts, vec![ExtendedKeyUsagePurpose::ServerAuth], validity)
    }

    fn sign(
        &self,
        label: &str,
        mut hosts: Vec<String>,
        usages: Vec<ExtendedKeyUsagePurpose>,
        validity: Duration,
    ) -> Result<Issued, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(label, validity)?;
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            let parsed = CertificateParams::new(vec![host.clone()]);
            let names = parsed.map_err(|_| Error::SubjectName { name: host })?.subject_alt_names;
            params.subject_alt_names.extend(names);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate_pem, key_pem: key.serialize_pem() })
    }
}

fn params(label: &str, validity: Duration) -> Result<CertificateParams, Error> {
    let unix = clock::wall_micros() / 1_000_000;
    let now = i64::try_from(unix).ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    let refused = Error::Validity { validity };
    let (Some(now), false) = (now, validity.is_zero()) else { return Err(refused) };
    let length = time::Duration::try_from(validity).ok();
    // Year 9999 is the last that X.509 can write (RFC 5280, 4.1.2.5), and the last that this type holds.
    let Some(not_after) = length.and_then(|length| now.checked_add(length)) else { return Err(refused) };
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, label);
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCK_ALLOWANCE;
    params.not_after = not_after;
    params.distinguished_name = name;
    Ok(params)
}

/// When the first certificate of a PEM text stops being valid, in seconds since 1970.
pub fn expiry(certificate_pem: &str) -> Result<i64, Error> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| Error::NoCertificate)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| Error::NoCertificate)?;
    Ok(parsed.validity().not_after.timestamp())
}

/// Replaces a file that only its owner may read (mode 0600).
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    write_with_mode(path, content, 0o600).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Replaces a file that everyone may read (mode 0644).
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    write_with_mode(path, content, 0o644).map_err(|source| WriteError { path: path.to_owned(), source })
}

fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let temporary = folder.join(format!(".{}.new", name.to_string_lossy()));
    // A leftover of a crash may have another mode; its content was never in use.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect("valid name")
    }

    fn valid_names(pem: &str) -> Vec<String> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let certificate = webpki::EndEntityCert::try_from(&der).expect("well-formed");
        certificate.valid_dns_names().map(str::to_owned).collect()
    }

    #[test]
    fn a_node_certificate_names_the_node_and_its_hosts() {
        let authority = Authority::create("test", DEFAULT_AUTHORITY_VALIDITY).expect("made");
        let request = NodeRequest::new(name("a1"), vec!["db.example".into(), "10.0.0.1".into(), "localhost".into()]);
        let issued = authority.issue(&request).expect("issued");
        assert_eq!(valid_names(&issued.certificate_pem), ["a1.kvnode.internal", "db.example", "localhost"]);
        let bad = NodeRequest::new(name("a1"), vec!["not a host ä".into()]);
        assert!(matches!(authority.issue(&bad), Err(Error::SubjectName { .. })));
    }

    #[test]
    fn an_authority_can_be_taken_up_again() {
        let made = Authority::create("test", DEFAULT_AUTHORITY_VALIDITY).expect("made");
        let again =
            Authority::from_pem(&made.issued().certificate_pem, &made.issued().key_pem).expect("own files are good");
        let issued = again.issue(&NodeRequest::new(name("b2"), vec![])).expect("issued");
        let pem = crate::peer::tls::Pem {
            authority: made.issued().certificate_pem.clone().into_bytes(),
            certificate: issued.certificate_pem.into_bytes(),
            key: issued.key_pem.into_bytes(),
        };
        assert!(crate::peer::tls::PeerTls::new(&name("b2"), &pem).is_ok());
        assert!(Authority::from_pem("nonsense", &made.issued().key_pem).is_err());
        assert!(Authority::from_pem(&made.issued().certificate_pem, "nonsense").is_err());
    }

    #[test]
    fn expiry_is_what_was_asked_for() {
        let authority = Authority::create("test", DAY).expect("made");
        let now = i64::try_from(clock::wall_micros() / 1_000_000).expect("this century");
        let left = expiry(&authority.issued().certificate_pem).expect("readable") - now;
        assert!((86_000..=86_400).contains(&left), "{left}");
        assert!(matches!(expiry("nothing"), Err(Error::NoCertificate)));
        for validity in [Duration::ZERO, Duration::MAX, DAY.saturating_mul(4_000_000)] {
            assert!(matches!(Authority::create("test", validity), Err(Error::Validity { .. })), "{validity:?}");
        }
    }

    #[test]
    fn files_are_replaced_and_keys_are_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("node.pem"), folder.path().join("node.key"));
        fs::write(&key, "old and readable by all").expect("written");
        fs::write(folder.path().join(".node.key.new"), "left over").expect("written");
        let authority = Authority::create("test", DAY).expect("made");
        authority.issued().write(&certificate, &key).expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(&certificate), mode(&key)), (0o644, 0o600));
        assert_eq!(fs::read_to_string(&key).expect("readable"), authority.issued().key_pem);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 2);
        assert!(!format!("{authority:?}").contains("PRIVATE"));
        assert!(write_public(&folder.path().join("missing/file"), b"x").is_err());
    }
}
