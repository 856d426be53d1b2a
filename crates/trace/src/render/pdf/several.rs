//! The page that stands before several sessions: which they are, and where.

use crate::findings::Severity;
use crate::ladder::{Ladder, Section};
use crate::session::SectionKind;
use crate::words::counted;

/// A ladder without rows: its sections are the sessions.
pub(super) fn list(ladders: &[Ladder]) -> Ladder {
    let count = ladders.len() as u64;
    let number = |(number, ladder): (usize, &Ladder)| Section {
        number,
        through: number,
        kind: SectionKind::Other,
        title: told(ladder),
        detail: String::new(),
        rows: 0..0,
    };
    let first = ladders.first();
    let title = first.map(|ladder| ladder.title.clone()).filter(|title| ladders.iter().all(|l| l.title == *title));
    let title = title.unwrap_or_else(|| "FTP sessions".to_owned());
    let worst = |least| ladders.iter().filter(|ladder| faults(ladder, least) > 0).count() as u64;
    let mut summary = vec![counted(count, "session", "sessions")];
    for (severity, word) in [(Severity::Fault, "a fault"), (Severity::Warning, "a warning")] {
        if worst(severity) > 0 {
            summary.push(format!("{} with {word}", worst(severity)));
        }
    }
    Ladder {
        title,
        product: first.map(|ladder| ladder.product.clone()).unwrap_or_default(),
        date: first.map(|ladder| ladder.date.clone()).unwrap_or_default(),
        summary,
        opening: "Each session has pages of its own, in the order in which they began.".to_owned(),
        findings: Vec::new(),
        lanes: Vec::new(),
        sections: (1..).zip(ladders).map(number).collect(),
        rows: Vec::new(),
        bars: Vec::new(),
        start: ladders.iter().map(|ladder| ladder.start).min().unwrap_or_default(),
        end: ladders.iter().map(|ladder| ladder.end).max().unwrap_or_default(),
    }
}

/// A session in one line.
pub(super) fn told(ladder: &Ladder) -> String {
    let began = ladder.start.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string();
    [&[began, ladder.title.clone()][..], &ladder.summary].concat().join(" · ")
}

fn faults(ladder: &Ladder, severity: Severity) -> usize {
    ladder.findings.iter().filter(|marked| marked.finding.rule.severity == severity).count()
}
