//! The ladder as one HTML file: no network, no fonts, nothing that is loaded.
//!
//! Sections and rows are `details`: they fold and unfold without the script, which adds search, keys and themes. The
//! lane heads stay in view. What a peer chose is text in it and nothing else, and a policy within the page forbids
//! whatever would be loaded all the same.
//!
//! | file | what it is |
//! |---|---|
//! | `page.css` | where everything stands; the colours of the tones come from the picture's |
//! | `page.js` | search, keys, themes, printing |

use std::collections::HashMap;
use std::fmt::Write as _;

use super::svg::{TONES, class, colours, escape, numbers};
use crate::findings::Severity;
use crate::ladder::{Columns, Ladder, LaneId, LaneUse, Marked, Role, Row, Section, Seen, Shape, Tone, Weight};
use crate::words::{clip, counted, duration};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// A session of so many rows has all its sections open; of a longer one those that a reader looks for.
const OPEN: usize = 400;
/// So many characters of a label stand on an arrow for each lane that it crosses.
const ON_LINE: usize = 11;

/// How the page is to look.
#[derive(Clone, Debug)]
pub struct HtmlOptions {
    /// The most lanes that are drawn beside each other; where there are more, ports are folded. Default: 12.
    pub max_lanes: usize,
}

impl HtmlOptions {
    /// Up to so many rows a page is best drawn from a ladder without folds ([`Options::fold`](crate::ladder::Options)):
    /// the page folds by itself, and a reader can unfold. Some 15 MB.
    pub const MOST_ROWS: usize = 20_000;
}

impl Default for HtmlOptions {
    fn default() -> HtmlOptions {
        HtmlOptions { max_lanes: 12 }
    }
}

/// Draws the ladder as a page that stands alone. The same ladder gives the same bytes.
///
/// A row opens to its exact times, ends, words and fields.
pub fn html(ladder: &Ladder, options: &HtmlOptions) -> String {
    let columns = ladder.columns(options.max_lanes);
    let bars = bars(ladder, &columns);
    let mut marks = HashMap::new();
    for (row, severity) in ladder.findings.iter().filter_map(|marked| Some((marked.row?, marked.finding.rule.severity)))
    {
        let worst = marks.entry(row).or_insert(severity);
        *worst = severity.max(*worst);
    }
    let mut page = Page { ladder, columns, bars, marks, out: String::new() };
    page.head();
    page.opening();
    page.heads();
    page.raw("<main>\n");
    for section in &ladder.sections {
        page.section(section);
    }
    page.raw("</main>\n");
    let _ = writeln!(page.out, "<script>\n{SCRIPT}</script>\n</body>\n</html>");
    page.out
}

