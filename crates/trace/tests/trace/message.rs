//! One row with all that is known of it.

use port21_trace::ladder::{self, Ladder};
use port21_trace::{Message, Session};

use crate::events::{Script, event, reference};
use proptest::prelude::*;

fn drawn(events: Vec<port21_proto::SessionEvent>) -> (Session, Ladder) {
    let session = Session::from_events(events);
    let ladder = Ladder::new(&session, &ladder::Options::default());
    (session, ladder)
}

/// The message of the first row of this label.
fn of(session: &Session, ladder: &Ladder, label: &str) -> Message {
    let row = ladder.rows.iter().position(|row| row.label == label).unwrap();
    Message::of(session, ladder, row).unwrap()
}

fn fact<'a>(message: &'a Message, name: &str) -> &'a str {
    message.facts.iter().find(|(has, _)| *has == name).map_or("", |(_, value)| value.as_str())
}

#[test]
fn commands_and_replies_lead_to_each_other() {
    let (session, ladder) = drawn(reference());
    let command = of(&session, &ladder, "RETR");
    assert_eq!((command.title.as_str(), command.bytes.as_slice()), ("Command RETR", &b"RETR readme.txt\r\n"[..]));
    assert!(fact(&command, "answered by").starts_with("150 Opening ASCII mode") && command.lines.is_empty());
    assert!(fact(&command, "transfer").contains("1,715 bytes down, active mode by PORT, done"), "{command:?}");
    let reply = of(&session, &ladder, "331");
    assert!(fact(&reply, "answers").starts_with("USER ftp, "), "{reply:?}");
    assert!(reply.bytes.starts_with(b"331 ") && reply.bytes.ends_with(b"\r\n"));
    let data = of(&session, &ladder, "data");
    assert!(data.bytes.is_empty() && data.about_bytes.contains("how much it is"), "{data:?}");
    let syn = of(&session, &ladder, "SYN");
    assert!(fact(&syn, "seen").starts_with("no"), "{syn:?}");
    assert_eq!(fact(&of(&session, &ladder, "220"), "answers"), "no command: the server says it by itself");
}

#[test]
fn all_lines_of_a_reply_and_the_findings_that_name_it() {
    let mut script = Script::logged_in();
    script.command("FEAT").reply(211, &["Features:", " A", " B", " C", " D", " E", "End"]);
    script.command("RETR a").reply(550, &["No such file."]);
    let (session, ladder) = drawn(script.events);
    let feat = of(&session, &ladder, "211");
    assert_eq!(feat.lines.len(), 7);
    assert_eq!((feat.lines[0].as_str(), feat.lines[6].as_str()), ("211-Features:", "211 End"));
    assert!(feat.bytes.starts_with(b"211-Features:\r\n A\r\n"));
    let refused = of(&session, &ladder, "550");
    let rules: Vec<&str> = refused.findings.iter().map(|n| ladder.findings[*n].finding.rule.name).collect();
    assert_eq!(rules, ["transfer-failed"]);
    let password = of(&session, &ladder, "PASS");
    assert_eq!(password.bytes, b"PASS ***\r\n");
    assert!(Message::of(&session, &ladder, ladder.rows.len()).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_row_can_be_told(events in proptest::collection::vec(event(), 0..40)) {
        let (session, ladder) = drawn(events);
        for row in 0..ladder.rows.len() {
            let message = Message::of(&session, &ladder, row).unwrap();
            let texts = message.facts.iter().map(|(_, value)| value).chain(&message.lines).chain([&message.title]);
            for text in texts {
                prop_assert!(!text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
            }
        }
    }

    #[test]
    fn rows_can_be_left_out(events in proptest::collection::vec(event(), 0..60), each in 1usize..5) {
        let (_, mut ladder) = drawn(events);
        let wanted = ladder.rows.iter().step_by(each).map(|row| row.label.clone()).collect::<Vec<_>>();
        ladder.retain(|row, _| row % each == 0);
        prop_assert_eq!(ladder.rows.iter().map(|row| row.label.clone()).collect::<Vec<_>>(), wanted);
        let mut next = 0;
        for section in &ladder.sections {
            prop_assert_eq!(section.rows.start, next);
            prop_assert!(!section.rows.is_empty());
            next = section.rows.end;
        }
        prop_assert_eq!(next, ladder.rows.len());
        prop_assert!(ladder.bars.iter().all(|bar| bar.rows.end <= next && !bar.rows.is_empty()));
        prop_assert!(ladder.findings.iter().all(|marked| marked.row.is_none_or(|row| row < next)));
    }
}
