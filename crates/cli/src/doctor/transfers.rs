//! A listing, a download, and an upload that is removed again.

use jiff::Timestamp;
use port21_client::{Client, Error, Listed, Phase, Upload};
use port21_proto::listing::{EntryKind, Modified, Precision};
use port21_proto::text::Shown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cause::{self, Scene};
use super::report::{Cause, Check, Outcome, Side};
use super::steps::{Tell, Walk, said};
use crate::exit::{Exit, client_sentence};
use crate::place;
use crate::units::show_size;

/// So many entries of a listing are read, and so many bytes of a file.
const MAX_ENTRIES: usize = 10_000;
const MAX_BYTES: u64 = 1 << 20;

/// What is to be listed, and read.
struct Aim {
    directory: Vec<u8>,
    file: Option<Vec<u8>>,
}

impl Walk<'_> {
    /// A listing, a file, and a file there and away again. Whether TLS sessions are resumed on data connections.
    pub(super) async fn transfers(
        &mut self,
        client: &mut Client,
        scene: &Scene,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<bool> {
        let aim = self.aim(client).await;
        let (took, result) = self.timed(listed(client, &aim.directory)).await;
        let (mut first_file, mut listed_time) = (None, None);
        match result {
            Ok(Listing { entries, unreadable, whole, file, modified }) => {
                (first_file, listed_time) = (file, modified);
                let mut found = format!("{entries} {}", if entries == 1 { "entry" } else { "entries" });
                if !whole {
                    found += ", and more: the rest was not read";
                }
                let check = match unreadable {
                    0 => Check::new("listing", Outcome::Passed, Some(took), found),
                    n => Check::new(
                        "listing",
                        Outcome::Noticed,
                        Some(took),
                        format!("{found}, {n} lines cannot be read"),
                    )
                    .because(Cause {
                        side: Side::Server,
                        text: "the listing has lines in a form that is not known".to_owned(),
                        advice: "report them: port21 ls --parse reads a saved listing".to_owned(),
                    }),
                };
                self.add(check, tell)?;
            }
            Err(error) => {
                let cause = cause::transfer(&error, scene, client.data_resumed());
                self.failed("listing", took, &error, cause, tell)?;
            }
        }
        if let (Some(name), Some(listed)) = (&first_file, listed_time) {
            self.clock(client, &place::join(&aim.directory, name), listed, tell).await?;
        }
        let resumed = client.data_resumed();
        if let Some(resumed) = resumed {
            let (outcome, found) = match resumed {
                true => (Outcome::Passed, "data connections resume the session of the control connection"),
                false => (
                    Outcome::Noticed,
                    "the server lets no data connection resume the session: each costs a whole handshake",
                ),
            };
            self.add(Check::new("TLS on data", outcome, None, found), tell)?;
        }
        let file = aim.file.or_else(|| first_file.map(|name| place::join(&aim.directory, &name)));
        match file {
            None => self
                .add(Check::new("download", Outcome::NotTried, None, "there is no file: name one in the URL"), tell)?,
            Some(path) => self.download(client, scene, &path, tell).await?,
        }
        if self.args.write {
            self.upload(client, scene, &aim.directory, tell).await?;
        } else {
            self.add(Check::new("upload", Outcome::NotTried, None, "only with --write"), tell)?;
        }
        Ok(resumed == Some(true))
    }

    /// Whether MDTM tells the time of a file in UTC (RFC 3659 section 3.1), as MLSD has told it.
    async fn clock(
        &mut self,
        client: &mut Client,
        path: &[u8],
        listed: Timestamp,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        let (took, told) = self.timed(client.mtime(path)).await;
        let Ok(told) = told else { return Ok(()) };
        let Some(minutes) = minutes_off(told, listed) else { return Ok(()) };
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        let found = format!("{}: MLSD {listed}, MDTM {told}", Shown(path));
        let check = Check::new("times", Outcome::Noticed, Some(took), found).because(Cause {
            side: Side::Server,
            text: format!("MDTM tells local time (UTC{sign}{hours}:{minutes:02}), where it is to tell UTC"),
            advice: "let the server tell UTC (vsftpd: use_localtime=NO; proftpd: TimesGMT on); what is fetched by a pattern or as a tree \
                     has the times of MLSD"
                .to_owned(),
        });
        self.add(check, tell)
    }

    /// Whether the URL names a directory or a file.
    async fn aim(&self, client: &mut Client) -> Aim {
        let path = self.place.path();
        let directory = || Aim { directory: path.to_vec(), file: None };
        if path.is_empty() || self.place.target.path.ends_with(b"/") {
            return directory();
        }
        let file = match self.timed(client.stat(path)).await.1 {
            Ok(entry) => entry.kind == EntryKind::File,
            // It cannot say: a file has a size.
            Err(_) => self.timed(client.size(path)).await.1.is_ok(),
        };
        match path.iter().rposition(|&b| b == b'/') {
            _ if !file => directory(),
            Some(at) => {
                Aim { directory: path.get(..at.max(1)).unwrap_or_default().to_vec(), file: Some(path.to_vec()) }
            }
            None => Aim { directory: Vec::new(), file: Some(path.to_vec()) },
        }
    }

    async fn download(
        &mut self,
        client: &mut Client,
        scene: &Scene,
        path: &[u8],
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        let (took, read) = self.timed(read(client, path)).await;
        let name = Shown(path);
        match read {
            Ok(Read { bytes, announced: Some(announced), whole: true }) if bytes < announced => {
                let found = format!("{name}: {bytes} bytes, of {announced} that were announced");
                let cause = Cause {
                    side: Side::Server,
                    text: "fewer bytes than announced: the server ended the data connection early, and said that it had sent all".to_owned(),
                    advice: "look into the server's log, for a disk that cannot be read or a file that was cut short meanwhile; and for a \
                             proxy or firewall on the way that ends connections"
                        .to_owned(),
                };
                let outcome = Outcome::Failed(Exit::Interrupted);
                self.add(Check::new("download", outcome, Some(took), found).because(cause), tell)
            }
            Ok(Read { bytes, whole, .. }) => {
                let (_, size) = self.timed(client.size(path)).await;
                if let Some(check) = size.ok().and_then(|size| compared(&name.to_string(), size, bytes, whole)) {
                    return self.add(Check { took: Some(took), ..check }, tell);
                }
                let rest = if whole { "" } else { ", of more: the rest was not asked for" };
                let speed = show_size((bytes as f64 / took.as_secs_f64().max(0.000_001)) as u64);
                let found = format!("{name}: {}{rest}, {speed}/s", show_size(bytes));
                self.add(Check::new("download", Outcome::Passed, Some(took), found), tell)
            }
            Err(error) => {
                let cause = cause::transfer(&error, scene, client.data_resumed());
                self.failed("download", took, &error, cause, tell)
            }
        }
    }

    async fn upload(
        &mut self,
        client: &mut Client,
        scene: &Scene,
        directory: &[u8],
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        let path = place::join(directory, self.log.file_name().as_bytes());
        let (took, written) = self.timed(written(client, &path)).await;
        let name = Shown(&path).to_string();
        if let Err(error) = written {
            let cause = cause::transfer(&error, scene, client.data_resumed());
            self.failed("upload", took, &error, cause, tell)?;
            // A part of it may be there.
            let _ = self.timed(client.remove(&path)).await;
            return Ok(());
        }
        let (_, size) = self.timed(client.size(&path)).await;
        let check = match size {
            Ok(size) if size != CONTENT.len() as u64 => Check::new(
                "upload",
                Outcome::Failed(Exit::Verification),
                Some(took),
                format!("{name} has {size} bytes there"),
            )
            .because(Cause {
                side: Side::Server,
                text: format!("{} bytes were sent, and another number arrived", CONTENT.len()),
                advice: "look for a filter that changes files, and for a full disk".to_owned(),
            }),
            _ => Check::new("upload", Outcome::Passed, Some(took), format!("{name}: {} bytes", CONTENT.len())),
        };
        self.add(check, tell)?;
        let (took, removed) = self.timed(client.remove(&path)).await;
        let check = match removed {
            Ok(reply) => Check::new("removal", Outcome::Passed, Some(took), said(&reply)),
            Err(error) => Check::new("removal", Outcome::Noticed, Some(took), client_sentence(&error)).because(Cause {
                side: Side::Server,
                text: format!("the account may write and not remove: {name} is left there"),
                advice: "remove it at the server".to_owned(),
            }),
        };
        self.add(check, tell)
    }
}

