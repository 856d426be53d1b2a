//! IP packets that were sent in fragments (RFC 791 section 3.2, RFC 8200 section 4.5), put together in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use port21_proto::Time;

/// The most packets that are put together at a time; the oldest is given up for a further one.
const MAX_PACKETS: usize = 256;

/// The most fragments of a packet.
const MAX_FRAGMENTS: usize = 128;

/// The most bytes of a packet.
const MAX_BYTES: usize = 65_535;

/// A packet that is not whole after this time never will be (RFC 8200 section 4.5).
const MAX_AGE: Duration = Duration::from_secs(60);

/// What the fragments of a packet have in common: source, target, identification, protocol.
pub(super) type Key = (IpAddr, IpAddr, u32, u8);

pub(super) struct Fragment<'a> {
    pub(super) at: Time,
    pub(super) key: Key,
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) bytes: &'a [u8],
    /// Whether the capture has not all of its bytes.
    pub(super) cut: bool,
}

/// Packets that are not whole yet: some 16 MiB at most.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    packets: HashMap<Key, Parts>,
    /// In the order in which they began.
    order: VecDeque<Key>,
}

#[derive(Debug)]
struct Parts {
    since: Time,
    /// Each with its offset, none overlapping another.
    parts: Vec<(usize, Vec<u8>)>,
    total: Option<usize>,
    spoilt: bool,
}

impl Fragments {
    /// Takes a fragment: the payload of its packet, where that is whole now. A packet whose fragments overlap, or that the
    /// capture has cut, is given up: RFC 5722 forbids the former, and no honest sender makes them.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        let old = self.packets.get(&fragment.key).is_some_and(|p| fragment.at.since(p.since) > MAX_AGE);
        if old {
            self.remove(&fragment.key);
        }
        if !self.packets.contains_key(&fragment.key) {
            if self.packets.len() >= MAX_PACKETS
                && let Some(oldest) = self.order.pop_front()
            {
                self.packets.remove(&oldest);
            }
            let parts = Parts { since: fragment.at, parts: Vec::new(), total: None, spoilt: false };
            self.packets.insert(fragment.key, parts);
            self.order.push_back(fragment.key);
        }
        let packet = self.packets.get_mut(&fragment.key)?;
        packet.add(fragment);
        let whole = packet.whole()?;
        self.remove(&fragment.key);
        Some(whole)
    }

    fn remove(&mut self, key: &Key) {
        self.packets.remove(key);
        self.order.retain(|k| k != key);
    }
}

impl Parts {
    fn add(&mut self, fragment: &Fragment<'_>) {
        let end = fragment.offset.saturating_add(fragment.bytes.len());
        let (at, bytes) = (fragment.offset, fragment.bytes);
        // A frame that was captured twice is no overlap.
        if self.spoilt || self.parts.iter().any(|(offset, part)| *offset == at && part.as_slice() == bytes) {
            return;
        }
        let overlaps = self.parts.iter().any(|(offset, part)| at < offset + part.len() && *offset < end);
        let beyond = self.total.is_some_and(|total| end > total || !fragment.more);
        if overlaps || beyond || fragment.cut || end > MAX_BYTES || self.parts.len() >= MAX_FRAGMENTS {
            self.spoilt = true;
            self.parts = Vec::new();
            return;
        }
        if !fragment.more {
            self.total = Some(end);
        }
        self.parts.push((at, bytes.to_vec()));
    }

    fn whole(&mut self) -> Option<Vec<u8>> {
        let total = self.total?;
        let so_far: usize = self.parts.iter().map(|(_, part)| part.len()).sum();
        if self.spoilt || so_far != total {
            return None;
        }
        self.parts.sort_unstable_by_key(|(offset, _)| *offset);
        Some(self.parts.iter().flat_map(|(_, part)| part).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn fragment(id: u32, offset: usize, more: bool, bytes: &[u8]) -> Fragment<'_> {
        let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
        Fragment { at: Time::ZERO, key: (ip, ip, id, 6), offset, more, bytes, cut: false }
    }

    #[test]
    fn fragments_in_any_order_and_twice() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.add(&fragment(1, 16, false, b"end")), None);
        assert_eq!(fragments.add(&fragment(2, 0, true, b"another ")), None);
        assert_eq!(fragments.add(&fragment(1, 0, true, b"a begin ")), None);
        assert_eq!(fragments.add(&fragment(1, 0, true, b"a begin ")), None);
        assert_eq!(fragments.add(&fragment(1, 8, true, b"a middle")).unwrap(), b"a begin a middleend");
        assert_eq!((fragments.packets.len(), fragments.order.len()), (1, 1));
    }

    #[test]
    fn what_overlaps_or_lies_beyond_the_end_is_given_up() {
        for second in [
            fragment(1, 0, true, b"other by"),
            fragment(1, 4, true, b"tes of it"),
            fragment(1, 65_528, false, b"12345678"),
        ] {
            let mut fragments = Fragments::default();
            assert_eq!(fragments.add(&fragment(1, 0, true, b"the bytes")), None);
            assert_eq!(fragments.add(&second), None);
            assert_eq!(fragments.add(&fragment(1, 9, false, b"end")), None);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut fragments = Fragments::default();
        for id in 0..10_000 {
            fragments.add(&fragment(id, 0, true, b"12345678"));
        }
        assert_eq!((fragments.packets.len(), fragments.order.len()), (MAX_PACKETS, MAX_PACKETS));
        for n in 0..10_000 {
            fragments.add(&fragment(9_999, n * 2, true, b"x"));
        }
        assert!(fragments.packets.values().all(|p| p.parts.len() <= MAX_FRAGMENTS));
    }
}
