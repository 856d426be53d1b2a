//! Rows in the simple form of the reference session's table.

use super::{Ladder, LaneId, Row, Seen, Shape, Tone};

/// An arrow of the ladder in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainRow {
    /// The section's word: see [`SectionKind::key`](crate::session::SectionKind::key).
    pub section: &'static str,
    /// Where it begins: `client:1175`, `user`.
    pub from: String,
    /// Where its head is.
    pub to: String,
    /// `USER ftp`, `FTP 220`, `TCP SYN+ACK`, `DNS Query`, `DATA`; an action of the user as it is worded.
    pub label: String,
    /// What belongs to it: the text of a reply, `syn=1 ack=1`,
    /// `1,715 bytes in 0.3 ms · ASCII`.
    pub parameters: String,
    /// Whether it was told from what the sockets did, not seen.
    pub inferred: bool,
}

pub(super) fn rows(ladder: &Ladder) -> Vec<PlainRow> {
    let mut out = Vec::with_capacity(ladder.rows.len());
    for section in &ladder.sections {
        for row in ladder.rows.get(section.rows.clone()).unwrap_or_default() {
            let Shape::Arrow { from, to } = row.shape else { continue };
            let name = |id: LaneId| ladder.lanes.get(id.0).map(|l| l.name().to_string()).unwrap_or_default();
            let (label, parameters) = told(row);
            out.push(PlainRow {
                section: section.kind.key(),
                from: name(from),
                to: name(to),
                label,
                parameters,
                inferred: row.seen == Seen::Inferred,
            });
        }
    }
    out
}

fn told(row: &Row) -> (String, String) {
    match row.tone {
        Tone::Tcp => (format!("TCP {}", row.label), short(row, &["tcp.flags."])),
        Tone::Dns => {
            let flags = short(row, &["dns.qry.", "dns.flags.", "dns.count."]);
            let is_answer = |name| matches!(name, "dns.a" | "dns.aaaa" | "dns.cname");
            let given = row.fields.iter().filter(|f| is_answer(f.name)).map(|f| f.value.clone());
            (row.label.clone(), [flags].into_iter().chain(given).collect::<Vec<_>>().join(" "))
        }
        Tone::Data if row.label == "TLS" => (row.label.clone(), row.detail.clone()),
        Tone::Data => ("DATA".to_owned(), row.detail.clone()),
        Tone::Command if row.detail.is_empty() => (row.label.clone(), String::new()),
        Tone::Command if matches!(row.label.as_str(), "PORT" | "EPRT" | "PASS" | "ACCT") => {
            (row.label.clone(), row.detail.clone())
        }
        Tone::Command => (format!("{} {}", row.label, row.detail), String::new()),
        Tone::User | Tone::Quiet => (row.label.clone(), row.detail.clone()),
        Tone::Preliminary | Tone::Completion | Tone::Intermediate | Tone::Transient | Tone::Permanent => {
            let code = row.label.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            let layer = match row.label.as_str() {
                _ if code => "FTP ",
                label if label.starts_with("RST") => "TCP ",
                _ => "",
            };
            (format!("{layer}{}", row.label), row.detail.clone())
        }
    }
}

/// `syn=1 ack=1`: the last part of each name that begins with one of these, and its value.
fn short(row: &Row, prefixes: &[&str]) -> String {
    let chosen = row.fields.iter().filter_map(|f| {
        let rest = prefixes.iter().find_map(|prefix| f.name.strip_prefix(prefix))?;
        Some(format!("{rest}={}", f.value))
    });
    chosen.collect::<Vec<_>>().join(" ")
}
