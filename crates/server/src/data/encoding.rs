//! The bytes of files as a data connection has them: line ends (TYPE A), compression (MODE Z).

use aws_lc_rs::digest::{Context as Digest, SHA256};
use port21_proto::ascii::{FromWire, ToWire};
use port21_proto::server::{Mode, Representation, TransferError};

use crate::data::deflate::{Deflater, Inflater};

/// How bytes go over a data connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    pub(crate) representation: Representation,
    pub(crate) mode: Mode,
    /// How hard MODE Z compresses, 1 to 9.
    pub(crate) level: u8,
}

impl Encoding {
    /// Whether the bytes are on the wire as they are in the file.
    pub(crate) fn is_plain(self) -> bool {
        self.representation == Representation::Image && self.mode == Mode::Stream
    }

    /// The same, of bytes that have the line ends of the wire already.
    pub(crate) fn of_text(self) -> Encoding {
        Encoding { representation: Representation::Image, ..self }
    }
}

/// From the file to the wire.
pub(crate) struct Encoder {
    ascii: Option<(ToWire, Vec<u8>)>,
    deflate: Option<Deflater>,
    out: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(encoding: Encoding) -> Encoder {
        Encoder {
            ascii: (encoding.representation == Representation::Ascii).then(Default::default),
            deflate: (encoding.mode == Mode::Deflate).then(|| Deflater::new(encoding.level)),
            out: Vec::new(),
        }
    }

    /// What `bytes` are on the wire; some of it may be held back. It is held here until the next call, so that the work
    /// may be done on another thread than the sending.
    pub(crate) fn encode(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        self.out.clear();
        let bytes = match &mut self.ascii {
            None => bytes,
            Some((converter, text)) => {
                text.clear();
                converter.convert(bytes, text);
                text
            }
        };
        match &mut self.deflate {
            None => self.out.extend_from_slice(bytes),
            Some(deflater) => deflater.push(bytes, &mut self.out)?,
        }
        Ok(())
    }

    /// What was held back, once there is no more.
    pub(crate) fn finish(&mut self) -> Result<(), TransferError> {
        self.out.clear();
        match &mut self.deflate {
            None => Ok(()),
            Some(deflater) => deflater.finish(&mut self.out),
        }
    }

    /// What the last call has made.
    pub(crate) fn ready(&self) -> &[u8] {
        &self.out
    }
}

/// From the wire to the file.
pub(crate) struct Decoder {
    /// Of what was sent: before its line ends are converted, and behind the compression.
    digest: Option<Digest>,
    ascii: Option<(FromWire, Vec<u8>)>,
    inflate: Option<Inflater>,
}

impl Decoder {
    pub(crate) fn new(encoding: Encoding, digests: bool) -> Decoder {
        Decoder {
            digest: digests.then(|| Digest::new(&SHA256)),
            ascii: (encoding.representation == Representation::Ascii).then(Default::default),
            inflate: (encoding.mode == Mode::Deflate).then(Inflater::new),
        }
    }

    /// Whether the bytes are in the file as they are on the wire, and nothing else is to be known of them.
    pub(crate) fn is_plain(&self) -> bool {
        self.digest.is_none() && self.ascii.is_none() && self.inflate.is_none()
    }

    /// Takes some of `bytes` and gives what they are in the file, a piece at a time; nothing once all were taken.
    pub(crate) fn next<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Result<Option<&'a [u8]>, TransferError> {
        let piece = match &mut self.inflate {
            None if bytes.is_empty() => return Ok(None),
            None => std::mem::take(bytes),
            Some(inflater) => {
                let (taken, piece) = inflater.step(bytes)?;
                *bytes = bytes.get(taken..).unwrap_or_default();
                if piece.is_empty() && bytes.is_empty() {
                    return Ok(None);
                }
                piece
            }
        };
        if let Some(digest) = &mut self.digest {
            digest.update(piece);
        }
        Ok(Some(match &mut self.ascii {
            None => piece,
            Some((converter, local)) => {
                local.clear();
                converter.convert(piece, local);
                local
            }
        }))
    }

    /// What was held back, once nothing more will come.
    pub(crate) fn rest(&mut self) -> &[u8] {
        match &mut self.ascii {
            None => &[],
            Some((converter, local)) => {
                local.clear();
                converter.finish(local);
                local
            }
        }
    }

    /// The SHA-256 of all that was sent, where one was wanted.
    pub(crate) fn digest(self) -> Option<[u8; 32]> {
        self.digest.and_then(|digest| digest.finish().as_ref().try_into().ok())
    }

    /// Whether what has come is whole, as far as the mode can tell: the end of a connection alone tells less.
    pub(crate) fn check_end(&self) -> Result<(), TransferError> {
        self.inflate.as_ref().map_or(Ok(()), Inflater::check_end)
    }
}
