//! Transfer parameters: what the two ends agree upon before bytes move (RFC 959 section 4.1.2, and what came after it).

use std::fmt;

/// The representation type of a transfer (TYPE, RFC 959 section 3.1.1). Of the format controls that TYPE A may have (N,
/// T, C) there is N alone, so it is no part of this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Representation {
    /// TYPE A: line ends are converted.
    #[default]
    Ascii,
    /// TYPE I: the bytes as they are.
    Image,
}

/// The transfer mode (RFC 959 section 3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// MODE S: the bytes one after the other; the connection's end is theirs.
    #[default]
    Stream,
    /// MODE Z: one zlib stream (RFC 1950; draft-preston-ftpext-deflate-04). Its own end tells that it is whole.
    Deflate,
}

/// How a data connection is protected (RFC 2228 section 3, PROT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protection {
    /// `C`: not at all.
    #[default]
    Clear,
    /// `P`: TLS.
    Private,
}

/// Which way the bytes of a transfer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the server to the client.
    Down,
    /// From the client to the server.
    Up,
}

/// What a digest is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-256: the one that HASH begins with.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1, which no longer proves that nobody has tampered.
    Sha1,
    /// MD5, which proves that still less.
    Md5,
    /// CRC-32, as zip and Ethernet have it: it finds accidents alone.
    Crc32,
}

impl Algorithm {
    /// All, in the order in which FEAT lists them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha1, Algorithm::Md5, Algorithm::Crc32];

    /// The name, as IANA's registry of hash function names has it where it is in there.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512 => "SHA-512",
            Algorithm::Sha1 => "SHA-1",
            Algorithm::Md5 => "MD5",
            Algorithm::Crc32 => "CRC32",
        }
    }

    /// The algorithm of this name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
