//! PDF: the same bytes for the same input, whatever is drawn.

use port21_trace::drawing::{DrawError, Drawing, Format, Which};
use port21_trace::ladder::Options;
use port21_trace::recording::{RecordedSession, Recording};
use port21_trace::render::{self, Paper, PdfOptions};
use port21_trace::{Ladder, Session};

use crate::events::{REFERENCE, Script, reference};

fn pdf(change: impl FnOnce(&mut Options)) -> Vec<u8> {
    let mut options = Options { product: "port21 test".to_owned(), ..Options::default() };
    change(&mut options);
    render::pdf(&[Ladder::new(&Session::from_events(reference()), &options)], &PdfOptions::default()).unwrap()
}

fn has(file: &[u8], what: &str) -> bool {
    file.windows(what.len()).any(|part| part == what.as_bytes())
}

#[test]
fn the_reference_session_is_a_whole_file() {
    let file = pdf(|_| {});
    assert!(file.starts_with(b"%PDF-1.") && file.trim_ascii_end().ends_with(b"%%EOF"));
    // Both weights of its font are in it, bookmarks, and no other font.
    assert_eq!(file.windows(10).filter(|part| part == b"/FontFile3").count(), 2);
    assert!(has(&file, "/Outlines") && !has(&file, "Helvetica"));
    assert!(has(&file, "FTP session with ftp.any-domain.com"));
    assert!(file.len() < 100_000, "{}", file.len());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dated = |date: &str| pdf(|o| o.date = Some(date.to_owned()));
    assert_eq!(pdf(|_| {}), pdf(|_| {}));
    assert_eq!(dated("2005-05-02"), dated("2005-05-02"));
    assert!(dated("2005-05-02") != dated("2005-05-03"));
    assert!(has(&dated("2005-05-03"), "D:20050503"));
}

#[test]
fn one_port_has_the_title_of_the_document() {
    let file = pdf(|o| {
        o.only = Some("server:21".parse().unwrap());
        o.title = Some("FTP Session Sequence Diagram".to_owned());
    });
    assert!(
        has(&file, "Port_21 Interfaces \\(FTP Session Sequence Diagram\\)") || has(&file, "Port_21 Interfaces (FTP")
    );
}

#[test]
fn paper_has_its_size() {
    let ladder = Ladder::new(&Session::from_events(reference()), &Options::default());
    for (paper, size) in [(Paper::A4, "841.89 595.28"), (Paper::Letter, "792 612")] {
        let file = render::pdf(std::slice::from_ref(&ladder), &PdfOptions { paper, ..PdfOptions::default() }).unwrap();
        assert!(has(&file, &format!("[0 0 {size}]")), "{size}");
    }
}

#[test]
fn a_pdf_is_a_file_and_no_text() {
    let recording = Recording::read(REFERENCE).unwrap();
    let drawing = Drawing { format: Format::Pdf, ..Drawing::default() };
    assert!(drawing.file(&recording).unwrap().starts_with(b"%PDF-"));
    assert_eq!(drawing.draw(&recording), Err(DrawError::NoText));
    let svg = Drawing { format: Format::Svg, ..Drawing::default() };
    assert_eq!(svg.file(&recording).unwrap(), svg.draw(&recording).unwrap().into_bytes());
}

#[test]
fn seven_hundred_transfers_are_a_few_pages() {
    let mut script = Script::logged_in();
    for id in 1..=700 {
        script.download(id, &format!("файл-{id}-日本.bin"), 1000);
    }
    let ladder = Ladder::new(&Session::from_events(script.events), &Options::default());
    let file = render::pdf(std::slice::from_ref(&ladder), &PdfOptions::default()).unwrap();
    assert_eq!(file, render::pdf(std::slice::from_ref(&ladder), &PdfOptions::default()).unwrap());
    assert!(file.len() < 400_000, "{}", file.len());
}

#[test]
fn several_sessions_are_one_document() {
    let one = Recording::read(REFERENCE).unwrap().sessions.remove(0);
    let recording = Recording { sessions: vec![one.clone(), one.clone(), one], ..Recording::default() };
    let drawing = Drawing { format: Format::Pdf, ..Drawing::default() };
    let files = drawing.files(&recording).unwrap();
    assert_eq!(files.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [None]);
    let file = drawing.file(&recording).unwrap();
    let pages = |file: &[u8]| file.windows(11).filter(|part| part == b"/Type/Page/").count();
    let single = pages(&Drawing { which: Which::At(0), ..drawing }.file(&recording).unwrap());
    assert_eq!(pages(&file), 1 + 3 * single);
    // A picture has room for one.
    let svg = Drawing { format: Format::Svg, ..Drawing::default() };
    assert_eq!(svg.draw(&recording), Err(DrawError::Several(3)));
    let files = svg.files(&recording).unwrap();
    assert_eq!(files.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert!(files[2].1.draw(&recording).is_ok());
    // Only those that have the lane.
    let sessions =
        vec![RecordedSession { events: Vec::new(), ..recording.sessions[0].clone() }, recording.sessions[1].clone()];
    let recording = Recording { sessions, ..Recording::default() };
    let only = Options { only: Some("server:21".parse().unwrap()), ..Options::default() };
    let files = Drawing { ladder: only, ..svg }.files(&recording).unwrap();
    assert_eq!(files.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [Some(2)]);
}
