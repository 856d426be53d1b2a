//! Accounts that are kept somewhere: what a login needs, checked in one place for all of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use port21_proto::Secret;
use port21_proto::server::LoginError;

use super::password::{PasswordHash, Passwords};
use super::{Account, Attempt, Authenticator};
use crate::network::Network;
use crate::storage::BoxFuture;
use crate::tls::ClientCertificate;

/// What a login to an account needs.
#[derive(Clone)]
pub struct Record {
    /// The hash of the password; nothing: no password is right.
    pub password: Option<PasswordHash>,
    /// Where logins may come from; empty: from anywhere.
    pub networks: Vec<Network>,
    /// Whether logins in clear are refused: [`LoginError::NeedsTls`], to whom has the password right.
    pub tls_required: bool,
    /// The client certificates that are this account's; see [`Record::certificate_alone`].
    pub certificates: Vec<CertificateMatch>,
    /// Whether one of the certificates is enough, whatever the password is. Else, where there are any, a login takes one
    /// of them and the password.
    pub certificate_alone: bool,
    /// Whether logins are refused for now.
    pub disabled: bool,
}

/// Which client certificate is meant. The server asks for one and checks its authority: see
/// [`ClientCertificates`](crate::tls::ClientCertificates).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateMatch {
    /// The one certificate of this SHA-256 fingerprint: `sha256:AB:CD:...`.
    Fingerprint([u8; 32]),
    /// Each whose subject has this common name, by whichever authority that the server believes: `cn:NAME`.
    CommonName(String),
    /// Each that has this among its alternative names: a DNS name, a mail address or a URI: `san:NAME`.
    AlternativeName(String),
}

impl CertificateMatch {
    fn matches(&self, certificate: &ClientCertificate) -> bool {
        match self {
            CertificateMatch::Fingerprint(bytes) => parse_fingerprint(&certificate.fingerprint) == Some(*bytes),
            CertificateMatch::CommonName(name) => certificate.common_name.as_ref() == Some(name),
            CertificateMatch::AlternativeName(name) => certificate.names.contains(name),
        }
    }
}

impl FromStr for CertificateMatch {
    type Err = String;

    fn from_str(text: &str) -> Result<CertificateMatch, String> {
        let wrong = || {
            format!("`{text}` names no certificate: write sha256:FINGERPRINT, cn:COMMON-NAME or san:ALTERNATIVE-NAME")
        };
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "sha256" => parse_fingerprint(name).map(CertificateMatch::Fingerprint).ok_or_else(wrong),
            "cn" if !name.is_empty() => Ok(CertificateMatch::CommonName(name.to_owned())),
            "san" if !name.is_empty() => Ok(CertificateMatch::AlternativeName(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for CertificateMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateMatch::Fingerprint(bytes) => {
                f.write_str("sha256")?;
                bytes.iter().try_for_each(|byte| write!(f, ":{byte:02X}"))
            }
            CertificateMatch::CommonName(name) => write!(f, "cn:{name}"),
            CertificateMatch::AlternativeName(name) => write!(f, "san:{name}"),
        }
    }
}

/// 64 hexadecimal digits, with or without colons.
fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

/// Finds the records of accounts.
pub trait Records: Send + Sync {
    /// The record of a name, as USER has it; [`Found::decoy`] for one that nobody has.
    ///
    /// # Errors
    /// [`LoginError::Unavailable`] where it cannot be found out.
    fn find<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Found, LoginError>>;

    /// The account of a name whose record has let somebody in: until then nothing is done with its files, so that a
    /// stranger can neither cause anything there nor tell from the answer how it is with them.
    ///
    /// # Errors
    /// [`LoginError::Unavailable`] where it cannot be had, [`LoginError::Refused`] where it has gone meanwhile.
    fn open<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Account, LoginError>>;
}

/// What was found under a name.
#[derive(Clone)]
pub struct Found {
    /// The record, if somebody has the name.
    pub record: Option<Arc<Record>>,
    /// What the password is checked against where there is no hash of it: it should cost as much as that of the accounts
    /// that there are.
    pub decoy: Arc<PasswordHash>,
}

/// Lets in whose password is that of a record, from where the record allows it.
///
/// The password is always hashed: that of an unknown name, of an account without one, or from a wrong network against a
/// decoy. So whatever is wrong, the answer is one and takes the time of one hash.
pub struct ByRecord {
    records: Arc<dyn Records>,
    passwords: Arc<Passwords>,
}

impl ByRecord {
    /// `passwords` may be shared with others: it is what bounds the cost of all.
    pub fn new(records: Arc<dyn Records>, passwords: Arc<Passwords>) -> ByRecord {
        ByRecord { records, passwords }
    }

