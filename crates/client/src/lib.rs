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
//! | `charset` | names in another charset than UTF-8 |
//! | `directories`, `several` | directories that may be there already; many made or removed at once |
//! | `order` | a session that is repaired, or begun anew |
//! | `reach` | names and connections on their own, to look for faults |
//! | `security`, `idle` | TLS in a session that stands; a session that nobody uses for a while |
//! | `pool` | [`Pool`]: several sessions with one server |
//! | `listing` | [`Entries`], [`Lines`]: directories as streams |
//! | `download`, `upload` | [`DownloadStream`], [`UploadStream`]: files as byte streams |
//! | `stream` | what both are made of: bytes in one direction, the control connection watched meanwhile |
//! | `get`, `put` | whole files: resumed, verified, with progress; `part`: kept aside until they are whole; `sending`, `disk`: read and written |
//! | `digest`, `rate`, `retry` | [`Verify`]: digests on both sides; [`Rate`]: how fast; [`Retry`]: how often again |
//! | `batch`, `mirror` | [`Batch`]: many files; [`Mirror`]: trees that are made the same; `watch`: what is told of both |
//! | `crew`, `errand` | several sessions side by side, and the pieces of work that they share |
//! | `tree`, `filter`, `zone` | [`Pattern`]s for paths, [`Filter`]s of names; how far a server's listings are from UTC |
//! | `bounds`, `above` | how deep and how large a tree may be; directories that are one of those above them |
//! | `segments` | one file over several sessions |
//! | `folder`, `ranges` | local directories that nothing leads out of; which bytes of a file are there |
//! | `between` | a file from one server to another |
//! | `url` | [`Target`]: what an FTP URL names |
//! | `connect` | from a name to a connection: [`Resolve`], [`Connector`], proxies, Happy Eyeballs |
//! | `tls` | [`TlsSettings`], and TLS itself |
//! | `link` | a session and its connections: the driver of [`port21_proto::client::ClientSession`] |
//! | `control`, `data` | the bytes of the two connections; `wire`: in clear text or under TLS |
//! | `sink` | [`EventSink`], [`Clock`]: what happens, for recordings and drawings |
//! | `error` | [`Error`]: which phase, who erred, and the server's words |

mod above;
mod batch;
mod between;
mod bounds;
mod builder;
mod charset;
mod client;
mod connect;
mod control;
mod credentials;
mod crew;
mod data;
mod digest;
mod directories;
mod disk;
mod download;
mod errand;
mod error;
mod file;
mod filter;
mod folder;
mod get;
mod idle;
mod link;
mod listing;
mod login;
mod mirror;
mod order;
mod part;
mod pool;
mod put;
mod ranges;
mod rate;
mod reach;
mod receiving;
mod retry;
mod security;
mod segments;
mod sending;
mod several;
mod sink;
mod stream;
mod tls;
mod tree;
mod upload;
mod url;
mod watch;
mod wire;
mod zone;

pub use batch::{Batch, BatchOptions};
pub use between::Between;
pub use bounds::{MAX_DEPTH, MAX_DIRECTORIES};
pub use builder::{Buffers, Builder, IpFamily, Timeouts};
pub use charset::{Charset, CharsetError};
pub use client::Client;
pub use connect::{
    Attempt, BoxFuture, Connector, Destination, Dial, Direct, Family, Proxy, ProxyError, Resolve, Stream, Transport,
};
pub use credentials::Credentials;
pub use crew::Parallel;
pub use digest::{Verified, Verify};
pub use download::DownloadStream;
pub use error::Error;
pub use file::{Progress, Transferred};
pub use filter::{Filter, PatternError};
pub use get::GetOptions;
pub use listing::{Entries, Lines, Listed};
pub use mirror::{Choose, Links, Mirror, MirrorOptions, Summary};
pub use pool::{Pool, Pooled};
pub use port21_proto::client::{Blame, DataMode, Features, LoginStep, Phase};
pub use port21_proto::listing::ListOptions;
pub use port21_proto::parameters::{Algorithm, Representation};
pub use port21_proto::{Reply, Secret};
pub use put::PutOptions;
pub use rate::Rate;
pub use retry::Retry;
pub use sink::{Clock, EventSink};
pub use tls::{Authorities, Identity, Pin, TlsError, TlsMode, TlsSettings, TlsSettingsError, TlsVersion};
pub use tree::{Matches, Pattern, is_pattern};
pub use upload::{Upload, UploadStream};
pub use url::{Target, UrlError};
pub use watch::{Deed, Event, Item, Place, Watch};
