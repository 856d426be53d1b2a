//! One account as `users.toml` has it.

use port21_proto::verb::Permissions;
use port21_server::Network;
use port21_server::account::password::PasswordHash;
use port21_server::account::records::CertificateMatch;
use port21_server::storage::QuotaLimits;
use port21_server::storage::rules::{PathPattern, parse_permission, permission_names};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::args::serve::Commit;
use crate::config::home::check_home;
use crate::config::uploads::Eof;
use crate::text::Text;
use crate::units::{Size, Umask};

/// The keys of a table `[[user]]` of the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    #[serde(serialize_with = "write_hash", deserialize_with = "read_hash", skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<PasswordHash>,
    /// A directory within the served root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) home: Option<String>,
    /// Nothing: as the configuration says for all users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permissions: Option<Allowed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<PathRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota: Option<Text<Size>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota_files: Option<u64>,
    /// Bytes a second, of all sessions of the account together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate_down: Option<Text<Size>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate_up: Option<Text<Size>>,
    /// Of each session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_rate_down: Option<Text<Size>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_rate_up: Option<Text<Size>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_sessions: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) networks: Vec<Text<Network>>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) tls_required: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) certificates: Vec<Text<CertificateMatch>>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) certificate_alone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) umask: Option<Text<Umask>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<Commit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upload_eof: Option<Eof>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) shared: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) disabled: bool,
}

impl Entry {
    /// What is wrong with it that no type can tell: the key and a sentence.
    pub(crate) fn mistake(&self) -> Option<(&'static str, String)> {
        if self.name.is_empty() || self.name.len() > 255 || self.name.contains(|c: char| c.is_control()) {
            return Some(("name", "a name has 1 to 255 bytes and no control characters".to_owned()));
        }
        if let Err(error) = check_home(self.home.as_deref()) {
            return Some(("home", error.to_string()));
        }
        if self.rate_below(MIN_RATE).is_some() {
            return Some(("rate", format!("a rate is at least {} a second", Size(MIN_RATE))));
        }
        if self.max_sessions == Some(0) {
            return Some(("max-sessions", "with 0 nobody gets in: use `disabled`".to_owned()));
        }
        if self.certificate_alone && self.certificates.is_empty() {
            return Some(("certificate-alone", "there is no certificate: name one in `certificates`".to_owned()));
        }
        None
    }

    /// A rate that is below so many bytes a second.
    pub(crate) fn rate_below(&self, least: u64) -> Option<&'static str> {
        let rates = [
            ("rate-down", self.rate_down),
            ("rate-up", self.rate_up),
            ("session-rate-down", self.session_rate_down),
            ("session-rate-up", self.session_rate_up),
        ];
        rates.into_iter().find(|(_, rate)| rate.is_some_and(|rate| rate.0.0 < least)).map(|(key, _)| key)
    }

    /// What a login takes, and from where: all that decides about whether it holds.
    pub(crate) fn proof(&self) -> impl PartialEq + use<'_> {
        let password = self.password.as_ref().map(PasswordHash::as_str);
        let certificates = (&self.certificates, self.certificate_alone);
        (password, &self.networks, self.tls_required, certificates, self.disabled)
    }

    /// The quota.
    pub(crate) fn limits(&self) -> QuotaLimits {
        QuotaLimits { bytes: self.quota.map(|size| size.0.0), files: self.quota_files }
    }
}

/// The lowest rate that can be set: less is of no use, and cut off as a transfer that crawls.
const MIN_RATE: u64 = 1024;

/// What may be done with some paths.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PathRule {
    pub(crate) path: Text<PathPattern>,
    pub(crate) permissions: Allowed,
}

/// A set of permissions, as a list of words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowed(pub(crate) Permissions);

impl Allowed {
    /// Reads words.
    pub(crate) fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Allowed, String> {
        let mut all = Permissions::NONE;
        for word in words {
            let one = parse_permission(word.trim())?;
            for (_, permission) in port21_server::storage::rules::PERMISSIONS {
                if one.allows(permission) {
                    all = all.with(permission);
                }
            }
        }
        Ok(Allowed(all))
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Allowed, D::Error> {
        let words = Vec::<String>::deserialize(from)?;
        Allowed::of_words(words.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(permission_names(self.0).split(','))
    }
}

fn read_hash<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PasswordHash>, D::Error> {
    // The message does not quote what is there: it may be a password.
    String::deserialize(from)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn write_hash<S: Serializer>(hash: &Option<PasswordHash>, to: S) -> Result<S::Ok, S::Error> {
    hash.as_ref().map(PasswordHash::as_str).serialize(to)
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be() {
        let entry = |change: fn(&mut Entry)| {
            let mut entry = Entry { name: "ann".into(), ..Entry::default() };
            change(&mut entry);
            entry.mistake().map(|(key, _)| key)
        };
        assert_eq!(entry(|_| ()), None);
        assert_eq!(entry(|e| e.name.clear()), Some("name"));
        assert_eq!(entry(|e| e.name.push('\n')), Some("name"));
        assert_eq!(entry(|e| e.home = Some("../etc".into())), Some("home"));
        assert_eq!(entry(|e| e.rate_up = Some(Text(Size(5)))), Some("rate"));
        assert_eq!(entry(|e| e.max_sessions = Some(0)), Some("max-sessions"));
        assert_eq!(entry(|e| e.certificate_alone = true), Some("certificate-alone"));
        assert!(Allowed::of_words(["list", "fly"]).is_err());
    }
}
