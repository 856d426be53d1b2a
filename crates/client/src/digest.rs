//! Digests of files: computed here while the bytes pass, and asked of servers that can tell them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use port21_proto::Verb;
use port21_proto::client::{Features, Request};
use port21_proto::command::{Command, Digest, Opts};
use port21_proto::parameters::Algorithm;

use crate::client::{Client, reply};
use crate::error::Error;
use crate::file::local;
use port21_io::Buffer;

/// How it is made sure that a file has arrived as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// By the server's final reply alone.
    Nothing,
    /// By what costs no second reading of the file on either side: its size, and the SHA-256 that some servers tell at the
    /// end of an upload.
    #[default]
    Cheaply,
    /// By a digest (HASH, XSHA256 and their like) where the server has one, else by the size. The server reads the whole
    /// file once more for it, and so does this side where a part of it was there before.
    Digest,
}

/// By what a file was found to be the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// By its size.
    Size,
    /// By this digest of all its bytes.
    Digest(Algorithm),
}

/// A digest that is being computed.
pub(crate) enum Hasher {
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha(Context),
}

/// A way to ask a server for a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    verb: Verb,
    pub(crate) algorithm: Algorithm,
}

impl Client {
    /// The best digest that the server can tell; nothing where it can tell none, or may not be asked what it can.
    pub(crate) async fn digest_way(&mut self) -> Result<Option<Way>, Error> {
        if !self.settings.probe {
            return Ok(None);
        }
        Ok(way(self.features().await?))
    }

    /// The digest of a file of the server.
    pub(crate) async fn digest(&mut self, path: &[u8], way: Way) -> Result<Vec<u8>, Error> {
        let path = self.path(path).await?;
        let command = if way.verb == Verb::Hash {
            let choose = Command::Opts(Opts::Hash(Some(way.algorithm)));
            reply(self.run(Request::Command(choose, None)).await?)?;
            Command::Hash(path)
        } else {
            Command::Digest(Digest { verb: way.verb, path, from: 0, to: None })
        };
        let answer = reply(self.run(Request::Command(command, None)).await?)?;
        find(answer.text(), way.algorithm).ok_or_else(|| {
            let why = format!("no {} in the reply {answer}", way.algorithm);
            Error::Protocol { phase: port21_proto::client::Phase::Command, why }
        })
    }
}

/// Those that find tampering before those that find accidents alone; HASH before commands that no draft describes.
fn way(features: &Features) -> Option<Way> {
    let listed = features.parameters("HASH").unwrap_or_default();
    let hash = |algorithm: Algorithm| {
        let mut names = listed.split(|&b| b == b';').map(|name| name.trim_ascii().strip_suffix(b"*").unwrap_or(name));
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(algorithm.name().as_bytes()))
    };
    let ways = [
        (Algorithm::Sha256, &[("XSHA256", Verb::Xsha256)][..]),
        (Algorithm::Sha512, &[("XSHA512", Verb::Xsha512)][..]),
        (Algorithm::Sha1, &[("XSHA1", Verb::Xsha1), ("XSHA", Verb::Xsha)][..]),
        (Algorithm::Md5, &[("XMD5", Verb::Xmd5), ("MD5", Verb::Md5)][..]),
        (Algorithm::Crc32, &[("XCRC", Verb::Xcrc)][..]),
    ];
    ways.into_iter().find_map(|(algorithm, verbs)| {
        let verb = if hash(algorithm) {
            Verb::Hash
        } else {
            verbs.iter().find(|(name, _)| features.has(name)).map(|(_, verb)| *verb)?
        };
        Some(Way { verb, algorithm })
    })
}

/// The word of a reply that is such a digest, in hexadecimal digits. A name in the reply may look like one too: where there
/// are several the one that no other follows is the name's in no format in use, but for MD5, whose digest comes last.
fn find(text: &[u8], algorithm: Algorithm) -> Option<Vec<u8>> {
    let digits = length(algorithm) * 2;
    let is_digest = |word: &&[u8]| word.len() == digits && word.iter().all(u8::is_ascii_hexdigit);
    let words: Vec<&[u8]> = text.split(|b| b.is_ascii_whitespace()).map(|w| w.trim_ascii()).collect();
    let found = match words.last() {
        Some(last) if is_digest(last) => Some(*last),
        _ => words.iter().copied().find(is_digest),
    };
    from_hex(found?)
}

