//! One direction of a TCP connection, put in order (RFC 9293): loss, repetition, disorder and overlap, in bounded memory.
//!
//! **Overlaps: what came first wins.** Bytes that were delivered stay; of two segments that wait, the earlier one keeps what
//! both have. That is what receivers do with bytes that they have acknowledged, and the sender that is honest sends the same
//! bytes again anyway.

use std::collections::BTreeMap;
use std::time::Duration;

use port21_proto::Time;

/// The most bytes of one direction that wait for what is missing before them, with what it takes to keep them.
const MAX_WAITING: usize = 1024 * 1024;

/// And the most pieces of it.
const MAX_PIECES: usize = 2048;

/// The most bytes that wait in all streams together.
pub(crate) const MAX_WAITING_IN_ALL: usize = 64 * 1024 * 1024;

/// What lies further ahead than this (the largest window of RFC 7323) belongs to another connection.
const MAX_WINDOW: i64 = 1 << 30;

/// Bytes that their receiver has acknowledged were sent. Captures may have the acknowledgement first; if they do not follow
/// within this time, the capture has lost them.
const GRACE: Duration = Duration::from_millis(200);

/// What a stream delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Bytes(&'a [u8]),
    /// So many bytes that passed, but are not in the capture (the packet was cut), or were not kept.
    Unseen(u64),
    /// So many bytes that no packet of the capture has.
    Lost(u64),
}

/// Puts one direction in order.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The sequence number of the next byte; none before anything was seen.
    next: Option<u32>,
    /// How many bytes were delivered or given up.
    position: u64,
    /// Where the FIN stands.
    end: Option<u64>,
    waiting: BTreeMap<u64, Part>,
    waiting_bytes: usize,
    acknowledged: Option<(u64, Time)>,
    last: Time,
    /// Segments that brought nothing new.
    pub(crate) again: u64,
    /// Bytes that were given up.
    pub(crate) lost: u64,
}

#[derive(Debug)]
struct Part {
    at: Time,
    length: u64,
    bytes: Option<Vec<u8>>,
}

impl Part {
    /// What it takes of memory: its bytes, itself, and its place in the order.
    fn size(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len) + 2 * size_of::<(u64, Part)>()
    }
}

/// The bytes of a segment, and how many there were on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) at: Time,
    pub(crate) seq: u32,
    pub(crate) bytes: &'a [u8],
    pub(crate) length: u32,
}

