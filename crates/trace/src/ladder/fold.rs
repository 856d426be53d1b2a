//! Long sessions: what repeats is folded, so that a drawing of a thousand downloads can be read.

use std::collections::HashMap;

use port21_proto::Time;
use port21_proto::event::EventKind;

use super::build::{Draft, row};
use super::{Section, Shape, Tone};
use crate::session::{self, SectionKind, Session};
use crate::words::{bytes, counted, duration, thousands};

/// So many sections of a kind are drawn before any is folded.
const SECTIONS: usize = 12;
/// Of a kind that is folded, so many are drawn at the start, and at the end.
const FIRST: usize = 4;
const LAST: usize = 2;
/// So many sections with a refused command are drawn even if they stand in the middle.
const FAILED: usize = 12;
/// So many rows of one section are drawn before its middle is folded, and how many then at its start and end.
const ROWS: usize = 300;
const FIRST_ROWS: usize = 60;
const LAST_ROWS: usize = 20;

/// The sections that are drawn, and the rows, each with the index of its section.
pub(super) fn fold(session: &Session, drafts: Vec<Draft>, fold: bool) -> (Vec<Section>, Vec<Draft>) {
    let sections = session.sections();
    let hidden = if fold { hidden(sections) } else { vec![false; sections.len()] };
    let mut out: Vec<Section> = Vec::new();
    let mut place: Vec<usize> = Vec::with_capacity(sections.len());
    let mut folds: HashMap<usize, Folded> = HashMap::new();
    for (i, section) in sections.iter().enumerate() {
        let hides = hidden.get(i) == Some(&true);
        let follows = hides && i > 0 && hidden.get(i - 1) == Some(&true);
        if !follows {
            out.push(Section {
                number: i + 1,
                through: i + 1,
                kind: section.kind,
                title: section.title.clone(),
                detail: section.detail.clone(),
                rows: 0..0,
            });
        }
        place.push(out.len() - 1);
        if hides && let Some(shown) = out.last_mut() {
            shown.through = i + 1;
            folds.entry(out.len() - 1).or_default().add(session, section);
        }
    }
    for (&at, folded) in &folds {
        if let Some(section) = out.get_mut(at) {
            (section.title, section.detail) = (folded.title(), String::new());
        }
    }
    let mut rows: Vec<Draft> = Vec::with_capacity(drafts.len().min(ROWS));
    let mut drafts = drafts.into_iter().peekable();
    while let Some(first) = drafts.next() {
        let old = first.section;
        let mut run = vec![first];
        while let Some(next) = drafts.next_if(|d| d.section == old) {
            run.push(next);
        }
        let new = place.get(old).copied().unwrap_or(0);
        run.iter_mut().for_each(|draft| draft.section = new);
        match folds.get(&new) {
            Some(folded) if hidden.get(old) == Some(&true) => {
                if rows.last().is_none_or(|d| d.section != new) {
                    let row = row(folded.from, Shape::Across, Tone::Quiet, &folded.told(), String::new());
                    rows.push(Draft::apart(new, row).until(folded.until));
                }
            }
            _ if fold && run.len() > ROWS => rows.extend(middle_folded(run, new)),
            _ => rows.extend(run),
        }
    }
    (out, rows)
}

/// Which sections are in the middle of many of their kind.
fn hidden(sections: &[session::Section]) -> Vec<bool> {
    let mut totals: HashMap<SectionKind, usize> = HashMap::new();
    for section in sections {
        *totals.entry(section.kind).or_default() += 1;
    }
    let mut seen: HashMap<SectionKind, usize> = HashMap::new();
    let mut failed = 0;
    let mut hidden = Vec::with_capacity(sections.len());
    for section in sections {
        let total = totals.get(&section.kind).copied().unwrap_or(0);
        let nth = seen.entry(section.kind).or_default();
        let middle = total > SECTIONS && (FIRST..total - LAST).contains(nth);
        *nth += 1;
        let kept = middle && section.failed && failed < FAILED;
        failed += usize::from(kept);
        hidden.push(middle && !kept);
    }
    hidden
}

/// A run of sections that are folded into one.
#[derive(Default)]
struct Folded {
    counts: Vec<(SectionKind, u64)>,
    bytes: u64,
    from: Time,
    until: Time,
}

impl Folded {
    fn add(&mut self, session: &Session, section: &session::Section) {
        match self.counts.iter_mut().find(|(kind, _)| *kind == section.kind) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((section.kind, 1)),
        }
        let events = session.events().get(section.events.clone()).unwrap_or_default();
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            self.from = if self.until == Time::ZERO { first.at } else { self.from };
            self.until = last.at;
        }
        for event in events {
            if let EventKind::Data { bytes, .. } = event.kind {
                self.bytes = self.bytes.saturating_add(bytes);
            }
        }
    }

    fn title(&self) -> String {
        let parts: Vec<String> = self.counts.iter().map(|&(kind, count)| many(kind, count)).collect();
        crate::words::listed(&parts)
    }

    fn told(&self) -> String {
        let took = duration(self.until.since(self.from));
        if self.bytes > 0 { format!("{} in {took}", bytes(self.bytes)) } else { format!("in {took}") }
    }
}

fn many(kind: SectionKind, count: u64) -> String {
    let (one, more) = match kind {
        SectionKind::Listing => ("more listing", "more listings"),
        SectionKind::Directory => ("more change of directory", "more changes of directory"),
        SectionKind::Download => ("more download", "more downloads"),
        SectionKind::Upload => ("more upload", "more uploads"),
        SectionKind::Login => ("more login", "more logins"),
        SectionKind::Address => ("more look-up", "more look-ups"),
        SectionKind::Files => ("more change to files", "more changes to files"),
        SectionKind::Settings => ("more question", "more questions"),
        SectionKind::End => ("more end of a session", "more ends of sessions"),
        SectionKind::Other => ("more section", "more sections"),
    };
    counted(count, one, more)
}

fn middle_folded(mut run: Vec<Draft>, section: usize) -> Vec<Draft> {
    let mut tail = run.split_off(run.len().saturating_sub(LAST_ROWS));
    let middle = run.split_off(FIRST_ROWS.min(run.len()));
    if let Some(first) = middle.first() {
        let label = format!("{} more rows", thousands(middle.len() as u64));
        let row = row(first.row.at, Shape::Across, Tone::Quiet, &label, String::new());
        let ended = middle.last().map_or(first.ended, |last| last.ended);
        run.push(Draft::apart(section, row).until(ended));
    }
    run.append(&mut tail);
    run
}
