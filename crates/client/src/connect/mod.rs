//! From a name to a connection: whoever opens one, to wherever it leads.
//!
//! | module | what it is |
//! |---|---|
//! | `stream` | [`Stream`]: what a connector gives |
//! | `tcp` | [`Direct`]: TCP without anything between; listening for active data connections |
//! | `socks5`, `http` | through a SOCKS5 proxy, through an HTTP proxy |
//! | `proxy` | [`Proxy`]: which of them, by URL |
//! | `dns` | [`Resolve`]: names to addresses; by hickory, with every query and answer as an event |
//! | `eyeballs` | Happy Eyeballs (RFC 8305): all addresses of a name, raced |

pub(crate) mod dns;
pub(crate) mod eyeballs;
mod http;
pub(crate) mod proxy;
mod socks5;
mod stream;
pub(crate) mod tcp;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use port21_proto::event::Purpose;

pub use self::dns::{Family, Resolve};
pub use self::eyeballs::Attempt;
pub use self::proxy::{Proxy, ProxyError};
pub use self::stream::{Stream, Transport};
pub use self::tcp::Direct;

/// A future in a box: what a trait object's method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens the connections of a session to its server: the control connection, and passive data connections.
///
/// [`Direct`] is the default, and the built-in proxies are made by [`Builder::proxy`](crate::Builder::proxy). How long an
/// attempt may take is the caller's affair, who drops the future.
pub trait Connector: Send + Sync {
    /// Opens a connection.
    fn connect(&self, dial: Dial) -> BoxFuture<'_, io::Result<Stream>>;

    /// What stands between this machine and the server, in words for errors and traces, without secrets; nothing where
    /// connections are direct. Behind a proxy the server cannot connect back: active mode is refused.
    fn proxy(&self) -> Option<String> {
        None
    }

    /// Whether it takes names, and looks them up itself. Then nothing is asked of a name server here.
    fn takes_names(&self) -> bool {
        false
    }
}

/// A connection that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dial {
    /// Where it is to lead.
    pub to: Destination,
    /// What it is for.
    pub purpose: Purpose,
    /// The local address that it is to leave from; with port 0 from any port.
    pub local: Option<SocketAddr>,
}

/// Where a connection is to lead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To an address.
    Address(SocketAddr),
    /// To a name and a port: only where [`Connector::takes_names`].
    Name(String, u16),
}

impl Destination {
    /// The same host, another port.
    pub(crate) fn with_port(&self, port: u16) -> Destination {
        match self {
            Destination::Address(addr) => {
                // The scope stays, where the address is link-local.
                let mut addr = *addr;
                addr.set_port(port);
                Destination::Address(addr)
            }
            Destination::Name(name, _) => Destination::Name(name.clone(), port),
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Destination::Address(addr) => Some(*addr),
            Destination::Name(..) => None,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Address(addr) => addr.fmt(f),
            Destination::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Why a connection failed, in plain words.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        // What a proxy says of the server is in its own words.
        _ if error.get_ref().is_some() => error.to_string(),
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset => "reset by the peer".to_owned(),
        io::ErrorKind::HostUnreachable => "the host cannot be reached".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}
