//! Packets of one capture file: pcap in either byte order, with micro- or nanoseconds, and pcapng.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{
    Block, InterfaceDescriptionBlock, LegacyPcapReader, Linktype, OptionCode, PcapBlockOwned, PcapError, PcapNGReader,
};
use port21_proto::Time;

use super::CaptureError;

/// The most bytes that a block of a capture may have: packets have 256 KiB, other blocks (comments, secrets) not much more.
const MAX_BLOCK: usize = 16 * 1024 * 1024;

/// The most interfaces that a section of a pcapng file may have.
const MAX_INTERFACES: usize = 4096;

/// Whether a file with these first four bytes is a capture.
pub(crate) fn is_capture(magic: [u8; 4]) -> bool {
    is_pcapng(magic)
        || matches!(
            magic,
            [0xa1, 0xb2, 0xc3, 0xd4]
                | [0xa1, 0xb2, 0x3c, 0x4d]
                | [0xd4, 0xc3, 0xb2, 0xa1]
                | [0x4d, 0x3c, 0xb2, 0xa1]
                | [0x34, 0xcd, 0xb2, 0xa1]
        )
}

fn is_pcapng(magic: [u8; 4]) -> bool {
    magic == [0x0a, 0x0d, 0x0d, 0x0a]
}

/// A capture file, one packet after the other, in memory that does not grow with it.
pub(crate) struct CaptureFile {
    reader: Box<dyn PcapReaderIterator>,
    failed: Arc<OnceLock<io::Error>>,
    section: Section,
    /// The packet that was read last.
    pub(crate) packet: Packet,
    notes: Vec<String>,
    packets: u64,
    /// How many bytes were read before the next block.
    place: u64,
    ended: bool,
}

/// A packet as it was captured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) at: Time,
    pub(crate) link: i32,
    pub(crate) bytes: Vec<u8>,
    /// How many bytes it had on the wire: more than were captured, where it was cut.
    pub(crate) length: u32,
    /// Which of the files that are read together it is in.
    pub(crate) file: usize,
    /// Its number in that file, from 1, as Wireshark counts.
    pub(crate) number: u64,
    /// Where its bytes are in that file (in what the file unpacks to).
    pub(crate) offset: u64,
}

/// What the head of a pcap file, or the blocks of a section of a pcapng file, say of the packets behind them.
#[derive(Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Of a pcap file: nanoseconds in a unit of its fractions.
    fraction: u64,
}

/// Where a block is in its file.
#[derive(Clone, Copy)]
struct Place {
    begin: u64,
    size: u64,
}

#[derive(Clone, Copy)]
struct Interface {
    link: i32,
    /// Units a second; a power of 10 or of 2.
    resolution: u64,
    /// Seconds that are added to its stamps.
    offset: i64,
    /// The most bytes of a packet; 0 for all.
    snap: u32,
}

impl fmt::Debug for CaptureFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureFile").field("packets", &self.packets).finish_non_exhaustive()
    }
}

impl CaptureFile {
    /// Opens a capture whose first four bytes are these.
    pub(crate) fn open(magic: [u8; 4], input: impl Read + 'static) -> Result<CaptureFile, CaptureError> {
        let failed = Arc::new(OnceLock::new());
        let input = Whole { input, failed: Arc::clone(&failed) };
        let capacity = 256 * 1024;
        let reader: Result<Box<dyn PcapReaderIterator>, _> = if is_pcapng(magic) {
            PcapNGReader::new(capacity, input).map(|r| Box::new(r) as _)
        } else {
            LegacyPcapReader::new(capacity, input).map(|r| Box::new(r) as _)
        };
        let reader = reader.map_err(|error| match (failed.get(), error) {
            (Some(error), _) => CaptureError::Io(io::Error::new(error.kind(), error.to_string())),
            (None, PcapError::Eof | PcapError::Incomplete(_) | PcapError::UnexpectedEof) => CaptureError::NoHeader,
            (None, _) => CaptureError::Header,
        })?;
        let section = Section::default();
        let (packet, notes) = (Packet::default(), Vec::new());
        Ok(CaptureFile { reader, failed, section, packet, notes, packets: 0, place: 0, ended: false })
    }

    /// Reads the next packet into [`CaptureFile::packet`]: whether there was one. A file that is damaged or cut off ends
    /// where it is; [`CaptureFile::notes`] then says so.
    pub(crate) fn advance(&mut self) -> bool {
        while !self.ended {
            match self.reader.next() {
                Ok((size, block)) => {
                    self.packet.number = self.packets + 1;
                    let place = Place { begin: self.place, size: size as u64 };
                    let found = self.section.read(block, place, &mut self.packet, &mut self.notes);
                    self.reader.consume(size);
                    self.place += place.size;
                    if size == 0 {
                        self.end("is damaged");
                    }
                    if found {
                        self.packets += 1;
                        return true;
                    }
                }
                Err(PcapError::Eof) => self.at_end(false),
                Err(PcapError::UnexpectedEof) => {
                    let cut = !self.reader.data().is_empty();
                    self.at_end(cut);
                }
                Err(PcapError::Incomplete(_)) => {
                    if self.reader.refill().is_err() {
                        self.at_end(true);
                    }
                }
                Err(PcapError::BufferTooSmall) => {
                    let size = (self.reader.data().len() + 256 * 1024).saturating_mul(2);
                    if size > MAX_BLOCK || !self.reader.grow(size) || self.reader.refill().is_err() {
                        self.end("is damaged (a packet of more than 16 MiB)");
                    }
                }
                Err(_) => self.end("is damaged"),
            }
        }
        false
    }

