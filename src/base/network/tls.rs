//! TLS beyond the usual: further roots, a certificate of our own.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Whom we trust beside the usual roots, and who we are to the other end. The default: nobody else, and nobody.
#[derive(Clone, Default)]
pub struct Tls {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.len())
            .field("has_identity", &self.identity.is_some())
            .finish()
    }
}

/// Why what an operator gave is no good for TLS, as the end of a sentence about the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no certificate in it.
    #[error("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate that can't be read.
    #[error("holds a certificate that can't be read ({0})")]
    Certificate(String),
    /// There is no private key in it, or none that can be read.
    #[error("holds no unencrypted private key in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// The key is not the certificate's, or of a kind that is not supported.
    #[error("does not go with the certificate ({0})")]
    Pair(String),
}

impl Tls {
    /// Trusts the certificates of `pem` as well.
    ///
    /// # Errors
    /// When there is none, or one that can't be a root.
    pub fn trusting(mut self, pem: &[u8]) -> Result<Self, Unusable> {
        let roots = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for root in &roots {
            let added = store.add(root.clone());
            added.map_err(|error| Unusable::Certificate(error.to_string()))?;
        }
        self.roots.extend(roots);
        Ok(self)
    }

    /// Shows the certificate of `certificates`, whose chain may follow it, to whoever asks for one.
    ///
    /// # Errors
    /// When either can't be read, or they don't belong together.
    pub fn presenting(mut self, chain: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let chain = certificates(chain)?;
        // The reason may hold parts of the file.
        let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
            return Err(Unusable::NoKey);
        };
        let pair = CertifiedKey::from_der(chain, key, &default_provider());
        let pair = pair.map_err(|error| Unusable::Pair(error.to_string()))?;
        self.identity = Some(Arc::new(pair));
        Ok(self)
    }

    /// Whom we trust beside the usual roots.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Our certificate and its key.
    pub fn identity(&self) -> Option<&Arc<CertifiedKey>> {
        self.identity.as_ref()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| Unusable::Certificate(error.to_string()))?;
    if read.is_empty() {
        return Err(Unusable::NoCertificate);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn pair(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn roots_and_a_matching_pair_are_taken() {
        let (root, _) = pair("a.test");
        let (chain, key) = pair("b.test");
        let tls = Tls::default().trusting(root.as_bytes()).unwrap();
        let tls = tls.presenting(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(tls.roots().len(), 1);
        assert!(tls.identity().is_some());
        assert_eq!(format!("{tls:?}"), "Tls { roots: 1, has_identity: true }");
    }

    #[test]
    fn what_is_no_good_is_told_without_what_is_in_it() {
        let (chain, key) = pair("a.test");
        let (_, other) = pair("b.test");
        let trusting = |pem: &str| Tls::default().trusting(pem.as_bytes()).unwrap_err();
        assert_eq!(trusting(""), Unusable::NoCertificate);
        assert_eq!(trusting(&key), Unusable::NoCertificate);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(trusting(broken), Unusable::Certificate(_)));
        let presenting = |chain: &str, key: &str| {
            let tls = Tls::default().presenting(chain.as_bytes(), key.as_bytes());
            tls.unwrap_err()
        };
        assert_eq!(presenting(&chain, &chain), Unusable::NoKey);
        assert_eq!(presenting(&chain, "secret"), Unusable::NoKey);
        assert!(matches!(presenting(&chain, &other), Unusable::Pair(_)));
    }
}
