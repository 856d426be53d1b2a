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
//! | `listing` | [`Entries`], [`Lines`]: directories as streams |
//! | `download`, `upload` | [`DownloadStream`], [`UploadStream`]: files as byte streams |
//! | `stream` | what both are made of: bytes in one direction, the control connection watched meanwhile |
//! | `get`, `put` | whole files: resumed, with progress; `part`: kept aside until they are whole; `disk`: read and written |
//! | `url` | [`Target`]: what an FTP URL names |
//! | `link` | a session and its connections: the driver of [`port21_proto::client::ClientSession`] |
//! | `control`, `data` | the bytes of the two connections |
//! | `dns`, `connect` | from a name to addresses, and from an address to a connection |
//! | `sink` | [`EventSink`], [`Clock`]: what happens, for recordings and drawings |
//! | `error` | [`Error`]: which phase, who erred, and the server's words |

mod builder;
mod client;
mod connect;
mod control;
mod credentials;
mod data;
mod disk;
mod dns;
mod download;
mod error;
mod file;
mod get;
mod link;
mod listing;
mod login;
mod part;
mod put;
mod sink;
mod stream;
mod upload;
mod url;

pub use builder::{Builder, IpFamily, Timeouts};
pub use client::Client;
pub use credentials::Credentials;
pub use download::DownloadStream;
pub use error::Error;
pub use file::{Progress, Transferred};
pub use get::GetOptions;
pub use listing::{Entries, Lines, Listed};
pub use port21_proto::client::{Blame, DataMode, Features, LoginStep, Phase};
pub use port21_proto::listing::ListOptions;
pub use port21_proto::parameters::Form;
pub use port21_proto::{Reply, Secret};
pub use put::PutOptions;
pub use sink::{Clock, EventSink};
pub use upload::{Upload, UploadStream};
pub use url::{Target, UrlError};