    async fn judge(&self, attempt: Attempt<'_>) -> Result<Account, LoginError> {
        let Found { record, decoy } = self.records.find(attempt.user).await?;
        let hash = record.as_ref().and_then(|record| record.password.as_ref()).unwrap_or(&decoy);
        let has_password = self.is_right(hash, attempt.password).await?;
        record.ok_or(LoginError::Refused)?.admit(has_password, &attempt)?;
        self.records.open(attempt.user).await
    }

    async fn is_right(&self, hash: &PasswordHash, password: &Secret) -> Result<bool, LoginError> {
        self.passwords.matches(hash, password).await.map_err(|_| LoginError::Unavailable)
    }
}

impl Record {
    /// Whether this is who they say they are, and they may log in from there. `has_password`: the password was right.
    ///
    /// # Errors
    /// [`LoginError::Refused`], or [`LoginError::NeedsTls`] for who would be let in over TLS.
    pub fn admit(&self, has_password: bool, attempt: &Attempt<'_>) -> Result<(), LoginError> {
        if !self.lets_in(has_password, attempt) {
            return Err(LoginError::Refused);
        }
        if self.tls_required && attempt.tls.is_none() {
            return Err(LoginError::NeedsTls);
        }
        Ok(())
    }

    /// Whether this is who they say they are, and may log in from there.
    fn lets_in(&self, has_password: bool, attempt: &Attempt<'_>) -> bool {
        let certificate = attempt.tls.and_then(|tls| tls.certificate.as_ref());
        let has_certificate = certificate.is_some_and(|shown| self.certificates.iter().any(|own| own.matches(shown)));
        let is_proven = if self.certificate_alone {
            has_certificate || has_password
        } else {
            has_password && (has_certificate || self.certificates.is_empty())
        };
        is_proven && !self.disabled && is_within(&self.networks, attempt.peer)
    }
}

impl Authenticator for ByRecord {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(self.judge(attempt))
    }

    /// Nothing is hashed: there is no password that could be right.
    fn recognise<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(async move {
            let found = self.records.find(attempt.user).await?;
            found.record.ok_or(LoginError::Refused)?.admit(false, &attempt)?;
            self.records.open(attempt.user).await
        })
    }

    fn knows<'a>(&'a self, user: &'a [u8]) -> BoxFuture<'a, bool> {
        Box::pin(async move { self.records.find(user).await.is_ok_and(|found| found.record.is_some()) })
    }
}

