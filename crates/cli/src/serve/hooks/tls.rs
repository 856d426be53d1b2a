//! TLS to the host of a hook's URL: whom it is believed by.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::helper::Helper;

/// Begins TLS with this host, which has to show a certificate by an authority of the file, or else of the system.
///
/// # Errors
/// In words.
pub(super) async fn begin(
    stream: TcpStream,
    host: &str,
    ca: Option<&Path>,
    helper: &Helper,
) -> Result<TlsStream<TcpStream>, String> {
    let roots = match ca {
        Some(file) => Arc::new(of_file(file, helper).await?),
        None => system()?,
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} can be in no certificate"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| format!("TLS: {error}"))
}

/// The authorities of the system, read once: behind the sandbox they cannot be read any more.
///
/// # Errors
/// Where there are none; it is tried again then.
pub(super) fn system() -> Result<Arc<RootCertStore>, String> {
    static KNOWN: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = KNOWN.get() {
        return Ok(roots.clone());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("no authorities of the system can be read: start the server anew, or name `ca`".to_owned());
    }
    Ok(KNOWN.get_or_init(|| Arc::new(roots)).clone())
}

/// As the file is now.
async fn of_file(file: &Path, helper: &Helper) -> Result<RootCertStore, String> {
    let unusable = |why: String| format!("{}: {why}", file.display());
    let text = helper.read(file).await.map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(roots) }
}
