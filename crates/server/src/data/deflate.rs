//! MODE Z: the bytes of a data connection as one zlib stream (RFC 1950), piece by piece.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use port21_proto::server::TransferError;

/// How much is decompressed at a time. A hostile stream grows to a thousand times its size: what it becomes is written, and
/// counted against quota and disk, in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Compresses what is sent.
pub(crate) struct Deflater(Compress);

impl Deflater {
    /// `level` is 1 (fast) to 9 (small).
    pub(crate) fn new(level: u8) -> Deflater {
        Deflater(Compress::new(Compression::new(u32::from(level.clamp(1, 9))), true))
    }

    /// Appends what `bytes` become to `out`; some of it may be held back.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TransferError> {
        while !bytes.is_empty() {
            let taken = self.step(bytes, out, FlushCompress::None)?.0;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Appends all that was held back, and the end of the stream.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TransferError> {
        while self.step(&[], out, FlushCompress::Finish)?.1 != Status::StreamEnd {}
        Ok(())
    }

    fn step(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        flush: FlushCompress,
    ) -> Result<(usize, Status), TransferError> {
        out.reserve(PIECE);
        let before = self.0.total_in();
        let status = self.0.compress_vec(bytes, out, flush).map_err(|_| garbled("it cannot be compressed"))?;
        Ok((usize::try_from(self.0.total_in() - before).unwrap_or(bytes.len()), status))
    }
}

/// Decompresses what is received.
pub(crate) struct Inflater {
    stream: Decompress,
    piece: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater { stream: Decompress::new(true), piece: Vec::new(), begun: false, ended: false }
    }

    /// Takes some of `bytes` and gives what they have become: how many were taken, and a piece that may be empty. To be
    /// called until all were taken and the piece is empty.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Result<(usize, &[u8]), TransferError> {
        self.piece.clear();
        self.piece.reserve(PIECE);
        if self.ended {
            return if bytes.is_empty() { Ok((0, &self.piece)) } else { Err(garbled("there is more behind its end")) };
        }
        self.begun |= !bytes.is_empty();
        let before = self.stream.total_in();
        let status = self.stream.decompress_vec(bytes, &mut self.piece, FlushDecompress::None);
        let taken = usize::try_from(self.stream.total_in() - before).unwrap_or(bytes.len());
        match status {
            Ok(Status::StreamEnd) => self.ended = true,
            Ok(Status::Ok) => {}
            // It waits for more bytes; with bytes to take it must have gone on.
            Ok(Status::BufError) if taken == bytes.len() => {}
            Ok(Status::BufError) | Err(_) => return Err(garbled("it is no zlib stream")),
        }
        Ok((taken, &self.piece))
    }

    /// Whether the stream has come to its own end. Nothing at all is an empty file: clients do not agree on whether that
    /// has a stream.
    pub(crate) fn check_end(&self) -> Result<(), TransferError> {
        if self.ended || !self.begun { Ok(()) } else { Err(garbled("it ends in the middle")) }
    }
}

fn garbled(why: &'static str) -> TransferError {
    TransferError::Garbled(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deflate(bytes: &[u8], level: u8, cut: usize) -> Vec<u8> {
        let (mut deflater, mut out) = (Deflater::new(level), Vec::new());
        bytes.chunks(cut).for_each(|part| deflater.push(part, &mut out).unwrap());
        deflater.finish(&mut out).unwrap();
        out
    }

    fn inflate(wire: &[u8], cut: usize) -> Result<Vec<u8>, TransferError> {
        let (mut inflater, mut out) = (Inflater::new(), Vec::new());
        for mut part in wire.chunks(cut) {
            loop {
                let (taken, piece) = inflater.step(part)?;
                assert!(piece.len() <= 2 * PIECE);
                out.extend_from_slice(piece);
                let empty = piece.is_empty();
                part = &part[taken..];
                if part.is_empty() && empty {
                    break;
                }
            }
        }
        inflater.check_end()?;
        Ok(out)
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let wire = deflate(&[7; 100_000], 6, 1000);
        assert!(inflate(&wire[..wire.len() - 1], 10).is_err(), "cut short");
        assert!(inflate(&[wire.as_slice(), b"x"].concat(), 10).is_err(), "more behind its end");
        assert!(inflate(b"plain text", 10).is_err());
        // A preset dictionary, which nobody has agreed on.
        assert!(inflate(b"\x78\xbb\0\0\0\0aaaa", 10).is_err());
        assert!(inflate(b"", 10).unwrap().is_empty());
    }

    #[test]
    fn a_bomb_comes_in_pieces() {
        let bomb = deflate(&vec![0; 50_000_000], 9, 1 << 20);
        assert!(bomb.len() < 60_000);
        assert_eq!(inflate(&bomb, 1 << 20).unwrap().len(), 50_000_000);
    }

    proptest! {
        #[test]
        fn what_is_sent_comes_back(bytes: Vec<u8>, level in 1u8..=9, cut in 1usize..50, other in 1usize..50) {
            prop_assert_eq!(inflate(&deflate(&bytes, level, cut), other).unwrap(), bytes);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = inflate(&bytes, 7);
        }
    }
}
