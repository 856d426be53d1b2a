//! How fast a capture of a million packets becomes sessions, and in how much memory: `cargo bench -p port21-trace`.
//!
//! The capture is made as it is read, so that the memory is the decoder's. What making it costs is measured by itself, and
//! taken off.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use port21_proto::event::EventKind;
use port21_trace::Session;
use port21_trace::input::{self, Input};

const PACKETS: u64 = 1_000_000;
const DOWNLOADS: u16 = 20;
const SEGMENTS: usize = 500;
const SEGMENT: usize = 1460;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo says --bench; with --test it wants to know whether it runs, and no more.
    let packets = if std::env::args().any(|a| a == "--test") { 30_000 } else { PACKETS };
    let begun = Instant::now();
    let size = io::copy(&mut Capture::new(packets), &mut io::sink())?;
    let making = begun.elapsed();
    let before = resident();
    let begun = Instant::now();
    let recording = input::read([Input { name: "made".to_owned(), bytes: Box::new(Capture::new(packets)) }])?;
    let took = begun.elapsed().saturating_sub(making).max(Duration::from_micros(1));
    let peak = resident();
    let mut data = 0u64;
    let mut transfers = 0;
    for session in &recording.sessions {
        let events = session.events.iter();
        data += events.map(|e| if let EventKind::Data { bytes, .. } = e.kind { bytes } else { 0 }).sum::<u64>();
        transfers += Session::from_events(session.events.iter().cloned()).transfers().len();
    }
    let whole = recording.sessions.len().saturating_sub(1) as u64;
    assert!(data >= whole * u64::from(DOWNLOADS) * (SEGMENTS * SEGMENT) as u64, "data is missing: {data} bytes");
    let rate = packets as f64 / took.as_secs_f64() / 1e6;
    println!(
        "{packets} packets, {} MiB: {:.2} s, {rate:.2} million packets/s, {:.0} MiB/s; {} sessions, {transfers} transfers",
        size >> 20,
        took.as_secs_f64(),
        size as f64 / took.as_secs_f64() / f64::from(1 << 20),
        recording.sessions.len(),
    );
    if let (Some(before), Some(peak)) = (before, peak) {
        println!("memory: {before} KiB before, {peak} KiB at most");
    }
    Ok(())
}

/// The most memory that this process has had, in KiB; Linux tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// A pcap file of Ethernet frames: sessions one after the other, each with downloads in passive mode. Every fiftieth segment
/// comes one later than it should, every two-hundredth twice.
struct Capture {
    ready: Vec<u8>,
    read: usize,
    left: u64,
    micros: u64,
    session: u16,
}

impl Capture {
    fn new(packets: u64) -> Capture {
        let head = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
        Capture { ready: head, read: 0, left: packets, micros: 1_115_068_020_000_000, session: 0 }
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
        for n in 0..DOWNLOADS {
            let port = 60_000 + n;
            client = self.packet(control, 21, 0x18, client, b"EPSV\r\nRETR a.bin\r\n");
            server = self.packet(21, control, 0x18, server, format!("229 Here (|||{port}|)\r\n").as_bytes());
            self.handshake(control, port);
            server = self.packet(21, control, 0x18, server, b"150 Opening.\r\n");
            let seq = |i: usize| 1 + (i * SEGMENT) as u32;
            for i in 0..SEGMENTS {
                let late = if i % 50 == 10 { i + 1 } else { i - usize::from(i % 50 == 11) };
                self.packet(port, control, 0x18, seq(late), &data);
                if i % 200 == 0 {
                    self.packet(port, control, 0x18, seq(late), &data);
                }
                if i % 2 == 1 {
                    self.packet(control, port, 0x10, 1, b"");
                }
            }
            self.packet(port, control, 0x11, seq(SEGMENTS), b"");
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
