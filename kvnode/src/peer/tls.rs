//! Who speaks: mutual TLS 1.3 under the cluster's authority, with the node's name as a DNS name in its certificate.
//!
//! A node named `a1` carries `a1.kvnode.internal`. The dialer asks for the name it expects; towards a seed, whose
//! name it cannot know, it checks the chain only, and the name once the hello has told it ([`proves_name`]).
//! Certificates can be replaced while running: connections that stand keep theirs, new ones use the new.
//!
//! It deliberately speaks no TLS 1.2, resumes no sessions (a resumed session would outlive a replaced
//! certificate), and asks no system trust store: only the cluster's own authority counts.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName, UnixTime};

use crate::protocol::id::NodeName;

/// Every node certificate carries `<node name>` under this domain; `.internal` is reserved for private use.
pub const NODE_DOMAIN: &str = "kvnode.internal";

/// The DNS name that stands for a node in its certificate.
#[must_use]
pub fn node_dns_name(name: &NodeName) -> String {
    format!("{name}.{NODE_DOMAIN}")
}

/// Certificate files, as read.
pub struct Pem {
    /// One or more authorities (two while one replaces the other).
    pub authority: Vec<u8>,
    /// This node's certificate, followed by intermediates if there are any.
    pub certificate: Vec<u8>,
    /// The key of that certificate.
    pub key: Vec<u8>,
}

/// Why certificates were refused. Whatever was in use before still is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file holds no usable item.
    #[error("the {what} file holds no usable PEM item")]
    Pem {
        /// "authority", "certificate" or "key".
        what: &'static str,
    },
    /// The certificate does not carry this node's name.
    #[error("the certificate is not valid for {expected}")]
    Name {
        /// The DNS name that it should carry.
        expected: String,
    },
    /// The certificate is expired or not signed by the authority.
    #[error("the certificate is not valid under the authority")]
    NotTrusted {
        /// Details.
        source: rustls::Error,
    },
    /// Certificate and key do not belong together, or the TLS library refuses them.
    #[error("certificate and key cannot be used")]
    Unusable {
        /// Details.
        source: rustls::Error,
    },
    /// The authority cannot be used to check clients.
    #[error("the authority cannot be used to check clients")]
    Verifier {
        /// Details.
        source: rustls::server::VerifierBuilderError,
    },
}

/// TLS towards other nodes; replaced as a whole by [`PeerTls::reload`].
pub struct PeerTls {
    name: NodeName,
    configs: ArcSwap<Configs>,
}

struct Configs {
    named: Arc<ClientConfig>,
    unnamed: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl PeerTls {
    /// Checks that the certificate is this node's, is under the authority and fits its key.
    pub fn new(name: &NodeName, pem: &Pem) -> Result<Self, Error> {
        let configs = ArcSwap::from_pointee(Configs::new(name, pem)?);
        Ok(Self { name: name.clone(), configs })
    }

    /// Uses other certificates for connections made from now on; on an error nothing changes.
    pub fn reload(&self, pem: &Pem) -> Result<(), Error> {
        self.configs.store(Arc::new(Configs::new(&self.name, pem)?));
        Ok(())
    }

    /// To dial a node whose name is known: the handshake fails if the other end cannot prove it.
    #[must_use]
    pub fn dial_named(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.configs.load().named)
    }

    /// To dial an address: any node of the authority passes; check its name with [`proves_name`] after the hello.
    #[must_use]
    pub fn dial_unnamed(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.configs.load().unnamed)
    }

    /// To accept: only clients with a certificate of the authority pass.
    #[must_use]
    pub fn accept(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.configs.load().server)
    }
}

