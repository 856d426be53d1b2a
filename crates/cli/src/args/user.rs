//! `user`: accounts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use port21_server::Network;
use port21_server::account::records::CertificateMatch;

use super::serve::Commit;
use crate::config::uploads::Eof;
use crate::text::Text;
use crate::units::Size;
use crate::units::Umask;

/// Accounts are in `users.toml`, beside the configuration. A running server takes changes up at the next login.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add an account.
    Add {
        /// The name to log in by.
        name: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Give an account another password.
    Passwd {
        /// Whose.
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Change what an account may do, and where; what no flag names stays.
    Change {
        /// Which account.
        name: String,
        #[command(flatten)]
        fields: Box<Fields>,
        /// Take these away, by their keys in the file, such as quota,networks,paths: then they are as if they had never been set.
        #[arg(long, value_name = "KEYS", value_delimiter = ',')]
        unset: Vec<String>,
        #[command(flatten)]
        file: FileArgs,
    },
    /// List all accounts, without hashes.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Remove an account. Its files stay; its sessions are ended, and uploads that run break off.
    Remove {
        /// Which account.
        name: String,
        #[command(flatten)]
        file: FileArgs,
    },
}

/// Which file.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// The file of accounts.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// The configuration whose accounts are meant; without both: /etc/port21/port21.toml.
    #[arg(long, value_name = "FILE", conflicts_with = "users")]
    pub(crate) config: Option<PathBuf>,
}

/// Where a password comes from: without a flag from PORT21_PASSWORD, else from a question.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// No password lets this account in.
    #[arg(long, conflicts_with = "password_stdin")]
    pub(crate) no_password: bool,
}

/// The fields of an account.
#[derive(Debug, Default, Args)]
pub(crate) struct Fields {
    /// A directory within the served root, which becomes the account's own; made at the first login. Default: all of the root.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<String>,
    /// What it may do: list,read,write,overwrite,delete,rename,mkdir,attributes; link (make symbolic links) and who (see who else
    /// is logged in); or read-only, none, or all, which is all of these but link and who: all,link has that too. Default: as
    /// `write` of `[accounts]` says: to list and read, where that is false.
    #[arg(long, value_name = "LIST")]
    pub(crate) permissions: Option<String>,
    /// What it may do with some paths, such as "/incoming/**=write"; the first that matches decides. Repeatable;
    /// `change` replaces all rules that there were by those that are given.
    #[arg(long, value_name = "PATTERN=LIST")]
    pub(crate) path: Vec<String>,
    /// The most bytes that there may be below its home, such as 10GiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) quota: Option<Text<Size>>,
    /// The most files, directories and symbolic links below its home.
    #[arg(long, value_name = "N")]
    pub(crate) quota_files: Option<u64>,
    /// The rate of all its downloads together, in bytes a second, such as 5MiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) rate_down: Option<Text<Size>>,
    /// The rate of all its uploads together.
    #[arg(long, value_name = "SIZE")]
    pub(crate) rate_up: Option<Text<Size>>,
    /// The rate of downloads of each session.
    #[arg(long, value_name = "SIZE")]
    pub(crate) session_rate_down: Option<Text<Size>>,
    /// The rate of uploads of each session.
    #[arg(long, value_name = "SIZE")]
    pub(crate) session_rate_up: Option<Text<Size>>,
    /// The most sessions at a time.
    #[arg(long, value_name = "N")]
    pub(crate) max_sessions: Option<usize>,
    /// Where it may log in from, such as 10.0.0.0/8,::1.
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub(crate) networks: Vec<Text<Network>>,
    /// Whether it is let in by TLS alone.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) tls_required: Option<bool>,
    /// A client certificate that is needed beside the password: sha256:FINGERPRINT, cn:NAME or san:NAME. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) certificate: Vec<Text<CertificateMatch>>,
    /// Whether the certificate is enough, whatever the password is.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) certificate_alone: Option<bool>,
    /// The permission bits that its new files do not get, such as 027.
    #[arg(long, value_name = "OCTAL")]
    pub(crate) umask: Option<Text<Umask>>,
    /// How its uploads become files.
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) commit: Option<Commit>,
    /// What counts as the end of its uploads; lenient is for devices that hang up early.
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) upload_eof: Option<Eof>,
    /// Whether several people share it: then no parts of uploads are kept.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) shared: Option<bool>,
    /// Whether it is refused for now.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) disabled: Option<bool>,
}
