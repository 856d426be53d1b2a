//! How fast a capture of a million packets becomes sessions, and in how much memory: `cargo bench -p port21-trace`.
//!
//! The capture is made as it is read, so that the memory is the decoder's. What making it costs is measured by itself, and
//! taken off.

use std::io;
use std::time::{Duration, Instant};

use port21_proto::event::EventKind;
use port21_trace::Session;
use port21_trace::input::{self, Input};

use made::{Capture, SEGMENT, Shape};

mod made;

const PACKETS: u64 = 1_000_000;
const SHAPE: Shape = Shape { downloads: 20, segments: 500 };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo says --bench; with --test it wants to know whether it runs, and no more.
    let packets = if std::env::args().any(|a| a == "--test") { 30_000 } else { PACKETS };
    let begun = Instant::now();
    let size = io::copy(&mut Capture::new(packets, SHAPE), &mut io::sink())?;
    let making = begun.elapsed();
    let before = resident();
    let begun = Instant::now();
    let recording = input::read([Input { name: "made".to_owned(), bytes: Box::new(Capture::new(packets, SHAPE)) }])?;
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
    assert!(
        data >= whole * u64::from(SHAPE.downloads) * (SHAPE.segments * SEGMENT) as u64,
        "data is missing: {data} bytes"
    );
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