fn is_within(networks: &[Network], peer: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(peer))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use port21_proto::verb::Permissions;

    use super::*;
    use crate::account::password::Cost;
    use crate::storage::LocalSettings;
    use crate::tls::TlsPeer;

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    /// One account, of which it is known whether it was opened.
    struct One(Arc<Record>, AtomicBool);

    impl One {
        fn new(record: Record) -> One {
            One(Arc::new(record), AtomicBool::new(false))
        }
    }

    impl Records for One {
        fn find<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Found, LoginError>> {
            let record = (name == b"ann").then(|| Arc::clone(&self.0));
            let found = Found { record, decoy: Arc::new(PasswordHash::decoy(CHEAP)) };
            Box::pin(std::future::ready(if name == b"broken" { Err(LoginError::Unavailable) } else { Ok(found) }))
        }

        fn open<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Account, LoginError>> {
            assert_eq!(name, b"ann");
            self.1.store(true, Ordering::Relaxed);
            let account = Account::local("ann", "/", Permissions::READ_ONLY, LocalSettings::default());
            Box::pin(std::future::ready(account.map_err(|_| LoginError::Unavailable)))
        }
    }

    fn ann() -> Record {
        let password = Some(PasswordHash::new(&Secret::new("right"), CHEAP).unwrap());
        Record {
            password,
            networks: Vec::new(),
            tls_required: false,
            certificates: Vec::new(),
            certificate_alone: false,
            disabled: false,
        }
    }

    async fn login(record: Record, user: &str, password: &str, peer: &str) -> Result<String, LoginError> {
        login_by(record, user, password, peer, None).await
    }

    async fn login_by(
        record: Record,
        user: &str,
        password: &str,
        peer: &str,
        tls: Option<&TlsPeer>,
    ) -> Result<String, LoginError> {
        let one = Arc::new(One::new(record));
        let by = ByRecord::new(one.clone(), Arc::default());
        let password = Secret::new(password);
        let attempt = Attempt { user: user.as_bytes(), password: &password, peer: peer.parse().unwrap(), tls };
        let result = by.login(attempt).await.map(|account| account.name);
        assert_eq!(one.1.load(Ordering::Relaxed), result.is_ok(), "strangers touch no account");
        result
    }

    #[tokio::test]
    async fn tls_and_certificates() {
        let fingerprint = format!("sha256{}", ":AB".repeat(32));
        let shown = |fingerprint: &str, name: &str| TlsPeer {
            certificate: Some(ClientCertificate {
                fingerprint: fingerprint.to_owned(),
                common_name: Some(name.to_owned()),
                names: vec!["robot.example".to_owned()],
            }),
            ..TlsPeer::default()
        };
        let (own, other) = (shown(&":AB".repeat(32)[1..], "robot"), shown(&":AC".repeat(32)[1..], "other"));
        let plain = TlsPeer::default();
        let by = async |record: &Record, password: &str, tls: Option<&TlsPeer>| {
            login_by(record.clone(), "ann", password, "10.0.0.1", tls).await.map(drop)
        };
        let needs_tls = Record { tls_required: true, ..ann() };
        assert_eq!(by(&needs_tls, "right", None).await, Err(LoginError::NeedsTls));
        assert_eq!(by(&needs_tls, "wrong", None).await, Err(LoginError::Refused));
        assert_eq!(by(&needs_tls, "right", Some(&plain)).await, Ok(()));
        for name in [fingerprint.as_str(), "cn:robot"] {
            let certificates = vec![name.parse().unwrap()];
            let both = Record { certificates: certificates.clone(), ..ann() };
            let alone = Record { certificates, certificate_alone: true, ..ann() };
            assert_eq!(by(&both, "right", Some(&own)).await, Ok(()), "{name}");
            assert_eq!(by(&alone, "", Some(&own)).await, Ok(()), "{name}");
            assert_eq!(by(&alone, "right", None).await, Ok(()), "{name}");
            // Before a password: only where it is enough, and only the right one.
            for (record, tls, is_enough) in [
                (&alone, Some(&own), true),
                (&alone, Some(&other), false),
                (&alone, None, false),
                (&both, Some(&own), false),
                (&Record { disabled: true, ..alone.clone() }, Some(&own), false),
            ] {
                let by = ByRecord::new(Arc::new(One::new(record.clone())), Arc::default());
                let (password, peer) = (Secret::new(""), "10.0.0.1".parse().unwrap());
                let found = by.recognise(Attempt { user: b"ann", password: &password, peer, tls }).await;
                assert_eq!(found.is_ok(), is_enough, "{name}");
            }
            for (record, password, tls) in [
                (&both, "wrong", Some(&own)),
                (&both, "right", Some(&other)),
                (&both, "right", Some(&plain)),
                (&both, "right", None),
                (&alone, "wrong", Some(&other)),
                (&alone, "", None),
            ] {
                assert_eq!(by(record, password, tls).await, Err(LoginError::Refused), "{name}");
            }
        }
        let by_name = Record { certificates: vec!["san:robot.example".parse().unwrap()], ..ann() };
        assert_eq!(by(&by_name, "right", Some(&other)).await, Ok(()));
    }

    #[test]
    fn names_of_certificates() {
        for text in [&format!("sha256{}", ":0A".repeat(32)), "cn:robot 7", "san:mailto:a@b"] {
            assert_eq!(text.parse::<CertificateMatch>().unwrap().to_string(), *text);
        }
        assert!(format!("sha256:{}", "ab".repeat(32)).parse::<CertificateMatch>().is_ok());
        for bad in ["", "robot", "cn:", "sha256:AB", &format!("sha256:{}", "+a".repeat(32)), "md5:00"] {
            assert!(bad.parse::<CertificateMatch>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn one_answer_for_all_that_is_wrong() {
        assert_eq!(login(ann(), "ann", "right", "10.0.0.1").await, Ok("ann".into()));
        let networks = vec!["192.0.2.0/24".parse().unwrap(), "::1".parse().unwrap()];
        let inside = Record { networks, ..ann() };
        assert_eq!(login(inside.clone(), "ann", "right", "192.0.2.7").await, Ok("ann".into()));
        for (record, user, password) in [
            (ann(), "ann", "wrong"),
            (ann(), "ann", ""),
            (ann(), "bob", "right"),
            (inside, "ann", "right"),
            (Record { disabled: true, ..ann() }, "ann", "right"),
            (Record { password: None, ..ann() }, "ann", ""),
        ] {
            assert_eq!(login(record, user, password, "10.0.0.1").await, Err(LoginError::Refused), "{user} {password}");
        }
        assert_eq!(login(ann(), "broken", "right", "10.0.0.1").await, Err(LoginError::Unavailable));
    }
}
