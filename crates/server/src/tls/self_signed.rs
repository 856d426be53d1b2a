//! A certificate for who has none: made once and kept, so that clients that have trusted it once know it again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use port21_proto::Secret;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

use super::certificates::{CertificateError, Pair};

/// The pair that is kept in `dir`, made where there is none: `self-signed.pem` and, readable for its owner alone,
/// `self-signed.key`. It is for the name `host`, `localhost` and the loopback addresses, and does not expire: it proves
/// nothing but that the server is the same as last time, which clients check by its fingerprint.
///
/// # Errors
/// [`CertificateError`] where it cannot be made or kept.
pub fn keep(dir: impl AsRef<Path>, host: &str) -> Result<Pair, CertificateError> {
    let dir = dir.as_ref();
    let pair = pair(dir);
    if pair.chain.exists() && pair.key.exists() {
        return Ok(pair);
    }
    let made = make(host)?;
    let kept = |error: io::Error| CertificateError::Make(format!("{}: {error}", dir.display()));
    make_directory(dir).map_err(kept)?;
    // The certificate last: where there is one there is its key.
    write(&pair.key, 0o600, made.key.expose()).map_err(kept)?;
    write(&pair.chain, 0o644, made.chain.as_bytes()).map_err(kept)?;
    Ok(pair)
}

/// A certificate and its key that are nowhere yet, both as PEM.
#[derive(Debug)]
pub struct Made {
    /// The certificate.
    pub chain: String,
    /// Its private key.
    pub key: Secret,
}

/// Makes what [`keep`] keeps, and keeps it nowhere.
///
/// # Errors
/// [`CertificateError::Make`], where this machine has no randomness.
pub fn make(host: &str) -> Result<Made, CertificateError> {
    let made = |error: rcgen::Error| CertificateError::Make(error.to_string());
    let key = KeyPair::generate().map_err(made)?;
    let certificate = params(host).map_err(made)?.self_signed(&key).map_err(made)?;
    Ok(Made { chain: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// The names of the pair that [`keep`] keeps there.
pub fn pair(dir: impl AsRef<Path>) -> Pair {
    let dir = dir.as_ref();
    Pair { chain: dir.join("self-signed.pem"), key: dir.join("self-signed.key") }
}

fn params(host: &str) -> Result<CertificateParams, rcgen::Error> {
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names: Vec<String> = loopback.into();
    if !names.iter().any(|name| name == host) {
        names.insert(0, host.to_owned());
    }
    // A host name that cannot stand in a certificate is left out.
    let mut params = CertificateParams::new(names.clone()).or_else(|_| CertificateParams::new(names.split_off(1)))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // As RFC 5280 section 4.1.2.5 writes that there is no end.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    Ok(params)
}

/// The directory, which others may look into: the key is readable for its owner alone.
fn make_directory(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.create(dir)
}

/// Under another name first, so that no half of a file is ever taken for it.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create(&aside, mode)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(aside, path)
}

/// Made with its mode: at no moment can others read it. Nobody's file or link is followed.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::super::Certificates;
    use super::*;

    #[test]
    fn is_made_once_and_its_key_is_nobodys_business() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let pair = keep(&state, "ftp.example.org").unwrap();
        let certificates = Certificates::read(vec![pair.clone()]).unwrap();
        assert!(certificates.knows("ftp.example.org") && certificates.knows("localhost"));
        let before = fs::read(&pair.key).unwrap();
        assert_eq!(keep(&state, "another.example.org").unwrap(), pair);
        assert_eq!(fs::read(&pair.key).unwrap(), before);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(&state).unwrap().count(), 2);
    }

    #[test]
    fn a_host_name_that_is_none_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let pair = keep(dir.path(), "größe\n").unwrap();
        assert!(Certificates::read(vec![pair]).unwrap().knows("localhost"));
    }
}