    /// What is missing, in plain sentences; complete once there is no further packet.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    fn at_end(&mut self, cut: bool) {
        match self.failed.get() {
            Some(error) => {
                let error = crate::words::shown(error.to_string().as_bytes());
                self.end(&format!("cannot be read further ({error})"));
            }
            None if cut => self.end("was cut off"),
            None => self.ended = true,
        }
    }

    fn end(&mut self, what: &str) {
        self.ended = true;
        let packets = crate::words::counted(self.packets, "packet", "packets");
        self.notes.push(format!("the capture {what} behind {packets}: what comes before is shown"));
    }
}

impl Section {
    /// Reads a block: whether it was a packet.
    fn read(&mut self, block: PcapBlockOwned<'_>, place: Place, packet: &mut Packet, notes: &mut Vec<String>) -> bool {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.fraction = if header.is_nanosecond_precision() { 1 } else { 1000 };
                // The upper bits tell of a frame check sequence (pcap-savefile(5)).
                let link = header.network.0 & 0xffff;
                self.interfaces = vec![Interface { link, resolution: 1_000_000, offset: 0, snap: 0 }];
                false
            }
            PcapBlockOwned::Legacy(block) => {
                let nanos = u64::from(block.ts_sec).saturating_mul(1_000_000_000);
                let at = nanos.saturating_add(u64::from(block.ts_usec).saturating_mul(self.fraction));
                // Its bytes are the last of its record; heads differ in length.
                (packet.offset, packet.length) = (place.begin + place.size - block.data.len() as u64, block.origlen);
                packet.take(Time::from_unix_nanos(at), self.interfaces.first(), block.data);
                true
            }
            PcapBlockOwned::NG(Block::SectionHeader(head)) => {
                *self = Section { big_endian: head.big_endian(), ..Section::default() };
                false
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                if self.interfaces.len() < MAX_INTERFACES {
                    self.interfaces.push(self.interface(&block));
                }
                false
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                let interface = usize::try_from(block.if_id).ok().and_then(|id| self.interfaces.get(id));
                let Some(interface) = interface else {
                    let note = "a packet of an interface that the capture does not describe was left out";
                    if !notes.iter().any(|n| n == note) {
                        notes.push(note.to_owned());
                    }
                    return false;
                };
                let size = usize::try_from(block.caplen).unwrap_or(usize::MAX).min(block.data.len());
                let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                (packet.offset, packet.length) = (place.begin + 28, block.origlen);
                packet.take(interface.time(ticks), Some(interface), block.data.get(..size).unwrap_or_default());
                true
            }
            PcapBlockOwned::NG(Block::SimplePacket(block)) => {
                // It has no stamp: it is as old as the packet before it.
                let Some(interface) = self.interfaces.first() else { return false };
                let snap = if interface.snap == 0 { u32::MAX } else { interface.snap };
                let size = usize::try_from(block.origlen.min(snap)).unwrap_or(usize::MAX).min(block.data.len());
                (packet.offset, packet.length) = (place.begin + 12, block.origlen);
                packet.take(packet.at, Some(interface), block.data.get(..size).unwrap_or_default());
                true
            }
            PcapBlockOwned::NG(_) => false,
        }
    }

    fn interface(&self, block: &InterfaceDescriptionBlock<'_>) -> Interface {
        let value = |code| block.options.iter().find(|o| o.code == code).map(|o| o.value());
        let resolution = match value(OptionCode::IfTsresol).and_then(<[u8]>::first) {
            Some(&power) if power & 0x80 != 0 => 1u64.checked_shl(u32::from(power & 0x7f)).unwrap_or(1 << 63),
            Some(&power) => 10u64.checked_pow(u32::from(power)).unwrap_or(10_000_000_000_000_000_000),
            None => 1_000_000,
        };
        let offset = value(OptionCode::IfTsoffset).and_then(<[u8]>::first_chunk::<8>).copied().unwrap_or_default();
        let offset = if self.big_endian { i64::from_be_bytes(offset) } else { i64::from_le_bytes(offset) };
        let Linktype(link) = block.linktype;
        Interface { link, resolution, offset, snap: block.snaplen }
    }
}

impl Interface {
    fn time(&self, ticks: u64) -> Time {
        let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(self.resolution.max(1));
        let nanos = nanos + i128::from(self.offset) * 1_000_000_000;
        Time::from_unix_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

impl Packet {
    fn take(&mut self, at: Time, interface: Option<&Interface>, bytes: &[u8]) {
        self.at = at;
        self.link = interface.map_or(-1, |i| i.link);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }
}

/// Reads until a buffer is full, so that a pipe is no cut file. An error ends the input, and is kept: what was read before it
/// is worth a drawing.
struct Whole<R> {
    input: R,
    failed: Arc<OnceLock<io::Error>>,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let _ = self.failed.set(error);
                    break;
                }
            }
        }
        Ok(read)
    }
}
