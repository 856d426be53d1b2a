//! Arguments of `serve` and `config`.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use port21_proto::Secret;
use port21_server::storage::CommitMode;
use port21_server::{Network, TlsMode};
use serde::{Deserialize, Serialize};

use super::client::parse_ports;
use crate::config::sandbox::Mode;

/// Arguments of `serve`. A flag wins over what the configuration file says.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A directory and no other flag: anybody may list and download it, nobody may change it. All settings, with what they cost \
and risk: port21 config default.")]
pub(crate) struct ServeArgs {
    /// The directory to serve; here, where neither this nor a configuration file says.
    #[arg(value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Read the settings from this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Listen here; repeatable. `:21` is every address of this machine. Default: 127.0.0.1:2121.
    /// With `=implicit`, `=off` and so on behind it, this place has another mode than --tls says.
    #[arg(long, value_name = "ADDR:PORT[=TLS]")]
    pub(crate) listen: Vec<ListenArg>,
    /// Whether connections are protected. With --cert and --key, or with a self-signed certificate that is made and kept.
    #[arg(long, value_name = "HOW")]
    pub(crate) tls: Option<Tls>,
    /// The certificate and those that lead to its authority: a PEM file.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key: a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Let anybody in who calls themselves `anonymous` or `ftp`: to read, never to write.
    #[arg(long)]
    pub(crate) anonymous: bool,
    /// Let this user in; repeatable. For trying out: every user of this machine can see it.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = parse_user)]
    pub(crate) user: Vec<Secret>,
    /// The accounts that `port21 user` keeps, in this file. Default: users.toml beside the configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// Let users write: upload, rename, remove. Never for anonymous.
    #[arg(long)]
    pub(crate) write: bool,
    /// How an upload is made final: `durable` also survives a power cut.
    #[arg(long, value_name = "HOW")]
    pub(crate) commit: Option<Commit>,
    /// The ports for data connections in passive mode. Default: 61000-61999.
    #[arg(long, value_name = "A-B", value_parser = parse_ports)]
    pub(crate) passive_ports: Option<RangeInclusive<u16>>,
    /// The address that PASV gives to peers outside of --local-networks: this machine's public one, behind NAT.
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// The networks that reach this machine without NAT. Default: the private ranges.
    #[arg(long, value_name = "NET,...", value_delimiter = ',')]
    pub(crate) local_networks: Option<Vec<Network>>,
    /// Record every session into a file of its own in this directory, for `port21 trace`.
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// How much the server has to give up before it serves: root, other files, system calls.
    #[arg(long, value_name = "HOW")]
    pub(crate) sandbox: Option<Mode>,
    /// The text of the greeting.
    #[arg(long, value_name = "TEXT")]
    pub(crate) greeting: Option<String>,
    /// The name that the server calls itself by.
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Option<String>,
    /// Let `port21 status`, `reload`, `kick` and `unban` speak to the server by this local socket.
    #[arg(long, value_name = "PATH", alias = "control")]
    pub(crate) socket: Option<PathBuf>,
    /// Serve nothing: say what would be exposed and with which safeguards, and whether the server would start.
    #[arg(long)]
    pub(crate) check: bool,
}

/// How commands find the server that runs.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The server's local socket. Default: /run/port21/control.sock, or port21/control.sock in XDG_RUNTIME_DIR.
    #[arg(long, value_name = "PATH", env = "PORT21_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) at: SocketArgs,
    /// For programs: one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `reload`.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) at: SocketArgs,
}

/// Arguments of `kick`.
#[derive(Debug, Args)]
pub(crate) struct KickArgs {
    #[command(flatten)]
    pub(crate) at: SocketArgs,
    /// The number of a session (as `port21 status` shows it), an address, or the name of a user.
    pub(crate) whom: String,
    /// Take WHOM for a user's name, whatever it looks like.
    #[arg(long)]
    pub(crate) user: bool,
    /// The user of one further site alone, by a name of that; `-` for the site to begin with. Else of every site.
    #[arg(long)]
    pub(crate) host: Option<String>,
}

/// Commands of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the default, with all settings explained.
    Default,
    /// Check a file; what is wrong is named with its line.
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// [`CommitMode`] as the command line and the file write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Commit {
    /// Written aside, forced to the disk, renamed when whole: what was acknowledged survives a power cut.
    Durable,
    /// Written aside and renamed when whole, without waiting for the disk.
    Atomic,
    /// Written under its own name from the first byte: others see half files.
    Direct,
}

