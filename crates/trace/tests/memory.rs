//! Captures that would make something grow, of tens of megabytes each that nobody keeps: memory stays within its bound.
//!
//! One test in a process of its own: what is measured is the most that the process ever had.
#![cfg(target_os = "linux")]

use std::io::{self, Read};

use port21_trace::input::{self, Input};
use port21_trace::recording::Recording;

/// What all of it may take together, in KiB.
const MOST: u64 = 640 * 1024;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 2], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 21);

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A pcap file that is made while it is read: one packet behind the other, a millisecond apart.
struct Made<F> {
    packet: F,
    next: u32,
    count: u32,
    block: io::Cursor<Vec<u8>>,
}

impl<F: FnMut(u32) -> Vec<u8>> Read for Made<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.block.position() == self.block.get_ref().len() as u64 && self.next < self.count {
            let packet = (self.packet)(self.next);
            let (at, size) = (u64::from(self.next), packet.len() as u32);
            let head = [(at / 1000) as u32, (at % 1000) as u32 * 1000, size, size];
            self.block = io::Cursor::new([head.map(u32::to_le_bytes).concat(), packet].concat());
            self.next += 1;
        }
        self.block.read(buffer)
    }
}

fn read(count: u32, packet: impl FnMut(u32) -> Vec<u8> + 'static) -> Recording {
    let head = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 101].map(u32::to_le_bytes).concat();
    let file = Made { packet, next: 0, count, block: io::Cursor::new(head) };
    input::read([Input { name: "made".to_owned(), bytes: Box::new(file) }]).unwrap()
}

fn ip(protocol: u8, more: [u8; 4], from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let [hi, lo] = (20 + payload.len() as u16).to_be_bytes();
    [&[0x45, 0, hi, lo][..], &more, &[64, protocol, 0, 0], &from, &to, payload].concat()
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), seq: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let head = [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &seq.to_be_bytes(), &[0; 4]].concat();
    ip(6, [0; 4], from.0, to.0, &[&head[..], &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0], data].concat())
}

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), data: &[u8]) -> Vec<u8> {
    let head = [from.1, to.1, 8 + data.len() as u16, 0].map(u16::to_be_bytes).concat();
    ip(17, [0; 4], from.0, to.0, &[&head[..], data].concat())
}

/// A host of its own for each number.
fn host(n: u32) -> ([u8; 4], u16) {
    let [_, b, c, d] = n.to_be_bytes();
    ([11, b, c, d], 50_000)
}

/// The n-th part of a stream of bytes from the client, behind a login's begin.
fn said(n: u32, size: u32, fill: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    match n {
        0 => tcp(SERVER, CLIENT, 0, 16, b"220 Ready\r\n"),
        1 => tcp(CLIENT, SERVER, 0, 16, b"USER anna\r\n"),
        _ => tcp(CLIENT, SERVER, 11 + (n - 2) * size, 16, &fill(n)),
    }
}

/// An answer of a name server with as many long texts as fit.
fn answer(n: u32) -> Vec<u8> {
    let [hi, lo] = (n as u16).to_be_bytes();
    let texts: u16 = 5;
    let head = [hi, lo, 0x81, 0x80, 0, 1, 0, texts as u8, 0, 0, 0, 0];
    let name = b"\x03ftp\x07example\x00\x00\x10\x00\x01";
    let record = [&b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x01\x00\x01\x00\xff"[..], &[7; 255]].concat();
    [&head[..], name, &record.repeat(texts.into())].concat()
}

#[test]
fn memory_stays_within_its_bound() {
    let before = peak();
    assert!(before < MOST / 4, "{before} KiB at the start");
    let mut last = before;
    let mut grows = |what: &str, most: u64| {
        let now = peak();
        assert!(now - last <= most * 1024, "{what}: {} KiB more than before", now - last);
        assert!(now <= MOST, "{what}: {now} KiB");
        last = now;
    };
    // A line that never ends, a reply that never ends.
    read(40_000, |n| said(n, 1000, |_| vec![b'x'; 1000]));
    grows("a line", 16);
    read(40_000, |n| match n {
        0 => tcp(CLIENT, SERVER, 0, 16, b"USER anna\r\n"),
        _ => tcp(SERVER, CLIENT, (n - 1) * 1000, 16, &b"220-and more\r\n".repeat(72)[..1000]),
    });
    grows("a reply", 32);
    // A stream that waits for its first byte; ten thousand of them.
    read(40_000, |n| said(n + 2, 1001, |_| vec![b'x'; 1000]));
    grows("a stream with holes", 16);
    read(100_000, |n| {
        tcp(
            host(n % 10_000),
            SERVER,
            1 + (n / 10_000) * 1400,
            if n < 10_000 { 2 } else { 16 },
            &vec![b'x'; if n < 20_000 { 0 } else { 1000 }],
        )
    });
    grows("streams with holes", 160);
    // Packets that never become whole.
    read(40_000, |n| {
        let [hi, lo] = (n as u16).to_be_bytes();
        ip(6, [hi, lo, 0x20, (n % 50) as u8], host(n / 60_000).0, SERVER.0, &[0; 1400])
    });
    grows("fragments", 32);
    // Nothing but begins; names without end, over UDP and TCP.
    read(80_000, |n| tcp(host(n), SERVER, 7, 2, b""));
    grows("a flood of SYN", 256);
    read(70_000, |n| udp(([10, 0, 0, 53], 53), CLIENT, &answer(n)));
    grows("look-ups", 96);
    read(40_000, |n| tcp(([10, 0, 0, 53], 53), CLIENT, n * 1400, 16, &[0xff; 1400]));
    grows("messages over TCP", 16);
    // It counts for something: what there is to tell is told.
    let told = read(40_000, |n| said(n, 6, |_| b"NOOP\r\n".to_vec()));
    assert_eq!(told.sessions.len(), 1);
    assert!(told.sessions[0].events.len() > 30_000);
}
