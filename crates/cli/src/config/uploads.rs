//! `[uploads]`: how uploads become files, and what becomes of those that break off.

use std::time::Duration;

use clap::ValueEnum;
use port21_proto::server::{Receipt, UploadEof};
use port21_server::Settings;
use port21_server::storage::rules::PathPattern;
use port21_server::storage::{CommitMode, LocalSettings, UploadPolicy};
use serde::{Deserialize, Deserializer, Serialize};

use super::deserialize_each;
use crate::args::serve::Commit;
use crate::text::Text;
use crate::units::Umask;
use crate::units::deserialize_duration;

/// The keys of the section; `uploads.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Uploads {
    #[serde(deserialize_with = "deserialize_commit")]
    pub(crate) commit: CommitMode,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) durable_paths: Vec<PathPattern>,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) atomic_paths: Vec<PathPattern>,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) direct_paths: Vec<PathPattern>,
    pub(crate) eof: Eof,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) grace: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) keep_parts: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) displace_after: Duration,
    pub(crate) receipt: ReceiptOf,
    pub(crate) umask: Text<Umask>,
}

/// [`UploadEof`] as the command line and the file write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Eof {
    /// The data connection ended in order, and the client was still there.
    Strict,
    /// The data connection ended in order as far as TCP tells.
    Lenient,
}

impl From<Eof> for UploadEof {
    fn from(eof: Eof) -> UploadEof {
        match eof {
            Eof::Strict => UploadEof::Strict,
            Eof::Lenient => UploadEof::Lenient,
        }
    }
}

/// [`Receipt`] as the file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReceiptOf {
    Plain,
    Bytes,
    Digest,
}

impl Default for Uploads {
    fn default() -> Uploads {
        let (server, files) = (Settings::default(), LocalSettings::default());
        Uploads {
            commit: server.commit,
            durable_paths: Vec::new(),
            atomic_paths: Vec::new(),
            direct_paths: Vec::new(),
            eof: Eof::Strict,
            grace: server.session.upload_grace,
            keep_parts: files.parts_kept,
            displace_after: files.displace_after,
            receipt: ReceiptOf::Plain,
            umask: Text(Umask(files.umask)),
        }
    }
}

impl Uploads {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.commit = self.commit;
        settings.session.upload_grace = self.grace;
        settings.session.receipt = match self.receipt {
            ReceiptOf::Plain => Receipt::Plain,
            ReceiptOf::Bytes => Receipt::Bytes,
            ReceiptOf::Digest => Receipt::Digest,
        };
    }

    /// What an account has that says nothing else.
    pub(crate) fn policy(&self) -> UploadPolicy {
        let lists = [
            (&self.durable_paths, CommitMode::Durable),
            (&self.atomic_paths, CommitMode::Atomic),
            (&self.direct_paths, CommitMode::Direct),
        ];
        let by_path = lists.into_iter().flat_map(|(paths, mode)| paths.iter().map(move |path| (path.clone(), mode)));
        UploadPolicy { commit: None, commit_by_path: by_path.collect(), eof: self.eof.into() }
    }

    /// The files of an account. `owner`: its name, unless several clients share it, as guests do.
    pub(crate) fn files(&self, owner: Option<&str>) -> LocalSettings {
        LocalSettings {
            owner: owner.map(Into::into),
            parts_kept: self.keep_parts,
            displace_after: self.displace_after,
            umask: self.umask.0.0,
            ..LocalSettings::default()
        }
    }
}

fn deserialize_commit<'de, D: Deserializer<'de>>(from: D) -> Result<CommitMode, D::Error> {
    Commit::deserialize(from).map(CommitMode::from)
}

#[cfg(test)]
mod tests {
    use port21_proto::FtpPath;

    use super::*;

    #[test]
    fn the_safest_list_that_names_a_path_decides() {
        let uploads: Uploads = toml::from_str(
            "durable-paths = [\"/logs/audit\"]\natomic-paths = [\"*.tmp\"]\ndirect-paths = [\"/logs\"]\neof = \"lenient\"",
        )
        .unwrap();
        let policy = uploads.policy();
        let of = |path| policy.commit_of(&FtpPath::new(path).unwrap());
        assert_eq!(of("/logs/audit/a"), Some(CommitMode::Durable));
        assert_eq!(of("/logs/a.tmp"), Some(CommitMode::Atomic));
        assert_eq!(of("/logs/a"), Some(CommitMode::Direct));
        assert_eq!(of("/a"), None);
        assert_eq!(policy.eof, UploadEof::Lenient);
    }
}
