//! A root of our own, a server's certificate under it, and a client's.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The name that no resolver knows; only a proxy of the tests leads there.
pub(crate) const HOST: &str = "slack.test";

/// PEM texts.
pub(crate) struct Certificates {
    pub(crate) root: String,
    pub(crate) client: String,
    pub(crate) client_key: String,
    server: String,
    server_key: String,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&root_key).unwrap().pem();
        let issuer = Issuer::new(params, root_key);
        let (server, server_key) = signed(&issuer, &[HOST, "wss.slack.test"]);
        let (client, client_key) = signed(&issuer, &["callboard.test"]);
        Self {
            root,
            client,
            client_key,
            server,
            server_key,
        }
    }

    /// A server's settings; with `wants_client` it serves only those who show a certificate of our root.
    pub(crate) fn server(&self, wants_client: bool) -> Arc<ServerConfig> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&self.root)).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            ServerConfig::builder().with_client_cert_verifier(verifier.unwrap())
        } else {
            ServerConfig::builder().with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(self.server_key.as_bytes()).unwrap();
        let config = builder.with_single_cert(vec![certificate(&self.server)], key);
        Arc::new(config.unwrap())
    }
}

fn signed(issuer: &Issuer<'_, KeyPair>, names: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
