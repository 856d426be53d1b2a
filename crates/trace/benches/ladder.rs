//! What it costs to understand a session and to draw it: `cargo bench -p port21-trace --bench ladder`.

use divan::{Bencher, black_box};
use port21_trace::findings::findings;
use port21_trace::input::{self, Input};
use port21_trace::render::{self, HtmlOptions, SvgOptions, TextOptions};
use port21_trace::{Ladder, Session, ladder};

use made::{Capture, Shape};

mod made;

/// How many files the session fetches: one that people look at, and one of a mirror.
const DOWNLOADS: [u16; 3] = [1, 20, 2_000];

fn main() {
    divan::main();
}

#[divan::bench(args = DOWNLOADS)]
fn session(bencher: Bencher<'_, '_>, downloads: u16) {
    let events = made_session(downloads).events().to_vec();
    bencher.bench_local(|| Session::from_events(black_box(&events).iter().cloned()));
}

#[divan::bench(args = DOWNLOADS)]
fn rules(bencher: Bencher<'_, '_>, downloads: u16) {
    let session = made_session(downloads);
    bencher.bench_local(|| findings(black_box(&session)));
}

#[divan::bench(args = DOWNLOADS)]
fn layout(bencher: Bencher<'_, '_>, downloads: u16) {
    let session = made_session(downloads);
    bencher.bench_local(|| Ladder::new(black_box(&session), &ladder::Options::default()));
}

#[divan::bench(args = DOWNLOADS)]
fn text(bencher: Bencher<'_, '_>, downloads: u16) {
    let ladder = made_ladder(downloads);
    bencher.bench_local(|| render::text(black_box(&ladder), &TextOptions::default()));
}

#[divan::bench(args = DOWNLOADS)]
fn svg(bencher: Bencher<'_, '_>, downloads: u16) {
    let ladder = made_ladder(downloads);
    bencher.bench_local(|| render::svg(black_box(&ladder), &SvgOptions::default()));
}

#[divan::bench(args = DOWNLOADS)]
fn html(bencher: Bencher<'_, '_>, downloads: u16) {
    let ladder = made_ladder(downloads);
    bencher.bench_local(|| render::html(black_box(&ladder), &HtmlOptions::default()));
}

fn made_ladder(downloads: u16) -> Ladder {
    Ladder::new(&made_session(downloads), &ladder::Options::default())
}

/// The first session of a capture in which every session fetches so many files.
fn made_session(downloads: u16) -> Session {
    let shape = Shape { downloads, segments: 20 };
    let packets = 60 * u64::from(downloads) + 100;
    let input = Input { name: "made".to_owned(), bytes: Box::new(Capture::new(packets, shape)) };
    let recording = input::read([input]).expect("a capture");
    let session = recording.sessions.into_iter().next().expect("a session");
    let session = Session::from_events(session.events);
    assert!(
        session.transfers().len() >= usize::from(downloads),
        "{} transfers of {downloads}",
        session.transfers().len()
    );
    session
}