/// By how many minutes one time is off another, where that is as two time zones are; nothing where it is not.
fn minutes_off(told: Timestamp, listed: Timestamp) -> Option<i64> {
    let off = told.as_second().saturating_sub(listed.as_second());
    (off != 0 && off % 900 == 0 && off.abs() <= 14 * 3600).then_some(off / 60)
}

/// Where what SIZE tells is not what comes.
fn compared(name: &str, size: u64, bytes: u64, whole: bool) -> Option<Check> {
    let (outcome, text, advice) = match whole {
        true if size == bytes => return None,
        false if size >= bytes => return None,
        true if size > bytes => (
            Outcome::Failed(Exit::Interrupted),
            "fewer bytes come than SIZE tells, and the server said that it had sent all",
            "look into the server's log, for a disk that cannot be read or a file that was cut short meanwhile; and for a server whose \
             SIZE tells another file's",
        ),
        _ => (
            Outcome::Noticed,
            "more bytes come than SIZE tells: clients that go on with a part, or fetch in segments, rely on it",
            "download whole files from this server: get without -c and --segments; and tell its maker",
        ),
    };
    let more = if whole { "" } else { " and more" };
    let cause = Cause { side: Side::Server, text: text.to_owned(), advice: advice.to_owned() };
    let found = format!("{name}: {bytes} bytes{more}, where SIZE tells {size}");
    Some(Check::new("download", outcome, None, found).because(cause))
}

