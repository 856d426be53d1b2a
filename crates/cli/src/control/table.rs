//! `status` for people: a line of what there is in all, then a line a session.

use std::time::Duration;

use port21_proto::text::Shown;

use super::protocol::{Ban, Moved, Session, Status};
use crate::units::{show_duration, show_size};

/// The whole text.
pub(super) fn show(status: &Status) -> String {
    let mut out = String::new();
    let transfers: Vec<_> = status.sessions.iter().filter_map(|session| session.transfer.as_ref()).collect();
    let rate: f64 = transfers.iter().map(|transfer| transfer.bytes_per_second).sum();
    let at: Vec<String> = status.listening.iter().map(ToString::to_string).collect();
    let mut line = |text: String| out.extend([text.as_str(), "\n"]);
    line(format!(
        "port21 {}, process {}, up {}, at {}",
        status.release,
        status.pid,
        show_duration(Duration::from_secs(status.uptime_seconds)),
        at.join(" ")
    ));
    status.warnings.iter().for_each(|warning| line(format!("WARNING: {}", Shown(warning.as_bytes()))));
    line(format!(
        "{}, {}, {}/s",
        many(status.sessions.len(), "session"),
        many(transfers.len(), "transfer"),
        show_size(rate as u64)
    ));
    line(format!(
        "since the start: {} connections, {} logins ({} failed); down {}; up {}",
        status.connections,
        status.logins,
        status.failed_logins,
        moved(&status.downloads),
        moved(&status.uploads)
    ));
    if let Some(ports) = status.passive_ports {
        line(format!("passive ports: {} of {ports} in use", status.passive_ports_in_use));
    }
    if !status.refusals.is_empty() {
        let refusals: Vec<String> = status.refusals.iter().map(|(why, count)| format!("{why} {count}")).collect();
        line(format!("turned away: {}", refusals.join(", ")));
    }
    if status.failed_reloads > 0 || status.hook_messages_dropped > 0 {
        line(format!(
            "{}; {} dropped",
            many(status.failed_reloads as usize, "failed reload"),
            many(status.hook_messages_dropped as usize, "hook message")
        ));
    }
    if !status.bans.is_empty() {
        line(String::new());
        let rows: Vec<Vec<String>> = status.bans.iter().map(ban).collect();
        columns(&["BANNED", "FROM", "FAILED LOGINS", "FOR YET"], &rows).into_iter().for_each(&mut line);
    }
    let rows: Vec<Vec<String>> = status.sessions.iter().map(row).collect();
    if !rows.is_empty() {
        line(String::new());
        columns(&["SESSION", "USER", "FROM", "SINCE", "SILENT", "WHAT"], &rows).into_iter().for_each(line);
    }
    out
}

fn row(session: &Session) -> Vec<String> {
    let since = |seconds: f64| show_duration(Duration::from_secs(seconds.max(0.0) as u64));
    let what = session.transfer.as_ref().map_or_else(
        || "-".to_owned(),
        |transfer| {
            let (done, rate) = (show_size(transfer.bytes), show_size(transfer.bytes_per_second as u64));
            format!("{} {}: {done}, {rate}/s", transfer.what, transfer.path)
        },
    );
    let user = match &session.user {
        Some(user) if session.anonymous => at(&format!("{user} (guest)"), session.host.as_deref()),
        Some(user) => at(user, session.host.as_deref()),
        None => "(nobody yet)".to_owned(),
    };
    let from = session.peer.map(|peer| peer.to_string()).unwrap_or_default();
    vec![session.number.to_string(), user, from, since(session.seconds), since(session.silent_seconds), what]
}

fn ban(ban: &Ban) -> Vec<String> {
    let from = ban.user.as_ref().map_or_else(|| "everything".to_owned(), |user| at(user, ban.host.as_deref()));
    let left = show_duration(Duration::from_secs(ban.seconds_left.max(0.0) as u64));
    vec![ban.address.map(|address| address.to_string()).unwrap_or_default(), from, ban.failures.to_string(), left]
}

/// A user, and the site where it is not the one to begin with.
fn at(user: &str, host: Option<&str>) -> String {
    host.map_or_else(|| user.to_owned(), |host| format!("{user} at {host}"))
}

fn columns(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    use unicode_width::UnicodeWidthStr as _;
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heads).chain(rows).collect();
    let width = |at: usize| all.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let write = |row: &&Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(write).collect()
}

fn moved(moved: &Moved) -> String {
    let broken = if moved.broken > 0 { format!(" ({} broken)", moved.broken) } else { String::new() };
    format!("{}, {}{broken}", many(moved.whole as usize, "file"), show_size(moved.bytes))
}

fn many(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Transfer;
    use super::*;

    #[test]
    fn a_line_a_session() {
        let transfer = Transfer {
            what: "upload".into(),
            path: "/a b".into(),
            bytes: 3 << 20,
            seconds: 2.0,
            bytes_per_second: 1_572_864.0,
        };
        let session = |number, user: Option<&str>, transfer| Session {
            number,
            user: user.map(str::to_owned),
            peer: Some("192.0.2.7:4711".parse().unwrap()),
            seconds: 62.0,
            silent_seconds: 1.0,
            transfer,
            ..Session::default()
        };
        let status = Status {
            release: "0.1.0".into(),
            pid: 9,
            uptime_seconds: 3720,
            listening: vec!["[::]:21".parse().unwrap()],
            sessions: vec![
                session(1, None, None),
                session(12, Some("alice"), Some(transfer)),
                Session { host: Some("a.example".into()), ..session(13, Some("bob"), None) },
            ],
            passive_ports: Some(1000),
            passive_ports_in_use: 1,
            ..Status::default()
        };
        let text = show(&status);
        assert!(text.starts_with("port21 0.1.0, process 9, up 1h 2m, at [::]:21\n3 sessions, 1 transfer, 1.5 MiB/s\n"));
        let rows = "SESSION  USER              FROM            SINCE  SILENT  WHAT\n\
                    1        (nobody yet)      192.0.2.7:4711  1m 2s  1s      -\n\
                    12       alice             192.0.2.7:4711  1m 2s  1s      upload /a b: 3.0 MiB, 1.5 MiB/s\n\
                    13       bob at a.example  192.0.2.7:4711  1m 2s  1s      -\n";
        assert!(text.ends_with(rows), "{text}");
        let text = show(&Status { warnings: vec!["it is ill".into()], ..status });
        assert!(text.contains("\nWARNING: it is ill\n3 sessions"), "{text}");
    }
}
