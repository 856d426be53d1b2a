//! The FTP client of port21: sessions, listings and transfers over tokio.
//!
//! ```no_run
//! # async fn example() -> Result<(), port21_client::Error> {
//! use port21_client::{Client, GetOptions};
//!
//! let mut client = Client::connect("ftp://ftp.example.org/").await?;
//! client.cwd("pub").await?;
//! client.get_file("readme.txt", "readme.txt".as_ref(), &GetOptions::default(), &mut |_| {}).await?;
//! client.quit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `builder` | [`Builder`]: where to, how, and with which limits |
//! | `client`, `login`, `credentials` | [`Client`]: a session and its commands; who logs in |
//! | `directories` | directories that may be there already |
//! | `order` | a session that is repaired, or begun anew |
//! | `security`, `idle` | TLS in a session that stands; a session that nobody uses for a while |
//! | `pool` | [`Pool`]: several sessions with one server |
//! | `listing` | [`Entries`], [`Lines`]: directories as streams |
//! | `download`, `upload` | [`DownloadStream`], [`UploadStream`]: files as byte streams |
//! | `stream` | what both are made of: bytes in one direction, the control connection watched meanwhile |
//! | `get`, `put` | whole files: resumed, with progress; `part`: kept aside until they are whole; `disk`: read and written |
//! | `url` | [`Target`]: what an FTP URL names |
//! | `connect` | from a name to a connection: [`Resolve`], [`Connector`], proxies, Happy Eyeballs |
//! | `tls` | [`TlsSettings`], and TLS itself |
//! | `link` | a session and its connections: the driver of [`port21_proto::client::ClientSession`] |
//! | `control`, `data` | the bytes of the two connections; `wire`: in clear text or under TLS |
//! | `sink` | [`EventSink`], [`Clock`]: what happens, for recordings and drawings |
//! | `error` | [`Error`]: which phase, who erred, and the server's words |

mod builder;
mod client;
mod connect;
mod control;
mod credentials;
mod data;
mod directories;
mod disk;
mod download;
mod error;
mod file;
mod get;
mod idle;
mod link;
mod listing;
mod login;
mod order;
mod part;
mod pool;
mod put;
mod security;
mod sink;
mod stream;
mod tls;
mod upload;
mod url;
mod wire;

pub use builder::{Builder, IpFamily, Timeouts};
pub use client::Client;
pub use connect::{
    Attempt, BoxFuture, Connector, Destination, Dial, Direct, Family, Proxy, ProxyError, Resolve, Stream, Transport,
};
pub use credentials::Credentials;
pub use download::DownloadStream;
pub use error::Error;
pub use file::{Progress, Transferred};
pub use get::GetOptions;
pub use listing::{Entries, Lines, Listed};
pub use pool::{Pool, Pooled};
pub use port21_proto::client::{Blame, DataMode, Features, LoginStep, Phase};
pub use port21_proto::listing::ListOptions;
pub use port21_proto::parameters::Representation;
pub use port21_proto::{Reply, Secret};
pub use put::PutOptions;
pub use sink::{Clock, EventSink};
pub use tls::{Authorities, Identity, Pin, TlsError, TlsMode, TlsSettings, TlsSettingsError, TlsVersion};
pub use upload::{Upload, UploadStream};
pub use url::{Target, UrlError};