/// What came of a listing.
pub(super) struct Listing {
    entries: usize,
    unreadable: usize,
    /// There is no more.
    whole: bool,
    /// The first file in it.
    file: Option<Vec<u8>>,
    /// When that was changed, where it is told in UTC and to the second.
    modified: Option<Timestamp>,
}

pub(super) async fn listed(client: &mut Client, directory: &[u8]) -> Result<Listing, Error> {
    let mut entries = client.list(directory).await?;
    let mut listing = Listing { entries: 0, unreadable: 0, whole: true, file: None, modified: None };
    while let Some(listed) = entries.next().await {
        match listed? {
            Listed::Entry(entry) => {
                listing.entries += 1;
                if entry.kind == EntryKind::File && listing.file.is_none() {
                    listing.file = entry.safe_name().map(<[u8]>::to_vec);
                    let exact = |m: &Modified| m.utc && m.precision >= Precision::Second;
                    listing.modified = entry.modified.filter(exact).map(|modified| modified.at);
                }
            }
            Listed::Unreadable(_) => listing.unreadable += 1,
        }
        if listing.entries + listing.unreadable >= MAX_ENTRIES {
            listing.whole = false;
            break;
        }
    }
    Ok(listing)
}

/// What came of a file.
struct Read {
    bytes: u64,
    /// By the server's 150.
    announced: Option<u64>,
    /// It was read to its end.
    whole: bool,
}

/// Reads a file, or its beginning.
async fn read(client: &mut Client, path: &[u8]) -> Result<Read, Error> {
    let mut stream = client.download(path, 0).await?;
    let announced = stream.size_hint();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).await.map_err(|error| of_stream(error, "read"))? {
            0 => break,
            _ if stream.received() >= MAX_BYTES => {
                let bytes = stream.received();
                stream.abort().await?;
                return Ok(Read { bytes, announced, whole: false });
            }
            _ => {}
        }
    }
    let bytes = stream.received();
    stream.finish().await?;
    Ok(Read { bytes, announced, whole: true })
}

/// What is uploaded.
const CONTENT: &[u8; 1024] = &[b'.'; 1024];

async fn written(client: &mut Client, path: &[u8]) -> Result<(), Error> {
    let mut stream = client.upload(path, Upload::Whole).await?;
    stream.write_all(CONTENT).await.map_err(|error| of_stream(error, "write"))?;
    stream.finish().await.map(drop)
}

/// The client's own error in a stream's.
fn of_stream(error: std::io::Error, what: &str) -> Error {
    error.downcast::<Error>().unwrap_or_else(|source| Error::Transport {
        phase: Phase::Transfer,
        what: what.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_compared_with_what_comes() {
        let outcome = |size, bytes, whole| compared("f", size, bytes, whole).map(|check| check.outcome);
        assert_eq!((outcome(9, 9, true), outcome(9, 5, false)), (None, None));
        assert_eq!(outcome(9, 5, true), Some(Outcome::Failed(Exit::Interrupted)));
        assert_eq!((outcome(5, 9, true), outcome(5, 9, false)), (Some(Outcome::Noticed), Some(Outcome::Noticed)));
    }

    #[test]
    fn times_that_are_off_as_time_zones_are() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (told, minutes) in
            [(0, None), (7200, Some(120)), (-34_200, Some(-570)), (60, None), (86_400, None), (7201, None)]
        {
            assert_eq!(minutes_off(at(1_000_000 + told), at(1_000_000)), minutes, "{told}");
        }
    }
}
