//! From a socket to a file within the kernel: the pages that a segment came in are moved into a pipe, and copied once, to
//! the file's own. By way of a buffer each byte is copied twice.

use std::fs::File;
use std::io::{self, ErrorKind};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::net::TcpStream;

/// How much it holds, at most: as much as a process without privileges may ask for. A quarter of that costs half as much
/// again a byte.
pub(super) const ROOM: usize = 1024 * 1024;

/// A pipe that is empty between two calls.
pub(super) struct Pipe {
    reads: OwnedFd,
    writes: OwnedFd,
}

impl Pipe {
    /// None where there is none to be had: the descriptors, or what one user may have in pipes, are used up.
    pub(super) fn new() -> Option<Pipe> {
        let (reads, writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        fcntl_setpipe_size(&writes, ROOM).ok()?;
        Some(Pipe { reads, writes })
    }

    /// Takes what has come, at most `most` bytes: how many; 0 at the end. What was taken is to be moved on before the next
    /// call.
    ///
    /// # Errors
    /// As of a read; [`ErrorKind::WouldBlock`] where nothing is there.
    pub(super) fn take_from(&self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        Ok(splice(stream, None, &self.writes, None, most.min(ROOM), SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
    }

    /// Writes so many bytes, which it holds, to the file. How many it holds still: none, or where the file does not take
    /// pages (it is in append mode, say) some, for [`Pipe::read`].
    ///
    /// # Errors
    /// As of a write.
    pub(super) fn give_to(&self, file: &File, bytes: usize) -> io::Result<usize> {
        let mut left = bytes;
        while left > 0 {
            match splice(&self.reads, None, file, None, left, SpliceFlags::MOVE) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(given) => left = left.saturating_sub(given),
                Err(Errno::INTR) => {}
                Err(Errno::INVAL) => return Ok(left),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(0)
    }

    /// Reads into all of `buffer`, which it holds at least as much for.
    ///
    /// # Errors
    /// As of a read.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut rest = buffer;
        while !rest.is_empty() {
            match rustix::io::read(&self.reads, &mut *rest) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => rest = rest.get_mut(read..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}
