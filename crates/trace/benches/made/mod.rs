//! Captures that are made while they are read.

use std::io::{self, Read};

/// The bytes of a full segment.
pub(crate) const SEGMENT: usize = 1460;

/// What each session of a [`Capture`] does.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// How many files it fetches: 5,000 at the most.
    pub(crate) downloads: u16,
    /// How many segments each has.
    pub(crate) segments: usize,
}

/// A pcap file of Ethernet frames: sessions one after the other, each with downloads in passive mode. Every fiftieth segment
/// comes one later than it should, every two-hundredth twice.
pub(crate) struct Capture {
    shape: Shape,
    ready: Vec<u8>,
    read: usize,
    left: u64,
    micros: u64,
    session: u16,
}

impl Capture {
    pub(crate) fn new(packets: u64, shape: Shape) -> Capture {
        let head = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
        Capture { shape, ready: head, read: 0, left: packets, micros: 1_115_068_020_000_000, session: 0 }
    }

    fn next_session(&mut self) {
        self.ready.clear();
        self.read = 0;
        self.session = self.session.wrapping_add(1);
        let control = 10_000 + self.session % 50_000;
        let (mut client, mut server) = (1u32, 1u32);
        self.handshake(control, 21);
        for line in ["220 Ready.\r\n", "331 Password?\r\n", "230 In.\r\n"] {
            server = self.packet(21, control, 0x18, server, line.as_bytes());
            client = self.packet(control, 21, 0x18, client, if line < "3" { b"USER ftp\r\n" } else { b"PASS x\r\n" });
        }
        let data = [b'x'; SEGMENT];
        for n in 0..self.shape.downloads {
            let port = 60_000 + n;
            client = self.packet(control, 21, 0x18, client, b"EPSV\r\nRETR a.bin\r\n");
            server = self.packet(21, control, 0x18, server, format!("229 Here (|||{port}|)\r\n").as_bytes());
            self.handshake(control, port);
            server = self.packet(21, control, 0x18, server, b"150 Opening.\r\n");
            let seq = |i: usize| 1 + (i * SEGMENT) as u32;
            for i in 0..self.shape.segments {
                let late = if i % 50 == 10 { i + 1 } else { i - usize::from(i % 50 == 11) };
                self.packet(port, control, 0x18, seq(late), &data);
                if i % 200 == 0 {
                    self.packet(port, control, 0x18, seq(late), &data);
                }
                if i % 2 == 1 {
                    self.packet(control, port, 0x10, 1, b"");
                }
            }
            self.packet(port, control, 0x11, seq(self.shape.segments), b"");
            self.packet(control, port, 0x11, 1, b"");
            server = self.packet(21, control, 0x18, server, b"226 Done.\r\n");
        }
        self.packet(21, control, 0x11, server, b"");
        self.packet(control, 21, 0x11, client, b"");
    }

    fn handshake(&mut self, client: u16, server: u16) {
        self.packet(client, server, 0x02, 0, b"");
        self.packet(server, client, 0x12, 0, b"");
        self.packet(client, server, 0x10, 1, b"");
    }

    /// Writes a packet; returns the sequence number behind it. Nothing is acknowledged but the handshake.
    fn packet(&mut self, from: u16, to: u16, flags: u8, seq: u32, data: &[u8]) -> u32 {
        let behind = seq.wrapping_add(data.len() as u32);
        if self.left == 0 {
            return behind;
        }
        self.left -= 1;
        self.micros += 20;
        let (client, server) = ([10, 0, (self.session >> 8) as u8, self.session as u8], [192, 0, 2, 1]);
        let of_server = from == 21 || from >= 60_000;
        let (source, target) = if of_server { (server, client) } else { (client, server) };
        let total = 40 + data.len() as u16;
        let length = (u32::from(total) + 14).to_le_bytes();
        let (seconds, micros) = ((self.micros / 1_000_000) as u32, (self.micros % 1_000_000) as u32);
        let out = &mut self.ready;
        for part in [&seconds.to_le_bytes()[..], &micros.to_le_bytes(), &length, &length] {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        let [hi, lo] = total.to_be_bytes();
        out.extend_from_slice(&[0x45, 0, hi, lo, 0, 0, 0, 0, 64, 6, 0, 0]);
        for part in [&source[..], &target, &from.to_be_bytes(), &to.to_be_bytes(), &seq.to_be_bytes()] {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&[0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        out.extend_from_slice(data);
        behind
    }
}

impl Read for Capture {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.ready.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.next_session();
        }
        let rest = &self.ready[self.read..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.read += n;
        Ok(n)
    }
}