impl From<Commit> for CommitMode {
    fn from(commit: Commit) -> CommitMode {
        match commit {
            Commit::Durable => CommitMode::Durable,
            Commit::Atomic => CommitMode::Atomic,
            Commit::Direct => CommitMode::Direct,
        }
    }
}

/// [`TlsMode`] as the command line and the file write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// None: names, passwords and files cross the network for all to read.
    Off,
    /// For clients that ask for it (AUTH TLS).
    Offer,
    /// Nobody logs in without it.
    Require,
    /// From the first byte on, as `ftps://` has it.
    Implicit,
}

impl From<Tls> for TlsMode {
    fn from(tls: Tls) -> TlsMode {
        match tls {
            Tls::Off => TlsMode::Off,
            Tls::Offer => TlsMode::Offer,
            Tls::Require => TlsMode::Require,
            Tls::Implicit => TlsMode::Implicit,
        }
    }
}

/// Where to listen, as the flag has it: with a mode of TLS for that place alone, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenArg {
    pub(crate) address: ListenAddr,
    pub(crate) tls: Option<Tls>,
}

impl FromStr for ListenArg {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenArg, String> {
        let Some((address, mode)) = text.split_once('=') else {
            return Ok(ListenArg { address: text.parse()?, tls: None });
        };
        let tls = Tls::from_str(mode, false)
            .map_err(|_| format!("`{mode}` is no mode of TLS: write off, offer, require or implicit"))?;
        Ok(ListenArg { address: address.parse()?, tls: Some(tls) })
    }
}

/// Where to listen: an address and a port, or a port of every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddr(pub(crate) SocketAddr);

impl ListenAddr {
    /// What is listened on where nothing else was asked for: this machine alone can connect.
    pub(crate) const DEFAULT: ListenAddr = ListenAddr(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2121));

    /// Whether other machines may connect.
    pub(crate) fn is_beyond_loopback(self) -> bool {
        !self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenAddr, String> {
        if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
            return Ok(ListenAddr(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)));
        }
        text.parse().map(ListenAddr).map_err(|_| {
            format!("`{text}` is no address and port: write 127.0.0.1:2121, [::1]:2121, or :21 for every address")
        })
    }
}

/// What holds a password is a secret before anything can be wrong with it, so that no error shows it.
fn parse_user(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// Arguments of `unban`.
#[derive(Debug, Args)]
pub(crate) struct UnbanArgs {
    #[command(flatten)]
    pub(crate) at: SocketArgs,
    /// The address that is banned, or the name of the user from whose account addresses are.
    pub(crate) whom: String,
    /// Take WHOM for a user's name, whatever it looks like.
    #[arg(long)]
    pub(crate) user: bool,
    /// The account of one further site alone, by a name of that; `-` for the site to begin with. Else of every site.
    #[arg(long)]
    pub(crate) host: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::tests::parse;
    use super::*;

    #[test]
    fn places_to_listen() {
        assert_eq!(":21".parse::<ListenAddr>().unwrap().0, "[::]:21".parse().unwrap());
        assert_eq!("127.0.0.1:0".parse::<ListenAddr>().unwrap().0, "127.0.0.1:0".parse().unwrap());
        assert!(":21".parse::<ListenAddr>().unwrap().is_beyond_loopback());
        assert!(!"[::1]:21".parse::<ListenAddr>().unwrap().is_beyond_loopback());
        assert!(!ListenAddr::DEFAULT.is_beyond_loopback());
        let implicit: ListenArg = "[::1]:990=implicit".parse().unwrap();
        assert_eq!((implicit.address.0.port(), implicit.tls), (990, Some(Tls::Implicit)));
        assert_eq!(":21".parse::<ListenArg>().unwrap().tls, None);
        assert!(":21=maybe".parse::<ListenArg>().is_err() && "=off".parse::<ListenArg>().is_err());
        for bad in ["", "21", "localhost", "::1:21:x", ":99999"] {
            assert!(bad.parse::<ListenAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_of_the_server() {
        let Ok(Command::Serve(args)) = parse(
            "serve /srv --listen :21 --listen 127.0.0.1:2121 --user a:b:c --write --commit atomic \
             --passive-ports 6000-6010 --local-networks 10.0.0.0/8,fd00::/8",
        ) else {
            panic!()
        };
        assert_eq!((args.listen.len(), args.commit), (2, Some(Commit::Atomic)));
        assert_eq!(args.user[0].expose(), b"a:b:c");
        assert_eq!(args.local_networks.map(|n| n.len()), Some(2));
    }

    #[test]
    fn a_password_is_never_shown() {
        let Ok(command) = parse("serve --user hunter2") else { panic!() };
        assert!(!format!("{command:?}").contains("hunter2"));
    }
}
