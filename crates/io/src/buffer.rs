//! Memory that the kernel fills and empties at its full speed.

use std::ops::{Deref, DerefMut};

/// What most kernels have for a page.
const PAGE: usize = 4096;

/// So many bytes, from the beginning of a page on.
///
/// What is copied to a place that lies a few bytes further on in its page than its source does in its own takes some processors
/// more than twice as long: for them the two seem to overlap. Files and full segments begin with a page; large vectors begin 16
/// bytes behind the beginning of one, with the allocator of glibc.
pub struct Buffer {
    /// It never grows, and so stays where it is.
    room: Box<[u8]>,
    at: usize,
    len: usize,
}

impl Buffer {
    /// So many zeros.
    pub fn new(len: usize) -> Buffer {
        let room = vec![0; len + PAGE].into_boxed_slice();
        let at = room.as_ptr().align_offset(PAGE).min(PAGE);
        Buffer { room, at, len }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.room.get(self.at..self.at + self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.room.get_mut(self.at..self.at + self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_with_a_page() {
        for len in [1, 4096, 131_072, 300_001] {
            let mut buffer = Buffer::new(len);
            assert_eq!((buffer.len(), buffer.as_ptr().align_offset(PAGE)), (len, 0));
            buffer.fill(1);
            let moved = buffer;
            assert!(moved.iter().all(|byte| *byte == 1) && moved.as_ptr().align_offset(PAGE) == 0);
        }
    }
}