/// Takes what a stream delivers: each piece with the time at which it could be read.
pub(crate) type Deliver<'a> = &'a mut dyn FnMut(Time, Piece<'_>);

impl Stream {
    /// The SYN: the first byte has the number behind it.
    pub(crate) fn begin(&mut self, seq: u32) {
        if self.next.is_none() {
            self.next = Some(seq.wrapping_add(1));
        }
    }

    /// Whether anything was seen of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// The FIN, behind `content`.
    pub(crate) fn end(&mut self, content: &Content<'_>) {
        let start = self.place(content.seq);
        self.end = start.and_then(|start| u64::try_from(start + i64::from(content.length)).ok());
    }

    /// Takes a segment's bytes; those that are not kept are counted. `in_all` is what waits in all streams. Returns whether it
    /// brought anything new.
    pub(crate) fn push(&mut self, content: Content<'_>, keep: bool, in_all: &mut usize, deliver: Deliver<'_>) -> bool {
        if content.length == 0 {
            return false;
        }
        self.next.get_or_insert(content.seq);
        let Some(start) = self.place(content.seq) else { return false };
        let end = u64::try_from(start + i64::from(content.length)).unwrap_or(0);
        if end <= self.position {
            self.again += 1;
            return false;
        }
        // What of it was delivered before.
        let old = usize::try_from(i64::try_from(self.position).unwrap_or(i64::MAX) - start).unwrap_or(0);
        let bytes = if keep { content.bytes.get(old..).unwrap_or_default() } else { b"" };
        let start = u64::try_from(start).unwrap_or(0).max(self.position);
        if start == self.position && self.waiting.is_empty() {
            self.give(content.at, bytes, end - start, deliver);
            return true;
        }
        let new = self.hold(content.at, start, end, bytes, in_all);
        self.again += u64::from(!new);
        self.drain(content.at, in_all, deliver);
        while self.waiting_bytes > MAX_WAITING || self.waiting.len() > MAX_PIECES || *in_all > MAX_WAITING_IN_ALL {
            let Some((&first, _)) = self.waiting.first_key_value() else { break };
            self.give_up(first, content.at, in_all, deliver);
        }
        new
    }

    /// The other end says that it has all bytes before `ack`.
    pub(crate) fn acknowledge(&mut self, ack: u32, at: Time) {
        if self.next.is_none() {
            self.next = Some(ack);
            return;
        }
        let Some(place) = self.place(ack).and_then(|place| u64::try_from(place).ok()) else { return };
        let place = self.end.map_or(place, |end| place.min(end));
        // A FIN that the capture has lost looks like one byte.
        let is_fin = place == self.position + 1 && self.waiting.is_empty();
        if place > self.position && !is_fin {
            let since = self.acknowledged.map_or(at, |(_, since)| since);
            self.acknowledged = Some((place, since));
        }
    }

    /// Gives up what was acknowledged a while ago and has not been seen.
    pub(crate) fn settle(&mut self, now: Time, in_all: &mut usize, deliver: Deliver<'_>) {
        let Some((until, since)) = self.acknowledged else { return };
        if self.position >= until {
            self.acknowledged = None;
        } else if now.since(since) > GRACE {
            self.acknowledged = None;
            self.give_up(until, since, in_all, deliver);
        }
    }

    /// There is nothing more to come.
    pub(crate) fn finish(&mut self, in_all: &mut usize, deliver: Deliver<'_>) {
        let acknowledged = self.acknowledged.take();
        while let Some((&first, _)) = self.waiting.first_key_value() {
            let at = self.last;
            self.give_up(first, at, in_all, deliver);
        }
        if let Some((until, since)) = acknowledged
            && until > self.position
        {
            self.give_up(until, since, in_all, deliver);
        }
    }

    /// The position of a sequence number: before the delivered ones it may be negative. Nothing where it is too far away.
    fn place(&self, seq: u32) -> Option<i64> {
        let distance = i64::from(seq.wrapping_sub(self.next?).cast_signed());
        let place = i64::try_from(self.position).ok()?.checked_add(distance)?;
        (distance.abs() <= MAX_WINDOW).then_some(place)
    }

    /// Keeps what of `start..end` is not there yet: whether that is anything.
    fn hold(&mut self, at: Time, start: u64, end: u64, bytes: &[u8], in_all: &mut usize) -> bool {
        let mut new = false;
        let mut cursor = start;
        while cursor < end {
            if let Some((&s, part)) = self.waiting.range(..=cursor).next_back()
                && s + part.length > cursor
            {
                cursor = s + part.length;
                continue;
            }
            let until = self.waiting.range(cursor..end).next().map_or(end, |(&s, _)| s);
            let offset = |place: u64| usize::try_from(place - start).unwrap_or(usize::MAX).min(bytes.len());
            let seen = bytes.get(offset(cursor)..offset(until)).unwrap_or_default();
            let split = cursor + seen.len() as u64;
            if !seen.is_empty() {
                self.wait(cursor, Part { at, length: split - cursor, bytes: Some(seen.to_vec()) }, in_all);
            }
            if split < until {
                self.hold_unseen(at, split, until, in_all);
            }
            new = true;
            cursor = until;
        }
        new
    }

    fn hold_unseen(&mut self, at: Time, start: u64, end: u64, in_all: &mut usize) {
        if let Some((&s, part)) = self.waiting.range_mut(..start).next_back()
            && part.bytes.is_none()
            && s + part.length == start
        {
            part.length = end - s;
            return;
        }
        self.wait(start, Part { at, length: end - start, bytes: None }, in_all);
    }

    fn wait(&mut self, start: u64, part: Part, in_all: &mut usize) {
        self.waiting_bytes += part.size();
        *in_all += part.size();
        self.waiting.insert(start, part);
    }

    /// Delivers what waits no more.
    fn drain(&mut self, now: Time, in_all: &mut usize, deliver: Deliver<'_>) {
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= self.position
        {
            let part = entry.remove();
            self.waiting_bytes = self.waiting_bytes.saturating_sub(part.size());
            *in_all = in_all.saturating_sub(part.size());
            let bytes = part.bytes.unwrap_or_default();
            self.give(now.max(part.at), &bytes, part.length, deliver);
        }
    }

    /// Gives up what is missing before `until`.
    fn give_up(&mut self, until: u64, at: Time, in_all: &mut usize, deliver: Deliver<'_>) {
        while self.position < until {
            let next = self.waiting.first_key_value().map_or(until, |(&first, _)| first.min(until));
            let missing = next.saturating_sub(self.position);
            if missing > 0 {
                self.lost = self.lost.saturating_add(missing);
                self.advance(missing);
                self.last = self.last.max(at);
                deliver(self.last, Piece::Lost(missing));
            }
            // Each of them was seen when it came: what was before it will not come.
            let last = self.last;
            self.drain(last, in_all, deliver);
        }
        let last = self.last;
        self.drain(last, in_all, deliver);
    }

    fn give(&mut self, at: Time, bytes: &[u8], length: u64, deliver: Deliver<'_>) {
        self.last = self.last.max(at);
        self.advance(length);
        if !bytes.is_empty() {
            deliver(self.last, Piece::Bytes(bytes));
        }
        let unseen = length.saturating_sub(bytes.len() as u64);
        if unseen > 0 {
            deliver(self.last, Piece::Unseen(unseen));
        }
    }

    fn advance(&mut self, by: u64) {
        self.position = self.position.saturating_add(by);
        // Sequence numbers wrap around (RFC 9293 section 3.4): the low 32 bits are what counts.
        let low = u32::try_from(by & 0xffff_ffff).unwrap_or(0);
        self.next = self.next.map(|next| next.wrapping_add(low));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream that begins behind `isn` makes of segments, each at a millisecond of its own; lost bytes are `?`.
    fn read(isn: u32, segments: &[(i64, &[u8])]) -> (String, Stream) {
        let mut stream = Stream::default();
        stream.begin(isn);
        let (mut out, mut in_all) = (String::new(), 0);
        let mut deliver = |_: Time, piece: Piece<'_>| match piece {
            Piece::Bytes(bytes) => out.push_str(std::str::from_utf8(bytes).unwrap()),
            Piece::Unseen(n) => out.push_str(&"-".repeat(n as usize)),
            Piece::Lost(n) => out.push_str(&"?".repeat(n as usize)),
        };
        for (n, (offset, bytes)) in segments.iter().enumerate() {
            let seq = isn.wrapping_add(1).wrapping_add(*offset as u32);
            let at = Time::from_unix_nanos(n as u64 * 1_000_000);
            let content = Content { at, seq, bytes, length: bytes.len() as u32 };
            stream.push(content, true, &mut in_all, &mut deliver);
        }
        stream.finish(&mut in_all, &mut deliver);
        assert_eq!((in_all, stream.waiting_bytes, stream.waiting.len()), (0, 0, 0));
        (out, stream)
    }

    #[test]
    fn order_repetition_and_loss() {
        assert_eq!(read(7, &[(0, b"ab"), (4, b"ef"), (2, b"cd"), (0, b"ab"), (6, b"g")]).0, "abcdefg");
        let (text, stream) = read(7, &[(0, b"ab"), (4, b"ef"), (4, b"ef"), (9, b"j")]);
        assert_eq!((text.as_str(), stream.lost, stream.again), ("ab??ef???j", 5, 1));
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        for isn in [u32::MAX - 3, u32::MAX - 1, u32::MAX, 0x7fff_fffd] {
            assert_eq!(read(isn, &[(4, b"ef"), (0, b"abcd"), (6, b"gh"), (2, b"cdef")]).0, "abcdefgh", "{isn}");
        }
    }

    #[test]
    fn of_overlaps_what_came_first_wins() {
        assert_eq!(read(0, &[(0, b"abc"), (1, b"XYdef")]).0, "abcdef", "delivered");
        assert_eq!(read(0, &[(2, b"cd"), (0, b"abXYef")]).0, "abcdef", "waiting");
        assert_eq!(read(0, &[(2, b"c"), (4, b"e"), (1, b"bXdXf"), (0, b"a")]).0, "abcdef", "in between");
    }

    #[test]
    fn a_start_that_is_missing_is_where_the_capture_begins() {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        let content = Content { at: Time::ZERO, seq: 5000, bytes: b"226 ", length: 4 };
        stream.push(content, true, &mut 0, &mut |_, piece| {
            if let Piece::Bytes(b) = piece {
                out.extend_from_slice(b)
            }
        });
        let before = Content { seq: 4000, ..content };
        stream.push(before, true, &mut 0, &mut |_, _| panic!("what lies before it is old"));
        let elsewhere = Content { seq: 5000u32.wrapping_sub(1 << 31), ..content };
        stream.push(elsewhere, true, &mut 0, &mut |_, _| panic!("too far away"));
        assert_eq!(out, b"226 ");
    }

    #[test]
    fn what_was_acknowledged_and_does_not_come_is_lost_after_a_while() {
        let mut stream = Stream::default();
        stream.begin(0);
        let mut lost = 0;
        let ms = |n: u64| Time::from_unix_nanos(n * 1_000_000);
        stream.acknowledge(101, ms(1));
        stream.settle(ms(100), &mut 0, &mut |_, _| panic!("too early"));
        stream.settle(ms(300), &mut 0, &mut |_, piece| {
            if let Piece::Lost(n) = piece {
                lost += n
            }
        });
        assert_eq!(lost, 100);
        // The FIN has a number, too.
        stream.acknowledge(102, ms(301));
        stream.settle(ms(900), &mut 0, &mut |_, _| panic!("that was no byte"));
    }

    #[test]
    fn cut_packets_keep_their_length() {
        let mut stream = Stream::default();
        let mut got = Vec::new();
        let content = |seq, bytes, length| Content { at: Time::ZERO, seq, bytes, length };
        let mut deliver = |_: Time, piece: Piece<'_>| got.push(format!("{piece:?}"));
        stream.push(content(0, b"ab", 10), true, &mut 0, &mut deliver);
        stream.push(content(20, b"x", 10), true, &mut 0, &mut deliver);
        stream.push(content(10, b"", 10), false, &mut 0, &mut deliver);
        assert_eq!(got, ["Bytes([97, 98])", "Unseen(8)", "Unseen(10)", "Bytes([120])", "Unseen(9)"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut stream = Stream::default();
        stream.begin(0);
        let mut in_all = 0;
        for n in 0..20_000u32 {
            let content = Content { at: Time::ZERO, seq: 10 + n * 2000, bytes: &[0; 1000], length: 1000 };
            stream.push(content, true, &mut in_all, &mut |_, _| {});
            assert!(stream.waiting_bytes <= MAX_WAITING && stream.waiting.len() <= MAX_PIECES);
            assert_eq!(in_all, stream.waiting_bytes);
        }
        let mut stream = Stream { next: Some(0), ..Stream::default() };
        for n in 0..20_000u32 {
            let content = Content { at: Time::ZERO, seq: 10 + n * 2, bytes: b"x", length: 1 };
            stream.push(content, false, &mut in_all, &mut |_, _| {});
            assert!(stream.waiting.len() <= MAX_PIECES);
        }
        // What waits in others counts: pieces without bytes of their own, too.
        let mut full = MAX_WAITING_IN_ALL;
        let mut stream = Stream { next: Some(0), ..Stream::default() };
        stream.push(Content { at: Time::ZERO, seq: 10, bytes: b"", length: 1 }, false, &mut full, &mut |_, _| {});
        assert_eq!((stream.waiting.len(), stream.waiting_bytes, full), (0, 0, MAX_WAITING_IN_ALL));
    }

    proptest! {
        #[test]
        fn any_segmentation_in_any_order_gives_the_same_bytes(
            text in "[a-z]{1,60}",
            cuts in proptest::collection::vec((0usize..60, 1usize..20), 0..20),
            isn in any::<u32>(),
            seed in any::<u64>(),
        ) {
            let bytes = text.as_bytes();
            let mut segments: Vec<(i64, &[u8])> = cuts
                .iter()
                .filter(|(start, _)| *start < bytes.len())
                .map(|&(start, length)| (start as i64, &bytes[start..(start + length).min(bytes.len())]))
                .collect();
            segments.extend(bytes.chunks(7).enumerate().map(|(n, chunk)| (n as i64 * 7, chunk)));
            let mut state = seed;
            for i in (1..segments.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                segments.swap(i, (state >> 33) as usize % (i + 1));
            }
            prop_assert_eq!(read(isn, &segments).0, text);
        }

        #[test]
        fn any_numbers_at_all(
            segments in proptest::collection::vec((any::<u32>(), 0usize..40, any::<u16>(), any::<bool>(), any::<u32>()), 0..60),
        ) {
            let mut stream = Stream::default();
            let (mut in_all, mut told) = (0, 0u64);
            let mut deliver = |_: Time, piece: Piece<'_>| told += match piece {
                Piece::Bytes(b) => b.len() as u64,
                Piece::Unseen(n) | Piece::Lost(n) => n,
            };
            for (n, (seq, size, more, keep, ack)) in segments.into_iter().enumerate() {
                let at = Time::from_unix_nanos(n as u64 * 150_000_000);
                let bytes = vec![b'x'; size];
                let content = Content { at, seq, bytes: &bytes, length: size as u32 + u32::from(more) };
                if more % 7 == 0 { stream.end(&content); }
                stream.push(content, keep, &mut in_all, &mut deliver);
                stream.acknowledge(ack, at);
                stream.settle(at, &mut in_all, &mut deliver);
            }
            stream.finish(&mut in_all, &mut deliver);
            prop_assert_eq!(in_all, 0);
            prop_assert_eq!(told, stream.position);
        }
    }
}
