//! The drawing before it has a form: lanes, sections, rows, remarks. Every renderer draws from this and nothing else.
//!
//! All text in it is safe to show: what a peer chose has been through [`port21_proto::text::Shown`], and is clipped.
//!
//! | module | what it is |
//! |---|---|
//! | `build` | from a session's events to rows |
//! | `remarks`, `codes`, `fields` | what is said beside a row; what codes mean; values under display-filter names |
//! | `assemble`, `fold` | from rows to the ladder; what repeats is folded |
//! | `lanes` | lifelines, and the columns that they share |
//! | `marked` | findings beside their rows |
//! | `opening` | what stands before the rows |
//! | `plain` | rows in the form of the reference's table |

mod assemble;
mod build;
mod codes;
mod fields;
mod fold;
mod lanes;
mod marked;
mod opening;
mod plain;
mod remarks;

use std::ops::Range;
use std::time::Duration;

use port21_proto::Time;

pub use codes::meaning;
pub use lanes::{Column, Columns, Lane, LaneId, LaneName, LaneUse, Role};
pub(crate) use marked::Listed;
pub use plain::PlainRow;

use crate::findings::Finding;
use crate::session::{SectionKind, Session};

/// What is drawn, and what is not.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the rows of TCP (SYN, ACK, FIN) are drawn. Default: yes.
    pub tcp: bool,
    /// Only rows that begin or end at this lane. Default: all.
    pub only: Option<LaneName>,
    /// The title. Default: one made from the session.
    pub title: Option<String>,
    /// The date in the heading. Default: when the session began, in UTC.
    pub date: Option<String>,
    /// The program named in the heading. Default: [`crate::PRODUCT`].
    pub product: String,
    /// Parameters under the names that display filters know them by: `ftp.response.code = 220`. Default: no.
    pub fields: bool,
    /// Whether the sections in the middle of a long run of like sections are folded into one row. Default: yes.
    pub fold: bool,
    /// Whether the session is judged. Default: yes; not while it still goes on, when what is missing may be about to come.
    pub judge: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tcp: true,
            only: None,
            title: None,
            date: None,
            product: crate::PRODUCT.to_owned(),
            fields: false,
            fold: true,
            judge: true,
        }
    }
}

/// A session as a sequence diagram.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ladder {
    /// What the drawing is called.
    pub title: String,
    /// The program that drew it.
    pub product: String,
    /// The date in the heading.
    pub date: String,
    /// The facts under the title: `anonymous`, `active mode`, `44 messages in 0.412 s`.
    pub summary: Vec<String>,
    /// What the session is, in a short paragraph.
    pub opening: String,
    /// What is wrong with it: faults first. Those that are drawn stand in the remarks of their rows, too.
    pub findings: Vec<Marked>,
    /// The lifelines, from left to right.
    pub lanes: Vec<Lane>,
    /// The numbered sections; each row belongs to one.
    pub sections: Vec<Section>,
    /// The rows, in the order of time.
    pub rows: Vec<Row>,
    /// Connections as long as they live.
    pub bars: Vec<Bar>,
    /// When the session began: the zero of all times that are drawn.
    pub start: Time,
    /// When its last event was.
    pub end: Time,
}

/// A numbered part of the session, with a banner over its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// From 1.
    pub number: usize,
    /// The last number that it stands for: the same, but where like sections are folded into one.
    pub through: usize,
    /// What it is about.
    pub kind: SectionKind,
    /// `Download of readme.txt`.
    pub title: String,
    /// What it was done with: `PORT + RETR`; may be empty.
    pub detail: String,
    /// Its rows.
    pub rows: Range<usize>,
}

/// One row: something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// When.
    pub at: Time,
    /// Since the row before.
    pub since_previous: Duration,
    /// For the first reply to a command: how long the server took.
    pub latency: Option<Duration>,
    /// What is drawn.
    pub shape: Shape,
    /// What it is, for its colour.
    pub tone: Tone,
    /// The short word on the arrow: `USER`, `220`, `SYN`, `data`.
    pub label: String,
    /// What follows the label where there is room, and stands under it where there is not: the argument, the text of a
    /// reply, the size of a run. In lines of its own where it shows fields.
    pub detail: String,
    /// The values of the row under their display-filter names.
    pub fields: Vec<Field>,
    /// What the step is for, or what the code means.
    pub remark: Option<Remark>,
    /// Whether it was seen on the wire or told from what the sockets did.
    pub seen: Seen,
    /// The event that it draws, as an index into [`Session::events`]; the first of them, where a run of data is one row.
    pub event: Option<usize>,
}

/// What is drawn in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An arrow from a lane to a lane.
    Arrow {
        /// Where it begins.
        from: LaneId,
        /// Where its head is.
        to: LaneId,
    },
    /// A word at a lane: nothing was sent.
    At(LaneId),
    /// A sentence across the lanes: silence, rows that are folded.
    Across,
}

