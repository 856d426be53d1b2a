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
//! | `client` | [`Client`]: a session and its commands |
//! | `listing` | [`Entries`], [`Lines`]: directories as streams |
//! | `download`, `upload` | [`DownloadStream`], [`UploadStream`]: files as byte streams |
//! | `file` | whole files: kept aside until they are whole, resumed, with progress |
//! | `url` | [`Target`]: what an FTP URL names |
//! | `sink` | [`EventSink`], [`Clock`]: what happens, for recordings and drawings |
//! | `error` | [`Error`]: which phase, who erred, and the server's words |

mod builder;
mod client;
mod download;
mod error;
mod file;
mod listing;
mod sink;
mod upload;
mod url;

pub use builder::{Builder, Credentials, IpFamily, Timeouts};
pub use client::Client;
pub use download::DownloadStream;
pub use error::Error;
pub use file::{GetOptions, Progress, PutOptions, Transferred};
pub use listing::{Entries, Lines, Listed};
pub use port21_proto::client::{Blame, DataMode, Features, LoginStep, Phase};
pub use port21_proto::server::{Form, ListOptions};
pub use port21_proto::{Reply, Secret};
pub use sink::{Clock, EventSink};
pub use upload::{Upload, UploadStream};
pub use url::{Target, UrlError};