/// The SHA-256 in a final reply: `226 Transfer complete (5 bytes, SHA-256 2cf2...).`
pub(crate) fn told_sha256(text: &[u8]) -> Option<Vec<u8>> {
    let at = text.windows(8).position(|part| part.eq_ignore_ascii_case(b"SHA-256 "))?;
    let digits = text.get(at + 8..)?.split(|b| !b.is_ascii_hexdigit()).next()?;
    (digits.len() == 64).then(|| from_hex(digits))?
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    digits.chunks(2).map(|pair| u8::try_from(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?).ok()).collect()
}

/// How many bytes it has.
fn length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
        Algorithm::Sha1 => 20,
        Algorithm::Md5 => 16,
        Algorithm::Crc32 => 4,
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha(Context::new(&SHA256)),
            Algorithm::Sha512 => Hasher::Sha(Context::new(&SHA512)),
            Algorithm::Sha1 => Hasher::Sha(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            Algorithm::Md5 => Hasher::Md5(md5::Md5::default()),
            Algorithm::Crc32 => Hasher::Crc32(crc32fast::Hasher::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        use md5::Digest as _;
        match self {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Md5(hasher) => hasher.update(bytes),
            Hasher::Sha(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        use md5::Digest as _;
        match self {
            Hasher::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            Hasher::Md5(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha(hasher) => hasher.finish().as_ref().to_vec(),
        }
    }
}

/// The digest of a file here, computed on a thread of its own.
pub(crate) async fn of_file(path: &Path, file: &File, algorithm: Algorithm) -> Result<Vec<u8>, Error> {
    of_beginning(path, file, algorithm, u64::MAX).await
}

/// As [`of_file`], of its first bytes alone.
pub(crate) async fn of_beginning(path: &Path, file: &File, algorithm: Algorithm, bytes: u64) -> Result<Vec<u8>, Error> {
    let failed = local(path);
    let mut file = file.try_clone().map_err(&failed)?;
    let work = tokio::task::spawn_blocking(move || -> io::Result<Vec<u8>> {
        let mut hasher = Hasher::new(algorithm);
        file.seek(SeekFrom::Start(0))?;
        let mut file = file.take(bytes);
        let mut buffer = Buffer::new(256 * 1024);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(buffer.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    });
    work.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use port21_proto::Reply;
    use port21_proto::reply::Code;

    use super::*;

    fn best(lines: &[&str]) -> Option<Way> {
        let lines = ["Features:"].iter().chain(lines).chain(&["End"]).map(|line| line.as_bytes().to_vec().into());
        way(&Features::read(&Reply::with_lines(Code::new(211).unwrap(), lines.collect())))
    }

    #[test]
    fn the_best_way_to_a_digest() {
        let way = |verb, algorithm| Some(Way { verb, algorithm });
        assert_eq!(best(&["HASH SHA-1;SHA-256*;MD5"]), way(Verb::Hash, Algorithm::Sha256));
        assert_eq!(best(&["HASH CRC32;MD5*", "XSHA1"]), way(Verb::Xsha1, Algorithm::Sha1));
        assert_eq!(best(&["XCRC", "XMD5"]), way(Verb::Xmd5, Algorithm::Md5));
        assert_eq!(best(&["XCRC filename;start;end"]), way(Verb::Xcrc, Algorithm::Crc32));
        assert_eq!(best(&["HASH", "SIZE"]), None);
    }

    #[test]
    fn digests_in_replies() {
        let found = |text: &str| find(text.as_bytes(), Algorithm::Crc32);
        let wanted = Some(vec![0xca, 0xfe, 0xba, 0xbe]);
        for text in ["cafebabe", "CAFEBABE", "CRC32 0-49 cafebabe name", "name cafebabe", "deadbeef cafebabe"] {
            assert_eq!(found(text), wanted, "{text}");
        }
        assert_eq!(found("done"), None);
        assert_eq!(found("cafebab"), None);
    }

    #[test]
    fn a_digest_at_the_end_of_an_upload() {
        let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let told = told_sha256(format!("Transfer complete (5 bytes, SHA-256 {hex}).").as_bytes()).unwrap();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"hello");
        assert_eq!(told, hasher.finish());
        assert_eq!(told_sha256(b"Transfer complete (5 bytes, SHA-256 2cf2)."), None);
        assert_eq!(told_sha256(b"Transfer complete."), None);
    }
}
