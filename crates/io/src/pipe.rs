//! From a socket to a file within the kernel: the pages that a segment came in are moved into a pipe, and copied once, to
//! the file's own. By way of a buffer each byte is copied twice.

use std::fs::File;
use std::io::{self, ErrorKind};

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much it holds, at most: as much as a process without privileges may ask for. A quarter of that costs half as much
/// again a byte.
pub const ROOM: usize = 1024 * 1024;

/// A pipe that is empty between two calls.
pub struct Pipe {
    reads: OwnedFd,
    writes: OwnedFd,
}

impl Pipe {
    /// None where there is none to be had: the descriptors, or what one user may have in pipes, are used up.
    pub fn new() -> Option<Pipe> {
        let (reads, writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        fcntl_setpipe_size(&writes, ROOM).ok()?;
        Some(Pipe { reads, writes })
    }

    /// Takes what has come, at most `most` bytes: how many; 0 at the end. What was taken is to be moved on before the next
    /// call.
    ///
    /// # Errors
    /// As of a read; [`ErrorKind::WouldBlock`] where nothing is there.
    pub fn take_from(&self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        Ok(splice(socket, None, &self.writes, None, most.min(ROOM), SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
    }

    /// Writes so many bytes, which it holds, to the file. How many it holds still: none, or where the file does not take
    /// pages (it is in append mode, say) some, for [`Pipe::read`].
    ///
    /// # Errors
    /// As of a write.
    pub fn give_to(&self, file: &File, bytes: usize) -> io::Result<usize> {
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
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn sent(bytes: &[u8]) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        let bytes = bytes.to_vec();
        std::thread::spawn(move || sender.write_all(&bytes));
        receiver
    }

    /// Moves all that comes by way of a pipe; how many bytes the file did not take from it.
    fn move_all(socket: &TcpStream, mut file: &File) -> usize {
        let pipe = Pipe::new().unwrap();
        let mut refused = 0;
        loop {
            match pipe.take_from(socket, 10_000) {
                Ok(0) => return refused,
                Ok(taken) => {
                    let left = pipe.give_to(file, taken).unwrap();
                    let mut rest = vec![0; left];
                    pipe.read(&mut rest).unwrap();
                    file.write_all(&rest).unwrap();
                    refused += left;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
    }

    #[test]
    fn bytes_arrive_whole_and_in_order() {
        let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(move_all(&sent(&bytes), &File::create(&path).unwrap()), 0);
        assert!(std::fs::read(&path).unwrap() == bytes);
        // What is appended to takes no pages.
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        assert_eq!(move_all(&sent(&bytes), &file), bytes.len());
        assert!(std::fs::read(&path).unwrap() == [&bytes[..], &bytes[..]].concat());
    }
}