/// The bars that pass each row: their column and their class.
fn bars(ladder: &Ladder, columns: &Columns) -> Vec<Vec<(usize, &'static str)>> {
    let mut of_rows = vec![Vec::new(); ladder.rows.len()];
    for bar in &ladder.bars {
        let class = match bar.of {
            LaneUse::Data => "bd",
            LaneUse::Dns => "bn",
            LaneUse::Control | LaneUse::Console => "bc",
        };
        let one = (columns.of(bar.lane), class);
        for row in of_rows.get_mut(bar.rows.clone()).unwrap_or_default() {
            let row: &mut Vec<(usize, &'static str)> = row;
            if !row.contains(&one) {
                row.push(one);
            }
        }
    }
    of_rows
}

struct Page<'a> {
    ladder: &'a Ladder,
    columns: Columns,
    bars: Vec<Vec<(usize, &'static str)>>,
    /// The rows that findings are about, and how much the worst of them matters.
    marks: HashMap<usize, Severity>,
    out: String,
}

impl Page<'_> {
    fn raw(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    fn text(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    /// An element with a text in it; the tag may have attributes.
    fn element(&mut self, tag: &str, text: &str) {
        let name = tag.split(' ').next().unwrap_or(tag);
        let _ = write!(self.out, "<{tag}>");
        self.text(text);
        let _ = write!(self.out, "</{name}>");
    }

    fn head(&mut self) {
        self.raw(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n",
        );
        self.element("title", &self.ladder.title);
        let _ = writeln!(self.out, "\n<style>\n{}{STYLE}</style>\n</head>", tones());
        let _ = writeln!(self.out, "<body style=\"--n:{}\">", self.columns.columns.len().max(1));
    }

    /// What stands before the rows: what the session is, and its sections.
    fn opening(&mut self) {
        let ladder = self.ladder;
        self.raw("<header>\n<p class=\"by\">");
        self.element("span", &ladder.product);
        self.element("span", &ladder.date);
        self.raw("</p>\n");
        self.element("h1", &ladder.title);
        self.raw("\n");
        self.element("p class=\"sum\"", &ladder.summary.join(" · "));
        self.raw("\n");
        self.element("p", &ladder.opening);
        self.findings();
        self.raw("\n<nav aria-label=\"Sections\">\n");
        for section in &ladder.sections {
            let _ = write!(self.out, "<a href=\"#s{}\">", section.number);
            self.element("b", &numbers(section));
            self.text(&format!(" {}", clip(&section.title, 48)));
            self.raw("</a>\n");
        }
        self.raw("</nav>\n<p class=\"legend\">");
        for (tone, name) in LEGEND {
            let _ = write!(self.out, "<span class=\"{}\">{name}</span>", class(tone));
        }
        self.raw("<span class=\"tc\">╌╌ inferred, not seen</span></p>\n</header>\n");
    }

    /// What is wrong: each finding leads to its row.
    fn findings(&mut self) {
        let ladder = self.ladder;
        if ladder.findings.is_empty() {
            return;
        }
        self.raw("\n<ul class=\"finds\" aria-label=\"Findings\">\n");
        for listed in ladder.listed() {
            let Marked { finding, row, at } = listed.marked;
            let (word, tone) = match finding.rule.severity {
                Severity::Fault => ("Fault", Tone::Permanent),
                Severity::Warning => ("Warning", Tone::Transient),
                Severity::Note => ("Note", Tone::Quiet),
            };
            let _ = write!(self.out, "<li class=\"{}\"><b>{word}</b> ", class(tone));
            self.place(*row, &format!("{} at {} s", finding.rule.name, ladder.seconds_at(*at)));
            self.element("p", &finding.text);
            if let Some(advice) = listed.advice {
                self.element("p class=\"do\"", advice);
            }
            if let Some(told) = listed.told() {
                self.raw("<details>");
                self.element("summary", &told);
                for Marked { row, at, .. } in listed.others {
                    self.place(*row, &format!("{} s", ladder.seconds_at(*at)));
                    self.raw(" ");
                }
                self.raw("</details>");
            }
            self.raw("</li>\n");
        }
        self.raw("</ul>");
    }

    /// Where a finding is, as a link to its row where that is drawn.
    fn place(&mut self, row: Option<usize>, text: &str) {
        match row {
            Some(row) => self.element(&format!("a href=\"#r{row}\""), text),
            None => self.element("span", text),
        }
    }

    /// The tools and the heads of the lanes: they stay in view.
    fn heads(&mut self) {
        self.raw("<div class=\"top\">\n");
        self.raw(TOOLS);
        self.raw("<div class=\"grid heads\"><span class=\"t\">seconds</span><div class=\"hosts\">\n");
        let roles: Vec<Role> = self.columns.columns.iter().map(|column| column.role).collect();
        for (group, from, until) in runs(&roles, |role| role.group()) {
            // The client's host stands for itself.
            if group != Role::Client.group() {
                self.element(&format!("span class=\"gr\" style=\"grid-area:1/{from}/2/{until}\""), group);
            }
        }
        for (role, from, until) in runs(&roles, |role| role) {
            let _ = write!(self.out, "<span class=\"ho\" style=\"grid-area:2/{from}/3/{until}\">");
            self.text(role.title());
            let address = self.ladder.lanes.iter().filter(|lane| lane.role == role).find_map(|lane| lane.address);
            if let Some(address) = address {
                self.element("small", &address.to_string());
            }
            self.raw("</span>");
        }
        for (i, column) in self.columns.columns.clone().iter().enumerate() {
            let n = i + 1;
            let label = if column.role == Role::User { "" } else { column.label.as_str() };
            if !label.is_empty() {
                self.element(&format!("span class=\"pn\" style=\"grid-area:3/{n}/4/{}\"", n + 1), label);
            }
        }
        self.raw("\n</div><span class=\"k\">Remarks</span></div>\n</div>\n");
    }

    fn section(&mut self, section: &Section) {
        let rows = self.ladder.rows.get(section.rows.clone()).unwrap_or_default();
        let failed = rows.iter().any(|row| matches!(row.tone, Tone::Transient | Tone::Permanent))
            || section.rows.clone().any(|n| self.marks.get(&n).is_some_and(|severity| *severity > Severity::Note));
        let ends = section.number == 1 || section.rows.end >= self.ladder.rows.len();
        let open = if self.ladder.rows.len() <= OPEN || failed || ends { " open" } else { "" };
        let _ = write!(self.out, "<details class=\"sec\" id=\"s{}\"{open}><summary>", section.number);
        self.element("h2", &format!("{}\u{2002}{}", numbers(section), section.title));
        self.element("span", &section.detail);
        self.element("small", &counted(rows.len() as u64, "row", "rows"));
        self.raw("</summary>\n");
        for (n, row) in section.rows.clone().zip(rows) {
            self.row(n, row);
        }
        self.raw("</details>\n");
    }

    fn row(&mut self, n: usize, row: &Row) {
        let inferred = if row.seen == Seen::Inferred && row.tone != Tone::Data { " inf" } else { "" };
        let id = if self.marks.contains_key(&n) { format!(" id=\"r{n}\"") } else { String::new() };
        let _ = write!(self.out, "<details class=\"row {}{inferred}\"{id}><summary class=\"grid\">", class(row.tone));
        self.raw("<span class=\"t\">");
        if row.shape != Shape::Across {
            self.text(&self.ladder.seconds(row));
        }
        if let Some(took) = row.latency {
            self.element("small", &format!("+{}", duration(took)));
        }
        self.raw("</span><span class=\"l\">");
        for (column, class) in self.bars.get(n).cloned().unwrap_or_default() {
            let _ = write!(self.out, "<i class=\"{class}\" style=\"--a:{column}\"></i>");
        }
        self.shape(row);
        self.raw("</span>");
        match &row.remark {
            Some(remark) if remark.weight == Weight::Notice => {
                let tone = remark.tone.map(|tone| format!(" {}", class(tone))).unwrap_or_default();
                self.element(&format!("span class=\"k not{tone}\""), &remark.text);
            }
            Some(remark) => self.element("span class=\"k\"", &remark.text),
            None => self.raw("<span class=\"k\"></span>"),
        }
        self.raw("</summary>");
        self.told(row);
        self.raw("</details>\n");
    }

    /// What a row draws over the lanes.
    fn shape(&mut self, row: &Row) {
        let detail = row.detail.trim();
        match row.shape {
            Shape::Arrow { from, to } if self.columns.of(from) != self.columns.of(to) => {
                let (from, to) = (self.columns.of(from), self.columns.of(to));
                let (a, b) = (from.min(to), from.max(to));
                let way = if to > from { "right" } else { "left" };
                let _ = write!(self.out, "<span class=\"w {way}\" style=\"--a:{a};--b:{b}\">");
                let room = (b - a) * ON_LINE;
                let fits = row.label.chars().count() + detail.chars().count() < room && !detail.contains('\n');
                if fits && !detail.is_empty() {
                    self.element("b", &format!("{} {detail}", row.label));
                } else {
                    self.element("b", &row.label);
                    for line in detail.lines() {
                        self.element("em", line.trim());
                    }
                }
                self.raw("</span>");
            }
            Shape::Arrow { from: lane, .. } | Shape::At(lane) => {
                let column = self.columns.of(lane);
                let side = if 2 * column >= self.columns.columns.len() { "at left" } else { "at" };
                let _ = write!(self.out, "<span class=\"{side}\" style=\"--a:{column}\">");
                let text = if detail.is_empty() { row.label.clone() } else { format!("{}: {detail}", row.label) };
                self.element("b", &text);
                self.raw("</span>");
            }
            Shape::Across => {
                self.raw("<span class=\"ac\">");
                self.element("b", &row.label);
                self.raw("</span>");
            }
        }
    }

    /// What a row opens to.
    fn told(&mut self, row: &Row) {
        self.raw("<dl>");
        self.entry("time", &format!("{:.9}", row.at.timestamp()));
        self.entry("since the row before", &duration(row.since_previous));
        if let Some(took) = row.latency {
            self.entry("answered after", &duration(took));
        }
        match row.shape {
            Shape::Arrow { from, to } => {
                let ends = [from, to].map(|lane| self.end(lane));
                self.entry("from", &ends[0]);
                self.entry("to", &ends[1]);
            }
            Shape::At(lane) => {
                let end = self.end(lane);
                self.entry("at", &end);
            }
            Shape::Across => {}
        }
        let text = [row.label.as_str(), row.detail.trim()].join(" ");
        self.entry("text", text.trim_end());
        for field in &row.fields {
            self.entry(field.name, &field.value);
        }
        if row.seen == Seen::Inferred {
            self.entry("seen", "no: it follows from what the sockets did");
        }
        self.raw("</dl>");
    }

    fn entry(&mut self, name: &str, value: &str) {
        self.raw("<dt>");
        self.text(name);
        self.raw("</dt><dd>");
        self.text(value);
        self.raw("</dd>");
    }

    /// A lane with its address.
    fn end(&self, lane: LaneId) -> String {
        let Some(lane) = self.ladder.lanes.get(lane.0) else { return String::new() };
        match lane.address {
            Some(address) => format!("{} ({address})", lane.name()),
            None => lane.name().to_string(),
        }
    }
}

/// Neighbours that are alike, each run with the grid lines before and behind it.
fn runs<T: PartialEq + Copy>(roles: &[Role], what: impl Fn(Role) -> T) -> Vec<(T, usize, usize)> {
    let mut runs: Vec<(T, usize, usize)> = Vec::new();
    for (line, &role) in (1..).zip(roles) {
        match runs.last_mut() {
            Some((one, _, until)) if *one == what(role) => *until = line + 1,
            _ => runs.push((what(role), line, line + 1)),
        }
    }
    runs
}

/// The colours of the tones as one variable a tone, for light pages and for dark ones.
fn tones() -> String {
    let of = |pick: fn((&'static str, &'static str)) -> &'static str| {
        let each = TONES.iter().map(|&tone| format!("--{}:{};", class(tone), pick(colours(tone))));
        each.collect::<String>()
    };
    let (light, dark) = (of(|(light, _)| light), of(|(_, dark)| dark));
    let classes = TONES.iter().map(|&tone| format!(".{0}{{--c:var(--{0})}}", class(tone)));
    format!(
        ":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n\
         @media screen{{:root[data-theme=dark]{{{dark}}}}}\n{}\n",
        classes.collect::<String>()
    )
}

const LEGEND: [(Tone, &str); 10] = [
    (Tone::User, "user"),
    (Tone::Command, "command"),
    (Tone::Preliminary, "1yz"),
    (Tone::Completion, "2yz done"),
    (Tone::Intermediate, "3yz"),
    (Tone::Transient, "4yz fails now"),
    (Tone::Permanent, "5yz refused"),
    (Tone::Dns, "DNS"),
    (Tone::Data, "data"),
    (Tone::Tcp, "TCP"),
];

/// The tools; without the script they do nothing, and are not shown.
const TOOLS: &str = "<div class=\"tools\" role=\"toolbar\" aria-label=\"Tools\" hidden>\
<input id=\"find\" type=\"search\" placeholder=\"Search (/)\" aria-label=\"Search\" autocomplete=\"off\" spellcheck=\"false\">\
<output id=\"hits\" for=\"find\"></output>\
<button type=\"button\" id=\"fold\">Fold all</button>\
<button type=\"button\" id=\"unfold\">Unfold all</button>\
<button type=\"button\" id=\"tcp\" aria-pressed=\"true\">TCP</button>\
<button type=\"button\" id=\"theme\">Light or dark</button>\
<button type=\"button\" id=\"keys\" aria-haspopup=\"dialog\">Keys (?)</button></div>\n\
<dialog id=\"help\"><h2>Keys</h2><dl>\
<dt>/</dt><dd>search</dd><dt>Enter, n</dt><dd>next hit</dd><dt>Shift+Enter, N</dt><dd>hit before</dd>\
<dt>Esc</dt><dd>leave the search</dd><dt>j, k</dt><dd>next row, row before</dd>\
<dt>Space</dt><dd>open or close the row</dd><dt>f</dt><dd>fold the section, or unfold it</dd>\
<dt>F, U</dt><dd>fold all, unfold all</dd><dt>p</dt><dd>rows of TCP</dd><dt>t</dt><dd>light or dark</dd></dl>\
<button type=\"button\" id=\"close\">Close</button></dialog>\n";
