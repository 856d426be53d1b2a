//! From rows on their way to the ladder: what is left out, folded or silent, the order of the lanes, the bars.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use port21_proto::event::{ConnectionId, EventKind};

use super::build::{Draft, row};
use super::{Bar, Ladder, Lane, LaneId, LaneUse, Options, Role, Section, Shape, Tone, fold, marked, opening};
use crate::session::Session;
use crate::words::{self, clip, shown};

/// Silence of this length or more has a row of its own.
const GAP: Duration = Duration::from_secs(5);

/// Makes the ladder of a session's drafts; each lane comes with its rank within its host.
pub(super) fn assemble(session: &Session, options: &Options, lanes: Vec<(Lane, u8)>, mut drafts: Vec<Draft>) -> Ladder {
    let messages = drafts.iter().filter(|d| matches!(d.row.shape, Shape::Arrow { .. }) && d.row.tone != Tone::User);
    let messages = messages.count() as u64;
    let findings = if options.judge { marked::judge(session, &drafts) } else { Vec::new() };
    let lane_of = |id: LaneId| lanes.get(id.0).map(|(lane, _)| lane);
    drafts.retain(|d| options.tcp || d.row.tone != Tone::Tcp);
    if let Some(only) = &options.only {
        let means = |id| lane_of(id).is_some_and(|lane| only.means(lane));
        drafts.retain(|d| match d.row.shape {
            Shape::Arrow { from, to } => means(from) || means(to),
            Shape::At(lane) => means(lane),
            Shape::Across => true,
        });
    }
    let (mut sections, drafts) = fold::fold(session, drafts, options.fold);
    let drafts = with_gaps(drafts);
    let (lanes, moved) = in_order(lanes, &drafts);
    let mut previous = None;
    let mut rows = Vec::with_capacity(drafts.len());
    let mut lives: Vec<(ConnectionId, LaneId, usize, usize)> = Vec::new();
    let mut rows_of: HashMap<usize, usize> = HashMap::new();
    let mut life_of: HashMap<(ConnectionId, LaneId), usize> = HashMap::new();
    for (n, draft) in drafts.into_iter().enumerate() {
        if let Some(event) = draft.event {
            rows_of.insert(event, n);
        }
        let mut row = draft.row;
        row.event = draft.event;
        row.since_previous = previous.map_or(Duration::ZERO, |before| row.at.since(before));
        previous = Some(row.at);
        let place = |lane: LaneId| LaneId(moved.get(lane.0).copied().unwrap_or(0));
        row.shape = match row.shape {
            Shape::Arrow { from, to } => Shape::Arrow { from: place(from), to: place(to) },
            Shape::At(lane) => Shape::At(place(lane)),
            Shape::Across => Shape::Across,
        };
        let ends = match row.shape {
            Shape::Arrow { from, to } => [Some(from), Some(to)],
            Shape::At(lane) => [Some(lane), None],
            Shape::Across => [None, None],
        };
        for lane in ends.into_iter().flatten() {
            let Some(id) = draft.connection else { continue };
            if lanes.get(lane.0).is_some_and(|l| l.role == Role::User) {
                continue;
            }
            let life = *life_of.entry((id, lane)).or_insert_with(|| {
                lives.push((id, lane, n, n));
                lives.len() - 1
            });
            if let Some(life) = lives.get_mut(life) {
                life.3 = n;
            }
        }
        if let Some(section) = sections.get_mut(draft.section) {
            section.rows.start = if section.rows.is_empty() { n } else { section.rows.start };
            section.rows.end = n + 1;
        }
        if options.fields && !row.fields.is_empty() {
            let told: Vec<String> = row.fields.iter().map(|f| format!("{} = {}", f.name, f.value)).collect();
            let size = if row.tone == Tone::Data { row.detail.as_str() } else { "" };
            row.detail = format!("{size}\n{}", told.join("\n"));
        }
        rows.push(row);
    }
    sections.retain(|s: &Section| !s.rows.is_empty());
    let bars = bars(session, &lanes, lives, rows.len());
    let span = session.span();
    let counts = marked::counts(&findings);
    let findings = marked::mark(session, findings, &mut rows, &rows_of);
    let mut summary = opening::summary(session, messages);
    summary.extend(counts);
    Ladder {
        title: opening::title(session, options),
        product: clip(&shown(options.product.as_bytes()), 60),
        date: opening::date(session, options),
        summary,
        opening: opening::paragraph(session),
        findings,
        lanes,
        sections,
        rows,
        bars,
        start: span.start,
        end: span.end,
    }
}

/// Puts a row where nothing happened for a while.
fn with_gaps(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut out: Vec<Draft> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(before) = out.last() {
            let silence = draft.begun.since(before.ended);
            if silence >= GAP {
                let label = words::duration(silence);
                let gap = row(draft.begun, Shape::Across, Tone::Quiet, &label, String::new());
                out.push(Draft::apart(draft.section, gap));
            }
        }
        out.push(draft);
    }
    out
}

/// The lanes that rows touch, from left to right, and where each old one has gone.
fn in_order(lanes: Vec<(Lane, u8)>, drafts: &[Draft]) -> (Vec<Lane>, Vec<usize>) {
    let mut used = vec![false; lanes.len()];
    let mut touch = |lane: LaneId| used.get_mut(lane.0).into_iter().for_each(|u| *u = true);
    for draft in drafts {
        match draft.row.shape {
            Shape::Arrow { from, to } => (touch(from), touch(to)).0,
            Shape::At(lane) => touch(lane),
            Shape::Across => {}
        }
    }
    let mut moved = vec![0; lanes.len()];
    let mut order: Vec<(usize, Lane, u8)> =
        lanes.into_iter().enumerate().map(|(i, (lane, rank))| (i, lane, rank)).collect();
    order.retain(|(i, ..)| used.get(*i) == Some(&true));
    order.sort_by_key(|(i, lane, rank)| (lane.role, *rank, *i));
    for (to, (from, ..)) in order.iter().enumerate() {
        moved.get_mut(*from).into_iter().for_each(|m| *m = to);
    }
    (order.into_iter().map(|(_, lane, _)| lane).collect(), moved)
}

/// A connection lives until it is closed; one that is never seen to close, until the end of the drawing.
fn bars(session: &Session, lanes: &[Lane], lives: Vec<(ConnectionId, LaneId, usize, usize)>, rows: usize) -> Vec<Bar> {
    let ended: HashSet<ConnectionId> = session
        .events()
        .iter()
        .filter(|e| matches!(e.kind, EventKind::Closed { .. } | EventKind::OpenFailed { .. }))
        .filter_map(|e| e.kind.connection())
        .collect();
    let bar = |(id, lane, first, last): (ConnectionId, LaneId, usize, usize)| {
        let of = lanes.get(lane.0)?.of;
        let open = of != LaneUse::Dns && !ended.contains(&id);
        Some(Bar { lane, of, rows: first..if open { rows } else { last + 1 } })
    };
    lives.into_iter().filter_map(bar).collect()
}