/// What a row is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tone {
    /// An action of the user.
    User,
    /// A query to a name server, or its answer.
    Dns,
    /// A command.
    Command,
    /// A 1yz reply.
    Preliminary,
    /// A 2yz reply.
    Completion,
    /// A 3yz reply.
    Intermediate,
    /// A 4yz reply.
    Transient,
    /// A 5yz reply, and what is no FTP at all.
    Permanent,
    /// A file or a listing.
    Data,
    /// A segment without data.
    Tcp,
    /// Silence, rows that are folded, notes of the recorder.
    Quiet,
}

/// How a row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// It was seen.
    Observed,
    /// It must have been: a connection that stands has had its handshake. Drawn dashed.
    Inferred,
}

/// A value of a row under the name that display filters know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `ftp.response.code`.
    pub name: &'static str,
    /// `220`.
    pub value: String,
}

/// What is said beside a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// A sentence.
    pub text: String,
    /// How much is lost where there is no room for it.
    pub weight: Weight,
    /// What it is about, where that is not what its row is: that something failed, or will.
    pub tone: Option<Tone>,
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// What the step is for: a narrow drawing may leave it out.
    Narration,
    /// What a reader must not miss: the meaning of an error, a note of the recorder.
    Notice,
}

/// A finding and its place in the drawing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Marked {
    /// The finding.
    pub finding: Finding,
    /// The row whose remark it is, as an index into [`Ladder::rows`]; nothing where that is folded or left out.
    pub row: Option<usize>,
    /// When its subject happened.
    pub at: Time,
}

/// A connection's life at one of its lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The lane.
    pub lane: LaneId,
    /// What the connection is for.
    pub of: LaneUse,
    /// Its rows, from the first to the last.
    pub rows: Range<usize>,
}

impl Ladder {
    /// Draws a session.
    pub fn new(session: &Session, options: &Options) -> Ladder {
        build::ladder(session, options)
    }

    /// Leaves rows out, and sections, bars and marks of findings with them; lanes stay as they are.
    pub fn retain(&mut self, keep: impl Fn(usize, &Row) -> bool) {
        let kept: Vec<bool> = self.rows.iter().enumerate().map(|(n, row)| keep(n, row)).collect();
        let mut count = 0;
        let mut places = Vec::with_capacity(kept.len() + 1);
        for keeps in &kept {
            places.push(count);
            count += usize::from(*keeps);
        }
        let place = |n: usize| places.get(n).copied().unwrap_or(count);
        let moved = |rows: &Range<usize>| place(rows.start)..place(rows.end);
        self.sections.iter_mut().for_each(|section| section.rows = moved(&section.rows));
        self.sections.retain(|section| !section.rows.is_empty());
        self.bars.iter_mut().for_each(|bar| bar.rows = moved(&bar.rows));
        self.bars.retain(|bar| !bar.rows.is_empty());
        let stays = |row: &usize| kept.get(*row) == Some(&true);
        self.findings.iter_mut().for_each(|marked| marked.row = marked.row.filter(stays).map(place));
        let mut kept = kept.iter();
        self.rows.retain(|_| kept.next() == Some(&true));
        let mut previous = None;
        for row in &mut self.rows {
            row.since_previous = previous.map_or(Duration::ZERO, |before| row.at.since(before));
            previous = Some(row.at);
        }
    }

    /// The findings as a drawing lists them: of each rule the first few.
    pub(crate) fn listed(&self) -> Vec<Listed<'_>> {
        marked::listed(&self.findings)
    }

    /// The rows in the simple form of the reference session's table, for checks: arrows alone, in order. Of a ladder
    /// that shows fields the parameters are those.
    pub fn plain_rows(&self) -> Vec<PlainRow> {
        plain::rows(self)
    }

    /// The lanes as at most about `most` columns: where there are more, many short-lived ports of one host and use
    /// become one column.
    pub fn columns(&self, most: usize) -> Columns {
        Columns::new(&self.lanes, most)
    }

    /// The lanes of one host and use as one column each, whose place does not change while rows are added.
    pub(crate) fn steady_columns(&self) -> Columns {
        Columns::by_use(&self.lanes)
    }

    /// The time of a row since the session's begin, in seconds, with as many decimals as the session needs.
    pub fn seconds(&self, row: &Row) -> String {
        self.seconds_at(row.at)
    }

    /// As [`Ladder::seconds`], of any time in the session.
    pub fn seconds_at(&self, at: Time) -> String {
        let decimals = match self.end.since(self.start).as_millis() {
            0..50 => 5,
            50..500 => 4,
            500..10_000_000 => 3,
            _ => 1,
        };
        let nanos = at.since(self.start).as_nanos();
        let unit = 10u128.pow(9 - decimals);
        let ticks = (nanos + unit / 2) / unit;
        let per_second = 10u128.pow(decimals);
        format!("{}.{:0width$}", ticks / per_second, ticks % per_second, width = decimals as usize)
    }
}