impl Configs {
    fn new(name: &NodeName, pem: &Pem) -> Result<Self, Error> {
        let roots = Arc::new(roots(&pem.authority)?);
        let chain = certificates(&pem.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| Error::Pem { what: "key" })?;
        let provider = Arc::new(provider());
        let any_name =
            Arc::new(AnyName { roots: Arc::clone(&roots), algorithms: provider.signature_verification_algorithms });
        let (own, intermediates) = chain.split_first().ok_or(Error::Pem { what: "certificate" })?;
        any_name.verify_chain(own, intermediates, UnixTime::now()).map_err(|source| Error::NotTrusted { source })?;
        if !proves_name(own, name) {
            return Err(Error::Name { expected: node_dns_name(name) });
        }

        let unusable = |source| Error::Unusable { source };
        let client = || {
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
            builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(unusable)
        };
        let mut named = client()?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(unusable)?;
        named.resumption = Resumption::disabled();
        let mut unnamed = client()?
            .dangerous()
            .with_custom_certificate_verifier(any_name)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(unusable)?;
        unnamed.resumption = Resumption::disabled();
        unnamed.enable_sni = false;

        let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|source| Error::Verifier { source })?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        server.send_tls13_tickets = 0;
        Ok(Self { named: Arc::new(named), unnamed: Arc::new(unnamed), server: Arc::new(server) })
    }
}

/// ring, with AES-128 first: ten rounds for each block instead of the fourteen of AES-256.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    provider
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(Error::Pem { what })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, "authority")? {
        roots.add(authority).map_err(|_| Error::Pem { what: "authority" })?;
    }
    Ok(roots)
}

/// The name to ask for when dialing a node.
#[must_use]
pub fn server_name(name: &NodeName) -> ServerName<'static> {
    let name = DnsName::try_from(node_dns_name(name)).expect("invariant: a node name is a DNS label");
    ServerName::DnsName(name)
}

/// Whether a certificate, already checked against the authority, names this node.
#[must_use]
pub fn proves_name(certificate: &CertificateDer<'_>, name: &NodeName) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&server_name(name)).is_ok())
}

/// Accepts whatever name a certificate of the authority carries.
#[derive(Debug)]
struct AnyName {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyName {
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify_chain(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Unreachable through these configs, which speak 1.3 only; refusing is the safe answer all the same.
        Err(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::{Authority, DEFAULT_AUTHORITY_VALIDITY, NodeRequest};

    fn name(text: &str) -> NodeName {
        text.parse().expect("valid name")
    }

    fn pem(authority: &Authority, node: &str) -> Pem {
        let issued = authority.issue(&NodeRequest::new(name(node), vec![])).expect("issued");
        Pem {
            authority: authority.issued().certificate_pem.clone().into_bytes(),
            certificate: issued.certificate_pem.into_bytes(),
            key: issued.key_pem.into_bytes(),
        }
    }

    fn reason(result: Result<PeerTls, Error>) -> String {
        result.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
    }

    #[test]
    fn unusable_certificates_are_refused_by_name() {
        let ours = Authority::create("ours", DEFAULT_AUTHORITY_VALIDITY).expect("made");
        let theirs = Authority::create("theirs", DEFAULT_AUTHORITY_VALIDITY).expect("made");
        let a1 = || pem(&ours, "a1");
        let with = |node: &str, pem: &Pem| reason(PeerTls::new(&name(node), pem));
        insta::assert_snapshot!(with("a1", &a1()), @"accepted");
        insta::assert_snapshot!(with("a2", &a1()), @"the certificate is not valid for a2.kvnode.internal");
        insta::assert_snapshot!(with("a1", &Pem { key: pem(&ours, "a1").key, ..a1() }), @"certificate and key cannot be used");
        insta::assert_snapshot!(with("a1", &Pem { authority: pem(&theirs, "a1").authority, ..a1() }), @"the certificate is not valid under the authority");
        insta::assert_snapshot!(with("a1", &Pem { authority: vec![], ..a1() }), @"the authority file holds no usable PEM item");
        insta::assert_snapshot!(with("a1", &Pem { certificate: b"junk".to_vec(), ..a1() }), @"the certificate file holds no usable PEM item");
        insta::assert_snapshot!(with("a1", &Pem { key: vec![], ..a1() }), @"the key file holds no usable PEM item");
    }

    #[test]
    fn a_failed_reload_keeps_what_was_in_use() {
        let authority = Authority::create("ours", DEFAULT_AUTHORITY_VALIDITY).expect("made");
        let tls = PeerTls::new(&name("a1"), &pem(&authority, "a1")).expect("good");
        let before = tls.accept();
        assert!(tls.reload(&pem(&authority, "a2")).is_err());
        assert!(Arc::ptr_eq(&before, &tls.accept()));
        tls.reload(&pem(&authority, "a1")).expect("good");
        assert!(!Arc::ptr_eq(&before, &tls.accept()));
    }
}
