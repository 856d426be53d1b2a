//! Packets to a pcapng file (draft-ietf-opsawg-pcapng): one section, one interface, stamps to the nanosecond.

use std::io::{self, Write};

use port21_proto::Time;

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// An IP header.
    Ip,
}

impl Link {
    /// Its number (<https://www.tcpdump.org/linktypes.html>).
    pub const fn number(self) -> u16 {
        match self {
            Link::Ethernet => 1,
            Link::Ip => 101,
        }
    }
}

/// Writes packets as Wireshark and tcpdump read them.
///
/// Each block is given to the output in one call. Memory: one packet.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    output: W,
    written: u64,
    block: Vec<u8>,
}

/// The most bytes of a packet that are written: what readers take.
const SNAP: usize = 262_144;

impl<W: Write> PcapngWriter<W> {
    /// Writes what stands before the packets: the program's name, the interface's name and what its packets begin with.
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(output: W, interface: &str, link: Link) -> io::Result<PcapngWriter<W>> {
        let mut writer = PcapngWriter { output, written: 0, block: Vec::new() };
        let head = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &1u16.to_le_bytes(), &0u16.to_le_bytes(), &[0xff; 8]].concat();
        writer.block(0x0a0d_0d0a, &[&head], &[(4, crate::PRODUCT.as_bytes())])?;
        let snap = u32::try_from(SNAP).unwrap_or(u32::MAX).to_le_bytes();
        let about = [&link.number().to_le_bytes()[..], &[0, 0], &snap].concat();
        // if_name, and if_tsresol: nanoseconds.
        writer.block(1, &[&about], &[(2, interface.as_bytes()), (9, &[9])])?;
        Ok(writer)
    }

    /// Writes a packet. What is longer than 256 KiB is cut, as the packet then says.
    ///
    /// # Errors
    /// Those of the output.
    pub fn packet(&mut self, at: Time, bytes: &[u8]) -> io::Result<()> {
        let kept = bytes.get(..SNAP).unwrap_or(bytes);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let [high, low] = [at.unix_nanos() >> 32, at.unix_nanos() & 0xffff_ffff];
        let stamp = [high, low].map(|half| u32::try_from(half).unwrap_or(u32::MAX).to_le_bytes()).concat();
        let head = [&[0; 4][..], &stamp, &length(kept), &length(bytes)].concat();
        self.block(6, &[&head, kept], &[])
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The output.
    pub fn into_inner(self) -> W {
        self.output
    }

    /// Writes what the output still holds back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Writes a block: its type and length, its parts, options, its length once more; parts and options end at four bytes.
    fn block(&mut self, kind: u32, parts: &[&[u8]], options: &[(u16, &[u8])]) -> io::Result<()> {
        let block = &mut self.block;
        block.clear();
        block.extend_from_slice(&kind.to_le_bytes());
        block.extend_from_slice(&[0; 4]);
        parts.iter().for_each(|part| block.extend_from_slice(part));
        pad(block);
        for (code, value) in options {
            let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
            block.extend_from_slice(&code.to_le_bytes());
            block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
            block.extend_from_slice(value);
            pad(block);
        }
        if !options.is_empty() {
            block.extend_from_slice(&[0; 4]);
        }
        let length = u32::try_from(block.len() + 4).unwrap_or(u32::MAX).to_le_bytes();
        block.extend_from_slice(&length);
        if let Some(first) = block.get_mut(4..8) {
            first.copy_from_slice(&length);
        }
        self.output.write_all(&self.block)?;
        self.written = self.written.saturating_add(self.block.len() as u64);
        Ok(())
    }
}

fn pad(block: &mut Vec<u8>) {
    block.resize(block.len().next_multiple_of(4), 0);
}
