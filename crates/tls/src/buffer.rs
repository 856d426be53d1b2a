//! Bytes on their way.

/// Bytes that are put in at its end and taken out at its beginning. It never shrinks by itself.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// So many bytes to be written to, behind those that are there.
    pub(crate) fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() < self.end + bytes {
            self.bytes.resize(self.end + bytes, 0);
        }
        self.bytes.get_mut(self.end..self.end + bytes).unwrap_or_default()
    }

    /// So many of them were written.
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.bytes.len());
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// So many bytes are done with, of the first ones.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives back its memory, where nothing is in it.
    pub(crate) fn rest(&mut self) {
        if self.start == self.end {
            *self = Buffer::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_in_which_they_went_in() {
        let mut buffer = Buffer::default();
        buffer.put(b"220 ");
        buffer.room(64)[..5].copy_from_slice(b"Hello");
        buffer.filled(5);
        buffer.take(2);
        assert_eq!(buffer.bytes(), b"0 Hello");
        buffer.put(b"\r\n");
        assert_eq!(buffer.bytes_mut(), b"0 Hello\r\n");
        buffer.take(usize::MAX);
        assert_eq!(buffer.bytes(), b"");
    }

    #[test]
    fn it_gives_back_its_memory_only_where_it_is_empty() {
        let mut buffer = Buffer::default();
        buffer.put(b"220");
        buffer.rest();
        assert_eq!(buffer.bytes(), b"220");
        buffer.take(3);
        buffer.rest();
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
