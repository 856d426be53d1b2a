//! The ladder as a Mermaid sequence diagram, for hosts of Markdown.
//!
//! What a peer chose stands in it only where Mermaid reads up to the line's end, and with everything escaped that could
//! end it, begin a comment, a directive, markup or a formula.

use std::fmt::Write as _;

use super::svg::numbers;
use crate::ladder::{Columns, Ladder, Role, Row, Section, Seen, Shape, Tone, Weight};
use crate::words::{clip, counted};

/// The most characters: what Mermaid takes unless it is told otherwise (`maxTextSize`), with room for the end.
const MOST: usize = 49_000;
/// The most lanes: more of them are no longer read beside each other.
const LANES: usize = 10;
/// So much of a text stands in one line.
const LINE: usize = 70;

/// Draws the ladder as Mermaid's `sequenceDiagram`: to be put into a Markdown file between ` ```mermaid ` and ` ``` `.
///
/// Of the remarks it has those that a reader must not miss. Mermaid refuses texts of more than 50,000 characters: a
/// longer session is drawn as far as there is room, and its last line says what is missing.
pub fn mermaid(ladder: &Ladder) -> String {
    let mut out = format!("---\ntitle: \"{}\"\n---\nsequenceDiagram\n", quoted(&ladder.title));
    let drawing = Drawing { ladder, columns: ladder.columns(LANES) };
    if drawing.columns.columns.is_empty() {
        // A diagram without a participant is drawn as nothing at all.
        out.push_str("    participant L0 as session\n");
    }
    drawing.heads(&mut out);
    drawing.note(&mut out, &ladder.summary.join(" · "));
    let mut length = out.chars().count();
    let mut drawn = 0;
    for section in &ladder.sections {
        let mut part = String::new();
        drawing.section(&mut part, section);
        length += part.chars().count();
        if length > MOST {
            let left = counted((ladder.rows.len() - drawn) as u64, "row is", "rows are");
            drawing.note(&mut out, &format!("{left} not drawn: Mermaid takes no more than 50,000 characters"));
            break;
        }
        drawn += section.rows.len();
        out.push_str(&part);
    }
    out
}

struct Drawing<'a> {
    ladder: &'a Ladder,
    columns: Columns,
}

impl Drawing<'_> {
    /// The participants, in a box for each host.
    fn heads(&self, out: &mut String) {
        let mut host: Option<Role> = None;
        for (i, column) in self.columns.columns.iter().enumerate() {
            if host != Some(column.role) {
                if host.is_some() {
                    out.push_str("    end\n");
                }
                // Without a colour of its own the box has the page's: `transparent` says so.
                let _ = writeln!(out, "    box transparent {}", escaped(column.role.title()));
                host = Some(column.role);
            }
            let head = match column.role {
                Role::User => column.label.clone(),
                role => format!("{} {}", role.name(), column.label),
            };
            let _ = writeln!(out, "    participant L{i} as {}", escaped(&head));
        }
        if host.is_some() {
            out.push_str("    end\n");
        }
    }

    fn section(&self, out: &mut String, section: &Section) {
        out.push_str("    rect rgba(127, 140, 155, 0.1)\n");
        let detail = if section.detail.is_empty() { String::new() } else { format!(" · {}", section.detail) };
        self.note(out, &format!("{} · {}{detail}", numbers(section), section.title));
        for row in self.ladder.rows.get(section.rows.clone()).unwrap_or_default() {
            self.row(out, row);
        }
        out.push_str("    end\n");
    }

    fn row(&self, out: &mut String, row: &Row) {
        let text = line(row);
        let at = match row.shape {
            Shape::Arrow { from, to } => {
                let (from, to) = (self.columns.of(from), self.columns.of(to));
                let _ = writeln!(out, "    L{from}{}L{to}: {}", arrow(row), escaped(&text));
                from.max(to)
            }
            Shape::At(lane) => {
                let lane = self.columns.of(lane);
                let _ = writeln!(out, "    Note over L{lane}: {}", escaped(&text));
                lane
            }
            Shape::Across => {
                self.note(out, &text);
                self.columns.columns.len().saturating_sub(1)
            }
        };
        if let Some(remark) = row.remark.as_ref().filter(|remark| remark.weight == Weight::Notice) {
            let _ = writeln!(out, "    Note right of L{at}: {}", escaped(&clip(&remark.text, 2 * LINE)));
        }
    }

    /// A note across all lanes.
    fn note(&self, out: &mut String, text: &str) {
        if text.is_empty() {
            return;
        }
        let last = self.columns.columns.len().saturating_sub(1);
        let over = if last == 0 { "L0".to_owned() } else { format!("L0,L{last}") };
        let _ = writeln!(out, "    Note over {over}: {}", escaped(&clip(text, 2 * LINE)));
    }
}

/// What stands on an arrow.
fn line(row: &Row) -> String {
    let detail = row.detail.trim().replace('\n', ", ");
    match (row.label.as_str(), detail.as_str()) {
        (label, "") => clip(label, LINE),
        (label, detail) => clip(&format!("{label} {detail}"), LINE),
    }
}

/// Dotted where the row is told and not seen.
fn arrow(row: &Row) -> &'static str {
    match (row.seen, row.tone) {
        (Seen::Inferred, tone) if tone != Tone::Data => "-->>",
        _ => "->>",
    }
}

/// Text as it stands up to a line's end. `;` and `#` end a text there, `:` could stand for an option, `%%{` begins a
/// directive anywhere, `<` markup, `$$` a formula: all of them, and what else is neither letter nor plain punctuation,
/// become `#NN;`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            c if is_plain(c) => out.push(c),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}

/// Text within the double quotes of YAML, where Mermaid's own escapes have no meaning.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_plain(c) || c == ':' => out.push(c),
            c => {
                let _ = match u32::from(c) {
                    n @ ..=0xffff => write!(out, "\\u{n:04x}"),
                    n => write!(out, "\\U{n:08x}"),
                };
            }
        }
    }
    out
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || " .,-_/()'=+*!?@~|[]·–—…×→←µ".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_text_but_its_line() {
        assert_eq!(escaped("RETR größe 日本.txt"), "RETR größe 日本.txt");
        assert_eq!(escaped("a;b#c:d\"e\nf"), "a#59;b#35;c#58;d#34;e f");
        assert_eq!(escaped("%%{init}%% <b> $$x$$ `y` &lt;"), {
            "#37;#37;#123;init#125;#37;#37; #60;b#62; #36;#36;x#36;#36; #96;y#96; #38;lt#59;"
        });
    }

    #[test]
    fn a_title_stays_within_its_quotes() {
        assert_eq!(quoted("a: \"b\" \\ <c>\n---\n😀"), {
            "a: \\u0022b\\u0022 \\u005c \\u003cc\\u003e\\u000a---\\u000a\\U0001f600"
        });
    }
}
