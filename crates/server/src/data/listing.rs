//! A listing to the data connection, or to the lines of a reply.

use std::borrow::Cow;

use jiff::{Timestamp, Zoned};
use port21_proto::listing::{write_facts_line, write_heading, write_long, write_name};
use port21_proto::reply::Text;
use port21_proto::server::{ListFormat, ListRequest, StorageError, TransferError};

use crate::data::connection::DataConnection;
use crate::data::encoding::{Encoder, Encoding};
use crate::storage::{Listing, Piece};

/// Lines are sent once there are so many bytes of them.
const ENOUGH: usize = 32 * 1024;

/// A listing in a reply (STAT with a path) has at most so many lines; what is more is left out, and that is said.
const MAX_LINES: usize = 2000;

/// A listing that was opened, and how it is written.
pub(crate) struct OpenListing {
    listing: Box<dyn Listing>,
    lines: Lines,
}

impl OpenListing {
    /// `now` is what the dates of LIST are relative to; in the zone that the request says.
    pub(crate) fn new(request: ListRequest, listing: Box<dyn Listing>, now: Timestamp) -> OpenListing {
        let lines = Lines::new(request, listing.is_directory(), now);
        OpenListing { listing, lines }
    }

    /// Sends all of it and ends the connection in order.
    pub(crate) async fn send(mut self, mut data: DataConnection, encoding: Encoding) -> Result<(), TransferError> {
        data.sends();
        let mut encoder = Encoder::new(encoding.of_text());
        let mut out = Vec::new();
        loop {
            let piece = self.listing.next().await;
            if let Ok(Some(piece)) = &piece {
                self.lines.write(piece, &mut out);
                if out.len() < ENOUGH {
                    continue;
                }
            }
            encoder.encode(&out)?;
            data.send(encoder.ready()).await?;
            out.clear();
            match piece {
                Ok(Some(_)) => {}
                Ok(None) => {
                    encoder.finish()?;
                    data.send(encoder.ready()).await?;
                    return data.finish().await;
                }
                // What was found before it has been sent: it is better than nothing.
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Its lines, without ends.
    pub(crate) async fn lines(mut self) -> Result<Vec<Text>, StorageError> {
        let mut all: Vec<Text> = Vec::new();
        let mut out = Vec::new();
        while let Some(piece) = self.listing.next().await? {
            out.clear();
            self.lines.write(&piece, &mut out);
            for line in out.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                if all.len() >= MAX_LINES {
                    all.push(Cow::Borrowed(b"... there is more: use LIST"));
                    return Ok(all);
                }
                all.push(Cow::Owned(line.strip_suffix(b"\r").unwrap_or(line).to_vec()));
            }
        }
        Ok(all)
    }
}

/// Writes pieces as the request wants them.
struct Lines {
    request: ListRequest,
    now: Zoned,
    /// The directory of the entries that follow, as the client would write it; empty where it is the one it is in.
    directory: Vec<u8>,
}

impl Lines {
    fn new(request: ListRequest, is_directory: bool, now: Timestamp) -> Lines {
        let written = request.written.as_slice();
        // `NLST dir` lists names in dir; `NLST dir/*.txt` and `NLST dir/file` too, as it were.
        let directory = match written.iter().rposition(|&b| b == b'/') {
            _ if is_directory => written,
            Some(0) => b"/",
            Some(slash) => written.get(..slash).unwrap_or_default(),
            None => b"",
        };
        Lines { directory: directory.to_vec(), now: now.to_zoned(request.zone.clone()), request }
    }

    fn write(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        let options = self.request.options;
        match (piece, self.request.format) {
            (Piece::Directory(below), format) => {
                let path = self.path_of(below);
                // Names alone carry their directory with them.
                if format == ListFormat::Long && !below.is_empty() {
                    write_heading(out, if path.is_empty() { b"." } else { &path });
                }
                self.directory = path;
            }
            (Piece::Entries(entries), ListFormat::Long) => {
                entries.iter().for_each(|entry| write_long(out, entry, &self.now, options));
            }
            (Piece::Entries(entries), ListFormat::Names) => {
                entries.iter().for_each(|entry| write_name(out, &self.directory, entry, options));
            }
            (Piece::Entries(entries), ListFormat::Facts(facts)) => {
                entries.iter().for_each(|entry| write_facts_line(out, entry, facts));
            }
        }
    }

    /// A directory below the one that was asked for, as the client would write it.
    fn path_of(&self, below: &[u8]) -> Vec<u8> {
        let top = self.request.written.as_slice();
        match (top, below) {
            (top, []) => top.to_vec(),
            ([], below) => [b"./", below].concat(),
            ([.., b'/'], below) => [top, below].concat(),
            (top, below) => [top, b"/", below].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use port21_proto::FtpPath;
    use port21_proto::listing::{Entry, EntryKind, ListOptions};

    use super::*;
    use crate::storage::Answer;

    struct Pieces(std::vec::IntoIter<Piece>, bool);

    impl Listing for Pieces {
        fn is_directory(&self) -> bool {
            self.1
        }

        fn next(&mut self) -> Answer<'_, Option<Piece>> {
            let next = self.0.next();
            Box::pin(async { Ok(next) })
        }
    }

    fn entries(names: &[&str]) -> Piece {
        Piece::Entries(names.iter().map(|name| Entry::new(EntryKind::File, *name)).collect())
    }

    async fn names(written: &str, pattern: Option<&str>, is_directory: bool, pieces: Vec<Piece>) -> Vec<String> {
        let request = ListRequest {
            path: FtpPath::root(),
            pattern: pattern.map(Into::into),
            written: written.into(),
            format: ListFormat::Names,
            options: ListOptions::default(),
            zone: TimeZone::UTC,
        };
        let listing = Box::new(Pieces(pieces.into_iter(), is_directory));
        let lines = OpenListing::new(request, listing, Timestamp::UNIX_EPOCH).lines().await.unwrap();
        lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn names_are_paths_as_the_client_writes_them() {
        let one = || vec![entries(&["a"])];
        for (written, pattern, is_directory, want) in [
            ("", None, true, "a"),
            ("dir", None, true, "dir/a"),
            ("/", None, true, "/a"),
            ("*", Some("*"), false, "a"),
            ("dir/*", Some("*"), false, "dir/a"),
            ("/*", Some("*"), false, "/a"),
            ("a [1]", Some("a [1]"), true, "a [1]/a"),
            ("a", None, false, "a"),
            ("dir/a", None, false, "dir/a"),
        ] {
            assert_eq!(names(written, pattern, is_directory, one()).await, [want], "{written}");
        }
    }

    #[tokio::test]
    async fn names_of_all_below_carry_their_directory() {
        let pieces =
            || vec![Piece::Directory(Vec::new()), entries(&["a"]), Piece::Directory(b"sub".to_vec()), entries(&["b"])];
        assert_eq!(names("", None, true, pieces()).await, ["a", "./sub/b"]);
        assert_eq!(names("dir", None, true, pieces()).await, ["dir/a", "dir/sub/b"]);
    }

    #[tokio::test]
    async fn a_listing_in_a_reply_has_an_end() {
        let many: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
        let piece = entries(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let lines = names("", None, true, vec![piece]).await;
        assert_eq!((lines.len(), lines[1999].as_str()), (2001, "1999"));
    }
}
