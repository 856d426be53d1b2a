//! What is counted of one side of a TCP connection: what it sent again, what was not acknowledged, its window, its hops.

use std::collections::VecDeque;
use std::time::Duration;

use port21_proto::Time;
use port21_proto::event::{Counts, ForeignReset};

use super::packet::Segment;

/// So many segments are remembered until they are acknowledged.
const OUTSTANDING: usize = 64;

/// Packets of one host may differ by so many hops: routes change.
const OTHER_ROUTE: u8 = 3;

/// Counts one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter {
    counts: Counts,
    /// The number behind the last byte that it sent.
    sent: Option<u32>,
    /// The last number that the other side acknowledged.
    acknowledged: Option<u32>,
    /// Segments that are not acknowledged: the number behind them, and their bytes.
    outstanding: VecDeque<(u32, u32)>,
    closed_since: Option<Time>,
    hops: Option<u8>,
}

impl Counter {
    /// A segment that it sent.
    pub(super) fn sent(&mut self, segment: &Segment<'_>) {
        self.hops(segment);
        if segment.rst {
            return;
        }
        let grown = u32::from(segment.syn) + u32::from(segment.fin);
        let end = segment.seq.wrapping_add(segment.length).wrapping_add(grown);
        if self.sent.is_none_or(|sent| is_behind(sent, end)) {
            self.sent = Some(end);
        }
        if segment.length > 0 {
            if self.outstanding.len() >= OUTSTANDING {
                self.outstanding.pop_front();
            }
            self.outstanding.push_back((end, segment.length));
        }
        match (segment.closed && !segment.syn, self.closed_since) {
            (true, None) => {
                self.counts.closed_windows += 1;
                self.closed_since = Some(segment.at);
            }
            (false, Some(since)) => self.opened(since, segment.at),
            _ => {}
        }
    }

    /// A segment that it sent before.
    pub(super) fn again(&mut self, length: u32) {
        self.counts.again += 1;
        self.counts.again_bytes = self.counts.again_bytes.saturating_add(u64::from(length));
    }

    /// What the other side has acknowledged.
    pub(super) fn acknowledged(&mut self, ack: u32) {
        if self.acknowledged.is_none_or(|before| is_behind(before, ack)) {
            self.acknowledged = Some(ack);
        }
        while let Some(&(end, length)) = self.outstanding.front()
            && !is_behind(ack, end)
        {
            self.counts.largest_acknowledged = self.counts.largest_acknowledged.max(length);
            self.outstanding.pop_front();
        }
    }

    /// What was counted until `end`; nothing where there is nothing to tell.
    pub(super) fn finish(&self, end: Time) -> Option<Counts> {
        let mut last = Counter { counts: self.counts, ..Counter::default() };
        if let Some(since) = self.closed_since {
            last.opened(since, end);
        }
        let missing = self.sent.zip(self.acknowledged).filter(|(sent, acknowledged)| is_behind(*acknowledged, *sent));
        let unacknowledged = missing.map_or(0, |(sent, acknowledged)| u64::from(sent.wrapping_sub(acknowledged)));
        let counts = Counts { unacknowledged, ..last.counts };
        let tells = counts.again > 0 || unacknowledged > 0 || counts.closed_windows > 0;
        (tells || counts.foreign_reset.is_some()).then_some(counts)
    }

    fn opened(&mut self, since: Time, at: Time) {
        self.closed_since = None;
        self.counts.closed_for = self.counts.closed_for.saturating_add(at.since(since)).min(Duration::MAX);
    }

    fn hops(&mut self, segment: &Segment<'_>) {
        match self.hops {
            Some(others) if segment.rst => {
                if others.abs_diff(segment.ttl) > OTHER_ROUTE {
                    self.counts.foreign_reset.get_or_insert(ForeignReset { reset: segment.ttl, others });
                }
            }
            _ if segment.rst => {}
            _ => self.hops = Some(segment.ttl),
        }
    }
}

/// Whether `number` comes before `other` (RFC 9293 section 3.4).
fn is_behind(number: u32, other: u32) -> bool {
    other.wrapping_sub(number).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(seconds: u64, seq: u32, length: u32) -> Segment<'static> {
        let (from, to) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let at = Time::from_unix_nanos(seconds * 1_000_000_000);
        let (syn, fin, rst, closed) = (false, false, false, false);
        Segment { at, from, to, seq, ack: None, syn, fin, rst, closed, ttl: 64, data: b"", length, file: 0 }
    }

    #[test]
    fn a_window_that_is_closed_and_opened() {
        let mut counter = Counter::default();
        for (at, closed) in [(0, false), (1, true), (2, true), (4, false), (5, true)] {
            counter.sent(&Segment { closed, ..segment(at, 7, 0) });
        }
        let counts = counter.finish(Time::from_unix_nanos(6_000_000_000)).unwrap();
        assert_eq!((counts.closed_windows, counts.closed_for), (2, Duration::from_secs(4)));
    }

    #[test]
    fn what_was_acknowledged_and_what_was_not() {
        // Numbers wrap around.
        let first = u32::MAX - 99;
        let mut counter = Counter::default();
        counter.sent(&segment(0, first, 100));
        counter.sent(&segment(0, 0, 1460));
        counter.acknowledged(0);
        counter.again(1460);
        let counts = counter.finish(Time::ZERO).unwrap();
        assert_eq!((counts.largest_acknowledged, counts.unacknowledged), (100, 1460));
        assert_eq!((counts.again, counts.again_bytes), (1, 1460));
        counter.acknowledged(1460);
        let counts = counter.finish(Time::ZERO).unwrap();
        assert_eq!((counts.largest_acknowledged, counts.unacknowledged), (1460, 0));
        assert_eq!(Counter::default().finish(Time::ZERO), None);
    }

    #[test]
    fn a_reset_of_somebody_between() {
        let reset = |ttl| {
            let mut counter = Counter::default();
            counter.sent(&segment(0, 7, 10));
            counter.acknowledged(17);
            counter.sent(&Segment { rst: true, ttl, ..segment(1, 17, 0) });
            counter.finish(Time::ZERO).and_then(|counts| counts.foreign_reset)
        };
        assert_eq!(reset(255), Some(ForeignReset { reset: 255, others: 64 }));
        assert_eq!(reset(63), None);
    }
}
