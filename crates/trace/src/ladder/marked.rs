//! Findings beside the rows that they are about.

use std::collections::HashMap;

use super::build::Draft;
use super::{Marked, Remark, Row, Tone, Weight};
use crate::findings::{self, Finding, Severity};
use crate::session::Session;
use crate::words::counted;

/// Judges the session, and says of each finding which of its events is to carry it: its subject, where that has a row, else
/// the next of its events that has, else what was drawn last before it.
pub(super) fn judge(session: &Session, drafts: &[Draft]) -> Vec<(Finding, Option<usize>)> {
    let findings = findings::findings(session);
    if findings.is_empty() {
        return Vec::new();
    }
    let mut drawn: Vec<usize> = drafts.iter().filter_map(|draft| draft.event).collect();
    drawn.sort_unstable();
    let has = |event: &usize| drawn.binary_search(event).is_ok();
    let place = |finding: &Finding| {
        let own = [finding.subject].into_iter().chain(finding.rows.iter().copied().filter(|r| *r >= finding.subject));
        let before = drawn.partition_point(|event| *event <= finding.subject).checked_sub(1);
        own.into_iter().find(has).or_else(|| drawn.get(before?).copied())
    };
    findings.into_iter().map(|finding| (place(&finding), finding)).map(|(place, finding)| (finding, place)).collect()
}

/// Puts the findings into the remarks of their rows; `rows_of` has the last row of each event that is drawn.
pub(super) fn mark(
    session: &Session,
    findings: Vec<(Finding, Option<usize>)>,
    rows: &mut [Row],
    rows_of: &HashMap<usize, usize>,
) -> Vec<Marked> {
    let marked = findings.into_iter().map(|(finding, event)| {
        let row = event.and_then(|event| rows_of.get(&event).copied());
        if let Some(row) = row.and_then(|row| rows.get_mut(row)) {
            row.remark = Some(remark(&finding, row.remark.take()));
        }
        let at = session.events().get(finding.subject).map(|event| event.at).unwrap_or_default();
        Marked { finding, row, at }
    });
    marked.collect()
}

/// How many there are of each kind, for the facts under the title; notes are not counted there.
pub(super) fn counts(findings: &[(Finding, Option<usize>)]) -> Vec<String> {
    let count = |severity| findings.iter().filter(|(f, _)| f.rule.severity == severity).count() as u64;
    let kinds = [(Severity::Fault, "fault", "faults"), (Severity::Warning, "warning", "warnings")];
    let counts = kinds.into_iter().map(|(severity, one, many)| (count(severity), one, many));
    counts.filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(n, one, many)).collect()
}

/// So many findings of a rule are listed one by one: who has read them knows what the others are.
const FEW: usize = 3;

/// A finding as it is listed above a drawing, with others of its rule behind it.
pub(crate) struct Listed<'a> {
    pub(crate) marked: &'a Marked,
    /// What can be done, where that was not said of another: of faults and warnings.
    pub(crate) advice: Option<&'static str>,
    /// The others, which are not listed themselves.
    pub(crate) others: Vec<&'a Marked>,
}

impl Listed<'_> {
    /// That there are others, where there are: a line.
    pub(crate) fn told(&self) -> Option<String> {
        // Of what fails without end only so much is told.
        let least = if self.others.len() + FEW == findings::MAX_PER_RULE { " at least" } else { "" };
        (!self.others.is_empty()).then(|| format!("And{least} {} more of them.", self.others.len()))
    }
}

/// Findings as they are listed above a drawing.
pub(super) fn listed(findings: &[Marked]) -> Vec<Listed<'_>> {
    let mut listed: Vec<Listed<'_>> = Vec::new();
    let mut of_rule: HashMap<&str, (usize, usize)> = HashMap::new();
    for marked in findings {
        let rule = marked.finding.rule;
        let (count, last) = of_rule.entry(rule.name).or_default();
        *count += 1;
        if *count <= FEW {
            *last = listed.len();
            // What to do about notes is said in docs/findings.md; their list is to be short.
            let advice = (*count == 1 && rule.severity > Severity::Note).then_some(rule.advice);
            listed.push(Listed { marked, advice, others: Vec::new() });
        } else if let Some(last) = listed.get_mut(*last) {
            last.others.push(marked);
        }
    }
    listed
}

/// A finding matters more than what the step is for: it takes the place of that, but stands behind another finding.
fn remark(finding: &Finding, there: Option<Remark>) -> Remark {
    let (text, tone) = match finding.rule.severity {
        Severity::Fault => (format!("Fault: {}", finding.text), Some(Tone::Permanent)),
        Severity::Warning => (format!("Warning: {}", finding.text), Some(Tone::Transient)),
        Severity::Note => (finding.text.clone(), None),
    };
    match there {
        Some(Remark { text: before, weight, tone: worse })
            if weight == Weight::Notice || finding.rule.severity == Severity::Note =>
        {
            let weight = if finding.rule.severity == Severity::Note { weight } else { Weight::Notice };
            let end = if before.ends_with(['.', '!', '?']) { "" } else { "." };
            Remark { text: format!("{before}{end} {text}"), weight, tone: worse.or(tone) }
        }
        _ => Remark { text, weight: Weight::Notice, tone },
    }
}
