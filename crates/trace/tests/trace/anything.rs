//! Whatever the events are: a drawing comes of them, within its width, without secrets and without control characters.

use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::{SessionEvent, Time};
use port21_trace::ladder::Options;
use port21_trace::render::{self, HtmlOptions, PdfOptions, SvgOptions, TextOptions};
use port21_trace::{Ladder, Session};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use crate::events::{event, text};

fn check(ladder: &Ladder, width: usize) -> Result<(), TestCaseError> {
    for ascii in [false, true] {
        let drawn = render::text(ladder, &TextOptions { width, ascii, colour: false });
        for line in drawn.lines() {
            prop_assert!(line.width() <= width.max(TextOptions::MIN_WIDTH), "{} > {width}: {line:?}", line.width());
        }
        prop_assert!(!drawn.chars().any(|c| c.is_control() && c != '\n'));
        prop_assert!(!ascii || drawn.is_ascii());
    }
    let coloured = render::text(ladder, &TextOptions { width, ascii: false, colour: true });
    prop_assert!(!coloured.contains("\x1b[2J"));
    let svg = render::svg(ladder, &SvgOptions::default());
    prop_assert!(!svg.chars().any(|c| c.is_control() && c != '\n'));
    prop_assert!(!svg.contains("<script"));
    well_formed(&svg)?;
    prop_assert!(render::pdf(std::slice::from_ref(ladder), &PdfOptions::default()).is_ok());
    let page = render::html(ladder, &HtmlOptions::default());
    prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    prop_assert_eq!(page.matches("<script").count(), 1);
    well_formed(&page)
}

/// Every element that begins ends, and no text has a bare `<` or `&`.
pub(crate) fn well_formed(svg: &str) -> Result<(), TestCaseError> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        if open.last() != Some(&"style") {
            prop_assert!(!text.contains('>'), "{text:?}");
            for part in text.split('&').skip(1) {
                prop_assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|e| part.starts_with(e)), "{text:?}");
            }
        }
        let end = rest[at..].find('>').map(|end| at + end).ok_or_else(|| TestCaseError::fail("an open tag"))?;
        let tag = &rest[at + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            prop_assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            let name = tag.split(' ').next().unwrap_or(tag);
            if !["!doctype", "meta", "input"].contains(&name) {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
        if tag == "script" || tag == "style" {
            // What stands in these is no markup.
            rest = rest.split_once(&format!("</{tag}>")).ok_or_else(|| TestCaseError::fail("no end"))?.1;
            open.pop();
        }
    }
    prop_assert!(open.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn anything_can_be_drawn(
        events in proptest::collection::vec(event(), 0..25),
        width in 0usize..200,
        (tcp, fields, fold) in any::<(bool, bool, bool)>(),
        title in proptest::option::of(text()),
        only in proptest::option::of(prop_oneof![Just("server"), Just("client:5001"), Just("user")]),
    ) {
        let only = only.map(|name| name.parse().unwrap());
        let options = Options { tcp, fields, fold, title, only, ..Options::default() };
        let session = Session::from_events(events);
        let ladder = Ladder::new(&session, &options);
        let json = render::json([("1".to_owned(), session)], &Session::default());
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        prop_assert!(!json.trim_end().chars().any(char::is_control));
        let rows: usize = ladder.sections.iter().map(|s| s.rows.len()).sum();
        prop_assert_eq!(rows, ladder.rows.len());
        check(&ladder, width)?;
        let _ = ladder.plain_rows();
    }

    #[test]
    fn sections_part_the_events(events in proptest::collection::vec(event(), 0..40)) {
        let session = Session::from_events(events);
        let mut next = 0;
        for section in session.sections() {
            prop_assert_eq!(section.events.start, next);
            prop_assert!(section.events.end > next);
            next = section.events.end;
        }
        prop_assert_eq!(next, session.events().len());
    }

    #[test]
    fn secrets_are_never_drawn(secret in "[a-z]{3}7[A-Z]{5}", verb in "(PASS|pass|ACCT|Acct)", width in 60usize..160) {
        let bare = EventKind::Command {
            connection: ConnectionId::CONTROL,
            verb: verb.clone(),
            argument: secret.clone().into_bytes(),
        };
        let line = format!("{verb} {secret}");
        let joined = EventKind::Command {
            connection: ConnectionId::CONTROL,
            verb: format!("{verb}\t{secret}"),
            argument: Vec::new(),
        };
        let events = [
            bare,
            joined,
            EventKind::command(ConnectionId::CONTROL, line.as_bytes()),
            EventKind::Malformed {
                connection: ConnectionId::CONTROL,
                from: port21_proto::event::End::Client,
                head: line.into_bytes(),
                why: "a NUL".to_owned(),
            },
        ];
        let events = events.map(|kind| SessionEvent { at: Time::from_unix_secs(1), kind });
        for fields in [false, true] {
            let options = Options { fields, ..Options::default() };
            let ladder = Ladder::new(&Session::from_events(events.iter().cloned()), &options);
            let text = render::text(&ladder, &TextOptions { width, ..TextOptions::default() });
            let svg = render::svg(&ladder, &SvgOptions::default());
            let json = render::json([("1".to_owned(), Session::from_events(events.iter().cloned()))], &Session::default());
            let page = render::html(&ladder, &HtmlOptions::default());
            let all = format!("{ladder:?}{text}{svg}{json}{page}{}", render::mermaid(&ladder));
            prop_assert!(!all.contains(&secret));
        }
    }
}
